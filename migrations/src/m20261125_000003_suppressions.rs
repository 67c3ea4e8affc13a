//! Whom not to write to.
//!
//! | table | holds |
//! | --- | --- |
//! | `suppressions` | addresses that bounced, complained or were unsubscribed, each guarded by the time of its latest change |
//!
//! What was lifted stays as a row that says so, or a late event would bring it back. `category` is empty where it holds for all.

use sea_orm_migration::{
    prelude::*,
    schema::{boolean, string_len, text_null, uuid},
};

use crate::m20261123_000001_archive::{index, key, table, time};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let suppressions = table("suppressions")
            .col(string_len("app", 64))
            .col(uuid("id"))
            .col(string_len("channel", 16))
            .col(string_len("address", 320))
            .col(string_len("category", 64))
            .col(string_len("reason", 16))
            .col(text_null("detail"))
            .col(time("at"))
            .col(boolean("lifted"))
            .primary_key(&mut key(&["app", "id"]))
            .to_owned();
        manager.create_table(suppressions).await?;
        manager.create_index(index("suppressions_address", "suppressions", &["app", "address"])).await?;
        manager.create_index(index("suppressions_at", "suppressions", &["app", "at"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("suppressions").if_exists().to_owned()).await
    }
}
