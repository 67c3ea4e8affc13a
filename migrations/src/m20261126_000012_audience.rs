//! What operators look for without a delivery: what went to a topic or to everyone, and what is to be sent later.
//!
//! `timeline_entries.topic` is the topic that an entry went to, null for everyone; `notifications.send_at` when a notification is
//! to be sent, null for at once. Of those that were there before it stays null: their time had come, or they were not on record.

use sea_orm_migration::{prelude::*, schema::string_len_null, sea_orm::DatabaseBackend};

use crate::m20261123_000001_archive::{index, time_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [("timeline_entries", string_len_null("topic", 128)), ("notifications", time_null("send_at"))];
        for (table, column) in columns {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        let known = match manager.get_database_backend() {
            DatabaseBackend::Postgres => "body::json -> 'target' ->> 'topic'",
            DatabaseBackend::MySql => "JSON_UNQUOTE(JSON_EXTRACT(body, '$.target.topic'))",
            _ => "json_extract(body, '$.target.topic')",
        };
        manager.get_connection().execute_unprepared(&format!("UPDATE timeline_entries SET topic = {known}")).await?;
        let indexes = [
            index("timeline_entries_notification", "timeline_entries", &["app", "notification"]),
            index("notifications_send_at", "notifications", &["app", "send_at", "id"]),
        ];
        for index in indexes {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let indexes = [("notifications_send_at", "notifications"), ("timeline_entries_notification", "timeline_entries")];
        for (name, table) in indexes {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        for (table, column) in [("notifications", "send_at"), ("timeline_entries", "topic")] {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
