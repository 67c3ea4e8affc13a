//! Lists: `?limit=&after=` in, `{"items": […], "next": …}` out.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::{Deserialize, Serialize};
use stentor_domain::Violation;
use stentor_inbox::Filter;
use utoipa::{IntoParams, ToSchema};

use crate::{
    problem::ApiError,
    query::{bad_query, query},
};

/// One page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Give it as `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// The most items to give, 1 to 100; 20 if absent.
    #[serde(default)]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
}

impl PageQuery {
    /// The most items to give.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(20)
    }

    /// `after`, understood; 422 if it is none of ours.
    pub(crate) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, ApiError> {
        let parse = |text: &String| {
            text.parse()
                .map_err(|_| ApiError::invalid(vec![Violation::new("", "bad_page", "after must be the next of an earlier page")]))
        };
        self.after.as_ref().map(parse).transpose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        query::<Self>(parts).await?.checked()
    }
}

impl PageQuery {
    fn checked(self) -> Result<Self, ApiError> {
        if self.limit.is_some_and(|n| n == 0 || n > 100) {
            return Err(bad_query("limit must be 1 to 100"));
        }
        Ok(self)
    }
}

/// Which page of an inbox.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxQuery {
    /// The most items to give, 1 to 100; 20 if absent.
    #[serde(default)]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    #[serde(default)]
    after: Option<String>,
    /// Items of this category alone. Such a page may have fewer than `limit`, or none, and yet a `next`.
    #[serde(default)]
    category: Option<String>,
    /// True: what the person archived, instead of what is in the inbox.
    #[serde(default)]
    archived: bool,
}

impl InboxQuery {
    /// The page of `limit` items (1 to 100) of every category after `after`; of those that were archived, or of the others.
    pub(crate) fn new(limit: usize, after: Option<String>, archived: bool) -> Self {
        Self { limit: Some(limit), after, category: None, archived }
    }

    /// The page, and of what.
    pub(crate) fn parts(self) -> Result<(PageQuery, Filter), ApiError> {
        let Self { limit, after, category, archived } = self;
        Ok((PageQuery { limit, after }.checked()?, Filter::new(archived, category)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InboxQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        query(parts).await
    }
}
