//! The first schema: apps and keys, recipients, and the archive.
//!
//! | table | holds |
//! | --- | --- |
//! | `apps` | who sends; the secret that signs inbox tokens |
//! | `api_keys` | app keys, the secret only as SHA-256 |
//! | `recipients` | profiles; each field with the time of the request that set it, so that the newest wins |
//! | `notifications` | accepted requests |
//! | `deliveries` | each delivery's latest state, guarded by a version |
//! | `events` | every fact, whole; insert-only |
//! | `event_subjects` | which notifications an event concerns that concerns several |
//! | `contents` | rendered content, once per notification and variant |
//! | `inbox_items` | inbox items with what the recipient did, guarded by a revision |
//! | `buried_events` | events that could not be written, with the error |

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, binary, integer, string, string_len, string_null, text, text_null, uuid, uuid_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

pub(crate) fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).if_not_exists().to_owned()
}

pub(crate) fn time(name: &'static str) -> ColumnDef {
    big_integer(name)
}

pub(crate) fn time_null(name: &'static str) -> ColumnDef {
    big_integer_null(name)
}

pub(crate) fn key(columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    for column in columns {
        index.col(*column);
    }
    index.primary().to_owned()
}

pub(crate) fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).if_not_exists().to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            table("apps")
                .col(string_len("id", 64).primary_key())
                .col(string("name"))
                .col(binary("inbox_secret"))
                .col(time("created_at"))
                .to_owned(),
            table("api_keys")
                .col(string_len("id", 64).primary_key())
                .col(string_len("app", 64))
                .col(string("name"))
                .col(binary("secret_sha256"))
                .col(text("scopes"))
                .col(time("created_at"))
                .col(time_null("revoked_at"))
                .to_owned(),
            table("recipients")
                .col(string_len("app", 64))
                .col(string_len("id", 128))
                .col(string_null("email"))
                .col(time("email_at").default(0))
                .col(string_null("phone"))
                .col(time("phone_at").default(0))
                .col(string_null("locale"))
                .col(time("locale_at").default(0))
                .col(string_null("timezone"))
                .col(time("timezone_at").default(0))
                .col(text_null("attributes"))
                .col(time("attributes_at").default(0))
                .col(text_null("preferences"))
                .col(time("preferences_at").default(0))
                .primary_key(&mut key(&["app", "id"]))
                .to_owned(),
            table("notifications")
                .col(string_len("app", 64))
                .col(uuid("id"))
                .col(time("accepted_at"))
                .col(text("body"))
                .primary_key(&mut key(&["app", "id"]))
                .to_owned(),
            // Apart from its notification, so that either fact may come first.
            table("dispatches")
                .col(string_len("app", 64))
                .col(uuid("notification"))
                .col(time("dispatched_at"))
                .col(integer("deliveries"))
                .col(text_null("error"))
                .primary_key(&mut key(&["app", "notification"]))
                .to_owned(),
            table("deliveries")
                .col(string_len("app", 64))
                .col(uuid("id"))
                .col(uuid("notification"))
                .col(string_len("recipient", 128))
                .col(string_len("channel", 16))
                .col(string_len("state", 16))
                .col(text_null("reason"))
                .col(integer("attempts"))
                .col(string_null("provider"))
                .col(text_null("provider_message_id"))
                .col(time_null("next_attempt_at"))
                .col(time("updated_at"))
                .col(big_integer("version"))
                .primary_key(&mut key(&["app", "id"]))
                .to_owned(),
            table("events")
                .col(uuid("id").primary_key())
                .col(string_len("app", 64))
                .col(uuid_null("notification"))
                .col(time("at"))
                .col(string_len("kind", 32))
                .col(text("body"))
                .to_owned(),
            table("event_subjects")
                .col(string_len("app", 64))
                .col(uuid("notification"))
                .col(uuid("event"))
                .primary_key(&mut key(&["app", "notification", "event"]))
                .to_owned(),
            table("contents")
                .col(string_len("app", 64))
                .col(uuid("notification"))
                .col(string_len("variant", 255))
                .col(text("body"))
                .primary_key(&mut key(&["app", "notification", "variant"]))
                .to_owned(),
            table("inbox_items")
                .col(string_len("app", 64))
                .col(string_len("recipient", 128))
                .col(uuid("notification"))
                .col(big_integer("seq"))
                .col(big_integer("rev"))
                .col(string_len("variant", 255))
                .col(text("card"))
                .col(time_null("expires_at"))
                .col(time_null("seen_at"))
                .col(time_null("read_at"))
                .col(time_null("archived_at"))
                .primary_key(&mut key(&["app", "recipient", "notification"]))
                .to_owned(),
            table("buried_events").col(uuid("id").primary_key()).col(time("at")).col(text("error")).col(text("body")).to_owned(),
        ];
        for table in tables {
            manager.create_table(table).await?;
        }
        let indexes = [
            index("api_keys_app", "api_keys", &["app", "id"]),
            index("deliveries_notification", "deliveries", &["app", "notification", "id"]),
            index("events_notification", "events", &["app", "notification", "at"]),
            index("inbox_items_seq", "inbox_items", &["app", "recipient", "seq"]),
        ];
        for index in indexes {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            "buried_events",
            "inbox_items",
            "contents",
            "event_subjects",
            "events",
            "deliveries",
            "dispatches",
            "notifications",
            "recipients",
            "api_keys",
            "apps",
        ];
        for table in tables {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}
