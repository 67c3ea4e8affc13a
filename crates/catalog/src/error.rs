//! What can go wrong with the catalog.

use std::sync::Arc;

use stentor_archive::ArchiveError;

use crate::checked::Finding;

/// A template cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// SQL does not answer: the same may be asked again later.
    #[error("the templates on record cannot be read")]
    Archive(#[source] Arc<ArchiveError>),
    /// There is no such version on record.
    #[error("version {hash} of the template {key} is not on record")]
    Gone {
        /// The template.
        key: String,
        /// The version.
        hash: String,
    },
    /// The version was good once; this program cannot read it.
    #[error("version {hash} of the template {key} cannot be read by this program: {first}")]
    Unreadable {
        /// The template.
        key: String,
        /// The version.
        hash: String,
        /// The first thing that is wrong with it.
        first: String,
    },
    /// Files make no template.
    #[error("the files make no template")]
    Invalid(Vec<Finding>),
    /// Something else than expected is live.
    #[error("another version is live")]
    Conflict {
        /// Which is; `None`: the shared one.
        live: Option<String>,
    },
    /// There are as many versions, or templates, as there may be.
    #[error("there are {most} {what} already")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: u32,
    },
}

impl From<ArchiveError> for CatalogError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(Arc::new(error))
    }
}
