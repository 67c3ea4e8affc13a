//! Topics: named groups of recipients, to whom one notification goes as one.

use std::collections::HashSet;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use stentor_domain::{AppId, ProfilePatch, RecipientId, Timestamp, TopicId, Violation, text::check_line};
use stentor_inbox::Stay;
use utoipa::ToSchema;

use super::{
    page::{Page, PageQuery},
    problems::{BadBody, NotFound, Problems},
};
use crate::{
    auth::{Key, Manage, Read},
    json::JsonBody,
    path::Path,
    problem::ApiError,
    state::ApiState,
};

/// The most recipients in one call.
const MAX_BATCH: usize = 1_000;
/// The longest name, in bytes.
const MAX_NAME: usize = 200;

/// A topic.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TopicView {
    /// Its id, by which audiences name it.
    #[schema(value_type = String)]
    id: TopicId,
    /// What it is called among people.
    name: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// How many members it has. Told of one topic, not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<u64>,
}

impl TopicView {
    fn of(topic: stentor_archive::Topic, members: Option<u64>) -> Self {
        Self { id: topic.id, name: topic.name, created_at: topic.created_at, members }
    }
}

/// What a topic is to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TopicPatch {
    /// What it is called among people; absent: as before. At most 200 bytes.
    name: Option<String>,
}

/// Make a topic, or name it anew.
#[utoipa::path(put, path = "/v1/topics/{topic}", tag = "topics", params(("topic" = String, Path)), request_body = TopicPatch,
    responses((status = 200, body = TopicView), Problems, BadBody))]
pub(crate) async fn put(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(topic): Path<TopicId>,
    JsonBody(patch): JsonBody<TopicPatch>,
) -> Result<Json<TopicView>, ApiError> {
    if let Some(Err(e)) = patch.name.as_deref().map(|name| check_line(name, MAX_NAME)) {
        return Err(ApiError::invalid(vec![Violation::new("/name", e.code(), e.to_string())]));
    }
    let put = state.archive.put_topic(&key.app, &topic, patch.name.as_deref(), state.now()).await?;
    let members = state.archive.count_members(&key.app, &topic).await?;
    Ok(Json(TopicView::of(put, Some(members))))
}

/// Get a topic.
#[utoipa::path(get, path = "/v1/topics/{topic}", tag = "topics", params(("topic" = String, Path)),
    responses((status = 200, body = TopicView), Problems, NotFound))]
pub(crate) async fn get(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(topic): Path<TopicId>,
) -> Result<Json<TopicView>, ApiError> {
    let found = state.archive.find_topic(&key.app, &topic).await?.ok_or_else(|| ApiError::not_found("topic"))?;
    let members = state.archive.count_members(&key.app, &topic).await?;
    Ok(Json(TopicView::of(found, Some(members))))
}

/// List topics by id.
#[utoipa::path(get, path = "/v1/topics", tag = "topics", params(PageQuery),
    responses((status = 200, body = Page<TopicView>), Problems))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    key: Key<Read>,
    query: PageQuery,
) -> Result<Json<Page<TopicView>>, ApiError> {
    let after: Option<TopicId> = query.after()?;
    let found = state.archive.list_topics(&key.app, after.as_ref(), query.limit()).await?;
    let next = found.last().filter(|_| found.len() == query.limit()).map(|topic| topic.id.to_string());
    Ok(Json(Page { items: found.into_iter().map(|topic| TopicView::of(topic, None)).collect(), next }))
}

/// Remove a topic: its members leave, what they were written stays in their inboxes.
#[utoipa::path(delete, path = "/v1/topics/{topic}", tag = "topics", params(("topic" = String, Path)),
    responses((status = 204, description = "it is removed"), Problems, NotFound))]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(topic): Path<TopicId>,
) -> Result<StatusCode, ApiError> {
    // The topic last: whoever fails half-way can say it again.
    loop {
        let members = state.archive.list_members(&key.app, &topic, None, MAX_BATCH).await?;
        if members.is_empty() {
            break;
        }
        state.set_members(&key.app, &topic, &members, false).await?;
    }
    if !state.archive.delete_topic(&key.app, &topic).await? {
        return Err(ApiError::not_found("topic"));
    }
    Ok(StatusCode::NO_CONTENT)
}

impl ApiState {
    /// SQL first: it is the record. The hot inboxes follow, and tell their devices.
    async fn set_members(&self, app: &AppId, topic: &TopicId, recipients: &[RecipientId], member: bool) -> Result<(), ApiError> {
        let now = self.now();
        let position = self.inboxes.timelines().fresh(app, now).await?.position().rev;
        if member {
            self.archive.put_topic(app, topic, None, now).await?;
            let people: Vec<_> = recipients.iter().map(|id| (id.clone(), ProfilePatch::default())).collect();
            self.archive.upsert_recipients(app, &people, now, position).await?;
        }
        let stays = self.archive.set_members(app, topic, recipients, member, position).await?;
        let stay = |s: &stentor_archive::Stay| Stay { joined: s.joined, left: s.left };
        let hot: Vec<_> = stays.into_iter().map(|(id, stays)| (id, stays.iter().map(stay).collect())).collect();
        self.inboxes.hot().set_topic(app, topic, &hot, now).await?;
        Ok(())
    }
}

/// Make a recipient a member: they see what is written to the topic from now on. Makes the topic if need be.
#[utoipa::path(put, path = "/v1/topics/{topic}/recipients/{id}", tag = "topics",
    params(("topic" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "they are a member"), Problems))]
pub(crate) async fn put_member(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path((topic, id)): Path<(TopicId, RecipientId)>,
) -> Result<StatusCode, ApiError> {
    state.set_members(&key.app, &topic, &[id], true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End a membership: what was written to the topic by now stays in the inbox.
#[utoipa::path(delete, path = "/v1/topics/{topic}/recipients/{id}", tag = "topics",
    params(("topic" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "they are no member"), Problems))]
pub(crate) async fn delete_member(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path((topic, id)): Path<(TopicId, RecipientId)>,
) -> Result<StatusCode, ApiError> {
    state.set_members(&key.app, &topic, &[id], false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Many members.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberBatch {
    /// 1 to 1,000 recipients, each once.
    #[schema(value_type = Vec<String>)]
    recipients: Vec<RecipientId>,
    /// What they are to be: `add` (the default) or `remove`.
    #[serde(default)]
    action: MemberAction,
}

/// What becomes of recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemberAction {
    /// They become members.
    #[default]
    Add,
    /// They are members no more.
    Remove,
}

/// Make many recipients members, or end that they are.
#[utoipa::path(post, path = "/v1/topics/{topic}/recipients/batch", tag = "topics", params(("topic" = String, Path)),
    request_body = MemberBatch, responses((status = 204, description = "all are"), Problems, BadBody))]
pub(crate) async fn put_members(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(topic): Path<TopicId>,
    JsonBody(batch): JsonBody<MemberBatch>,
) -> Result<StatusCode, ApiError> {
    let count = batch.recipients.len();
    let mut found = Vec::new();
    if count == 0 || count > MAX_BATCH {
        let message = format!("send 1 to {MAX_BATCH} recipients, not {count}");
        found.push(Violation::new("/recipients", "recipient_count", message));
    }
    let mut seen = HashSet::with_capacity(count);
    for (i, _) in batch.recipients.iter().enumerate().filter(|(_, id)| !seen.insert(*id)) {
        found.push(Violation::new(format!("/recipients/{i}"), "repeated", "this recipient is named twice"));
    }
    if !found.is_empty() {
        return Err(ApiError::invalid(found));
    }
    state.set_members(&key.app, &topic, &batch.recipients, batch.action == MemberAction::Add).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the members of a topic by id.
#[utoipa::path(get, path = "/v1/topics/{topic}/recipients", tag = "topics", params(("topic" = String, Path), PageQuery),
    responses((status = 200, body = Page<String>), Problems, NotFound))]
pub(crate) async fn list_members(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(topic): Path<TopicId>,
    query: PageQuery,
) -> Result<Json<Page<String>>, ApiError> {
    state.archive.find_topic(&key.app, &topic).await?.ok_or_else(|| ApiError::not_found("topic"))?;
    let after: Option<RecipientId> = query.after()?;
    let found = state.archive.list_members(&key.app, &topic, after.as_ref(), query.limit()).await?;
    let next = found.last().filter(|_| found.len() == query.limit()).map(ToString::to_string);
    Ok(Json(Page { items: found.iter().map(ToString::to_string).collect(), next }))
}

/// List the topics that a recipient is a member of, by id.
#[utoipa::path(get, path = "/v1/recipients/{id}/topics", tag = "topics", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Page<String>), Problems))]
pub(crate) async fn list_topics_of(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(id): Path<RecipientId>,
    query: PageQuery,
) -> Result<Json<Page<String>>, ApiError> {
    let after: Option<TopicId> = query.after()?;
    let topics = state.archive.list_topics_of(&key.app, &id, after.as_ref(), query.limit()).await?;
    let next = topics.last().filter(|_| topics.len() == query.limit()).map(ToString::to_string);
    Ok(Json(Page { items: topics.iter().map(ToString::to_string).collect(), next }))
}
