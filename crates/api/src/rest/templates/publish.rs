//! Publishing, looking back, taking back.

use axum::{Json, extract::FromRequestParts, extract::State, http::StatusCode, http::request::Parts};
use serde::{Deserialize, Serialize};
use stentor_catalog::{FileDiff, Files, Finding, diff, verify};
use stentor_domain::{Timestamp, Violation};
use utoipa::{IntoParams, ToSchema};

use super::{MAX_FILES_BODY, check_key, no_template};
use crate::{
    auth::{Key, Read, Templates},
    json::JsonBody,
    path::Path,
    problem::{ApiError, Problem},
    query::query,
    rest::{
        page::{Page, PageQuery},
        problems::{BadBody, NotFound, Problems},
    },
    state::ApiState,
};

/// How many moves of the live pointer are looked at to tell when a version was live.
const RELEASES: usize = 200;

/// The files of a template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVersion {
    /// Files by path: `template.toml`, `schema.json`, `en/content.md` …; with `_layouts/…` and `_partials/…` where it is not to
    /// be written in the shared ones. At most 200 files of 64 KiB, 1 MiB together.
    files: Files,
    /// Make it live. Otherwise it is only kept, as a draft that can be previewed, tested and released later.
    #[serde(default)]
    publish: bool,
    /// The version that was live when its author began (`shared` for the shared template): if another is live by now, 409.
    #[serde(default)]
    base: Option<String>,
}

/// What became of a version.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct VersionReceipt {
    /// The template.
    key: String,
    /// The version: the hash of its files. The same files are the same version.
    version: String,
    /// Its number.
    number: u32,
    /// Whether requests get it from now on.
    live: bool,
    /// What its author should know.
    findings: Vec<Finding>,
}

/// Put the files of a template on record, and with `publish` make them live.
///
/// Requests that were accepted before are written with the version that was live then. Files with errors are refused whole: 422
/// with `findings` by file, line and column.
#[utoipa::path(put, path = "/v1/templates/{key}", tag = "templates", params(("key" = String, Path)), request_body = NewVersion,
    responses((status = 200, body = VersionReceipt), (status = 409, body = Problem, description = "another version is live"), Problems, BadBody))]
pub(crate) async fn put(
    State(state): State<ApiState>,
    key: Key<Templates>,
    Path(template): Path<String>,
    JsonBody(new): JsonBody<NewVersion, MAX_FILES_BODY>,
) -> Result<Json<VersionReceipt>, ApiError> {
    let mut found = verify(&new.files);
    if check_key(&template).is_err() {
        found.push(Violation::new("", "bad_key", "a template's key is 1 to 64 of a-z, 0-9 and -"));
    }
    if !found.is_empty() {
        return Err(ApiError::invalid(found));
    }
    let (app, now) = (&key.app, state.now());
    let put = state.templates.put(app, &template, new.files, new.publish, now).await?;
    let expected = new.base.as_deref().map(|base| Some(base).filter(|base| *base != "shared"));
    let live = if new.publish {
        // What is live by now is asked where it is moved: this process may not have heard of the latest.
        state.templates.release(app, &template, Some(&put.version.hash), expected, now).await?;
        true
    } else {
        state.templates.live_hash(app, &template).await?.as_ref() == Some(&put.version.hash)
    };
    let (version, number) = (put.version.hash, put.version.number);
    Ok(Json(VersionReceipt { key: template, version, number, live, findings: put.findings }))
}

/// A version of a template.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct VersionView {
    /// The hash of its files.
    version: String,
    /// Its number, from 1.
    number: u32,
    /// When it was put on record.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Whether it is live.
    live: bool,
    /// When it last became live; `null`: it never was.
    #[schema(value_type = Option<String>, format = DateTime)]
    released_at: Option<Timestamp>,
}

/// List the versions of the app's own template, the newest first.
#[utoipa::path(get, path = "/v1/templates/{key}/versions", tag = "templates", params(("key" = String, Path), PageQuery),
    responses((status = 200, body = Page<VersionView>), Problems, NotFound))]
pub(crate) async fn list_versions(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(template): Path<String>,
    query: PageQuery,
) -> Result<Json<Page<VersionView>>, ApiError> {
    check_key(&template)?;
    let (before, app): (Option<u32>, _) = (query.after()?, &key.app);
    let found = state.templates.list_versions(app, &template, before, query.limit()).await?;
    if found.is_empty() && before.is_none() {
        state.templates.find(app, &template).await?.ok_or_else(no_template)?;
    }
    let live = state.templates.live_hash(app, &template).await?;
    let releases = state.templates.list_releases(app, &template, RELEASES).await?;
    let next = found.last().filter(|_| found.len() == query.limit()).map(|version| version.number.to_string());
    let view = |version: stentor_archive::TemplateVersion| VersionView {
        live: live.as_ref() == Some(&version.hash),
        released_at: releases.iter().find(|r| r.hash.as_ref() == Some(&version.hash)).map(|r| r.at),
        version: version.hash,
        number: version.number,
        created_at: version.created_at,
    };
    Ok(Json(Page { items: found.into_iter().map(view).collect(), next }))
}

/// Where to go back to.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rollback {
    /// The version, by its number or the beginning of its hash, or `shared` for the shared template. Absent: what was live before.
    to: Option<String>,
    /// The version that is to be taken back (`shared` for the shared template): if another is live by now, 409.
    base: Option<String>,
}

/// What is live after a rollback.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RollbackReceipt {
    /// The template.
    key: String,
    /// The version; `null`: the shared template.
    version: Option<String>,
    /// Its number.
    number: Option<u32>,
}

/// Make an earlier version live again, or any other that is on record: one step back, and again one step forth.
#[utoipa::path(post, path = "/v1/templates/{key}/rollback", tag = "templates", params(("key" = String, Path)), request_body = Rollback,
    responses((status = 200, body = RollbackReceipt), (status = 409, body = Problem, description = "there is nothing to go back to, or another version is live"), Problems, NotFound, BadBody))]
pub(crate) async fn rollback(
    State(state): State<ApiState>,
    key: Key<Templates>,
    Path(template): Path<String>,
    JsonBody(asked): JsonBody<Rollback>,
) -> Result<Json<RollbackReceipt>, ApiError> {
    check_key(&template)?;
    let (app, templates) = (&key.app, &state.templates);
    let nothing =
        || ApiError::new(StatusCode::CONFLICT, "nothing_before", "nothing was live before: there is no version to go back to");
    let nothing_shared =
        || ApiError::new(StatusCode::CONFLICT, "nothing_before", "there is no shared template of this key to go back to");
    let mut expected = asked.base.as_deref().map(|base| Some(base).filter(|base| *base != "shared").map(str::to_owned));
    let to = match asked.to.as_deref() {
        Some("shared") => None,
        Some(name) => {
            let found = templates.find_version(app, &template, name).await?;
            let own = found.filter(|(own, _)| *own).map(|(_, version)| version);
            Some(own.ok_or_else(|| ApiError::not_found("version of this template"))?)
        }
        None => {
            let releases = templates.list_releases(app, &template, RELEASES).await?;
            let [live, before @ ..] = releases.as_slice() else {
                let is_known = templates.find_shared(&template).is_some()
                    || !templates.list_versions(app, &template, None, 1).await?.is_empty();
                return Err(if is_known { nothing() } else { ApiError::not_found("template") });
            };
            // A step back is one from here: two who take it at once must not undo each other's.
            expected.get_or_insert_with(|| live.hash.clone());
            match before.iter().find(|release| release.hash != live.hash).map(|release| release.hash.as_deref()) {
                Some(Some(hash)) => Some(templates.find_version(app, &template, hash).await?.ok_or_else(nothing)?.1),
                // Before the first of the app's own, the shared one was live.
                Some(None) | None => None,
            }
        }
    };
    match &to {
        // Whoever rolls back is in a hurry: what would not work is refused and not made live.
        Some(version) => _ = templates.version(app, &template, &version.hash).await?,
        None if asked.to.is_none() => _ = templates.find_shared(&template).ok_or_else(nothing)?,
        None => _ = templates.find_shared(&template).ok_or_else(nothing_shared)?,
    }
    let expected = expected.as_ref().map(Option::as_deref);
    templates.release(app, &template, to.as_ref().map(|v| v.hash.as_str()), expected, state.now()).await?;
    let (version, number) = to.map(|v| (v.hash, v.number)).unzip();
    Ok(Json(RollbackReceipt { key: template, version, number }))
}

/// Which two versions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiffQuery {
    /// The earlier one: its number, the beginning of its hash, `shared` or `live`.
    from: String,
    /// The later one; `live` if absent.
    #[serde(default)]
    to: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for DiffQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        query(parts).await
    }
}

/// What differs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DiffView {
    /// The hash of the earlier version.
    from: String,
    /// The hash of the later version.
    to: String,
    /// Each file that is not the same.
    files: Vec<FileDiff>,
}

/// See what differs between any two versions.
#[utoipa::path(get, path = "/v1/templates/{key}/diff", tag = "templates", params(("key" = String, Path), DiffQuery),
    responses((status = 200, body = DiffView), Problems, NotFound))]
pub(crate) async fn compare(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(template): Path<String>,
    query: DiffQuery,
) -> Result<Json<DiffView>, ApiError> {
    let from = state.named_version(&key.app, &template, Some(&query.from)).await?;
    let to = state.named_version(&key.app, &template, Some(query.to.as_deref().unwrap_or("live"))).await?;
    let files = tokio::task::spawn_blocking({
        let (from, to) = (from.clone(), to.clone());
        move || diff(&from.files, &to.files)
    });
    let files = files.await.map_err(|e| ApiError::unavailable("the comparison", e))?;
    Ok(Json(DiffView { from: from.hash.clone(), to: to.hash.clone(), files }))
}
