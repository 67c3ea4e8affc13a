//! What tests of templates were sent with: files that are no version, kept for as long as a test may be on its way.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};
use stentor_domain::{AppId, Timestamp};

use crate::{
    Archive, ArchiveError, column,
    entities::template_test::{ActiveModel, Column, Entity},
};

type Files = BTreeMap<String, String>;

/// What a test is sent with.
#[derive(Clone, Copy, Debug)]
pub struct TemplateTest<'a> {
    /// The template's key.
    pub key: &'a str,
    /// The hash of the files.
    pub hash: &'a str,
    /// The files.
    pub files: &'a Files,
    /// Until when they are kept.
    pub until: Timestamp,
}

impl Archive {
    /// Keeps the files of a test. Of the app's tests go those whose time is over, and the oldest beyond `most`.
    pub async fn put_template_test(
        &self,
        app: &AppId,
        test: TemplateTest<'_>,
        most: u64,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        let TemplateTest { key, hash, files, until } = test;
        let row = ActiveModel {
            app: Set(app.to_string()),
            key: Set(key.to_owned()),
            hash: Set(hash.to_owned()),
            kept_until: Set(until.as_millis()),
            files: Set(serde_json::to_string(files).unwrap_or_default()),
        };
        let again = OnConflict::columns([Column::App, Column::Key, Column::Hash]).update_column(Column::KeptUntil).to_owned();
        Entity::insert(row).on_conflict(again).exec_without_returning(&self.db).await?;
        let of_app = Column::App.eq(app.as_str());
        let first_beyond = Entity::find().select_only().column(Column::KeptUntil).filter(of_app.clone());
        let first_beyond = first_beyond.order_by_desc(Column::KeptUntil).offset(most).limit(1);
        let beyond: Option<i64> = first_beyond.into_tuple().one(&self.db).await?;
        let over = std::cmp::max(beyond.unwrap_or(0), now.as_millis());
        Entity::delete_many().filter(of_app.and(Column::KeptUntil.lte(over))).exec(&self.db).await?;
        Ok(())
    }

    /// The files that a test was sent with.
    pub async fn find_template_test(&self, app: &AppId, key: &str, hash: &str) -> Result<Option<Files>, ArchiveError> {
        let id = (app.to_string(), key.to_owned(), hash.to_owned());
        let Some(row) = Entity::find_by_id(id).one(&self.db).await? else { return Ok(None) };
        column::read("template_tests", &row.files).map(Some)
    }
}
