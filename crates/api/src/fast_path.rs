//! The way past the router for what nearly all requests are: one notification. It is what the route of the same path does, extractor by
//! extractor, without what the router keeps and boxes for each request. The route stays for its description and for other methods.

use std::convert::Infallible;

use axum::{
    Router,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::Method,
    response::{IntoResponse, Response},
};
use tower::Service;

use crate::{
    auth::Key,
    json::RawJson,
    problem::ApiError,
    rest::notifications::{self, IdempotencyKey},
    state::ApiState,
    trace,
};

/// Answers whatever `router` has routes for; with the state of one that accepts notifications, these by this way.
pub(crate) fn service(
    state: Option<ApiState>,
    router: Router,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    tower::service_fn(move |request| answer(state.clone(), router.clone(), request))
}

async fn answer(state: Option<ApiState>, mut router: Router, request: Request) -> Result<Response, Infallible> {
    match state {
        Some(state) if request.method() == Method::POST && request.uri().path() == notifications::PATH => {
            trace::traced(Method::POST, notifications::PATH, send(state, request)).await
        }
        _ => router.call(request).await,
    }
}

async fn send(state: ApiState, request: Request) -> Result<Response, Infallible> {
    Ok(accept(state, request).await.unwrap_or_else(ApiError::into_response))
}

async fn accept(state: ApiState, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let key = Key::from_request_parts(&mut parts, &state).await?;
    let idempotency = IdempotencyKey::from_request_parts(&mut parts, &state).await?;
    let json = RawJson::from_request(Request::from_parts(parts, body), &state).await?;
    notifications::send(State(state), key, idempotency, json).await
}
