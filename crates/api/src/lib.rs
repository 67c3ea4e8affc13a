//! The doors of Stentor: REST for business systems, realtime for people with an inbox, pages for those who look in.
//!
//! A handler extracts, calls one thing and answers. What is decided here is whether a request is accepted; what
//! becomes of it is the worker's. Nothing is answered 202 before it is in Redis.

pub mod auth;
pub mod bounces;
mod console;
mod fast_path;
mod json;
mod openapi;
mod packed;
pub mod pages;
mod path;
mod pressure;
mod problem;
mod query;
pub mod realtime;
mod rest;
mod state;
mod trace;

use std::convert::Infallible;

use axum::{Router, extract::Request, response::Response, routing::get};

pub use console::Feed;
pub use pressure::Pressure;
pub use problem::Problem;
pub use rest::ItemWithContent;
pub use state::{ApiParts, ApiState};

/// Which doors a process opens. Those for operators are always open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// REST.
    pub api: bool,
    /// Realtime.
    pub gateway: bool,
}

/// Answers what the doors of `roles` are asked, and has `pages` beside them.
pub fn service(
    state: ApiState,
    roles: Roles,
    pages: Router,
) -> impl tower::Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    let router = pages.merge(router(state.clone(), roles));
    fast_path::service(roles.api.then_some(state), router)
}

/// The routes of `roles`.
fn router(state: ApiState, roles: Roles) -> Router {
    let (operations, _) = rest::operations_router().split_for_parts();
    let (mut routes, mut of_inbox) = (operations, Router::new());
    if roles.api {
        let (rest, _) = rest::router().split_for_parts();
        routes = routes.merge(rest).merge(openapi::routes(openapi_json())).merge(pages::routes()).merge(console::routes(&state));
        of_inbox = of_inbox.merge(rest::inbox_router().split_for_parts().0);
    }
    if roles.gateway {
        of_inbox = of_inbox
            .route("/v1/inbox/ws", get(realtime::upgrade))
            .route("/v1/inbox/events", get(realtime::events))
            .route("/v1/inbox/poll", get(realtime::poll));
    }
    // A layer is a box around each of its routes, and what does not need it is spared it.
    let of_inbox = of_inbox.method_not_allowed_fallback(trace::method_not_allowed).layer(state.manners.cors());
    routes
        .merge(of_inbox)
        .fallback(trace::not_found)
        .method_not_allowed_fallback(trace::method_not_allowed)
        .layer(trace::TraceLayer)
        .with_state(state)
}

/// The OpenAPI 3.1 description of the REST routes, as JSON.
pub fn openapi_json() -> String {
    let (_, description) =
        openapi::describe(rest::router().merge(rest::inbox_router()).merge(rest::operations_router())).split_for_parts();
    description.to_pretty_json().unwrap_or_default()
}
