//! The batch writer: facts become rows.
//!
//! One transaction a batch. Rows are folded before they are written, so that no statement touches a row twice. If SQL
//! refuses a batch for what it holds, the batch is halved until the one bad event stands alone; that one is buried with
//! its error and the rest is written.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
    sea_query::{Expr, OnConflict},
};
use stentor_domain::{
    AppId, Event, EventKind, Notification, NotificationId, RecipientId, Timestamp,
    event::{DeliveryReport, ItemChange},
    item::ItemContent,
};
use uuid::Uuid;

use crate::{
    Archive, ArchiveError, activity,
    entities::{buried_event, content, delivery, dispatch, event, event_subject, inbox_item, notification},
    error::is_refused,
    insert::{insert_new, upsert},
    recipients, scheduled, suppressions, timeline,
};

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenEvents {
    /// Events that SQL refused, each with the error. They are kept in `buried_events`.
    pub buried: Vec<(Uuid, String)>,
}

impl Archive {
    /// Writes events. Those that were written before change nothing.
    ///
    /// An error means trouble of the moment: nothing can be said of the batch, and it is to be written again.
    pub async fn write_events(&self, events: &[Event]) -> Result<WrittenEvents, ArchiveError> {
        let mut written = WrittenEvents::default();
        let mut open = vec![events];
        while let Some(batch) = open.pop() {
            if batch.is_empty() {
                continue;
            }
            match self.write_batch(batch).await {
                Ok(()) => {}
                Err(error) if !is_refused(&error) => return Err(error.into()),
                Err(error) => match batch {
                    [one] => {
                        self.bury(one, &error).await?;
                        written.buried.push((one.id, error.to_string()));
                    }
                    many => {
                        let (first, second) = many.split_at(many.len() / 2);
                        open.push(second);
                        open.push(first); // the last pushed is written next: the order of events is kept
                    }
                },
            }
        }
        Ok(written)
    }

    async fn write_batch(&self, events: &[Event]) -> Result<(), DbErr> {
        // SQLite lets no reader become a writer after somebody else has written: this one begins as a writer.
        let at_once =
            TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
        let transaction = self.db.begin_with_options(at_once).await?;
        let new_reports = activity::new_reports(&transaction, events).await?;
        write_facts(&transaction, events).await?;
        write_notifications(&transaction, events).await?;
        scheduled::write(&transaction, events).await?;
        write_deliveries(&transaction, events).await?;
        write_items(&transaction, events).await?;
        timeline::write(&transaction, events).await?;
        write_profiles(&transaction, events).await?;
        suppressions::write(&transaction, events).await?;
        // Last, since every writer of a minute writes the same rows.
        activity::count(&transaction, events, new_reports).await?;
        transaction.commit().await
    }

    async fn bury(&self, event: &Event, error: &DbErr) -> Result<(), ArchiveError> {
        let clean = |text: String| text.replace('\0', "\u{fffd}"); // the very thing that SQL may have refused
        let row = buried_event::ActiveModel {
            id: Set(event.id),
            at: Set(event.at.as_millis()),
            error: Set(clean(error.to_string())),
            body: Set(clean(serde_json::to_string(event).unwrap_or_default())),
        };
        insert_new(&self.db, vec![row]).await?;
        Ok(())
    }
}

async fn write_facts(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    let row = |e: &Event| event::ActiveModel {
        id: Set(e.id),
        app: Set(e.app.to_string()),
        notification: Set(e.kind.notification().map(NotificationId::as_uuid)),
        at: Set(e.at.as_millis()),
        kind: Set(e.kind.name().to_owned()),
        body: Set(serde_json::to_string(e).unwrap_or_default()),
    };
    insert_new(db, events.iter().map(row).collect()).await?;
    let mut subjects = Vec::new();
    for e in events {
        let concerned: Vec<NotificationId> = match &e.kind {
            EventKind::ItemsChanged { items, .. } => items.iter().map(|item| item.notification).collect(),
            EventKind::TimelineMarked { entries, .. } => entries.iter().map(|entry| entry.item.notification).collect(),
            _ => continue,
        };
        subjects.extend(concerned.into_iter().map(|notification| event_subject::ActiveModel {
            app: Set(e.app.to_string()),
            notification: Set(notification.as_uuid()),
            event: Set(e.id),
        }));
    }
    insert_new(db, subjects).await
}

async fn write_notifications(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    let (mut accepted, mut dispatched, mut updated, mut recalled) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut contents: BTreeMap<(&AppId, NotificationId, &str), (i64, &ItemContent)> = BTreeMap::new();
    for e in events {
        match &e.kind {
            EventKind::Accepted { notification } => accepted.push(row_of(&e.app, notification)),
            EventKind::Updated { notification } => {
                // It may be told before its dispatch, which is under way, tells that it was accepted.
                accepted.push(row_of(&e.app, notification));
                updated.push((&e.app, notification));
            }
            EventKind::Dispatched { notification, deliveries, error } => dispatched.push(dispatch::ActiveModel {
                app: Set(e.app.to_string()),
                notification: Set(notification.as_uuid()),
                dispatched_at: Set(e.at.as_millis()),
                deliveries: Set(i32::try_from(*deliveries).unwrap_or(i32::MAX)),
                error: Set(error.clone()),
            }),
            EventKind::Content { notification, variant, content, version } => {
                let place = contents.entry((&e.app, *notification, variant)).or_insert((*version, content));
                if *version > place.0 {
                    *place = (*version, content);
                }
            }
            EventKind::Recalled { notification } => recalled.push((&e.app, *notification, e.at)),
            _ => {}
        }
    }
    insert_new(db, accepted).await?;
    insert_new(db, dispatched).await?;
    write_contents(db, contents).await?;
    for (app, n) in updated {
        use notification::Column;
        let older = Column::App.eq(app.as_str()).and(Column::Id.eq(n.id.as_uuid())).and(Column::Version.lt(n.version()));
        notification::Entity::update_many()
            .col_expr(Column::Body, Expr::value(serde_json::to_string(n).unwrap_or_default()))
            .col_expr(Column::Version, Expr::value(n.version()))
            .filter(older)
            .exec(db)
            .await?;
    }
    for (app, id, at) in recalled {
        use notification::Column;
        let first = Column::App.eq(app.as_str()).and(Column::Id.eq(id.as_uuid())).and(Column::RecalledAt.is_null());
        let update = notification::Entity::update_many().col_expr(Column::RecalledAt, Expr::value(at.as_millis()));
        update.filter(first).exec(db).await?;
    }
    Ok(())
}

fn row_of(app: &AppId, n: &Notification) -> notification::ActiveModel {
    notification::ActiveModel {
        app: Set(app.to_string()),
        id: Set(n.id.as_uuid()),
        accepted_at: Set(n.accepted_at.as_millis()),
        body: Set(serde_json::to_string(n).unwrap_or_default()),
        recalled_at: Set(None),
        version: Set(n.version()),
        template: Set(n.request.template.clone()),
        send_at: Set(n.request.send_at.map(Timestamp::as_millis)),
    }
}

async fn write_contents(
    db: &impl ConnectionTrait,
    contents: BTreeMap<(&AppId, NotificationId, &str), (i64, &ItemContent)>,
) -> Result<(), DbErr> {
    use content::Column;
    let row =
        |((app, id, variant), (version, content)): ((&AppId, NotificationId, &str), (i64, &ItemContent))| content::ActiveModel {
            app: Set(app.to_string()),
            notification: Set(id.as_uuid()),
            variant: Set(variant.to_owned()),
            body: Set(serde_json::to_string(content).unwrap_or_default()),
            version: Set(version),
        };
    let newer = OnConflict::columns([Column::App, Column::Notification, Column::Variant])
        .update_columns([Column::Body, Column::Version])
        .action_and_where(Expr::cust("excluded.version > contents.version"))
        .to_owned();
    upsert(db, contents.into_iter().map(row).collect(), newer).await
}

async fn write_deliveries(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    use delivery::Column;
    // In one order, so that two writers of the same rows wait for one another instead of locking each other out.
    let mut newest: BTreeMap<(&AppId, Uuid), (&DeliveryReport, Timestamp)> = BTreeMap::new();
    for e in events {
        let EventKind::Delivery(report) = &e.kind else { continue };
        let place = newest.entry((&e.app, report.delivery.as_uuid())).or_insert((report, e.at));
        if version(report) > version(place.0) {
            *place = (report, e.at);
        }
    }
    let row = |((app, id), (r, at)): ((&AppId, Uuid), (&DeliveryReport, Timestamp))| delivery::ActiveModel {
        app: Set(app.to_string()),
        id: Set(id),
        notification: Set(r.notification.as_uuid()),
        recipient: Set(r.recipient.to_string()),
        channel: Set(r.channel.as_str().to_owned()),
        state: Set(r.state.as_str().to_owned()),
        reason: Set(r.reason.clone()),
        attempts: Set(i32::try_from(r.attempt).unwrap_or(i32::MAX)),
        provider: Set(r.provider.clone()),
        provider_message_id: Set(r.provider_message_id.clone()),
        next_attempt_at: Set(r.next_attempt_at.map(Timestamp::as_millis)),
        updated_at: Set(at.as_millis()),
        version: Set(version(r)),
    };
    let newer = OnConflict::columns([Column::App, Column::Id])
        .update_columns([
            Column::State,
            Column::Reason,
            Column::Attempts,
            Column::NextAttemptAt,
            Column::UpdatedAt,
            Column::Version,
        ])
        // a later step that calls no provider (a receipt, say) does not forget who was called
        .value(Column::Provider, Expr::cust("COALESCE(excluded.provider, deliveries.provider)"))
        .value(Column::ProviderMessageId, Expr::cust("COALESCE(excluded.provider_message_id, deliveries.provider_message_id)"))
        .action_and_where(Expr::cust("excluded.version > deliveries.version"))
        .to_owned();
    upsert(db, newest.into_iter().map(row).collect(), newer).await
}

fn version(report: &DeliveryReport) -> i64 {
    i64::from(report.state.version(report.attempt))
}

async fn write_items(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    use inbox_item::Column;
    let mut written = Vec::new();
    let (mut recalled, mut updated) = (Vec::new(), Vec::new());
    let mut changed: BTreeMap<(&AppId, &RecipientId, Uuid), (u64, ItemChange)> = BTreeMap::new();
    for e in events {
        match &e.kind {
            EventKind::ItemWritten { recipient, card, seq, rev, variant } => written.push(inbox_item::ActiveModel {
                app: Set(e.app.to_string()),
                recipient: Set(recipient.to_string()),
                notification: Set(card.id.as_uuid()),
                seq: Set(i64::try_from(*seq).unwrap_or(i64::MAX)),
                rev: Set(i64::try_from(*rev).unwrap_or(i64::MAX)),
                variant: Set(variant.clone()),
                card: Set(serde_json::to_string(card).unwrap_or_default()),
                expires_at: Set(card.expires_at.map(Timestamp::as_millis)),
                seen_at: Set(None),
                read_at: Set(None),
                archived_at: Set(None),
                written_at: Set(e.at.as_millis()),
                recalled_at: Set(None),
            }),
            EventKind::ItemUpdated { recipient, card, variant, rev, version } => {
                updated.push((&e.app, recipient, card.id, *version, card, variant, *rev));
            }
            EventKind::ItemRecalled { recipient, notification, .. } => recalled.push((&e.app, recipient, *notification, e.at)),
            EventKind::ItemsChanged { recipient, rev, items } => {
                for item in items {
                    let place = changed.entry((&e.app, recipient, item.notification.as_uuid())).or_insert((*rev, *item));
                    if *rev > place.0 {
                        *place = (*rev, *item);
                    }
                }
            }
            _ => {}
        }
    }
    insert_new(db, written).await?;
    for ((app, recipient, id), (rev, item)) in changed {
        let rev = i64::try_from(rev).unwrap_or(i64::MAX);
        let millis = |at: Option<Timestamp>| Expr::value(at.map(Timestamp::as_millis));
        inbox_item::Entity::update_many()
            .col_expr(Column::Rev, Expr::value(rev))
            .col_expr(Column::SeenAt, millis(item.state.seen_at))
            .col_expr(Column::ReadAt, millis(item.state.read_at))
            .col_expr(Column::ArchivedAt, millis(item.state.archived_at))
            .filter(Column::App.eq(app.as_str()).and(Column::Recipient.eq(recipient.as_str())).and(Column::Notification.eq(id)))
            .filter(Column::Rev.lt(rev))
            .exec(db)
            .await?;
    }
    updated.sort_by_key(|(app, recipient, id, version, ..)| (*app, *recipient, *id, *version));
    for (app, recipient, id, _, card, variant, rev) in updated {
        let item = Column::App.eq(app.as_str()).and(Column::Recipient.eq(recipient.as_str()));
        let item = item.and(Column::Notification.eq(id.as_uuid()));
        inbox_item::Entity::update_many()
            .col_expr(Column::Card, Expr::value(serde_json::to_string(card).unwrap_or_default()))
            .col_expr(Column::Variant, Expr::value(variant.clone()))
            .col_expr(Column::ExpiresAt, Expr::value(card.expires_at.map(Timestamp::as_millis)))
            .filter(item.clone())
            .exec(db)
            .await?;
        if let Some(rev) = rev.and_then(|rev| i64::try_from(rev).ok()) {
            // What the person did meanwhile may have gone further.
            let update = inbox_item::Entity::update_many().col_expr(Column::Rev, Expr::value(rev));
            update.filter(item.and(Column::Rev.lt(rev))).exec(db).await?;
        }
    }
    recalled.sort_by_key(|(app, recipient, id, _)| (*app, *recipient, *id));
    for (app, recipient, id, at) in recalled {
        let item = Column::App.eq(app.as_str()).and(Column::Recipient.eq(recipient.as_str()));
        inbox_item::Entity::update_many()
            .col_expr(Column::RecalledAt, Expr::value(at.as_millis()))
            .filter(item.and(Column::Notification.eq(id.as_uuid())))
            .exec(db)
            .await?;
    }
    Ok(())
}

async fn write_profiles(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    let mut by_app: BTreeMap<&AppId, Vec<_>> = BTreeMap::new();
    for e in events {
        if let EventKind::RecipientUpserted { recipient, patch, joined } = &e.kind {
            by_app.entry(&e.app).or_default().push((recipient, &**patch, e.at, *joined));
        }
    }
    for (app, patches) in by_app {
        recipients::upsert(db, app, patches).await?;
    }
    Ok(())
}
