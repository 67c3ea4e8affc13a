//! Rows of `notifications`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub app: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub accepted_at: i64,
    pub body: String,
    pub recalled_at: Option<i64>,
    pub version: i64,
    pub template: Option<String>,
    pub send_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
