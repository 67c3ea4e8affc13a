//! Topics: named groups of recipients, and who was in them when.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Asterisk, Expr, OnConflict, Query},
};
use stentor_domain::{AppId, RecipientId, Timestamp, TopicId};

use crate::{
    Archive, ArchiveError,
    entities::{topic, topic_member},
    insert::insert_new,
};

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// What it is called among people.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A time in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Entries of the timeline after this revision are theirs.
    pub joined: u64,
    /// Up to this one; `None`: they are still a member.
    pub left: Option<u64>,
}

fn read_topic(row: topic::Model) -> Result<Topic, ArchiveError> {
    let id = row.id.parse().map_err(|e| ArchiveError::unreadable("topics", e))?;
    Ok(Topic { id, name: row.name, created_at: Timestamp::from_millis(row.created_at) })
}

fn read_stay(row: &topic_member::Model) -> Stay {
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    Stay { joined: number(row.joined), left: row.left.map(number) }
}

fn recipient(text: &str) -> Result<RecipientId, ArchiveError> {
    text.parse().map_err(|e| ArchiveError::unreadable("topic_members", e))
}

/// The stays of a recipient, by topic.
pub(crate) async fn stays_of(
    db: &impl ConnectionTrait,
    app: &AppId,
    recipient: &RecipientId,
) -> Result<BTreeMap<TopicId, Vec<Stay>>, ArchiveError> {
    use topic_member::Column;
    let of = Column::App.eq(app.as_str()).and(Column::Recipient.eq(recipient.as_str()));
    let rows = topic_member::Entity::find().filter(of).order_by_asc(Column::Topic).order_by_asc(Column::Stay).all(db).await?;
    let mut stays: BTreeMap<TopicId, Vec<Stay>> = BTreeMap::new();
    for row in rows {
        let topic = row.topic.parse().map_err(|e| ArchiveError::unreadable("topic_members", e))?;
        stays.entry(topic).or_default().push(read_stay(&row));
    }
    Ok(stays)
}

impl Archive {
    /// Makes a topic or names it anew; `None` keeps the name that it has.
    pub async fn put_topic(&self, app: &AppId, id: &TopicId, name: Option<&str>, at: Timestamp) -> Result<Topic, ArchiveError> {
        let row = topic::ActiveModel {
            app: Set(app.to_string()),
            id: Set(id.to_string()),
            name: Set(name.map(str::to_owned)),
            created_at: Set(at.as_millis()),
        };
        let renamed = OnConflict::columns([topic::Column::App, topic::Column::Id])
            .value(topic::Column::Name, Expr::cust("COALESCE(excluded.name, topics.name)"))
            .to_owned();
        topic::Entity::insert(row).on_conflict(renamed).exec_without_returning(&self.db).await?;
        let row = topic::Entity::find_by_id((app.to_string(), id.to_string())).one(&self.db).await?;
        row.map_or_else(|| Ok(Topic { id: id.clone(), name: name.map(str::to_owned), created_at: at }), read_topic)
    }

    /// A topic.
    pub async fn find_topic(&self, app: &AppId, id: &TopicId) -> Result<Option<Topic>, ArchiveError> {
        topic::Entity::find_by_id((app.to_string(), id.to_string())).one(&self.db).await?.map(read_topic).transpose()
    }

    /// Topics by id, those after `after`.
    pub async fn list_topics(&self, app: &AppId, after: Option<&TopicId>, limit: usize) -> Result<Vec<Topic>, ArchiveError> {
        let mut rows = topic::Entity::find().filter(topic::Column::App.eq(app.as_str()));
        if let Some(after) = after {
            rows = rows.filter(topic::Column::Id.gt(after.as_str()));
        }
        let rows = rows.order_by_asc(topic::Column::Id).limit(limit as u64).all(&self.db).await?;
        rows.into_iter().map(read_topic).collect()
    }

    /// Removes a topic. Its members must have left before; their stays remain, since what they were written stays theirs.
    pub async fn delete_topic(&self, app: &AppId, id: &TopicId) -> Result<bool, ArchiveError> {
        let deleted = topic::Entity::delete_by_id((app.to_string(), id.to_string())).exec(&self.db).await?;
        Ok(deleted.rows_affected > 0)
    }

    /// How many members a topic has.
    pub async fn count_members(&self, app: &AppId, topic: &TopicId) -> Result<u64, ArchiveError> {
        use topic_member::Column;
        let of = Column::App.eq(app.as_str()).and(Column::Topic.eq(topic.as_str())).and(Column::Left.is_null());
        Ok(topic_member::Entity::find().filter(of).count(&self.db).await?)
    }

    /// How many members a topic has, counted up to `most`: for who looks at many.
    pub async fn count_members_up_to(&self, app: &AppId, topic: &TopicId, most: u64) -> Result<u64, ArchiveError> {
        use topic_member::Column;
        let of = Column::App.eq(app.as_str()).and(Column::Topic.eq(topic.as_str())).and(Column::Left.is_null());
        let few = topic_member::Entity::find().select_only().column(Column::Recipient).filter(of).limit(most).into_query();
        let count = Query::select().expr(Expr::col(Asterisk).count()).from_subquery(few, "few").to_owned();
        let row = self.db.query_one(&count).await?;
        let n: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Members of a topic by id, those after `after`.
    pub async fn list_members(
        &self,
        app: &AppId,
        topic: &TopicId,
        after: Option<&RecipientId>,
        limit: usize,
    ) -> Result<Vec<RecipientId>, ArchiveError> {
        use topic_member::Column;
        let of = Column::App.eq(app.as_str()).and(Column::Topic.eq(topic.as_str())).and(Column::Left.is_null());
        let mut rows = topic_member::Entity::find().select_only().column(Column::Recipient).distinct().filter(of);
        if let Some(after) = after {
            rows = rows.filter(Column::Recipient.gt(after.as_str()));
        }
        let rows = rows.order_by_asc(Column::Recipient).limit(limit as u64).into_tuple::<String>().all(&self.db).await?;
        rows.iter().map(|id| recipient(id)).collect()
    }

    /// The topics that a recipient is a member of, by id, those after `after`.
    pub async fn list_topics_of(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        after: Option<&TopicId>,
        limit: usize,
    ) -> Result<Vec<TopicId>, ArchiveError> {
        use topic_member::Column;
        let of = Column::App.eq(app.as_str()).and(Column::Recipient.eq(recipient.as_str())).and(Column::Left.is_null());
        let mut rows = topic_member::Entity::find().select_only().column(Column::Topic).distinct().filter(of);
        if let Some(after) = after {
            rows = rows.filter(Column::Topic.gt(after.as_str()));
        }
        let rows = rows.order_by_asc(Column::Topic).limit(limit as u64).into_tuple::<String>().all(&self.db).await?;
        rows.iter().map(|id| id.parse().map_err(|e| ArchiveError::unreadable("topic_members", e))).collect()
    }

    /// Makes recipients members of a topic from revision `now` of the timeline on, or ends that they are. Who is already, or is not,
    /// stays so. Gives all their stays in the topic.
    pub async fn set_members(
        &self,
        app: &AppId,
        topic: &TopicId,
        recipients: &[RecipientId],
        member: bool,
        now: u64,
    ) -> Result<HashMap<RecipientId, Vec<Stay>>, ArchiveError> {
        use topic_member::Column;
        let ids = || recipients.iter().map(RecipientId::as_str);
        let of = || Column::App.eq(app.as_str()).and(Column::Topic.eq(topic.as_str())).and(Column::Recipient.is_in(ids()));
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let transaction = self.db.begin().await?;
        // A write first: two who change the same topic take turns, and SQLite, which does not let a reader become a writer after
        // somebody else has written, waits here.
        let touch = topic::Entity::update_many().col_expr(topic::Column::Id, Expr::value(topic.as_str()));
        let of_topic = topic::Column::App.eq(app.as_str()).and(topic::Column::Id.eq(topic.as_str()));
        touch.filter(of_topic).exec(&transaction).await?;
        if member {
            let mut next: BTreeMap<&str, (i32, bool)> = ids().map(|id| (id, (0, false))).collect();
            let rows = topic_member::Entity::find().filter(of()).all(&transaction).await?;
            for row in &rows {
                if let Some((stay, open)) = next.get_mut(row.recipient.as_str()) {
                    *stay = Ord::max(*stay, row.stay + 1);
                    *open |= row.left.is_none();
                }
            }
            let row = |(id, (stay, _)): (&str, (i32, bool))| topic_member::ActiveModel {
                app: Set(app.to_string()),
                topic: Set(topic.to_string()),
                recipient: Set(id.to_owned()),
                stay: Set(stay),
                joined: Set(now),
                left: Set(None),
            };
            // Of two who make the same person a member at once, one wins.
            insert_new(&transaction, next.into_iter().filter(|(_, (_, open))| !open).map(row).collect()).await?;
        } else {
            let end = topic_member::Entity::update_many().col_expr(Column::Left, Expr::value(now));
            end.filter(of().and(Column::Left.is_null())).exec(&transaction).await?;
        }
        let rows = topic_member::Entity::find().filter(of()).order_by_asc(Column::Stay).all(&transaction).await?;
        transaction.commit().await?;
        let mut stays: HashMap<RecipientId, Vec<Stay>> = HashMap::new();
        for row in &rows {
            stays.entry(recipient(&row.recipient)?).or_default().push(read_stay(row));
        }
        Ok(stays)
    }
}
