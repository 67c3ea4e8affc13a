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

use super::page::Failure;
use crate::{
    packed::{Packed, packed},
    problem::ApiError,
};

struct Asset {
    name: &'static str,
    kind: &'static str,
    file: Packed,
    version: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    const CSS: &str = "text/css; charset=utf-8";
    const JS: &str = "text/javascript; charset=utf-8";
    let files = [
        ("tokens.css", CSS, packed!("tokens.css")),
        ("console.css", CSS, packed!("console.css")),
        ("console.js", JS, packed!("console.js")),
        ("htmx.js", JS, packed!("htmx.js")),
        ("htmx.LICENSE", "text/plain; charset=utf-8", packed!("htmx.LICENSE")),
        ("studio.js", JS, packed!("studio.js")),
        ("studio.css", CSS, packed!("studio.css")),
        ("icon.svg", "image/svg+xml", packed!("icon.svg")),
    ];
    files.map(|(name, kind, file)| Asset { name, kind, file, version: file.version() }).into()
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
    // Weak: it is the same in either coding (RFC 9110, 8.8.3.3).
    let tag = format!("W/\"{}\"", asset.version);
    let keep = (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [keep, (header::ETAG, tag)]).into_response();
    }
    asset.file.answer(&headers, [keep, (header::ETAG, tag), (header::CONTENT_TYPE, asset.kind.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::ASSETS;

    #[test]
    fn what_is_live_cannot_come_after_htmx_has_begun() {
        let says =
            |asset: &&super::Asset| String::from_utf8(asset.file.unpacked()).unwrap().contains("registerExtension(\"sse\"");
        let files = ASSETS.iter().filter(says);
        assert_eq!(files.map(|asset| asset.name).collect::<Vec<_>>(), ["htmx.js"]);
    }
}
