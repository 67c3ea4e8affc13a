//! Operators, and what they did.
//!
//! | table | holds |
//! | --- | --- |
//! | `operators` | who may open the console; the secret only as SHA-256 |
//! | `audit` | who did what, when; insert-only. `app` is empty for what concerns no app |

use sea_orm_migration::{
    prelude::*,
    schema::{binary, string, string_len, string_len_null, text, text_null, uuid},
};

use crate::m20261123_000001_archive::{index, table, time, time_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            table("operators")
                .col(string_len("id", 64).primary_key())
                .col(string("name"))
                .col(binary("secret_sha256"))
                .col(time("created_at"))
                .col(time_null("revoked_at"))
                .to_owned(),
            table("audit")
                .col(uuid("id").primary_key()) // a UUIDv7: the order of its ids is that of time
                .col(time("at"))
                .col(string_len_null("operator", 64))
                .col(string("name"))
                .col(string_len_null("app", 64))
                .col(string_len("action", 64))
                .col(text("subject"))
                .col(text_null("detail"))
                .to_owned(),
        ];
        for table in tables {
            manager.create_table(table).await?;
        }
        let indexes = [
            index("audit_app", "audit", &["app", "id"]),
            index("audit_operator", "audit", &["operator", "id"]),
            index("audit_action", "audit", &["action", "id"]),
        ];
        for index in indexes {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["audit", "operators"] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}
