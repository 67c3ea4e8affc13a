//! Rows of `contents`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "contents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub app: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub notification: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub variant: String,
    pub body: String,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
