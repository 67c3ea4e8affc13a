//! Rows of `timeline_entries`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "timeline_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub app: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub rev: i64,
    pub notification: Uuid,
    pub written_at: i64,
    pub gone: Option<String>,
    pub body: String,
    pub topic: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
