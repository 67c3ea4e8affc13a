//! Profiles. Each field carries the time of the request that set it: whatever the order of writing, the newest stays.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use stentor_domain::{AppId, Preferences, Profile, ProfilePatch, RecipientId, Timestamp};

use crate::{
    Archive, ArchiveError, column,
    entities::{inbox_item, recipient, timeline_mark, timeline_read, topic_member},
    insert,
};

/// Every field, with the column that says when it was set.
const FIELDS: [(&str, &str); 6] = [
    ("email", "email_at"),
    ("phone", "phone_at"),
    ("locale", "locale_at"),
    ("timezone", "timezone_at"),
    ("attributes", "attributes_at"),
    ("preferences", "preferences_at"),
];

/// Of somebody of whom nothing is said.
pub(crate) fn blank_row(app: &AppId, id: &RecipientId) -> recipient::ActiveModel {
    recipient::ActiveModel {
        app: Set(app.to_string()),
        id: Set(id.to_string()),
        email: Set(None),
        email_at: Set(0),
        phone: Set(None),
        phone_at: Set(0),
        locale: Set(None),
        locale_at: Set(0),
        timezone: Set(None),
        timezone_at: Set(0),
        attributes: Set(None),
        attributes_at: Set(0),
        preferences: Set(None),
        preferences_at: Set(0),
        joined: Set(None),
    }
}

fn patched(app: &AppId, id: &RecipientId, patch: &ProfilePatch, at: Timestamp) -> recipient::ActiveModel {
    let mut row = blank_row(app, id);
    let at = at.as_millis();
    if let Some(email) = &patch.email {
        (row.email, row.email_at) = (Set(email.as_ref().map(|e| e.as_str().to_owned())), Set(at));
    }
    if let Some(phone) = &patch.phone {
        (row.phone, row.phone_at) = (Set(phone.as_ref().map(|p| p.as_str().to_owned())), Set(at));
    }
    if let Some(locale) = &patch.locale {
        (row.locale, row.locale_at) = (Set(locale.as_ref().map(ToString::to_string)), Set(at));
    }
    if let Some(timezone) = &patch.timezone {
        (row.timezone, row.timezone_at) = (Set(timezone.clone()), Set(at));
    }
    if let Some(attributes) = &patch.attributes {
        let json = attributes.as_ref().and_then(|a| serde_json::to_string(a).ok());
        (row.attributes, row.attributes_at) = (Set(json), Set(at));
    }
    row
}

/// A field is replaced if the new one was set at the same time or later. 0 stands for "not given" and replaces nothing.
fn newest_wins() -> OnConflict {
    let mut conflict = OnConflict::columns([recipient::Column::App, recipient::Column::Id]);
    for (field, at) in FIELDS {
        let newer = format!("excluded.{at} > 0 AND excluded.{at} >= recipients.{at}");
        let pick = |column: &str| Expr::cust(format!("CASE WHEN {newer} THEN excluded.{column} ELSE recipients.{column} END"));
        conflict.value(field, pick(field)).value(at, pick(at));
    }
    // The first that is known stays: what was written to everyone since then is theirs.
    conflict.value("joined", Expr::cust("COALESCE(recipients.joined, excluded.joined)"));
    conflict
}

/// Writes profile fields; called by the API and by the writer of events.
pub(crate) async fn upsert(
    db: &impl ConnectionTrait,
    app: &AppId,
    patches: impl IntoIterator<Item = (&RecipientId, &ProfilePatch, Timestamp, Option<u64>)>,
) -> Result<(), DbErr> {
    // PostgreSQL refuses a statement that touches one row twice: what repeats goes into a statement of its own.
    let mut rounds: Vec<BTreeMap<&RecipientId, recipient::ActiveModel>> = Vec::new();
    for (id, patch, at, joined) in patches {
        let mut row = patched(app, id, patch, at);
        row.joined = Set(joined.map(|rev| i64::try_from(rev).unwrap_or(i64::MAX)));
        match rounds.iter_mut().find(|round| !round.contains_key(id)) {
            Some(round) => {
                round.insert(id, row);
            }
            None => rounds.push(BTreeMap::from([(id, row)])),
        }
    }
    for round in rounds {
        insert::upsert(db, round.into_values().collect(), newest_wins()).await?;
    }
    Ok(())
}

/// Those of `ids` of whom nothing is on record: neither a profile nor an inbox nor a topic.
pub(crate) async fn unknown<'a>(
    db: &impl ConnectionTrait,
    app: &AppId,
    ids: &[&'a RecipientId],
) -> Result<Vec<&'a RecipientId>, DbErr> {
    macro_rules! without_those_of {
        ($ids:expr, $table:ident, $id:ident) => {{
            let ids = $ids;
            let mut rows = $table::Entity::find().select_only().column($table::Column::$id).distinct();
            rows = rows
                .filter($table::Column::App.eq(app.as_str()).and($table::Column::$id.is_in(ids.iter().map(|id| id.as_str()))));
            let known: HashSet<String> = rows.into_tuple().all(db).await?.into_iter().collect();
            ids.into_iter().filter(|id| !known.contains(id.as_str())).collect::<Vec<_>>()
        }};
    }
    let ids = without_those_of!(ids.to_vec(), recipient, Id);
    let ids = without_those_of!(ids, inbox_item, Recipient);
    Ok(without_those_of!(ids, topic_member, Recipient))
}

/// Those of `ids` that were registered at revision `joined` of the timeline, and of whom nothing else was said.
pub(crate) async fn blank(
    db: &impl ConnectionTrait,
    app: &AppId,
    ids: &[&RecipientId],
    joined: u64,
) -> Result<HashSet<RecipientId>, ArchiveError> {
    use recipient::Column;
    let of = Column::App.eq(app.as_str()).and(Column::Id.is_in(ids.iter().map(|id| id.as_str())));
    let joined = Column::Joined.eq(i64::try_from(joined).unwrap_or(i64::MAX));
    let rows = recipient::Entity::find().select_only().column(Column::Id).filter(of.and(joined));
    let rows = rows.filter(Column::Locale.is_null().and(Column::Preferences.is_null())).into_tuple::<String>().all(db).await?;
    rows.iter().map(|id| id.parse().map_err(|e| ArchiveError::unreadable("recipients", e))).collect()
}

pub(crate) fn profile(row: recipient::Model) -> Result<(RecipientId, Profile), ArchiveError> {
    fn bad(e: impl std::fmt::Display) -> ArchiveError {
        ArchiveError::unreadable("recipients", e)
    }
    let json = |text: Option<String>| text.unwrap_or_else(|| "{}".into());
    let profile = Profile {
        email: row.email.map(|e| e.parse().map_err(bad)).transpose()?,
        phone: row.phone.map(|p| p.parse().map_err(bad)).transpose()?,
        locale: row.locale.map(|l| l.parse().map_err(bad)).transpose()?,
        timezone: row.timezone,
        attributes: column::read("recipients", &json(row.attributes))?,
        preferences: column::read("recipients", &json(row.preferences))?,
    };
    Ok((row.id.parse().map_err(bad)?, profile))
}

impl Archive {
    /// Sets fields of recipients as of `at`: all in one transaction, each field only if it was not set later. To those who are
    /// new, what was written to everyone up to revision `joined` of the timeline does not belong.
    pub async fn upsert_recipients(
        &self,
        app: &AppId,
        patches: &[(RecipientId, ProfilePatch)],
        at: Timestamp,
        joined: u64,
    ) -> Result<(), ArchiveError> {
        let transaction = self.db.begin().await?;
        upsert(&transaction, app, patches.iter().map(|(id, patch)| (id, patch, at, Some(joined)))).await?;
        Ok(transaction.commit().await?)
    }

    /// Replaces a recipient's preferences as of `at`.
    pub async fn set_preferences(
        &self,
        app: &AppId,
        id: &RecipientId,
        preferences: &Preferences,
        at: Timestamp,
    ) -> Result<(), ArchiveError> {
        let mut row = blank_row(app, id);
        row.preferences = Set(serde_json::to_string(preferences).ok());
        row.preferences_at = Set(at.as_millis());
        recipient::Entity::insert(row).on_conflict(newest_wins()).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// The profiles of those of `ids` that are on record, in one query.
    pub async fn find_profiles(&self, app: &AppId, ids: &[RecipientId]) -> Result<HashMap<RecipientId, Profile>, ArchiveError> {
        let ids = ids.iter().map(RecipientId::as_str);
        let rows =
            recipient::Entity::find().filter(recipient::Column::App.eq(app.as_str()).and(recipient::Column::Id.is_in(ids)));
        rows.all(&self.db).await?.into_iter().map(profile).collect()
    }

    /// A recipient's profile.
    pub async fn find_recipient(&self, app: &AppId, id: &RecipientId) -> Result<Option<Profile>, ArchiveError> {
        let row = recipient::Entity::find_by_id((app.to_string(), id.to_string())).one(&self.db).await?;
        Ok(row.map(profile).transpose()?.map(|(_, profile)| profile))
    }

    /// Recipients by id, those after `after`.
    pub async fn list_recipients(
        &self,
        app: &AppId,
        after: Option<&RecipientId>,
        limit: usize,
    ) -> Result<Vec<(RecipientId, Profile)>, ArchiveError> {
        let mut rows = recipient::Entity::find().filter(recipient::Column::App.eq(app.as_str()));
        if let Some(after) = after {
            rows = rows.filter(recipient::Column::Id.gt(after.as_str()));
        }
        let rows = rows.order_by_asc(recipient::Column::Id).limit(limit as u64).all(&self.db).await?;
        rows.into_iter().map(profile).collect()
    }

    /// The ids of recipients in their order, those after `after`.
    pub async fn list_recipient_ids(
        &self,
        app: &AppId,
        after: Option<&RecipientId>,
        limit: usize,
    ) -> Result<Vec<RecipientId>, ArchiveError> {
        let mut rows = recipient::Entity::find().select_only().column(recipient::Column::Id);
        rows = rows.filter(recipient::Column::App.eq(app.as_str()));
        if let Some(after) = after {
            rows = rows.filter(recipient::Column::Id.gt(after.as_str()));
        }
        let rows = rows.order_by_asc(recipient::Column::Id).limit(limit as u64).into_tuple::<String>().all(&self.db).await?;
        rows.iter().map(|id| id.parse().map_err(|e| ArchiveError::unreadable("recipients", e))).collect()
    }

    /// Erases a recipient: profile and inbox. What was sent stays on record, without addresses.
    pub async fn delete_recipient(&self, app: &AppId, id: &RecipientId) -> Result<(), ArchiveError> {
        let transaction = self.db.begin().await?;
        let items = inbox_item::Entity::delete_many();
        let of = inbox_item::Column::App.eq(app.as_str()).and(inbox_item::Column::Recipient.eq(id.as_str()));
        items.filter(of).exec(&transaction).await?;
        let (a, r) = (app.as_str(), id.as_str());
        let stays = topic_member::Entity::delete_many();
        stays.filter(topic_member::Column::App.eq(a).and(topic_member::Column::Recipient.eq(r))).exec(&transaction).await?;
        let marks = timeline_mark::Entity::delete_many();
        marks.filter(timeline_mark::Column::App.eq(a).and(timeline_mark::Column::Recipient.eq(r))).exec(&transaction).await?;
        timeline_read::Entity::delete_by_id((app.to_string(), id.to_string())).exec(&transaction).await?;
        recipient::Entity::delete_by_id((app.to_string(), id.to_string())).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }
}
