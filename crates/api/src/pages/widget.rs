//! The widget, `<stentor-inbox>`: one file, built from `widget/` and embedded.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::packed::{Packed, packed, values};

const FILE: Packed = packed!("stentor-inbox.js");
/// Used for five minutes without a question, then while it is asked whether there is a newer one: its path has no version of the file.
const CACHE: &str = "public, max-age=300, stale-while-revalidate=86400";

/// Of either form, which are the same to who asks: weak, as RFC 9110 (8.8.3.3) has it for codings.
static TAG: LazyLock<HeaderValue> =
    LazyLock::new(|| format!("W/\"{}\"", FILE.version()).parse().expect("hexadecimal digits in quotes"));

/// `GET /widget/v1/stentor-inbox.js`
pub(super) async fn widget(headers: HeaderMap) -> Response {
    let shared: [(HeaderName, HeaderValue); 6] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static(CACHE)),
        (header::ETAG, TAG.clone()),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Pages of any site may load it, as modules are: by CORS.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    let tag = TAG.to_str().unwrap_or_default();
    if values(&headers, &header::IF_NONE_MATCH).any(|seen| is_same(seen, tag)) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    FILE.answer(&headers, shared)
}

/// Weak comparison (RFC 9110, 8.8.3.2).
fn is_same(given: &str, tag: &str) -> bool {
    given == "*" || given.trim_start_matches("W/") == tag.trim_start_matches("W/")
}

#[cfg(test)]
mod tests {
    use axum::body::{Bytes, to_bytes};

    use super::*;

    async fn ask(headers: &[(HeaderName, &'static str)]) -> (StatusCode, HeaderMap, Bytes) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let (parts, body) = widget(headers).await.into_parts();
        (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap())
    }

    #[tokio::test]
    async fn it_is_sent_small_and_only_once() {
        let (status, headers, body) = ask(&[]).await;
        assert_eq!((status, body.as_ref()), (StatusCode::OK, include_bytes!("stentor-inbox.js").as_slice()));
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let tag = headers[header::ETAG].to_str().unwrap().to_owned();
        let known = tag.clone().leak();

        let (_, headers, body) = ask(&[(header::ACCEPT_ENCODING, "br, gzip;q=0.8")]).await;
        assert_eq!(
            (&headers[header::CONTENT_ENCODING], &headers[header::ETAG]),
            (&"gzip".parse().unwrap(), &tag.parse().unwrap())
        );
        assert!(body.len() <= 25_000, "{} bytes gzipped", body.len());
        let (_, headers, _) = ask(&[(header::ACCEPT_ENCODING, "gzip;q=0")]).await;
        assert!(!headers.contains_key(header::CONTENT_ENCODING));

        for known in [&*known, known.trim_start_matches("W/"), "*"] {
            let (status, headers, body) = ask(&[(header::IF_NONE_MATCH, known)]).await;
            assert_eq!((status, body.len(), headers[header::ETAG].to_str().unwrap()), (StatusCode::NOT_MODIFIED, 0, &*tag));
        }
        assert_eq!(ask(&[(header::IF_NONE_MATCH, "\"another\"")]).await.0, StatusCode::OK);
    }
}
