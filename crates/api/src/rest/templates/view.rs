//! Which templates there are, and what is in them.

use std::collections::BTreeMap;

use axum::{Json, extract::FromRequestParts, extract::State, http::request::Parts};
use serde::{Deserialize, Serialize};
use stentor_catalog::{Catalog, Listed, Origin, Version};
use stentor_domain::{Channel, Locale};
use utoipa::{IntoParams, ToSchema};

use super::check_key;
use crate::{
    auth::{Key, Read},
    path::Path,
    problem::ApiError,
    query::query,
    rest::{
        page::{Page, PageQuery},
        problems::{NotFound, Problems},
    },
    state::ApiState,
};

/// Where a template comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OriginView {
    /// The app published it.
    Own,
    /// All apps have it.
    Shared,
}

/// A template.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TemplateView {
    /// Its key, by which requests name it.
    key: String,
    /// What it is called among people.
    title: String,
    /// Where it comes from.
    origin: OriginView,
    /// The version: the hash of its files.
    version: String,
    /// Whether the app's own hides a shared one.
    overrides: bool,
    /// What preferences are set on, for requests that name no category.
    category: Option<String>,
    /// The channels of a request that names none.
    channels: Vec<Channel>,
    /// The languages that it is written in.
    #[schema(value_type = Vec<String>)]
    locales: Vec<Locale>,
    /// The language for readers of none of these.
    #[schema(value_type = Option<String>)]
    default_locale: Option<Locale>,
    /// The names of its samples of data.
    samples: Vec<String>,
    /// Why it cannot be used, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl TemplateView {
    fn of(version: &Version, overrides: bool) -> Self {
        let template = &version.template;
        Self {
            key: template.key().to_owned(),
            title: template.title().to_owned(),
            origin: if version.origin == Origin::Own { OriginView::Own } else { OriginView::Shared },
            version: version.hash.clone(),
            overrides,
            category: template.category().map(str::to_owned),
            channels: template.channels().to_vec(),
            locales: template.locales().cloned().collect(),
            default_locale: Some(template.default_locale().clone()),
            samples: template.samples().keys().cloned().collect(),
            error: None,
        }
    }

    fn listed(listed: Listed) -> Self {
        match listed.live {
            Ok(version) => Self::of(&version, listed.overrides),
            Err(error) => Self {
                title: listed.key.clone(),
                key: listed.key,
                origin: OriginView::Own,
                version: String::new(),
                overrides: listed.overrides,
                category: None,
                channels: Vec::new(),
                locales: Vec::new(),
                default_locale: None,
                samples: Vec::new(),
                error: Some(error.to_string()),
            },
        }
    }
}

/// List the templates that requests may name: the app's own and the shared ones, by key.
#[utoipa::path(get, path = "/v1/templates", tag = "templates", params(PageQuery),
    responses((status = 200, body = Page<TemplateView>), Problems))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    key: Key<Read>,
    query: PageQuery,
) -> Result<Json<Page<TemplateView>>, ApiError> {
    let after: Option<String> = query.after()?;
    let found = state.templates.list(&key.app, after.as_deref(), query.limit()).await?;
    let items: Vec<TemplateView> = found.into_iter().map(TemplateView::listed).collect();
    let next = items.last().filter(|_| items.len() == query.limit()).map(|last| last.key.clone());
    Ok(Json(Page { items, next }))
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionQuery {
    /// Its number, the beginning of its hash (8 letters or more), `shared`, or `live` (if absent).
    #[serde(default)]
    pub version: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for VersionQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        query(parts).await
    }
}

/// A template with its files.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TemplateFiles {
    /// The template.
    template: TemplateView,
    /// The number of this version among the app's own; none for a shared one.
    number: Option<u32>,
    /// Whether it is what requests get.
    live: bool,
    /// Its files by path.
    files: BTreeMap<String, String>,
    /// The layouts and partials that it was published with.
    shared_files: BTreeMap<String, String>,
}

/// Get a template with its files.
#[utoipa::path(get, path = "/v1/templates/{key}", tag = "templates", params(("key" = String, Path), VersionQuery),
    responses((status = 200, body = TemplateFiles), Problems, NotFound))]
pub(crate) async fn get(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(template): Path<String>,
    query: VersionQuery,
) -> Result<Json<TemplateFiles>, ApiError> {
    check_key(&template)?;
    let version = state.named_version(&key.app, &template, query.version.as_deref()).await?;
    let own = state.templates.live_hash(&key.app, &template).await?;
    let shared = state.templates.find_shared(&template);
    let live = match &own {
        Some(hash) => version.origin == Origin::Own && version.hash == *hash,
        None => shared.as_ref().is_some_and(|shared| shared.hash == version.hash),
    };
    let number = match version.origin {
        Origin::Own => state.templates.find_version(&key.app, &template, &version.hash).await?.map(|(_, found)| found.number),
        Origin::Shared => None,
    };
    let (files, shared_files) = Catalog::parts(&version.files);
    let owned = |files: BTreeMap<&str, &str>| files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    let view = TemplateView::of(&version, version.origin == Origin::Own && shared.is_some());
    Ok(Json(TemplateFiles { template: view, number, live, files: owned(files), shared_files: owned(shared_files) }))
}
