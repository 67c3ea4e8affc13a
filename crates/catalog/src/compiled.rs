//! Versions that are ready to be rendered, kept within a bound.

use std::sync::Arc;

use moka::future::Cache;
use stentor_domain::AppId;
use stentor_templates::Template;

use crate::{CatalogError, files::Files};

/// The most bytes of source whose templates are kept compiled.
const KEPT_BYTES: u64 = 16 * 1024 * 1024;

/// Where a version comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It ships with the program or lies in `templates.dir`.
    Shared,
    /// The app published it.
    Own,
}

/// A version of a template, ready to be rendered.
#[derive(Debug)]
pub struct Version {
    /// Where it comes from.
    pub origin: Origin,
    /// Its name: the hash of its files.
    pub hash: String,
    /// Its files, layouts and partials among them.
    pub files: Files,
    /// The template that they make.
    pub template: Arc<Template>,
}

/// Whose version: the app (`None`: shared), key and hash.
type Name = (Option<AppId>, String, String);

/// Compiled versions by name.
#[derive(Clone)]
pub(crate) struct Compiled(Cache<Name, Arc<Version>>);

impl Compiled {
    pub(crate) fn new() -> Self {
        let weight = |_: &Name, version: &Arc<Version>| {
            let bytes: usize = version.files.values().map(String::len).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(KEPT_BYTES).weigher(weight).build())
    }

    pub(crate) async fn find(&self, app: Option<&AppId>, key: &str, hash: &str) -> Option<Arc<Version>> {
        self.0.get(&(app.cloned(), key.to_owned(), hash.to_owned())).await
    }

    /// The version, by `load` if it is not kept. However many ask at once, it is loaded once.
    pub(crate) async fn find_or_load(
        &self,
        app: Option<&AppId>,
        key: &str,
        hash: &str,
        load: impl Future<Output = Result<Version, CatalogError>>,
    ) -> Result<Arc<Version>, Arc<CatalogError>> {
        let load = async { load.await.map(Arc::new) };
        self.0.try_get_with((app.cloned(), key.to_owned(), hash.to_owned()), load).await
    }
}
