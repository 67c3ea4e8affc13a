//! Whom not to write to: addresses that bounced, complained, were unsubscribed, or that the app names.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, Serialize};
use stentor_archive::{ArchivedSuppression, SuppressionFilter};
use stentor_domain::{
    AppId, Channel, Event, EventKind, NotificationId, SuppressedAddress, Suppression, SuppressionId, SuppressionReason,
    Timestamp, Violation, places, text::check_line,
};
use stentor_inbox::Word;
use utoipa::{IntoParams, ToSchema};

use super::{
    page::Page,
    problems::{BadBody, NotFound, Problems},
};
use crate::{
    auth::{Key, Manage, Read},
    json::JsonBody,
    path::Path,
    problem::{ApiError, Chain},
    query::{bad_query, query},
    state::ApiState,
};

/// The longest note, in bytes.
const MAX_DETAIL: usize = 500;

/// An address that is not written to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SuppressionView {
    /// Its id, by which it is lifted.
    #[schema(value_type = String, format = Uuid)]
    id: SuppressionId,
    /// On which channel.
    channel: Channel,
    /// The address, in small letters.
    address: String,
    /// In which category; `null`: in all.
    category: Option<String>,
    /// Why.
    reason: SuppressionReason,
    /// What the server said, or a note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<ArchivedSuppression> for SuppressionView {
    fn from(archived: ArchivedSuppression) -> Self {
        let ArchivedSuppression { id, suppression: s, at } = archived;
        Self {
            id,
            channel: s.address.channel(),
            address: s.address.as_str().to_owned(),
            category: s.category,
            reason: s.reason,
            detail: s.detail,
            created_at: at,
        }
    }
}

/// Which suppressions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuppressionQuery {
    /// The most items to give, 1 to 100; 20 if absent.
    #[serde(default)]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    #[serde(default)]
    after: Option<String>,
    /// Those on this channel: `email` or `sms`.
    #[serde(default)]
    channel: Option<Channel>,
    /// Those of this address; needs `channel`.
    #[serde(default)]
    address: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for SuppressionQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query: Self = query(parts).await?;
        if query.limit.is_some_and(|n| n == 0 || n > 100) {
            return Err(bad_query("limit must be 1 to 100"));
        }
        Ok(query)
    }
}

impl SuppressionQuery {
    fn filter(&self) -> Result<SuppressionFilter, ApiError> {
        let address = match (&self.address, self.channel) {
            (None, _) => None,
            (Some(_), None) => return Err(bad_query("address needs channel=email or channel=sms")),
            (Some(address), Some(channel)) => {
                Some(SuppressedAddress::parse(channel, address).map_err(|e| bad_query(e.to_string()))?)
            }
        };
        Ok(SuppressionFilter { channel: self.channel, address })
    }

    /// `after`, as [`place`] wrote it.
    fn after(&self) -> Result<Option<(Timestamp, SuppressionId)>, ApiError> {
        self.after.as_deref().map(read_place).transpose()
    }
}

/// Where a page of suppressions goes on that ended with this one.
pub(crate) fn place(last: &ArchivedSuppression) -> String {
    format!("{}_{}", last.at.as_millis(), last.id)
}

/// What [`place`] wrote; 422 if it is none of ours.
pub(crate) fn read_place(text: &str) -> Result<(Timestamp, SuppressionId), ApiError> {
    let parse = || {
        let (at, id) = text.split_once('_')?;
        Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
    };
    parse().ok_or_else(|| ApiError::invalid(vec![Violation::new("", "bad_page", "after must be the next of an earlier page")]))
}

/// List who is not written to, the newest first.
#[utoipa::path(get, path = "/v1/suppressions", tag = "suppressions", params(SuppressionQuery),
    responses((status = 200, body = Page<SuppressionView>), Problems))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    key: Key<Read>,
    query: SuppressionQuery,
) -> Result<Json<Page<SuppressionView>>, ApiError> {
    let limit = query.limit.unwrap_or(20);
    let found = state.archive.list_suppressions(&key.app, &query.filter()?, query.after()?, limit).await?;
    let next = found.last().filter(|_| found.len() == limit).map(place);
    Ok(Json(Page { items: found.into_iter().map(SuppressionView::from).collect(), next }))
}

/// An address that is not to be written to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSuppression {
    /// On which channel: `email` or `sms`.
    channel: Channel,
    /// The address.
    #[schema(example = "maria@example.com")]
    address: String,
    /// In which category; absent: in all.
    #[serde(default)]
    category: Option<String>,
    /// Why; `manual` if absent.
    #[serde(default)]
    reason: Option<SuppressionReason>,
    /// A note. At most 500 bytes.
    #[serde(default)]
    detail: Option<String>,
}

impl NewSuppression {
    fn check(self) -> Result<Suppression, ApiError> {
        let mut found = Vec::new();
        for (pointer, text, max) in [("/category", &self.category, 64), ("/detail", &self.detail, MAX_DETAIL)] {
            if let Some(Err(e)) = text.as_deref().map(|text| check_line(text, max)) {
                found.push(Violation::new(pointer, e.code(), e.to_string()));
            }
        }
        if self.channel == Channel::Inbox {
            found.push(Violation::new("/channel", "wrong_value", "an inbox is not suppressed: use email or sms"));
            return Err(ApiError::invalid(found));
        }
        let address = SuppressedAddress::parse(self.channel, &self.address);
        match address {
            Ok(address) if found.is_empty() => {
                let reason = self.reason.unwrap_or(SuppressionReason::Manual);
                Ok(Suppression { address, category: self.category, reason, detail: self.detail })
            }
            Ok(_) => Err(ApiError::invalid(found)),
            Err(e) => {
                found.push(Violation::new("/address", "invalid_address", e.to_string()));
                Err(ApiError::invalid(found))
            }
        }
    }
}

/// Write to an address no more.
///
/// It holds from the answer on, also for what is queued already: such deliveries are `skipped` with the reason `suppressed`. What a
/// person said themselves (`unsubscribe`, `complaint`) is kept beside what anybody else says (`manual`, `hard_bounce`): each is listed, and
/// lifted, by itself.
#[utoipa::path(post, path = "/v1/suppressions", tag = "suppressions", request_body = NewSuppression,
    responses((status = 201, body = SuppressionView), Problems, BadBody))]
pub(crate) async fn suppress(
    State(state): State<ApiState>,
    key: Key<Manage>,
    JsonBody(new): JsonBody<NewSuppression>,
) -> Result<(StatusCode, Json<SuppressionView>), ApiError> {
    let suppression = new.check()?;
    let at = state.suppress(&key.app, &suppression, None).await?;
    let view = SuppressionView::from(ArchivedSuppression { id: suppression.id(&key.app), suppression, at });
    Ok((StatusCode::CREATED, Json(view)))
}

/// Lift a suppression, so that the address is written to again, unless another holds.
#[utoipa::path(delete, path = "/v1/suppressions/{id}", tag = "suppressions", params(("id" = String, Path)),
    responses((status = 204, description = "it is lifted"), Problems, NotFound))]
pub(crate) async fn lift(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(id): Path<SuppressionId>,
) -> Result<StatusCode, ApiError> {
    let found = state.archive.find_suppression(&key.app, id).await?.ok_or_else(|| ApiError::not_found("suppression"))?;
    state.lift(&key.app, &found.suppression).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl ApiState {
    /// Suppresses an address, because of notification `about` if there is one; says as of when. State, then fact: it holds from
    /// here on, also while SQL is down.
    pub(crate) async fn suppress(
        &self,
        app: &AppId,
        suppression: &Suppression,
        about: Option<NotificationId>,
    ) -> Result<Timestamp, ApiError> {
        let at = self.suppressions.suppress(app, &suppression.placed(), self.now()).await?;
        let kind = EventKind::Suppressed { suppression: Box::new(suppression.clone()), notification: about };
        self.tell(&Event::new(app.clone(), at, kind)).await?;
        Ok(at)
    }

    /// Lifts a suppression, and nothing else that holds for its address.
    pub(crate) async fn lift(&self, app: &AppId, suppression: &Suppression) -> Result<(), ApiError> {
        let Suppression { address, category, reason, .. } = suppression;
        let at = self.suppressions.lift(app, address, Some(&suppression.place()), self.now()).await?;
        let kind = EventKind::SuppressionLifted { address: address.clone(), category: category.clone(), reason: Some(*reason) };
        self.tell(&Event::new(app.clone(), at, kind)).await?;
        // What was said of an address before a person's own word was told apart stands where that belongs, in Redis that was kept.
        let last = self.suppressions.last_word(app, address, category.as_deref()).await?;
        if !reason.is_the_persons() && matches!(last, Some(Word::Suppressed(held)) if !held.is_the_persons()) {
            self.suppressions.lift(app, address, category.as_deref(), self.now()).await?;
        }
        Ok(())
    }

    /// Does what a person asks for: writes to them no more, also once whatever else holds for the address is lifted. Who complained stays
    /// who complained.
    pub(crate) async fn unsubscribe(
        &self,
        app: &AppId,
        suppression: &Suppression,
        about: Option<NotificationId>,
    ) -> Result<(), ApiError> {
        // A wish is kept also where it cannot be asked what was before.
        let known = self.reason(app, &suppression.address, &suppression.place()).await;
        if !matches!(known, Ok(Some(reason)) if reason.is_the_persons()) {
            self.suppress(app, suppression, about).await?;
        }
        Ok(())
    }

    /// Takes back what a person asked for, and nothing else: a mailbox that bounced does not work because somebody wishes it.
    pub(crate) async fn resubscribe(
        &self,
        app: &AppId,
        address: &SuppressedAddress,
        category: Option<&str>,
    ) -> Result<(), ApiError> {
        let reason = SuppressionReason::Unsubscribe;
        if self.reason(app, address, &reason.place(category)).await? == Some(reason) {
            let wish = Suppression { address: address.clone(), category: category.map(str::to_owned), reason, detail: None };
            self.lift(app, &wish).await?;
        }
        Ok(())
    }

    /// Why an address is not written to, in all categories or in `category`.
    pub(crate) async fn why_suppressed(
        &self,
        app: &AppId,
        address: &SuppressedAddress,
        category: Option<&str>,
    ) -> Result<Option<SuppressionReason>, ApiError> {
        for place in places(category) {
            if let Some(reason) = self.reason(app, address, &place).await? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    /// Why it is not written to, by what is remembered in one place. What was said last is in Redis; what Redis lost is on record.
    async fn reason(&self, app: &AppId, address: &SuppressedAddress, place: &str) -> Result<Option<SuppressionReason>, ApiError> {
        match self.suppressions.last_word(app, address, Some(place)).await? {
            Some(Word::Suppressed(reason)) => Ok(Some(reason)),
            Some(Word::Lifted) => Ok(None),
            None => {
                let id = SuppressionId::new(app, address.channel(), address.as_str(), place);
                Ok(self.archive.find_suppression(app, id).await?.map(|found| found.suppression.reason))
            }
        }
    }

    /// Writes a fact; and to SQL at once if it answers, so that who lists what they have just said finds it.
    async fn tell(&self, event: &Event) -> Result<(), ApiError> {
        self.events.append(&[serde_json::to_vec(event).unwrap_or_default()]).await?;
        if let Err(error) = self.archive.write_events(std::slice::from_ref(event)).await {
            tracing::debug!(error = %Chain(&error), "a fact reaches SQL later");
        }
        Ok(())
    }
}
