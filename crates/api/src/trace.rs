//! What is logged and measured of each request, and the answers where no handler is.

use std::{
    cell::RefCell,
    collections::HashMap,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
    response::Response,
};
use metrics::Histogram;
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::{Instrument, instrument::Instrumented};

use crate::problem::{ApiError, Unserved};

/// One measurement a request, and a line of the log if it could not be served; a span where debugging asks for it, since each costs
/// about as much as to check the request. The path is told as its pattern: ids of people stay out of the log.
///
/// A service of its own, since a function as a layer is two boxes and a copy of the route for each request.
#[derive(Clone)]
pub(crate) struct TraceLayer;

/// A service whose requests are traced.
#[derive(Clone)]
pub(crate) struct Trace<S>(S);

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace(inner)
    }
}

impl<S: Service<Request, Response = Response>> Service<Request> for Trace<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Traced<S::Future> {
        let path = request.extensions().get::<MatchedPath>().cloned();
        traced(request.method().clone(), Pattern(path), self.0.call(request))
    }
}

/// The pattern of a path, if one matched.
pub(crate) struct Pattern(Option<MatchedPath>);

impl AsRef<str> for Pattern {
    fn as_ref(&self) -> &str {
        self.0.as_ref().map_or("unmatched", MatchedPath::as_str)
    }
}

/// Traces `answer` to a request of a path with this pattern.
pub(crate) fn traced<F, P: AsRef<str>>(method: Method, path: P, answer: F) -> Traced<F, P> {
    let span = tracing::debug_span!("request", %method, path = path.as_ref());
    Traced { answer: answer.instrument(span), path, method, started: Instant::now() }
}

pin_project! {
    /// A request that is traced until it is answered.
    pub(crate) struct Traced<F, P = Pattern> {
        #[pin]
        answer: Instrumented<F>,
        path: P,
        method: Method,
        started: Instant,
    }
}

impl<F: Future<Output = Result<Response, E>>, E, P: AsRef<str>> Future for Traced<F, P> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let response = ready!(this.answer.as_mut().poll(cx))?;
        let (method, path, status, took) = (this.method, (*this.path).as_ref(), response.status(), this.started.elapsed());
        if let Some(Unserved { code, error }) = response.extensions().get() {
            tracing::warn!(%method, path, status = status.as_u16(), code, error, "a request was not served");
        }
        let took_ms = took.as_secs_f64() * 1e3;
        this.answer.span().in_scope(|| tracing::debug!(status = status.as_u16(), took_ms, "answered"));
        measure(known(method), path, status, took);
        Poll::Ready(Ok(response))
    }
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
        let of_path = match all.get_mut(path) {
            Some(known) => known,
            None => all.entry(path.into()).or_default(),
        };
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
