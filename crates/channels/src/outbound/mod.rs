//! The one HTTP client for everything outside: no redirects, no proxy of the environment, a capped answer, a deadline
//! around the whole call.
//!
//! Operators are trusted: the gateways that they configure may be anywhere ([`Reach::Anywhere`]). What an app points at
//! may not lead into the network that Stentor runs in ([`Reach::Public`]): the address that the name resolves to is
//! checked where the connection is made, so that a name which resolves otherwise the second time gains nothing, and an
//! address written out is checked as well.

mod reach;

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method, Url, header::HeaderMap, redirect};

pub use reach::{Network, NotANetwork, Reach};
use reach::{NotPublic, PublicResolver};

/// A client with one reach. A cheap handle.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    reach: Reach,
    deadline: Duration,
    max_answer: usize,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
}

impl HttpRequest {
    /// A GET without headers of its own.
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None }
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status, redirects included: they are not followed.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: HttpBody,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpBody {
    /// All of it.
    Whole(Vec<u8>),
    /// It is longer than the client reads; what came is thrown away.
    TooLong,
    /// The connection ended within it.
    Lost,
}

/// No answer. No variant holds a URL: it may carry a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The URL leads where this client does not go; nothing was sent.
    #[error("{0}")]
    Refused(&'static str),
    /// No connection came about; nothing was sent.
    #[error("cannot be reached")]
    Unreachable,
    /// A connection stood, and no answer came within so long.
    #[error("did not answer within {0:?}")]
    TimedOut(Duration),
    /// A connection stood and was lost before the answer.
    #[error("the connection was lost before the answer")]
    Lost,
}

impl HttpError {
    /// True if nothing of the request can have arrived.
    pub fn nothing_sent(self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unreachable)
    }
}

const SCHEME: &str = "must be an http:// or https:// URL";
const NOT_PUBLIC: &str = "does not lead to a public address";
const CREDENTIALS: &str = "must not hold a user name or password";

impl HttpClient {
    /// A client that gives up after `deadline` and reads at most `max_answer` bytes of an answer's body. Errors only if TLS
    /// cannot be set up.
    pub fn new(reach: Reach, deadline: Duration, max_answer: usize) -> Result<Self, reqwest::Error> {
        // reqwest takes the process's provider; whoever came first has set it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            // Settings come from the configuration, not from the environment's HTTP_PROXY.
            .no_proxy()
            .retry(reqwest::retry::never())
            // A kept connection that the other side closes just as a request goes out leaves the message's fate open: a
            // new one for each costs a round trip or two, an `unknown` costs the message.
            .pool_max_idle_per_host(0)
            // Less than the whole, so that who cannot be reached is told from who does not answer.
            .connect_timeout((deadline / 2).min(Duration::from_secs(10)))
            .timeout(deadline);
        if let Reach::Public { except } = &reach {
            builder = builder.dns_resolver(Arc::new(PublicResolver::new(except.clone())));
        }
        Ok(Self { client: builder.build()?, reach, deadline, max_answer })
    }

    /// The same client, reading at most `max_answer` bytes, if that is less.
    #[must_use]
    pub fn reading_at_most(&self, max_answer: usize) -> Self {
        Self { max_answer: self.max_answer.min(max_answer), ..self.clone() }
    }

    /// Asks once, within the deadline and `within`, whichever is less.
    pub async fn call(&self, request: HttpRequest, within: Duration) -> Result<HttpAnswer, HttpError> {
        self.check(&request.url)?;
        let within = within.min(self.deadline);
        let mut call = self.client.request(request.method, request.url).headers(request.headers).timeout(within);
        if let Some(body) = request.body {
            call = call.body(body);
        }
        let mut response = call.send().await.map_err(|error| judge(&error, within))?;
        let body = self.read(&mut response).await;
        Ok(HttpAnswer { status: response.status().as_u16(), headers: std::mem::take(response.headers_mut()), body })
    }

    /// Whether this client would go there, as far as the URL itself tells: for the door at which it comes in.
    pub fn check(&self, url: &Url) -> Result<(), HttpError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(HttpError::Refused(SCHEME));
        }
        let Reach::Public { except } = &self.reach else { return Ok(()) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HttpError::Refused(CREDENTIALS));
        }
        // A name is checked when it is resolved; an address is not resolved.
        let address = match url.host() {
            Some(url::Host::Ipv4(address)) => address.into(),
            Some(url::Host::Ipv6(address)) => address.into(),
            Some(url::Host::Domain(_)) | None => return Ok(()),
        };
        if reach::is_allowed(address, except) { Ok(()) } else { Err(HttpError::Refused(NOT_PUBLIC)) }
    }

    async fn read(&self, response: &mut reqwest::Response) -> HttpBody {
        if response.content_length().is_some_and(|length| length > self.max_answer as u64) {
            return HttpBody::TooLong;
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.max_answer => return HttpBody::TooLong,
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return HttpBody::Whole(body),
                Err(_) => return HttpBody::Lost,
            }
        }
    }
}

/// Until a connection stood, nothing was sent; from then on that cannot be known.
fn judge(error: &reqwest::Error, within: Duration) -> HttpError {
    let mut sources = std::iter::successors(std::error::Error::source(error), |e| e.source());
    if sources.any(<dyn std::error::Error>::is::<NotPublic>) {
        return HttpError::Refused(NOT_PUBLIC);
    }
    if error.is_builder() {
        return HttpError::Refused("is no request that can be made");
    }
    if error.is_connect() {
        return HttpError::Unreachable;
    }
    if error.is_timeout() { HttpError::TimedOut(within) } else { HttpError::Lost }
}
