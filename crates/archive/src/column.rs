//! Columns that hold JSON.

use serde::de::DeserializeOwned;

use crate::ArchiveError;

/// Reads JSON of a row of `table`. As bytes, as whoever has it from Redis does: to read the same types from `str` as well is a fifth of a
/// megabyte of code.
pub(crate) fn read<T: DeserializeOwned>(table: &'static str, json: &str) -> Result<T, ArchiveError> {
    serde_json::from_slice(json.as_bytes()).map_err(|e| ArchiveError::unreadable(table, e))
}
