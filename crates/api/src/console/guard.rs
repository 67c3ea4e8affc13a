//! Who may come in, and with what.
//!
//! A request that changes something must come from a page of ours: its `Origin` is this host, and it brings the session's
//! token, as the header `x-csrf-token` or the form's field `csrf`. Every answer carries a policy that allows nothing inline.

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use http_body_util::{BodyExt, Limited};
use subtle::ConstantTimeEq;

use super::{
    page::{Failure, which_app},
    session::{Session, Sql},
    visit::Visit,
};
use crate::{problem::ApiError, realtime::is_own, state::ApiState};

/// The largest form, in bytes.
const MAX_FORM: usize = 1024 * 1024;

/// Nothing from elsewhere, no inline script, no inline style, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
static HTMX: HeaderName = HeaderName::from_static("hx-request");

/// Puts the headers on every answer, and refuses what another site sent.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let mut response = if request.method().is_safe() || comes_from_here(request.headers()) {
        let response = next.run(request).await;
        // Who is not in the console yet has no page around what went wrong.
        response.extensions().get::<Failure>().map(Failure::alone).unwrap_or(response)
    } else {
        let detail = "this form was not sent from a page of this console; open the console and try again there";
        Failure::from(ApiError::new(StatusCode::FORBIDDEN, "forbidden_origin", detail)).alone()
    };
    let headers = response.headers_mut();
    // A page that shows what others wrote brings a stricter policy of its own.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn comes_from_here(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| is_own(origin, headers))
}

/// Lets in who is signed in, and shows what went wrong in the way in which it was asked.
pub(super) async fn admit(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let in_part = request.headers().contains_key(&HTMX);
    let (session, sql) = match Session::find(&state, request.headers()).await {
        Ok(Some(found)) => found,
        Ok(None) => return sign_in(&request, in_part),
        Err(error) => return Failure::from(error).alone(),
    };
    if !request.method().is_safe() {
        request = match with_token(request, &session).await {
            Ok(request) => request,
            Err(error) => return Failure::from(error).alone(),
        };
    }
    let visit = match Visit::new(&state, session, sql, request.uri(), in_part).await {
        Ok(visit) => visit,
        Err(failure) => return failure.alone(),
    };
    if visit.is_to_pick() && request.method().is_safe() && !in_part {
        return which_app(&visit, request.uri());
    }
    request.extensions_mut().insert(visit.clone());
    let response = next.run(request).await;
    match response.extensions().get::<Failure>() {
        Some(failure) if in_part => failure.in_part(),
        Some(failure) => failure.within(&visit),
        None => response,
    }
}

/// Keeps who asks for what stands in SQL from waiting for it, if it is known to be away.
pub(super) async fn with_sql(visit: Visit, request: Request, next: Next) -> Response {
    if visit.sql == Sql::IsAway { Failure::from(away()).into_response() } else { next.run(request).await }
}

/// 503: SQL is away.
pub(super) fn away() -> ApiError {
    let detail = "The archive (SQL) does not answer. What is accepted waits in Redis and nothing is lost; this cannot be shown or done \
                  until it is back.";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
}

/// To the door, and from there back to where they wanted to go.
fn sign_in(request: &Request, in_part: bool) -> Response {
    let place = request.uri().path_and_query().map_or("/console", |p| p.as_str());
    // The cookie is not sent when somebody follows a link from another site. A page of ours that asks again gets it.
    let from_elsewhere = request.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if from_elsewhere && request.method() == Method::GET {
        return super::page::again(place);
    }
    let door = door(request.uri());
    if in_part {
        return ([("hx-redirect", door)], StatusCode::UNAUTHORIZED).into_response();
    }
    Redirect::to(&door).into_response()
}

fn door(wanted: &Uri) -> String {
    let place = wanted.path_and_query().map_or("/console", |p| p.as_str());
    let next: String = url::form_urlencoded::byte_serialize(place.as_bytes()).collect();
    format!("/console/login?next={next}")
}

/// The request, if it brings the session's token.
async fn with_token(request: Request, session: &Session) -> Result<Request, ApiError> {
    let holds = |token: &str| bool::from(token.as_bytes().ct_eq(session.csrf.as_bytes()));
    if request.headers().get(&TOKEN).and_then(|v| v.to_str().ok()).is_some_and(holds) {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_FORM).collect().await.map_or_else(
        |_| Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the form is larger than {MAX_FORM} bytes"))),
        |collected| Ok(collected.to_bytes()),
    )?;
    if !token_of(&body).is_some_and(|token| holds(&token)) {
        let detail = "this form is of another session; load the page again and repeat what you did";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "bad_csrf_token", detail));
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn token_of(form: &Bytes) -> Option<String> {
    url::form_urlencoded::parse(form).find(|(name, _)| name == "csrf").map(|(_, value)| value.into_owned())
}
