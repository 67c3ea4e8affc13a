//! What operators look for before its time, and what came of their own deeds.
//!
//! | table | holds |
//! | --- | --- |
//! | `scheduled` | for whom each notification is that is to be sent later; kept until a day after its time, when its deliveries tell it |
//!
//! `scheduled.audience` is `r:` and a recipient, `t:` and a topic, or `*` for everyone. What was scheduled before is not in it.
//! `audit.outcome` is `done`, or why it was not; null while it is under way, and for ever if its process died.

use sea_orm_migration::{
    prelude::*,
    schema::{string_len, text_null, uuid},
};

use crate::m20261123_000001_archive::{index, key, table, time};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let scheduled = table("scheduled")
            .col(string_len("app", 64))
            .col(string_len("audience", 130))
            .col(uuid("notification"))
            .col(time("send_at"))
            .primary_key(&mut key(&["app", "audience", "notification"]))
            .to_owned();
        manager.create_table(scheduled).await?;
        manager.create_index(index("scheduled_send_at", "scheduled", &["send_at"])).await?;
        manager.alter_table(Table::alter().table("audit").add_column(text_null("outcome")).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("audit").drop_column("outcome").to_owned()).await?;
        manager.drop_table(Table::drop().table("scheduled").if_exists().to_owned()).await
    }
}
