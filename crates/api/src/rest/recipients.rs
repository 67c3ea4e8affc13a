//! People: profiles, preferences, inbox tokens, and their inbox as the business system sees it.

use std::collections::HashSet;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use stentor_domain::{
    AppId, Preferences, Profile, ProfilePatch, RecipientId, Timestamp, Violation, notification::RecipientRef,
    violation::pointer_step,
};
use utoipa::ToSchema;

use super::{
    inbox::InboxPage,
    page::{InboxQuery, Page, PageQuery},
    problems::{BadBody, NotFound, Problems},
};
use crate::{
    auth::{Key, MAX_TOKEN_LIFE, Manage, Read, issue_token},
    json::JsonBody,
    path::Path,
    problem::ApiError,
    state::ApiState,
};

/// The most recipients in one batch.
const MAX_BATCH: usize = 1_000;
/// The largest body of a batch, in bytes.
const MAX_BATCH_BODY: usize = 8 * 1024 * 1024;

/// A recipient.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RecipientView {
    /// The app's own id.
    #[schema(value_type = String)]
    id: RecipientId,
    /// What is known of them.
    #[serde(flatten)]
    #[schema(value_type = ProfilePatch)]
    profile: Profile,
}

/// Get a recipient.
#[utoipa::path(get, path = "/v1/recipients/{id}", tag = "recipients", params(("id" = String, Path)),
    responses((status = 200, body = RecipientView), Problems, NotFound))]
pub(crate) async fn get(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(id): Path<RecipientId>,
) -> Result<Json<RecipientView>, ApiError> {
    let profile = state.find_profile(&key.app, &id).await?.ok_or_else(|| ApiError::not_found("recipient"))?;
    Ok(Json(RecipientView { id, profile }))
}

/// List recipients by id.
#[utoipa::path(get, path = "/v1/recipients", tag = "recipients", params(PageQuery),
    responses((status = 200, body = Page<RecipientView>), Problems))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    key: Key<Read>,
    query: PageQuery,
) -> Result<Json<Page<RecipientView>>, ApiError> {
    let after: Option<RecipientId> = query.after()?;
    let found = state.archive.list_recipients(&key.app, after.as_ref(), query.limit()).await?;
    let next = found.last().filter(|_| found.len() == query.limit()).map(|(id, _)| id.to_string());
    let items = found.into_iter().map(|(id, profile)| RecipientView { id, profile }).collect();
    Ok(Json(Page { items, next }))
}

impl ApiState {
    /// SQL first: it is the record. The hot copy follows; were it lost here, dispatch would read SQL.
    async fn upsert(&self, app: &AppId, patches: &[(RecipientId, ProfilePatch)]) -> Result<(), ApiError> {
        let now = self.now();
        let joined = self.inboxes.timelines().fresh(app, now).await?.position().rev;
        self.archive.upsert_recipients(app, patches, now, joined).await?;
        self.profiles.set(app, patches, now).await?;
        let locales: Vec<_> = patches.iter().filter_map(|(id, patch)| Some((id, patch.locale.as_ref()?.as_ref()))).collect();
        self.inboxes.hot().set_locales(app, &locales, now).await?;
        Ok(())
    }

    /// Hot first: what a request set a moment ago is there before it is in SQL.
    pub(super) async fn find_profile(&self, app: &AppId, id: &RecipientId) -> Result<Option<Profile>, ApiError> {
        match self.profiles.find(app, id).await? {
            Some(profile) => Ok(Some(profile)),
            None => Ok(self.archive.find_recipient(app, id).await?),
        }
    }

    /// Sees to it, while others wait for nothing, that a profile is hot: whoever opens their inbox is soon written to, and that
    /// push is not to wait for SQL. If it fails, that push reads SQL.
    pub(crate) fn warm_profile(&self, app: &AppId, id: &RecipientId) {
        let (profiles, archive, app, id) = (self.profiles.clone(), self.archive.clone(), app.clone(), id.clone());
        tokio::spawn(async move {
            if let Ok(None) = profiles.find(&app, &id).await
                && let Ok(record) = archive.find_recipient(&app, &id).await
            {
                let was_there = record.is_some();
                let _ = profiles.complete(&app, &[(id.clone(), record.unwrap_or_default())]).await;
                // Whoever erased the person meanwhile found no copy yet to remove.
                if was_there && !matches!(archive.find_recipient(&app, &id).await, Ok(Some(_))) {
                    let _ = profiles.forget(&app, &id).await;
                }
            }
        });
    }

    /// Replaces a recipient's preferences.
    pub(super) async fn set_preferences(&self, app: &AppId, id: &RecipientId, to: &Preferences) -> Result<(), ApiError> {
        let mut found = Vec::new();
        for category in to.categories.keys() {
            if let Err(e) = stentor_domain::text::check_line(category, 64) {
                found.push(Violation::new(format!("/categories/{}", pointer_step(category)), e.code(), e.to_string()));
            }
        }
        checked(found)?;
        let now = self.now();
        self.archive.set_preferences(app, id, to, now).await?;
        self.profiles.set_preferences(app, id, to, now).await?;
        self.inboxes.hot().set_preferences(app, id, to, now).await?;
        Ok(())
    }
}

fn checked(found: Vec<Violation>) -> Result<(), ApiError> {
    if found.is_empty() { Ok(()) } else { Err(ApiError::invalid(found)) }
}

/// Set fields of a recipient.
///
/// Creates the recipient if need be. Fields that are given are set, `null` clears, those absent stay.
#[utoipa::path(put, path = "/v1/recipients/{id}", tag = "recipients", params(("id" = String, Path)), request_body = ProfilePatch,
    responses((status = 200, body = RecipientView), Problems, BadBody))]
pub(crate) async fn put(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(id): Path<RecipientId>,
    JsonBody(mut patch): JsonBody<ProfilePatch>,
) -> Result<Json<RecipientView>, ApiError> {
    state.settle(&key.app, std::iter::once((&id, &mut patch))).await?;
    let mut found = Vec::new();
    patch.check("", &mut found);
    checked(found)?;
    state.upsert(&key.app, &[(id.clone(), patch)]).await?;
    let profile = state.archive.find_recipient(&key.app, &id).await?.unwrap_or_default();
    Ok(Json(RecipientView { id, profile }))
}

/// Many recipients.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientBatch {
    /// 1 to 1,000 recipients, each once, each with the fields to set.
    recipients: Vec<RecipientRef>,
}

/// Set fields of many recipients: all or, if any is wrong, none.
#[utoipa::path(post, path = "/v1/recipients/batch", tag = "recipients", request_body = RecipientBatch,
    responses((status = 204, description = "all are set"), Problems, BadBody))]
pub(crate) async fn put_batch(
    State(state): State<ApiState>,
    key: Key<Manage>,
    JsonBody(mut batch): JsonBody<RecipientBatch, MAX_BATCH_BODY>,
) -> Result<StatusCode, ApiError> {
    let count = batch.recipients.len();
    if count <= MAX_BATCH {
        state.settle(&key.app, batch.recipients.iter_mut().map(|r| (&r.id, &mut r.profile))).await?;
    }
    let mut found = Vec::new();
    if count == 0 || count > MAX_BATCH {
        let message = format!("send 1 to {MAX_BATCH} recipients, not {count}");
        found.push(Violation::new("/recipients", "recipient_count", message));
    }
    let mut seen = HashSet::with_capacity(count);
    for (i, recipient) in batch.recipients.iter().enumerate().take(MAX_BATCH) {
        let at = format!("/recipients/{i}");
        recipient.profile.check(&at, &mut found);
        if !seen.insert(&recipient.id) {
            found.push(Violation::new(at, "repeated", "this recipient is named twice"));
        }
    }
    checked(found)?;
    let patches: Vec<_> = batch.recipients.into_iter().map(|r| (r.id, r.profile)).collect();
    state.upsert(&key.app, &patches).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erase a recipient: profile, preferences and inbox.
///
/// The record of what was sent (without addresses or content of the inbox) stays.
#[utoipa::path(delete, path = "/v1/recipients/{id}", tag = "recipients", params(("id" = String, Path)),
    responses((status = 204, description = "nothing is left of it"), Problems))]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(id): Path<RecipientId>,
) -> Result<StatusCode, ApiError> {
    state.archive.delete_recipient(&key.app, &id).await?;
    state.profiles.forget(&key.app, &id).await?;
    state.inboxes.forget(&key.app, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set a recipient's preferences: replaces all of them.
#[utoipa::path(put, path = "/v1/recipients/{id}/preferences", tag = "recipients", params(("id" = String, Path)),
    request_body = Preferences, responses((status = 200, body = Preferences), Problems, BadBody))]
pub(crate) async fn put_preferences(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(id): Path<RecipientId>,
    JsonBody(preferences): JsonBody<Preferences>,
) -> Result<Json<Preferences>, ApiError> {
    state.set_preferences(&key.app, &id, &preferences).await?;
    Ok(Json(preferences))
}

/// A token that opens one person's inbox.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TokenView {
    /// The token, for `Authorization: Bearer` and the `auth` frame.
    token: String,
    /// Until when it is valid: 15 minutes from now.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Make a token for a recipient's inbox.
#[utoipa::path(post, path = "/v1/recipients/{id}/token", tag = "recipients", params(("id" = String, Path)),
    responses((status = 200, body = TokenView), Problems))]
pub(crate) async fn issue_inbox_token(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(id): Path<RecipientId>,
) -> Result<Json<TokenView>, ApiError> {
    let app = state.credentials.app(&key.app).await?.ok_or_else(|| ApiError::not_found("app"))?;
    let expires_at = state.now().after(MAX_TOKEN_LIFE);
    let token = issue_token(&app.inbox_secret, &key.app, &id, expires_at).map_err(|e| ApiError::unavailable("the signer", e))?;
    Ok(Json(TokenView { token, expires_at }))
}

/// Look into a recipient's inbox; marks nothing.
#[utoipa::path(get, path = "/v1/recipients/{id}/inbox", tag = "recipients", params(("id" = String, Path), InboxQuery),
    responses((status = 200, body = InboxPage), Problems))]
pub(crate) async fn get_inbox(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(id): Path<RecipientId>,
    query: InboxQuery,
) -> Result<Json<InboxPage>, ApiError> {
    InboxPage::read(&state, &key.app, &id, query).await.map(|(page, _)| Json(page))
}
