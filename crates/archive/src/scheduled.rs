//! For whom a notification is that is to be sent later. Its deliveries will tell it; before its time nothing else does.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use stentor_domain::{AppId, Audience, DeliveryState, Event, EventKind, RecipientId, Timestamp};
use uuid::Uuid;

use crate::{
    Archive, ArchiveError, NotificationFilter,
    entities::{
        notification,
        scheduled::{self, Column},
    },
    insert::insert_new,
    walks::{Walked, within},
};

/// The most topics of a person that are looked at.
const TOPICS: usize = 10_000;
/// What stands for everyone.
const EVERYONE: &str = "*";

fn named(recipient: &RecipientId) -> String {
    format!("r:{recipient}")
}

/// Writes for whom accepted notifications are that have a time of their own; called by the writer of events.
pub(crate) async fn write(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    let mut rows = Vec::new();
    for e in events {
        let EventKind::Accepted { notification } = &e.kind else { continue };
        let Some(send_at) = notification.request.send_at else { continue };
        let audiences = match &notification.request.audience {
            Audience::Recipients(all) => all.iter().map(|r| named(&r.id)).collect(),
            Audience::Topic(topic) => vec![format!("t:{topic}")],
            Audience::Everyone => vec![EVERYONE.to_owned()],
        };
        rows.extend(audiences.into_iter().map(|audience| scheduled::ActiveModel {
            app: Set(e.app.to_string()),
            audience: Set(audience),
            notification: Set(notification.id.as_uuid()),
            send_at: Set(send_at.as_millis()),
        }));
    }
    insert_new(db, rows).await
}

impl Archive {
    /// Goes down what is to be sent to `recipient` after `now`. What names them is found a while longer: its dispatch may be late,
    /// or fail.
    pub(crate) async fn walk_scheduled(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        (recipient, now): (&RecipientId, Timestamp),
        below: Option<Uuid>,
        limit: usize,
    ) -> Result<Walked, ArchiveError> {
        let topics = self.list_topics_of(app, recipient, None, TOPICS).await?;
        let many = topics.iter().map(|topic| format!("t:{topic}")).chain([EVERYONE.to_owned()]);
        let waits = Column::SendAt.gt(now.as_millis());
        let with_many = Condition::all().add(Column::Audience.is_in(many)).add(waits.clone());
        let theirs = Condition::any().add(Column::Audience.eq(named(recipient))).add(with_many);
        let mut of = Condition::all().add(Column::App.eq(app.as_str())).add(theirs);
        of = of.add(within(Column::Notification, filter, below));
        if filter.states == [DeliveryState::Scheduled] {
            use notification::Column as Of;
            let recalled = notification::Entity::find().select_only().column(Of::Id);
            let recalled =
                recalled.filter(Of::App.eq(app.as_str()).and(Of::SendAt.gt(now.as_millis())).and(Of::RecalledAt.is_not_null()));
            of = of.add(waits).add(Column::Notification.not_in_subquery(recalled.into_query()));
        }
        let rows = scheduled::Entity::find().select_only().column(Column::Notification).distinct().filter(of);
        let rows = rows.order_by_desc(Column::Notification).limit(limit as u64);
        Ok(Walked::of(rows.into_tuple::<Uuid>().all(&self.db).await?, limit))
    }

    /// Forgets for whom was what had its time before `before`. Returns how many rows went.
    pub async fn trim_scheduled(&self, before: Timestamp) -> Result<u64, ArchiveError> {
        let old = Column::SendAt.lt(before.as_millis());
        self.forget(async |db| Ok(scheduled::Entity::delete_many().filter(old).exec(db).await?.rows_affected)).await
    }
}
