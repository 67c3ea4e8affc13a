//! Timelines on record, and what people did with their entries.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use stentor_domain::{
    AppId, Entry, Event, EventKind, ItemState, Locale, NotificationId, Preferences, RecipientId, Target, Timestamp, TopicId,
    event::EntryChange,
    timeline::{Gone, ReadUpto},
};

use crate::{
    Archive, ArchiveError, Stay, column,
    entities::{recipient, timeline_entry, timeline_mark, timeline_read},
    insert::upsert,
    recipients, topics,
};

/// What a person is to the timeline, on record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArchivedReader {
    /// What was written to everyone after this revision is theirs.
    pub joined: u64,
    /// Their stays in topics.
    pub topics: BTreeMap<TopicId, Vec<Stay>>,
    /// Up to where all is read, and the inbox's revision at which that was said.
    pub read_upto: Option<(ReadUpto, u64)>,
    /// Entries that they treated by themselves, with the inbox's revision.
    pub treated: Vec<(u64, EntryChange)>,
    /// Their language.
    pub locale: Option<Locale>,
    /// What they want to hear of.
    pub preferences: Preferences,
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn entry(row: &timeline_entry::Model) -> Result<Entry, ArchiveError> {
    Ok(Entry {
        seq: unsigned(row.seq),
        rev: unsigned(row.rev),
        at: Timestamp::from_millis(row.written_at),
        gone: match row.gone.as_deref() {
            None => None,
            Some("recalled") => Some(Gone::Recalled),
            Some(_) => Some(Gone::Expired),
        },
        body: column::read("timeline_entries", &row.body)?,
    })
}

impl Archive {
    /// The entries of a timeline that were written at `since` or later, and the newest in any case.
    pub async fn load_timeline(&self, app: &AppId, since: Timestamp) -> Result<Vec<Entry>, ArchiveError> {
        use timeline_entry::Column;
        let of_app = timeline_entry::Entity::find().filter(Column::App.eq(app.as_str()));
        let mut rows =
            of_app.clone().filter(Column::WrittenAt.gte(since.as_millis())).order_by_asc(Column::Seq).all(&self.db).await?;
        if rows.is_empty() {
            rows.extend(of_app.order_by_desc(Column::Seq).one(&self.db).await?);
        }
        rows.iter().map(entry).collect()
    }

    /// What a person is to the timeline; `None` if they were never seen in an inbox. Of what they treated, entries written at
    /// `since` or later.
    pub async fn load_reader(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        since: Timestamp,
    ) -> Result<Option<ArchivedReader>, ArchiveError> {
        let key = (app.to_string(), recipient.to_string());
        let Some(row) = recipient::Entity::find_by_id(key.clone()).one(&self.db).await? else { return Ok(None) };
        let Some(joined) = row.joined else { return Ok(None) };
        let (_, profile) = recipients::profile(row)?;
        let read_upto = timeline_read::Entity::find_by_id(key)
            .one(&self.db)
            .await?
            .map(|row| (ReadUpto { seq: unsigned(row.seq), at: Timestamp::from_millis(row.read_at) }, unsigned(row.rev)));
        let oldest = timeline_entry::Entity::find()
            .select_only()
            .column_as(timeline_entry::Column::Seq.min(), "seq")
            .filter(timeline_entry::Column::App.eq(app.as_str()).and(timeline_entry::Column::WrittenAt.gte(since.as_millis())))
            .into_tuple::<Option<i64>>()
            .one(&self.db)
            .await?
            .flatten();
        let mut treated = Vec::new();
        if let Some(oldest) = oldest {
            use timeline_mark::Column;
            let of = Column::App.eq(app.as_str()).and(Column::Recipient.eq(recipient.as_str())).and(Column::Seq.gte(oldest));
            for row in timeline_mark::Entity::find().filter(of).all(&self.db).await? {
                let state = ItemState {
                    seen_at: row.seen_at.map(Timestamp::from_millis),
                    read_at: row.read_at.map(Timestamp::from_millis),
                    archived_at: row.archived_at.map(Timestamp::from_millis),
                };
                let notification = NotificationId::from_uuid(row.notification);
                let item = stentor_domain::event::ItemChange { notification, state };
                treated.push((unsigned(row.rev), EntryChange { seq: unsigned(row.seq), item }));
            }
        }
        Ok(Some(ArchivedReader {
            joined: unsigned(joined),
            topics: topics::stays_of(&self.db, app, recipient).await?,
            read_upto,
            treated,
            locale: profile.locale,
            preferences: profile.preferences,
        }))
    }

    /// Registers a recipient who was never seen before; one who is known stays as they are.
    pub async fn register_recipient(&self, app: &AppId, recipient: &RecipientId, joined: u64) -> Result<(), ArchiveError> {
        let patch = stentor_domain::ProfilePatch::default();
        recipients::upsert(&self.db, app, [(recipient, &patch, Timestamp::UNIX_EPOCH, Some(joined))]).await?;
        Ok(())
    }

    /// Registers those of several of whom nothing at all is on record, and gives them: to each of them belongs what is written to
    /// everyone after revision `joined`, and nothing else.
    pub async fn register_new(
        &self,
        app: &AppId,
        recipients: &[&RecipientId],
        joined: u64,
    ) -> Result<HashSet<RecipientId>, ArchiveError> {
        let new = recipients::unknown(&self.db, app, recipients).await?;
        let patch = stentor_domain::ProfilePatch::default();
        let rows = new.iter().map(|id| (*id, &patch, Timestamp::UNIX_EPOCH, Some(joined)));
        recipients::upsert(&self.db, app, rows).await?;
        // Somebody else may have registered one of them at the same time, or told their language.
        recipients::blank(&self.db, app, &new, joined).await
    }
}

/// Writes what a batch of events says of timelines.
pub(crate) async fn write(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    // Folded and in one order, so that no statement touches a row twice and two writers do not lock each other out.
    let mut entries: BTreeMap<(&AppId, u64), &Entry> = BTreeMap::new();
    let mut marks: BTreeMap<(&AppId, &RecipientId, u64), (u64, &EntryChange)> = BTreeMap::new();
    let mut reads: BTreeMap<(&AppId, &RecipientId), (ReadUpto, u64)> = BTreeMap::new();
    for e in events {
        match &e.kind {
            EventKind::TimelineEntry { entry } => {
                let place = entries.entry((&e.app, entry.seq)).or_insert(entry);
                if entry.rev > place.rev {
                    *place = entry;
                }
            }
            EventKind::TimelineMarked { recipient, rev, read_upto, entries } => {
                for change in entries {
                    let place = marks.entry((&e.app, recipient, change.seq)).or_insert((*rev, change));
                    if *rev > place.0 {
                        *place = (*rev, change);
                    }
                }
                if let Some(upto) = read_upto {
                    let place = reads.entry((&e.app, recipient)).or_insert((*upto, *rev));
                    if upto.seq > place.0.seq {
                        *place = (*upto, *rev);
                    }
                }
            }
            _ => {}
        }
    }
    write_entries(db, entries).await?;
    write_marks(db, marks).await?;
    write_reads(db, reads).await
}

async fn write_entries(db: &impl ConnectionTrait, entries: BTreeMap<(&AppId, u64), &Entry>) -> Result<(), DbErr> {
    use timeline_entry::Column;
    let row = |((app, _), e): ((&AppId, u64), &Entry)| timeline_entry::ActiveModel {
        app: Set(app.to_string()),
        seq: Set(signed(e.seq)),
        rev: Set(signed(e.rev)),
        notification: Set(e.body.id.as_uuid()),
        written_at: Set(e.at.as_millis()),
        gone: Set(e.gone.map(|gone| if gone == Gone::Recalled { "recalled".to_owned() } else { "expired".to_owned() })),
        body: Set(serde_json::to_string(&e.body).unwrap_or_default()),
        topic: Set(match &e.body.target {
            Target::Everyone => None,
            Target::Topic(topic) => Some(topic.to_string()),
        }),
    };
    let rows: Vec<_> = entries.into_iter().map(row).collect();
    let newer = OnConflict::columns([Column::App, Column::Seq])
        .update_columns([Column::Rev, Column::Gone, Column::Body])
        .action_and_where(Expr::cust("excluded.rev > timeline_entries.rev"))
        .to_owned();
    upsert(db, rows, newer).await
}

async fn write_marks(
    db: &impl ConnectionTrait,
    marks: BTreeMap<(&AppId, &RecipientId, u64), (u64, &EntryChange)>,
) -> Result<(), DbErr> {
    use timeline_mark::Column;
    let row = |((app, recipient, seq), (rev, change)): ((&AppId, &RecipientId, u64), (u64, &EntryChange))| {
        let state = change.item.state;
        timeline_mark::ActiveModel {
            app: Set(app.to_string()),
            recipient: Set(recipient.to_string()),
            seq: Set(signed(seq)),
            rev: Set(signed(rev)),
            notification: Set(change.item.notification.as_uuid()),
            seen_at: Set(state.seen_at.map(Timestamp::as_millis)),
            read_at: Set(state.read_at.map(Timestamp::as_millis)),
            archived_at: Set(state.archived_at.map(Timestamp::as_millis)),
        }
    };
    let rows: Vec<_> = marks.into_iter().map(row).collect();
    let newer = OnConflict::columns([Column::App, Column::Recipient, Column::Seq])
        .update_columns([Column::Rev, Column::SeenAt, Column::ReadAt, Column::ArchivedAt])
        .action_and_where(Expr::cust("excluded.rev > timeline_marks.rev"))
        .to_owned();
    upsert(db, rows, newer).await
}

async fn write_reads(db: &impl ConnectionTrait, reads: BTreeMap<(&AppId, &RecipientId), (ReadUpto, u64)>) -> Result<(), DbErr> {
    use timeline_read::Column;
    let row = |((app, recipient), (upto, rev)): ((&AppId, &RecipientId), (ReadUpto, u64))| timeline_read::ActiveModel {
        app: Set(app.to_string()),
        recipient: Set(recipient.to_string()),
        seq: Set(signed(upto.seq)),
        read_at: Set(upto.at.as_millis()),
        rev: Set(signed(rev)),
    };
    let rows: Vec<_> = reads.into_iter().map(row).collect();
    let newer = OnConflict::columns([Column::App, Column::Recipient])
        .update_columns([Column::Seq, Column::ReadAt, Column::Rev])
        .action_and_where(Expr::cust("excluded.seq > timeline_reads.seq"))
        .to_owned();
    upsert(db, rows, newer).await
}
