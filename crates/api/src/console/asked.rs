//! What a page is asked for, by its path, its query or its form. What cannot be understood is said on a page, as everything is.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::page::Failure;
use crate::problem::ApiError;

/// The parameters of the path. What is no id names nothing.
pub(super) struct Path<T>(pub T);

/// The query.
pub(super) struct Query<T>(pub T);

/// The fields of a form.
pub(super) struct Form<T>(pub T);

fn not_understood(what: &str, why: &str) -> Failure {
    let why = why.rsplit_once(": ").map_or(why, |(_, why)| why);
    let detail = format!("{what} is not understood: {why}. Go back, or begin at the overview.");
    ApiError::new(StatusCode::BAD_REQUEST, "not_understood", detail).into()
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| ApiError::not_found_at_all("thing").into())
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|e| not_understood("the address of this page", &e.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let form = axum::extract::Form::<T>::from_request(request, state).await;
        form.map(|axum::extract::Form(value)| Self(value)).map_err(|e| not_understood("the form", &e.body_text()))
    }
}
