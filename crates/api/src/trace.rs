//! What is logged and measured of each request, and the answers where no handler is.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

use crate::problem::ApiError;

/// One span and one measurement a request. The path is logged as its pattern: ids of people stay out of the log.
pub(crate) async fn request(request: Request, next: Next) -> Response {
    let pattern = request.extensions().get::<MatchedPath>().map_or_else(|| "unmatched".to_owned(), |p| p.as_str().to_owned());
    let method = request.method().as_str().to_owned();
    let span = tracing::info_span!("request", method, path = pattern);
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    span.in_scope(|| tracing::debug!(status, took_ms = took.as_secs_f64() * 1e3, "answered"));
    metrics::histogram!("stentor_http_request_seconds", "method" => method, "path" => pattern, "status" => status.to_string())
        .record(took.as_secs_f64());
    response
}

pub(crate) async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_such_path", "there is nothing at this path; /docs lists what there is")
}

pub(crate) async fn method_not_allowed() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        "this path does not know that method; /docs lists what there is",
    )
}
