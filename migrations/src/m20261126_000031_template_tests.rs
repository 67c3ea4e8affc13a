//! What tests of templates were sent with.
//!
//! | table | holds |
//! | --- | --- |
//! | `template_tests` | the files of a test that are no version, by the SHA-256 of what they hold; until when they are kept |

use sea_orm_migration::{
    prelude::*,
    schema::{string_len, text},
};

use crate::m20261123_000001_archive::{index, key, table, time};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tests = table("template_tests")
            .col(string_len("app", 64))
            .col(string_len("key", 64))
            .col(string_len("hash", 64))
            .col(time("kept_until"))
            .col(text("files"))
            .primary_key(&mut key(&["app", "key", "hash"]))
            .to_owned();
        manager.create_table(tests).await?;
        manager.create_index(index("template_tests_kept_until", "template_tests", &["app", "kept_until"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("template_tests").if_exists().to_owned()).await
    }
}
