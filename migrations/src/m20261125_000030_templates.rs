//! Templates: what each was at any time, and which of its versions is said today.
//!
//! | table | holds |
//! | --- | --- |
//! | `templates` | one row an app and key: which version is live (null: the shared one shows through) |
//! | `template_versions` | every version's files, by the SHA-256 of what they hold; insert-only |
//! | `template_releases` | each time that `live` was moved; insert-only |
//!
//! The shared templates of the program and of `templates.dir` are on record as well, under the app that has no name: a worker
//! of another build finds there what a notification was accepted with.

use sea_orm_migration::{
    prelude::*,
    schema::{integer, string_len, string_len_null, text},
};

use crate::m20261123_000001_archive::{index, key, table, time};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            table("templates")
                .col(string_len("app", 64))
                .col(string_len("key", 64))
                .col(string_len_null("live", 64))
                .col(integer("released"))
                .col(time("updated_at"))
                .primary_key(&mut key(&["app", "key"]))
                .to_owned(),
            table("template_versions")
                .col(string_len("app", 64))
                .col(string_len("key", 64))
                .col(string_len("hash", 64))
                .col(integer("number"))
                .col(time("created_at"))
                .col(text("files"))
                .primary_key(&mut key(&["app", "key", "hash"]))
                .to_owned(),
            table("template_releases")
                .col(string_len("app", 64))
                .col(string_len("key", 64))
                .col(integer("number"))
                .col(string_len_null("hash", 64))
                .col(time("at"))
                .primary_key(&mut key(&["app", "key", "number"]))
                .to_owned(),
        ];
        for table in tables {
            manager.create_table(table).await?;
        }
        let numbers = index("template_versions_number", "template_versions", &["app", "key", "number"]).unique().to_owned();
        manager.create_index(numbers).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["template_releases", "template_versions", "templates"] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}
