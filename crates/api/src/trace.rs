//! What is logged and measured of each request, and the answers where no handler is.

use std::{
    cell::RefCell,
    collections::HashMap,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use metrics::Histogram;
use tracing::Instrument;

use crate::problem::{ApiError, Unserved};

/// One measurement a request, and a line of the log if it could not be served; a span where debugging asks for it, since each costs
/// about as much as to check the request. The path is told as its pattern: ids of people stay out of the log.
pub(crate) async fn request(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = || path.as_ref().map_or("unmatched", MatchedPath::as_str);
    let method = request.method().clone();
    let span = tracing::debug_span!("request", %method, path = path());
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let (status, took) = (response.status(), started.elapsed());
    if let Some(Unserved { code, error }) = response.extensions().get() {
        tracing::warn!(%method, path = path(), status = status.as_u16(), code, error, "a request was not served");
    }
    span.in_scope(|| tracing::debug!(status = status.as_u16(), took_ms = took.as_secs_f64() * 1e3, "answered"));
    measure(known(&method), path(), status, took);
    response
}

/// The name of a method. Anybody may make one up, and each would have a histogram of its own for ever.
fn known(method: &Method) -> &'static str {
    let all = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD, Method::OPTIONS];
    let names = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
    all.iter().position(|known| known == method).map_or("other", |at| names[at])
}

/// The histograms of a path, by what else tells requests apart.
type OfPath = Vec<((&'static str, StatusCode), Histogram)>;

thread_local! {
    /// To look a histogram up by its labels costs more than all else here.
    static HISTOGRAMS: RefCell<HashMap<Box<str>, OfPath>> = RefCell::default();
}

fn measure(method: &'static str, path: &str, status: StatusCode, took: Duration) {
    HISTOGRAMS.with_borrow_mut(|all| {
        if !all.contains_key(path) {
            all.insert(path.into(), Vec::new());
        }
        let Some(of_path) = all.get_mut(path) else { return };
        let known = of_path.iter().position(|(kind, _)| *kind == (method, status));
        let at = known.unwrap_or_else(|| {
            let (path, status_text) = (path.to_owned(), status.as_str().to_owned());
            let labels = [("method", method.to_owned()), ("path", path), ("status", status_text)];
            of_path.push(((method, status), metrics::histogram!("stentor_http_request_seconds", &labels)));
            of_path.len() - 1
        });
        of_path[at].1.record(took.as_secs_f64());
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_somebody_made_up_are_one() {
        assert_eq!(
            [known(&Method::PATCH), known(&"BREW".parse().unwrap()), known(&"get".parse().unwrap())],
            ["PATCH", "other", "other"]
        );
    }
}
