//! Who may connect, and how many at once.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::problem::ApiError;

/// How realtime connections are treated.
#[derive(Clone, Debug)]
pub struct Manners {
    /// Web origins whose pages may open an inbox, such as `https://app.example.com`; `*` for all. The server's own always may.
    pub origins: Vec<String>,
    /// How many connections may begin in a second; more are asked to come back.
    pub connects_per_second: u32,
}

impl Manners {
    /// Refuses a page of another origin. Who sends no `Origin` is no browser, and shows a token all the same.
    pub(crate) fn admit_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        if self.is_listed(origin) || is_own(origin, headers) {
            return Ok(());
        }
        let detail = "pages of this origin may not open an inbox: name it in realtime.origins";
        Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden_origin", detail))
    }

    fn is_listed(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
    }

    /// Lets pages of the listed origins, and of no other, read the inbox over HTTP.
    pub(crate) fn cors(&self) -> CorsLayer {
        let manners = self.clone();
        let is_listed = move |origin: &HeaderValue, _: &Parts| manners.is_listed(origin);
        let headers = [header::AUTHORIZATION, header::CONTENT_TYPE, header::HeaderName::from_static("last-event-id")];
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(is_listed))
            .allow_methods([Method::GET, Method::POST, Method::PUT])
            .allow_headers(headers)
            .max_age(Duration::from_hours(1))
    }
}

/// Whether a page of this very host sent a request.
pub(crate) fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), headers.get(header::HOST).map(HeaderValue::to_str)) else {
        return false;
    };
    origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// A bucket of tokens, one for each connection that may begin: full for one second of them.
pub(crate) struct Bucket {
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, state: Mutex::new((per_second, Instant::now())) }
    }

    /// Takes one; 503 if there is none, to be tried again when there are some.
    pub(crate) fn take(&self) -> Result<(), ApiError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.0 = (state.0 + now.duration_since(state.1).as_secs_f64() * self.per_second).min(self.per_second);
        state.1 = now;
        if state.0 >= 1.0 {
            state.0 -= 1.0;
            return Ok(());
        }
        drop(state);
        // Spread over some seconds, or all who were refused would come back at once.
        let wait = Duration::from_secs(rand::Rng::random_range(&mut rand::rng(), 1..=10));
        Err(ApiError::busy("many connect at once; come back in a moment", wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: &'static str) -> HeaderMap {
        [(header::HOST, "inbox.example.com:8080"), (header::ORIGIN, origin)]
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .into_iter()
            .collect()
    }

    #[test]
    fn pages_of_the_server_and_of_listed_origins_may_and_others_may_not() {
        let manners = Manners { origins: vec!["https://app.example.com".into()], connects_per_second: 1 };
        for (origin, may) in [
            ("https://app.example.com", true),
            ("https://inbox.example.com:8080", true),
            ("https://app.example.com.evil.org", false),
            ("http://app.example.com", false),
            ("null", false),
        ] {
            assert_eq!(manners.admit_origin(&headers(origin)).is_ok(), may, "{origin}");
        }
        assert!(manners.admit_origin(&HeaderMap::new()).is_ok());
        let all = Manners { origins: vec!["*".into()], connects_per_second: 1 };
        assert!(all.admit_origin(&headers("https://evil.org")).is_ok());
    }

    #[test]
    fn a_storm_is_asked_to_come_back() {
        let bucket = Bucket::new(100);
        let taken = (0..1_000).filter(|_| bucket.take().is_ok()).count();
        assert!((100..200).contains(&taken), "{taken}");
    }
}
