//! Facts about an item or a notification may be on record before that it was written or accepted.
//!
//! `inbox_items.version` is which saying of the notification its card is of, as in `contents`; `inbox_items.state_rev` the revision of
//! what the recipient did, null: that of the item. Of an item that is not told of yet, `seq` is 0, and `version` -1 unless it was said
//! otherwise; of a notification that is not told of yet, `version` is -1.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [big_integer("version").default(0).to_owned(), big_integer_null("state_rev")] {
            manager.alter_table(Table::alter().table("inbox_items").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Nobody would read past what stands for a thing that is not told of.
        let untold = [("inbox_items", Expr::col("seq").eq(0)), ("notifications", Expr::col("version").lt(0))];
        for (table, untold) in untold {
            manager.execute(Query::delete().from_table(table).cond_where(untold).to_owned()).await?;
        }
        for column in ["state_rev", "version"] {
            manager.alter_table(Table::alter().table("inbox_items").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
