//! Who may look at the demo and the outbox: pages of this machine.
//!
//! They give the demo's key and every captured mail to whoever asks. A site elsewhere cannot read their answers, unless it makes its
//! own name lead here (DNS rebinding): then the browser takes both for one. So they answer to addresses and to `localhost`, which nobody
//! else can have, and to the host of `http.public_url`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Refuses whoever calls this process by a name that somebody else may have.
pub(crate) async fn admit(State(public): State<Arc<str>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_ours(host, &public) {
        return next.run(request).await;
    }
    let words = "This page answers to an address, to localhost, and to the host of http.public_url.\n";
    (StatusCode::MISDIRECTED_REQUEST, words).into_response()
}

/// Whether `host` (with or without a port) is this machine: by address, as `localhost`, or as in `public`, a URL.
fn is_ours(host: &str, public: &str) -> bool {
    let Some(name) = host.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase)) else { return false };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let published = public.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase));
    address.is_ok() || name == "localhost" || name.ends_with(".localhost") || published.is_some_and(|public| public == name)
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn a_name_that_somebody_else_may_have_is_not_ours() {
        let ours =
            ["127.0.0.1:8080", "127.0.0.1", "192.168.1.4:80", "[::1]:8080", "localhost:8080", "LOCALHOST", "demo.example:8080"];
        for host in ours {
            assert!(is_ours(host, "https://demo.example/stentor"), "{host}");
        }
        for host in ["", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "a b"] {
            assert!(!is_ours(host, "http://127.0.0.1:8080"), "{host}");
        }
    }
}
