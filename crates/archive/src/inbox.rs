//! Inboxes on record: older pages, and what is needed to rebuild one that Redis lost.

use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use stentor_domain::{AppId, CardText, Item, ItemState, NotificationId, RecipientId, Timestamp, item::Folder};

use crate::{Archive, ArchiveError, entities::inbox_item, items::UNWRITTEN};

/// How many items a rebuilt inbox begins with.
const NEWEST: u64 = 128;
/// The most unread items that are read back: an inbox beyond it has other troubles.
const MAX_UNREAD: u64 = 100_000;

/// An item on record.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchivedItem {
    /// The item.
    pub item: Item,
    /// Its place in the inbox.
    pub seq: u64,
    /// Which content belongs to it.
    pub variant: String,
    /// When it was written.
    pub at: Timestamp,
}

/// An unread item on record.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
struct UnreadRow {
    seq: i64,
    notification: uuid::Uuid,
    expires_at: Option<i64>,
}

/// An unread item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedUnread {
    /// Its place.
    pub seq: u64,
    /// The item.
    pub id: NotificationId,
    /// When it leaves the inbox.
    pub expires_at: Option<Timestamp>,
}

/// What is needed to rebuild an inbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArchivedInbox {
    /// The highest seq on record.
    pub max_seq: Option<u64>,
    /// The newest 128 items, archived ones among them, expired ones not; newest first.
    pub items: Vec<ArchivedItem>,
    /// Everything unread.
    pub unread: Vec<ArchivedUnread>,
}

fn read(row: inbox_item::Model) -> Result<ArchivedItem, ArchiveError> {
    let card = CardText::kept(&row.card).ok_or_else(|| ArchiveError::unreadable("inbox_items", "a card that is no object"))?;
    let state = ItemState {
        seen_at: row.seen_at.map(Timestamp::from_millis),
        read_at: row.read_at.map(Timestamp::from_millis),
        archived_at: row.archived_at.map(Timestamp::from_millis),
    };
    let item = Item { id: NotificationId::from_uuid(row.notification), card, state, rev: u64::try_from(row.rev).unwrap_or(0) };
    let at = Timestamp::from_millis(row.written_at);
    Ok(ArchivedItem { item, seq: u64::try_from(row.seq).unwrap_or(0), variant: row.variant, at })
}

fn of(app: &AppId, recipient: &RecipientId) -> Condition {
    let theirs = inbox_item::Column::App.eq(app.as_str()).and(inbox_item::Column::Recipient.eq(recipient.as_str()));
    Condition::all().add(theirs).add(inbox_item::Column::Seq.gt(UNWRITTEN))
}

fn alive(now: Timestamp) -> Condition {
    let unexpired =
        Condition::any().add(inbox_item::Column::ExpiresAt.is_null()).add(inbox_item::Column::ExpiresAt.gt(now.as_millis()));
    Condition::all().add(inbox_item::Column::RecalledAt.is_null()).add(unexpired)
}

impl Archive {
    /// Items of `folder` below `before_seq` (or from the newest), newest first, without expired ones.
    pub async fn inbox_page(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        folder: Folder,
        before_seq: Option<u64>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<ArchivedItem>, ArchiveError> {
        let there = match folder {
            Folder::Inbox => inbox_item::Column::ArchivedAt.is_null(),
            Folder::Archived => inbox_item::Column::ArchivedAt.is_not_null(),
        };
        let mut rows = inbox_item::Entity::find().filter(of(app, recipient)).filter(alive(now)).filter(there);
        if let Some(seq) = before_seq {
            rows = rows.filter(inbox_item::Column::Seq.lt(i64::try_from(seq).unwrap_or(i64::MAX)));
        }
        let rows = rows.order_by_desc(inbox_item::Column::Seq).limit(limit as u64).all(&self.db).await?;
        rows.into_iter().map(read).collect()
    }

    /// What is needed to rebuild an inbox that is not in Redis.
    pub async fn load_inbox(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<ArchivedInbox, ArchiveError> {
        let newest = inbox_item::Entity::find().filter(of(app, recipient)).order_by_desc(inbox_item::Column::Seq);
        let Some(highest) = newest.clone().one(&self.db).await? else { return Ok(ArchivedInbox::default()) };
        let items = newest.filter(alive(now)).limit(NEWEST).all(&self.db).await?;
        let unread = inbox_item::Entity::find()
            .select_only()
            .column(inbox_item::Column::Seq)
            .column(inbox_item::Column::Notification)
            .column(inbox_item::Column::ExpiresAt)
            .filter(of(app, recipient))
            .filter(alive(now))
            .filter(inbox_item::Column::ReadAt.is_null().and(inbox_item::Column::ArchivedAt.is_null()))
            .order_by_desc(inbox_item::Column::Seq)
            .limit(MAX_UNREAD);
        let unread = unread.into_model::<UnreadRow>().all(&self.db).await?;
        let unread = unread.into_iter().map(|row| ArchivedUnread {
            seq: u64::try_from(row.seq).unwrap_or(0),
            id: NotificationId::from_uuid(row.notification),
            expires_at: row.expires_at.map(Timestamp::from_millis),
        });
        Ok(ArchivedInbox {
            max_seq: u64::try_from(highest.seq).ok(),
            items: items.into_iter().map(read).collect::<Result<_, _>>()?,
            unread: unread.collect(),
        })
    }

    /// Those of `ids` that are on record, in no order.
    pub async fn find_items(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        ids: &[NotificationId],
    ) -> Result<Vec<ArchivedItem>, ArchiveError> {
        let ids = ids.iter().map(|id| id.as_uuid());
        let rows = inbox_item::Entity::find().filter(of(app, recipient)).filter(inbox_item::Column::Notification.is_in(ids));
        let rows = rows.filter(inbox_item::Column::RecalledAt.is_null());
        rows.all(&self.db).await?.into_iter().map(read).collect()
    }
}
