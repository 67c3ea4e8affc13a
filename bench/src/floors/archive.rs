//! An archive with nothing but what must be: the same rows, made before, by `insert_many` of 500, one transaction a batch.

use std::time::{Duration, Instant};

use sea_orm::{ActiveValue::Set, ConnectOptions, Database, EntityTrait, TransactionTrait};
use serde_json::{Value, json};
use stentor_domain::{Event, EventKind};

use crate::parts::archive::BATCH;

mod events {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "events")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) app: String,
        pub(crate) notification: Option<Uuid>,
        pub(crate) at: i64,
        pub(crate) kind: String,
        pub(crate) body: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod items {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "inbox_items")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) app: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) recipient: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) notification: Uuid,
        pub(crate) seq: i64,
        pub(crate) rev: i64,
        pub(crate) variant: String,
        pub(crate) card: String,
        pub(crate) written_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Writes the rows of these events to the database at `url`, whose schema is there.
pub(crate) async fn write(url: &str, all: &[Event]) -> Value {
    let patience = Duration::from_secs(5);
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(1);
    if url.starts_with("sqlite:") {
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite.pragma("journal_mode", "WAL").pragma("synchronous", "NORMAL").busy_timeout(patience)
        });
    }
    let db = Database::connect(options).await.expect("the database answers");
    let batches: Vec<_> = all.chunks(BATCH).map(rows).collect();
    let begun = Instant::now();
    for (facts, written) in batches {
        let transaction = db.begin().await.expect("a transaction");
        events::Entity::insert_many(facts).exec_without_returning(&transaction).await.expect("facts are written");
        items::Entity::insert_many(written).exec_without_returning(&transaction).await.expect("items are written");
        transaction.commit().await.expect("it is committed");
    }
    json!({ "per_second": (2 * all.len()) as f64 / begun.elapsed().as_secs_f64() })
}

fn rows(all: &[Event]) -> (Vec<events::ActiveModel>, Vec<items::ActiveModel>) {
    let fact = |event: &Event| events::ActiveModel {
        id: Set(event.id),
        app: Set(event.app.to_string()),
        notification: Set(event.kind.notification().map(stentor_domain::NotificationId::as_uuid)),
        at: Set(event.at.as_millis()),
        kind: Set(event.kind.name().to_owned()),
        body: Set(serde_json::to_string(event).expect("plain values")),
    };
    let item = |event: &Event| {
        let EventKind::ItemWritten { recipient, card, seq, rev, variant } = &event.kind else { return None };
        Some(items::ActiveModel {
            app: Set(event.app.to_string()),
            recipient: Set(recipient.to_string()),
            notification: Set(card.id.as_uuid()),
            seq: Set(*seq as i64),
            rev: Set(*rev as i64),
            variant: Set(variant.clone()),
            card: Set(serde_json::to_string(card).expect("plain values")),
            written_at: Set(event.at.as_millis()),
        })
    };
    (all.iter().map(fact).collect(), all.iter().filter_map(item).collect())
}
