//! Columns that hold JSON.

use serde::de::DeserializeOwned;
use stentor_domain::json;

use crate::ArchiveError;

/// Reads the JSON of a row of `table`.
pub(crate) fn read<T: DeserializeOwned>(table: &'static str, json: &str) -> Result<T, ArchiveError> {
    json::read(json).map_err(|e| ArchiveError::unreadable(table, e))
}
