//! The widget, `<stentor-inbox>`: one file, built from `widget/` and embedded.

use std::{io::Write, sync::LazyLock};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};

const SOURCE: &str = include_str!("stentor-inbox.js");
/// Used for five minutes without a question, then while it is asked whether there is a newer one: its path has no version of the file.
const CACHE: &str = "public, max-age=300, stale-while-revalidate=86400";

/// What is sent.
struct Built {
    gzipped: Bytes,
    /// Of either form, which are the same to who asks: weak, as RFC 9110 (8.8.3.3) has it for codings.
    tag: HeaderValue,
}

static BUILT: LazyLock<Built> = LazyLock::new(|| {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(SOURCE.as_bytes()).expect("memory takes all that is written");
    let gzipped = encoder.finish().expect("memory takes all that is written").into();
    let tag = format!("W/\"{}\"", &hex::encode(Sha256::digest(SOURCE))[..16]);
    Built { gzipped, tag: tag.parse().expect("hexadecimal digits in quotes") }
});

/// `GET /widget/v1/stentor-inbox.js`
pub(super) async fn widget(headers: HeaderMap) -> Response {
    let Built { gzipped, tag } = &*BUILT;
    let shared: [(HeaderName, HeaderValue); 6] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static(CACHE)),
        (header::ETAG, tag.clone()),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Pages of any site may load it, as modules are: by CORS.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    let named = |name: HeaderName, wanted: fn(&str, &str) -> bool, value: &str| {
        let texts = headers.get_all(name).into_iter().filter_map(|text| text.to_str().ok());
        texts.flat_map(|text| text.split(',')).any(|one| wanted(one.trim(), value))
    };
    if named(header::IF_NONE_MATCH, is_same, tag.to_str().unwrap_or_default()) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    if named(header::ACCEPT_ENCODING, is_coding, "gzip") {
        return (shared, [(header::CONTENT_ENCODING, "gzip")], gzipped.clone()).into_response();
    }
    (shared, SOURCE).into_response()
}

/// Weak comparison (RFC 9110, 8.8.3.2).
fn is_same(given: &str, tag: &str) -> bool {
    given == "*" || given.trim_start_matches("W/") == tag.trim_start_matches("W/")
}

/// Whether it is accepted: `gzip`, but not `gzip;q=0`.
fn is_coding(given: &str, coding: &str) -> bool {
    let mut parts = given.split(';').map(str::trim);
    parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding))
        && !parts.any(|weight| weight.strip_prefix("q=").is_some_and(|q| q.parse::<f32>() == Ok(0.0)))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn ask(headers: &[(HeaderName, &'static str)]) -> (StatusCode, HeaderMap, Bytes) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let (parts, body) = widget(headers).await.into_parts();
        (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap())
    }

    #[tokio::test]
    async fn it_is_sent_small_and_only_once() {
        let (status, headers, body) = ask(&[]).await;
        assert_eq!((status, body.as_ref()), (StatusCode::OK, SOURCE.as_bytes()));
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
