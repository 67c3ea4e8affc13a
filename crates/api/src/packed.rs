//! Files of pages, embedded as gzip: it is what browsers ask for, and the largest is three times as long without.

use std::io::Read;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, IntoResponseParts, Response},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// An embedded file.
#[derive(Clone, Copy)]
pub(crate) struct Packed(pub &'static [u8]);

/// The file that the build script packed under this name.
macro_rules! packed {
    ($name:literal) => {
        $crate::packed::Packed(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")))
    };
}
pub(crate) use packed;

impl Packed {
    /// The beginning of a hash, in hex: another file has another.
    pub(crate) fn version(self) -> String {
        hex::encode(&Sha256::digest(self.0)[..8])
    }

    /// What it says.
    pub(crate) fn unpacked(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.0.len() * 4);
        flate2::read::GzDecoder::new(self.0).read_to_end(&mut text).expect("the build script packed it");
        text
    }

    /// The answer to who sent `asked`: as it is, if they take gzip.
    pub(crate) fn answer(self, asked: &HeaderMap, headers: impl IntoResponseParts) -> Response {
        let takes_gzip = values(asked, &header::ACCEPT_ENCODING).any(|coding| is_coding(coding, "gzip"));
        let body = if takes_gzip { Bytes::from_static(self.0) } else { self.unpacked().into() };
        let mut response = (headers, body).into_response();
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if takes_gzip {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// The values of a header that is a list.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether it is accepted: `gzip`, but not `gzip;q=0`.
fn is_coding(given: &str, coding: &str) -> bool {
    let mut parts = given.split(';').map(str::trim);
    parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding))
        && !parts.any(|weight| weight.strip_prefix("q=").is_some_and(|q| q.parse::<f32>() == Ok(0.0)))
}
