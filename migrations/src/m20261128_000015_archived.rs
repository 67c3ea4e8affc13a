//! What recipients archived is listed by itself, and most items never are: an index of those alone.

use sea_orm_migration::prelude::*;

use crate::m20261123_000001_archive::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut archived = index("inbox_items_archived", "inbox_items", &["app", "recipient", "seq"]);
        manager.create_index(archived.cond_where(Expr::col("archived_at").is_not_null()).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("inbox_items_archived").table("inbox_items").to_owned()).await
    }
}
