//! The query of a URL, with words for who wrote it where it is wrong.

use axum::{extract::FromRequestParts as _, http::request::Parts};
use serde::de::DeserializeOwned;
use stentor_domain::Violation;

use crate::problem::ApiError;

/// What the query says.
pub(crate) async fn query<T: DeserializeOwned>(parts: &mut Parts) -> Result<T, ApiError> {
    let query = axum::extract::Query::<T>::from_request_parts(parts, &()).await;
    query.map(|axum::extract::Query(query)| query).map_err(|error| {
        let words = error.body_text();
        let words = words.strip_prefix("Failed to deserialize query string: ").unwrap_or(&words);
        bad_query(words.replace("invalid digit found in string", "must be a whole number"))
    })
}

/// 422: the query says something that cannot be.
pub(crate) fn bad_query(message: impl Into<String>) -> ApiError {
    ApiError::invalid(vec![Violation::new("", "bad_query", message)])
}
