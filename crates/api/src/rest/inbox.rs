//! The inbox of the person whose token is shown.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize, Serializer, ser};
use stentor_domain::{AppId, Event, EventKind, Item, NotificationId, Preferences, RecipientId, item::ItemContent};
use stentor_inbox::{Change, Cursor, FoundItem, Marked, PagePlace};
use utoipa::ToSchema;

use super::{
    page::InboxQuery,
    problems::{BadBody, NotFound, Problems},
};
use crate::{auth::Person, json::JsonBody, path::Path, problem::ApiError, state::ApiState};

/// A page of an inbox, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct InboxPage {
    /// The items.
    pub items: Vec<Item>,
    /// Give it as `after` for older ones; `null` at the end.
    pub next: Option<String>,
    /// How many items are unread in the whole inbox.
    pub unread: u64,
    /// Where live updates go on from.
    #[schema(value_type = String)]
    pub cursor: Cursor,
}

impl InboxPage {
    /// A page, and which of its items are the person's own.
    pub(crate) async fn read(
        state: &ApiState,
        app: &AppId,
        recipient: &RecipientId,
        query: InboxQuery,
    ) -> Result<(Self, Vec<NotificationId>), ApiError> {
        let (page, filter) = query.parts()?;
        let after = page.after::<PagePlace>()?;
        // The overview first: its cursor must not lie behind the items, or an update between the two would be missed.
        let overview = state.inboxes.overview(app, recipient, state.now()).await?;
        let page = state.inboxes.page_of(app, recipient, &filter, after, page.limit(), state.now()).await?;
        let next = page.next.map(|place| place.to_string());
        let own = page.own().collect();
        let items = page.items.into_iter().map(|i| i.item).collect();
        Ok((Self { items, next, unread: overview.unread, cursor: overview.cursor }, own))
    }
}

/// List the inbox, newest first, or what was archived.
#[utoipa::path(get, path = "/v1/inbox", tag = "inbox", params(InboxQuery),
    responses((status = 200, body = InboxPage), Problems))]
pub(crate) async fn list(State(state): State<ApiState>, person: Person, query: InboxQuery) -> Result<Json<InboxPage>, ApiError> {
    let (page, own) = InboxPage::read(&state, &person.app, &person.recipient, query).await?;
    state.note_delivered(&person, own);
    Ok(Json(page))
}

/// How many items are unread.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct UnreadView {
    /// Items that are neither read, archived nor expired.
    unread: u64,
    /// The state of the inbox that this is true of.
    #[schema(value_type = String)]
    cursor: Cursor,
}

/// Count the unread items.
#[utoipa::path(get, path = "/v1/inbox/unread", tag = "inbox", responses((status = 200, body = UnreadView), Problems))]
pub(crate) async fn unread(State(state): State<ApiState>, person: Person) -> Result<Json<UnreadView>, ApiError> {
    let overview = state.inboxes.overview(&person.app, &person.recipient, state.now()).await?;
    Ok(Json(UnreadView { unread: overview.unread, cursor: overview.cursor }))
}

/// An item with its content.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ItemWithContent {
    /// The item.
    #[serde(flatten)]
    pub item: Item,
    /// Its content.
    #[serde(flatten)]
    pub content: ItemContent,
}

impl Serialize for ItemWithContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.item.and(&self.content).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl ApiState {
    /// An item of `person` with its content; 404 if it is not in the inbox (any more).
    pub(crate) async fn item_with_content(&self, person: &Person, id: NotificationId) -> Result<ItemWithContent, ApiError> {
        let gone = || ApiError::not_found("item in this inbox");
        let found = self.inboxes.find(&person.app, &person.recipient, id, self.now()).await?;
        let FoundItem { item, variant, .. } = found.ok_or_else(gone)?;
        let content = match self.inboxes.content(&person.app, id, &variant).await? {
            Some(content) => content,
            None => self.archive.find_content(&person.app, id, &variant).await?.ok_or_else(gone)?,
        };
        Ok(ItemWithContent { item, content })
    }

    /// Marks items and records it: state first, then the fact.
    pub(crate) async fn mark(&self, person: &Person, change: Change, ids: &[NotificationId]) -> Result<Marked, ApiError> {
        let marked = self.inboxes.mark(&person.app, &person.recipient, change, ids, self.now()).await?;
        self.record(person, &marked).await?;
        Ok(marked)
    }

    /// Marks everything up to `up_to` (or all there is) as read, and records it.
    pub(crate) async fn mark_all_read(&self, person: &Person, up_to: Option<&Cursor>) -> Result<Marked, ApiError> {
        let marked = self.inboxes.mark_all_read(&person.app, &person.recipient, up_to, self.now()).await?;
        self.record(person, &marked).await?;
        Ok(marked)
    }

    /// Notes that a device of `person` was given these of their own items. Entries of the timeline are no deliveries of a person.
    pub(crate) fn note_delivered(&self, person: &Person, own: impl IntoIterator<Item = NotificationId>) {
        self.hub.receipts().note(&person.app, &person.recipient, own);
    }

    async fn record(&self, person: &Person, marked: &Marked) -> Result<(), ApiError> {
        let (recipient, rev) = (|| person.recipient.clone(), marked.rev);
        let mut facts = Vec::new();
        if !marked.items.is_empty() {
            facts.push(EventKind::ItemsChanged { recipient: recipient(), rev, items: marked.items.clone() });
        }
        if !marked.entries.is_empty() || marked.read_upto.is_some() {
            let (read_upto, entries) = (marked.read_upto, marked.entries.clone());
            facts.push(EventKind::TimelineMarked { recipient: recipient(), rev, read_upto, entries });
        }
        let encode = |kind| serde_json::to_vec(&Event::new(person.app.clone(), self.now(), kind));
        let events: Vec<Vec<u8>> =
            facts.into_iter().map(encode).collect::<Result<_, _>>().map_err(|e| ApiError::unavailable("the encoder", e))?;
        if !events.is_empty() {
            self.events.append(&events).await?;
        }
        Ok(())
    }
}

/// Load the content of an item. Reading over REST marks nothing: the `open` frame and `…/read` do.
#[utoipa::path(get, path = "/v1/inbox/items/{id}", tag = "inbox", params(("id" = String, Path)),
    responses((status = 200, body = ItemWithContent), Problems, NotFound))]
pub(crate) async fn content(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<NotificationId>,
) -> Result<Json<ItemWithContent>, ApiError> {
    state.item_with_content(&person, id).await.map(Json)
}

async fn mark_one(state: &ApiState, person: &Person, change: Change, id: NotificationId) -> Result<Json<UnreadView>, ApiError> {
    let marked = state.mark(person, change, &[id]).await?;
    if marked.missing.contains(&id) {
        return Err(ApiError::not_found("item in this inbox"));
    }
    Ok(Json(UnreadView { unread: marked.unread, cursor: marked.cursor }))
}

/// Mark an item as read.
#[utoipa::path(post, path = "/v1/inbox/items/{id}/read", tag = "inbox", params(("id" = String, Path)),
    responses((status = 200, body = UnreadView), Problems, NotFound))]
pub(crate) async fn mark_read(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<NotificationId>,
) -> Result<Json<UnreadView>, ApiError> {
    mark_one(&state, &person, Change::Read, id).await
}

/// Mark an item as unread.
#[utoipa::path(post, path = "/v1/inbox/items/{id}/unread", tag = "inbox", params(("id" = String, Path)),
    responses((status = 200, body = UnreadView), Problems, NotFound))]
pub(crate) async fn mark_unread(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<NotificationId>,
) -> Result<Json<UnreadView>, ApiError> {
    mark_one(&state, &person, Change::Unread, id).await
}

/// Put an item away.
#[utoipa::path(post, path = "/v1/inbox/items/{id}/archive", tag = "inbox", params(("id" = String, Path)),
    responses((status = 200, body = UnreadView), Problems, NotFound))]
pub(crate) async fn archive(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<NotificationId>,
) -> Result<Json<UnreadView>, ApiError> {
    mark_one(&state, &person, Change::Archive, id).await
}

/// Bring an item back.
#[utoipa::path(post, path = "/v1/inbox/items/{id}/unarchive", tag = "inbox", params(("id" = String, Path)),
    responses((status = 200, body = UnreadView), Problems, NotFound))]
pub(crate) async fn unarchive(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<NotificationId>,
) -> Result<Json<UnreadView>, ApiError> {
    mark_one(&state, &person, Change::Unarchive, id).await
}

/// What to mark as read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReadAll {
    /// Only what had come by this cursor: what arrives meanwhile stays unread. Absent: everything.
    #[schema(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Mark everything as read.
#[utoipa::path(post, path = "/v1/inbox/read-all", tag = "inbox", request_body = ReadAll,
    responses((status = 200, body = UnreadView), Problems, BadBody))]
pub(crate) async fn read_all(
    State(state): State<ApiState>,
    person: Person,
    JsonBody(what): JsonBody<ReadAll>,
) -> Result<Json<UnreadView>, ApiError> {
    let marked = state.mark_all_read(&person, what.cursor.as_ref()).await?;
    Ok(Json(UnreadView { unread: marked.unread, cursor: marked.cursor }))
}

/// What the person wants to receive. What is not named is on.
#[utoipa::path(get, path = "/v1/inbox/preferences", tag = "inbox", responses((status = 200, body = Preferences), Problems))]
pub(crate) async fn preferences(State(state): State<ApiState>, person: Person) -> Result<Json<Preferences>, ApiError> {
    let profile = state.find_profile(&person.app, &person.recipient).await?;
    Ok(Json(profile.map(|profile| profile.preferences).unwrap_or_default()))
}

/// Set what the person wants to receive: replaces all of it.
#[utoipa::path(put, path = "/v1/inbox/preferences", tag = "inbox", request_body = Preferences,
    responses((status = 200, body = Preferences), Problems, BadBody))]
pub(crate) async fn put_preferences(
    State(state): State<ApiState>,
    person: Person,
    JsonBody(preferences): JsonBody<Preferences>,
) -> Result<Json<Preferences>, ApiError> {
    state.set_preferences(&person.app, &person.recipient, &preferences).await?;
    Ok(Json(preferences))
}
