//! What operators look for: notifications by template, deliveries by state and by recipient, and how much happened when.
//!
//! | table | holds |
//! | --- | --- |
//! | `activity` | how many deliveries came to a state, by minute; kept for 8 days |
//!
//! `notifications.template` is the key of the template, null for content that came with the request.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, string_len, string_null},
    sea_orm::DatabaseBackend,
};

use crate::m20261123_000001_archive::{index, key, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let activity = table("activity")
            .col(big_integer("minute"))
            .col(string_len("app", 64))
            .col(string_len("channel", 16))
            .col(string_len("state", 16))
            .col(big_integer("n"))
            .primary_key(&mut key(&["minute", "app", "channel", "state"]))
            .to_owned();
        manager.create_table(activity).await?;
        let template = Table::alter().table("notifications").add_column(string_null("template")).to_owned();
        manager.alter_table(template).await?;
        let known = match manager.get_database_backend() {
            DatabaseBackend::Postgres => "body::json -> 'request' ->> 'template'",
            _ => "json_extract(body, '$.request.template')", // SQLite and MySQL; MySQL keeps the quotes
        };
        manager.get_connection().execute_unprepared(&format!("UPDATE notifications SET template = {known}")).await?;
        let indexes = [
            index("notifications_template", "notifications", &["app", "template", "id"]),
            index("deliveries_recipient", "deliveries", &["app", "recipient", "notification"]),
            index("deliveries_state", "deliveries", &["app", "channel", "state", "notification"]),
        ];
        for index in indexes {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("activity").if_exists().to_owned()).await?;
        let indexes = [
            ("deliveries_state", "deliveries"),
            ("deliveries_recipient", "deliveries"),
            ("notifications_template", "notifications"),
        ];
        for (name, table) in indexes {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("notifications").drop_column("template").to_owned()).await
    }
}
