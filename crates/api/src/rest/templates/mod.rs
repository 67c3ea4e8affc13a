//! Templates over HTTP: what an app says, in which version, and what it would look like.

mod preview;
mod publish;
mod view;

use std::sync::Arc;

use axum::http::StatusCode;
use stentor_catalog::Version;
use stentor_domain::AppId;

pub(crate) use preview::{preview, test};
pub(crate) use publish::{compare, list_versions, put, rollback};
pub(crate) use view::{get, list};

pub(super) use preview::{__path_preview, __path_test};
pub(super) use publish::{__path_compare, __path_list_versions, __path_put, __path_rollback};
pub(super) use view::{__path_get, __path_list};

use crate::{problem::ApiError, state::ApiState};

/// The longest body with the files of a template: 1 MiB of text, escaped as JSON may ask.
const MAX_FILES_BODY: usize = 3 * 1024 * 1024;

fn no_template() -> ApiError {
    ApiError::not_found("template")
}

/// A key that a template can have; what is none names nothing.
pub(crate) fn check_key(key: &str) -> Result<(), ApiError> {
    let letters = key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if letters && (1..=64).contains(&key.len()) {
        return Ok(());
    }
    let detail = "there is no such template in this app: a key is 1 to 64 of a-z, 0-9 and -";
    Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", detail))
}

impl ApiState {
    /// The version that people call `name`; what is live if they call none.
    async fn named_version(&self, app: &AppId, key: &str, name: Option<&str>) -> Result<Arc<Version>, ApiError> {
        check_key(key)?;
        let found = self.templates.named(app, key, name.unwrap_or("live")).await?;
        found.ok_or_else(|| if name.is_some() { ApiError::not_found("version of this template") } else { no_template() })
    }
}
