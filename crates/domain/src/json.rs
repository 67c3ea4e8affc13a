//! JSON that is at hand as text.

use serde::de::DeserializeOwned;

/// Reads it as bytes, as whoever has JSON from Redis or from a request does: `serde_json::from_str` of the same types would be the code of
/// all of them once more, a fifth of a megabyte.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text.as_bytes())
}
