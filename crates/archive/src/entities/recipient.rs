//! Rows of `recipients`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "recipients")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub app: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub email: Option<String>,
    pub email_at: i64,
    pub phone: Option<String>,
    pub phone_at: i64,
    pub locale: Option<String>,
    pub locale_at: i64,
    pub timezone: Option<String>,
    pub timezone_at: i64,
    pub attributes: Option<String>,
    pub attributes_at: i64,
    pub preferences: Option<String>,
    pub preferences_at: i64,
    pub joined: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
