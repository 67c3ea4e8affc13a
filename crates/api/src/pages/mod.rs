//! Pages for those who look in: the description of the API for people, and the look that all pages share.

mod widget;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::state::ApiState;

mod unsubscribe;

/// Nothing from elsewhere, no inline script, no inline style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' https: data:; \
                      frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// The pages' routes.
pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/docs", get(async || page(include_str!("docs.html"))))
        .route("/docs.js", get(async || script(include_str!("docs.js"))))
        .route("/tokens.css", get(async || style(include_str!("tokens.css"))))
        .route("/widget/v1/stentor-inbox.js", get(widget::widget))
        .route("/style.css", get(async || style(include_str!("style.css"))))
        .merge(unsubscribe::routes())
}

/// A page under the policy.
pub fn page(html: &'static str) -> Response {
    asset("text/html; charset=utf-8", html)
}

/// A script of a page.
pub fn script(source: &'static str) -> Response {
    asset("text/javascript; charset=utf-8", source)
}

/// A style sheet.
pub fn style(source: &'static str) -> Response {
    asset("text/css; charset=utf-8", source)
}

/// A page that was made for who asks, under the policy; nobody keeps it.
pub(crate) fn personal_page(html: String) -> Response {
    let mut response = asset("text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn asset(kind: &'static str, body: impl IntoResponse) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}
