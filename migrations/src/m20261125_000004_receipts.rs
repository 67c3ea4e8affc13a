//! Receipts name a delivery by its id or by the provider's, without the app: indexes to find it by either.

use sea_orm_migration::prelude::*;

use crate::m20261123_000001_archive::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_index(index("deliveries_id", "deliveries", &["id"])).await?;
        let by_message = index("deliveries_provider_message", "deliveries", &["provider_message_id", "provider"]);
        manager.create_index(by_message).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["deliveries_provider_message", "deliveries_id"] {
            manager.drop_index(Index::drop().name(name).table("deliveries").to_owned()).await?;
        }
        Ok(())
    }
}
