//! The batch writer: facts become rows.
//!
//! One transaction a batch. Rows are folded before they are written, so that no statement touches a row twice. If SQL
//! refuses a batch for what it holds, the batch is halved until the one bad event stands alone; that one is buried with
//! its error and the rest is written.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DbErr, SqliteTransactionMode, TransactionOptions,
    sea_query::{Expr, OnConflict},
};
use stentor_domain::{
    AppId, Event, EventKind, Notification, NotificationId, Timestamp, event::DeliveryReport, item::ItemContent,
};
use uuid::Uuid;

use crate::{
    Archive, ArchiveError, activity,
    entities::{buried_event, content, delivery, dispatch, event, event_subject, notification},
    error::is_refused,
    insert::{insert_new, take_if, upsert},
    items,
    notifications::UNTOLD,
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
        self.write_read_events(events, &[]).await
    }

    /// The same of events that were read: the JSON that each was read from, in its place of `read_from`, goes on record as it is.
    pub async fn write_read_events(&self, events: &[Event], read_from: &[&str]) -> Result<WrittenEvents, ArchiveError> {
        let mut written = WrittenEvents::default();
        let mut open = vec![(0, events.len())];
        while let Some((from, to)) = open.pop() {
            let batch = &events[from..to];
            if batch.is_empty() {
                continue;
            }
            match self.write_batch(batch, read_from.get(from..to).unwrap_or_default()).await {
                Ok(()) => {}
                Err(error) if !is_refused(&error) => return Err(error.into()),
                Err(error) => match batch {
                    [one] => {
                        self.bury(one, &error).await?;
                        written.buried.push((one.id, error.to_string()));
                    }
                    many => {
                        let middle = from + many.len() / 2;
                        open.push((middle, to));
                        open.push((from, middle)); // the last pushed is written next: the order of events is kept
                    }
                },
            }
        }
        Ok(written)
    }

    async fn write_batch(&self, events: &[Event], read_from: &[&str]) -> Result<(), DbErr> {
        // SQLite lets no reader become a writer after somebody else has written: this one begins as a writer.
        let at_once =
            TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
        let transaction = self.db.begin_with_options(at_once).await?;
        let new_reports = activity::new_reports(&transaction, events).await?;
        write_facts(&transaction, events, read_from).await?;
        write_notifications(&transaction, events).await?;
        scheduled::write(&transaction, events).await?;
        write_deliveries(&transaction, events).await?;
        items::write(&transaction, events).await?;
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

async fn write_facts(db: &impl ConnectionTrait, events: &[Event], read_from: &[&str]) -> Result<(), DbErr> {
    let json = |n: usize, e: &Event| match read_from.get(n) {
        Some(text) => (*text).to_owned(),
        None => serde_json::to_string(e).unwrap_or_default(),
    };
    let row = |(n, e): (usize, &Event)| event::ActiveModel {
        id: Set(e.id),
        app: Set(e.app.to_string()),
        notification: Set(e.kind.notification().map(NotificationId::as_uuid)),
        at: Set(e.at.as_millis()),
        kind: Set(e.kind.name().to_owned()),
        body: Set(json(n, e)),
    };
    insert_new(db, events.iter().enumerate().map(row).collect()).await?;
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
    let mut dispatched = Vec::new();
    // In one order, so that two writers of the same rows wait for one another instead of locking each other out.
    let mut told: BTreeMap<(&AppId, NotificationId), Told<'_>> = BTreeMap::new();
    let mut contents: BTreeMap<(&AppId, NotificationId, &str), (i64, &ItemContent)> = BTreeMap::new();
    for e in events {
        match &e.kind {
            // An update may be told before its dispatch, which is under way, tells that it was accepted.
            EventKind::Accepted { notification } | EventKind::Updated { notification } => {
                let newest = &mut told.entry((&e.app, notification.id)).or_default().newest;
                if newest.is_none_or(|known| notification.version() > known.version()) {
                    *newest = Some(notification);
                }
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
            EventKind::Recalled { notification } => {
                told.entry((&e.app, *notification)).or_default().recalled_at.get_or_insert(e.at);
            }
            _ => {}
        }
    }
    write_told(db, told).await?;
    insert_new(db, dispatched).await?;
    write_contents(db, contents).await
}

/// What a batch says of a notification.
#[derive(Default)]
struct Told<'a> {
    /// As it was said last.
    newest: Option<&'a Notification>,
    recalled_at: Option<Timestamp>,
}

/// Whichever fact comes first makes the row: an update of a row would find none that another writer has not committed yet.
async fn write_told(db: &impl ConnectionTrait, told: BTreeMap<(&AppId, NotificationId), Told<'_>>) -> Result<(), DbErr> {
    use notification::Column;
    const NEWER: &str = "excluded.version > notifications.version";
    let row = |((app, id), Told { newest, recalled_at }): ((&AppId, NotificationId), Told<'_>)| notification::ActiveModel {
        app: Set(app.to_string()),
        id: Set(id.as_uuid()),
        accepted_at: Set(newest.map_or(id.accepted_at(), |n| n.accepted_at).as_millis()),
        body: Set(newest.and_then(|n| serde_json::to_string(n).ok()).unwrap_or_default()),
        recalled_at: Set(recalled_at.map(Timestamp::as_millis)),
        version: Set(newest.map_or(UNTOLD, Notification::version)),
        template: Set(newest.and_then(|n| n.request.template.clone())),
        send_at: Set(newest.and_then(|n| n.request.send_at).map(Timestamp::as_millis)),
    };
    let mut known = OnConflict::columns([Column::App, Column::Id]);
    for column in [Column::AcceptedAt, Column::Body, Column::Template, Column::SendAt, Column::Version] {
        known.value(column, take_if(NEWER, column));
    }
    known.value(Column::RecalledAt, Expr::cust("COALESCE(notifications.recalled_at, excluded.recalled_at)"));
    let recalled = "excluded.recalled_at IS NOT NULL AND notifications.recalled_at IS NULL";
    known.action_and_where(Expr::cust(format!("({NEWER}) OR ({recalled})")));
    upsert(db, told.into_iter().map(row).collect(), known).await
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
