//! The files of the console, embedded. Their addresses change with their content, so that browsers may keep them.
//!
//! htmx and its extension for server-sent events are the files of the npm package `htmx.org` 4.0.1 (`dist/htmx.min.js`,
//! `dist/ext/hx-sse.min.js`); their licence lies beside them.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::page::Failure;
use crate::problem::ApiError;

struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static str,
    /// The beginning of the SHA-256 of its content.
    version: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    const CSS: &str = "text/css; charset=utf-8";
    const JS: &str = "text/javascript; charset=utf-8";
    let files = [
        ("tokens.css", CSS, include_str!("../pages/tokens.css")),
        ("console.css", CSS, include_str!("assets/console.css")),
        ("console.js", JS, include_str!("assets/console.js")),
        // One file: htmx begins as soon as it has run, and what an extension of a file that comes later should do is never done.
        ("htmx.js", JS, concat!(include_str!("assets/htmx.min.js"), ";\n", include_str!("assets/hx-sse.min.js"))),
        ("htmx.LICENSE", "text/plain; charset=utf-8", include_str!("assets/htmx.LICENSE")),
        ("studio.js", JS, include_str!("assets/studio.js")),
        ("studio.css", CSS, include_str!("assets/studio.css")),
        ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ];
    let asset = |(name, kind, body): (&'static str, &'static str, &'static str)| {
        let version = hex::encode(&Sha256::digest(body.as_bytes())[..8]);
        Asset { name, kind, body, version }
    };
    files.map(asset).into()
});

/// The address of a file.
pub(super) fn address(name: &str) -> String {
    let version = ASSETS.iter().find(|a| a.name == name).map_or("", |a| a.version.as_str());
    format!("/console/assets/{name}?v={version}")
}

/// A file.
pub(super) async fn get(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|a| a.name == name) else {
        return Failure::from(ApiError::not_found_at_all("file")).alone();
    };
    let tag = format!("\"{}\"", asset.version);
    let keep = (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [keep, (header::ETAG, tag)]).into_response();
    }
    ([keep, (header::ETAG, tag), (header::CONTENT_TYPE, asset.kind.to_owned())], asset.body).into_response()
}

#[cfg(test)]
mod tests {
    use super::ASSETS;

    #[test]
    fn what_is_live_cannot_come_after_htmx_has_begun() {
        let files = ASSETS.iter().filter(|asset| asset.body.contains("registerExtension(\"sse\""));
        assert_eq!(files.map(|asset| asset.name).collect::<Vec<_>>(), ["htmx.js"]);
    }
}
