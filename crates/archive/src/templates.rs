//! Templates: every version that ever was, which one is live, and since when.
//!
//! A version is named by the hash of its files and never changes; writing it again is nothing. What is live is a pointer, moved
//! together with an entry in the list of releases. `None` as the app stands for the shared templates.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict, SimpleExpr},
};
use stentor_domain::{AppId, Timestamp};

use crate::{
    Archive, ArchiveError, column,
    entities::{template, template_release, template_version},
    pool::Transaction,
};

/// The files of a version by path.
type Files = BTreeMap<String, String>;

/// A version on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateVersion {
    /// The hash of its files.
    pub hash: String,
    /// Its number among the versions of its template, from 1.
    pub number: u32,
    /// When it was first written.
    pub created_at: Timestamp,
}

/// A move of the live pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRelease {
    /// Its number among the releases of its template, from 1.
    pub number: u32,
    /// What was live from then on; `None`: the shared template.
    pub hash: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A template of an app's own of which no version is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateDraft {
    /// Its key.
    pub key: String,
    /// Whether one of its versions was live once.
    pub was_live: bool,
}

/// What came of moving the live pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is live; how many releases there were, this one included.
    Done(u32),
    /// Something else than expected was live.
    Conflict {
        /// What is.
        live: Option<String>,
    },
}

fn name(app: Option<&AppId>) -> &str {
    app.map_or("", AppId::as_str)
}

fn of_template(app: Option<&AppId>, key: &str) -> SimpleExpr {
    template::Column::App.eq(name(app)).and(template::Column::Key.eq(key))
}

fn of_version(app: Option<&AppId>, key: &str) -> SimpleExpr {
    template_version::Column::App.eq(name(app)).and(template_version::Column::Key.eq(key))
}

type VersionRow = (String, i32, i64);

fn read_version((hash, number, at): VersionRow) -> TemplateVersion {
    TemplateVersion { hash, number: number.unsigned_abs(), created_at: Timestamp::from_millis(at) }
}

/// The row of a template, which whoever changes the template writes first: so they take turns, and SQLite, which does not let
/// a reader become a writer after somebody else has written, waits here.
async fn touch(tx: &Transaction, app: Option<&AppId>, key: &str, at: Timestamp) -> Result<(), ArchiveError> {
    let row = template::ActiveModel {
        app: Set(name(app).to_owned()),
        key: Set(key.to_owned()),
        live: Set(None),
        released: Set(0),
        updated_at: Set(at.as_millis()),
    };
    let again =
        OnConflict::columns([template::Column::App, template::Column::Key]).update_column(template::Column::UpdatedAt).to_owned();
    template::Entity::insert(row).on_conflict(again).exec_without_returning(tx).await?;
    Ok(())
}

impl Archive {
    /// Puts a version on record; one that is there already stays as it is. `None`: there are `most` already.
    pub async fn put_template_version(
        &self,
        app: Option<&AppId>,
        key: &str,
        hash: &str,
        files: &Files,
        most: u32,
        at: Timestamp,
    ) -> Result<Option<TemplateVersion>, ArchiveError> {
        let tx = self.db.begin().await?;
        touch(&tx, app, key, at).await?;
        if let Some(found) = find_version(&tx, app, key, hash).await? {
            tx.commit().await?;
            return Ok(Some(found));
        }
        let last = template_version::Entity::find()
            .select_only()
            .expr(template_version::Column::Number.max())
            .filter(of_version(app, key));
        let last: Option<Option<i32>> = last.into_tuple().one(&tx).await?;
        let number = last.flatten().unwrap_or(0) + 1;
        if number.unsigned_abs() > most {
            tx.rollback().await?;
            return Ok(None);
        }
        let row = template_version::ActiveModel {
            app: Set(name(app).to_owned()),
            key: Set(key.to_owned()),
            hash: Set(hash.to_owned()),
            number: Set(number),
            created_at: Set(at.as_millis()),
            files: Set(serde_json::to_string(files).unwrap_or_default()),
        };
        template_version::Entity::insert(row).exec_without_returning(&tx).await?;
        tx.commit().await?;
        Ok(Some(read_version((hash.to_owned(), number, at.as_millis()))))
    }

    /// Moves the live pointer of an app's template, to `None` for the shared one. With `expected`: only if that is live. What is
    /// live already is not moved again, whatever was expected: a publication that is said twice is one.
    pub async fn release_template(
        &self,
        app: &AppId,
        key: &str,
        hash: Option<&str>,
        expected: Option<Option<&str>>,
        at: Timestamp,
    ) -> Result<Released, ArchiveError> {
        let tx = self.db.begin().await?;
        touch(&tx, Some(app), key, at).await?;
        let row = template::Entity::find_by_id((app.to_string(), key.to_owned())).one(&tx).await?;
        let (live, released) = row.map_or((None, 0), |row| (row.live, row.released));
        if released > 0 && hash == live.as_deref() {
            tx.rollback().await?;
            return Ok(Released::Done(released.unsigned_abs()));
        }
        if expected.is_some_and(|expected| expected != live.as_deref()) {
            tx.rollback().await?;
            return Ok(Released::Conflict { live });
        }
        let number = released + 1;
        let moved = template::Entity::update_many()
            .col_expr(template::Column::Live, Expr::value(hash.map(str::to_owned)))
            .col_expr(template::Column::Released, Expr::value(number));
        moved.filter(of_template(Some(app), key)).exec(&tx).await?;
        let row = template_release::ActiveModel {
            app: Set(app.to_string()),
            key: Set(key.to_owned()),
            number: Set(number),
            hash: Set(hash.map(str::to_owned)),
            at: Set(at.as_millis()),
        };
        template_release::Entity::insert(row).exec_without_returning(&tx).await?;
        tx.commit().await?;
        Ok(Released::Done(number.unsigned_abs()))
    }

    /// Which version of each of the app's own templates is live, by key.
    pub async fn live_templates(&self, app: &AppId) -> Result<BTreeMap<String, String>, ArchiveError> {
        let rows = template::Entity::find()
            .select_only()
            .columns([template::Column::Key, template::Column::Live])
            .filter(template::Column::App.eq(app.as_str()).and(template::Column::Live.is_not_null()));
        let rows: Vec<(String, Option<String>)> = rows.into_tuple().all(&self.db).await?;
        Ok(rows.into_iter().filter_map(|(key, live)| Some((key, live?))).collect())
    }

    /// The app's own templates of which no version is live.
    pub async fn list_template_drafts(&self, app: &AppId) -> Result<Vec<TemplateDraft>, ArchiveError> {
        let rows = template::Entity::find()
            .select_only()
            .columns([template::Column::Key, template::Column::Released])
            .filter(template::Column::App.eq(app.as_str()).and(template::Column::Live.is_null()));
        let rows: Vec<(String, i32)> = rows.into_tuple().all(&self.db).await?;
        // What was released may have been the shared template alone.
        let moved = rows.iter().filter(|(_, released)| *released > 0).map(|(key, _)| key);
        let own = template_release::Entity::find().select_only().column(template_release::Column::Key).distinct().filter(
            (template_release::Column::App.eq(app.as_str()))
                .and(template_release::Column::Key.is_in(moved))
                .and(template_release::Column::Hash.is_not_null()),
        );
        let own: HashSet<String> = own.into_tuple().all(&self.db).await?.into_iter().collect();
        Ok(rows.into_iter().map(|(key, _)| TemplateDraft { was_live: own.contains(&key), key }).collect())
    }

    /// How many templates of its own an app has.
    pub async fn count_templates(&self, app: &AppId) -> Result<u64, ArchiveError> {
        Ok(template::Entity::find().filter(template::Column::App.eq(app.as_str())).count(&self.db).await?)
    }

    /// The files of a version.
    pub async fn find_template_files(&self, app: Option<&AppId>, key: &str, hash: &str) -> Result<Option<Files>, ArchiveError> {
        let id = (name(app).to_owned(), key.to_owned(), hash.to_owned());
        let Some(row) = template_version::Entity::find_by_id(id).one(&self.db).await? else { return Ok(None) };
        column::read("template_versions", &row.files).map(Some)
    }

    /// A version by its hash.
    pub async fn find_template_version(
        &self,
        app: Option<&AppId>,
        key: &str,
        hash: &str,
    ) -> Result<Option<TemplateVersion>, ArchiveError> {
        find_version(&self.db, app, key, hash).await
    }

    /// A version by its number.
    pub async fn find_template_version_by_number(
        &self,
        app: Option<&AppId>,
        key: &str,
        number: u32,
    ) -> Result<Option<TemplateVersion>, ArchiveError> {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let row = versions(app, key).filter(template_version::Column::Number.eq(number));
        Ok(row.into_tuple::<VersionRow>().one(&self.db).await?.map(read_version))
    }

    /// Versions, the newest first; those before number `before`.
    pub async fn list_template_versions(
        &self,
        app: Option<&AppId>,
        key: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<TemplateVersion>, ArchiveError> {
        let before = before.map_or(i32::MAX, |n| i32::try_from(n).unwrap_or(i32::MAX));
        let rows = versions(app, key).filter(template_version::Column::Number.lt(before));
        let rows = rows.order_by_desc(template_version::Column::Number).limit(limit as u64);
        Ok(rows.into_tuple::<VersionRow>().all(&self.db).await?.into_iter().map(read_version).collect())
    }

    /// The latest moves of the live pointer, the newest first.
    pub async fn list_template_releases(
        &self,
        app: &AppId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<TemplateRelease>, ArchiveError> {
        use template_release::Column;
        let rows = template_release::Entity::find().filter(Column::App.eq(app.as_str()).and(Column::Key.eq(key)));
        let rows = rows.order_by_desc(Column::Number).limit(limit as u64).all(&self.db).await?;
        let read = |row: template_release::Model| TemplateRelease {
            number: row.number.unsigned_abs(),
            hash: row.hash,
            at: Timestamp::from_millis(row.at),
        };
        Ok(rows.into_iter().map(read).collect())
    }
}

fn versions(app: Option<&AppId>, key: &str) -> sea_orm::Select<template_version::Entity> {
    use template_version::Column;
    template_version::Entity::find()
        .select_only()
        .columns([Column::Hash, Column::Number, Column::CreatedAt])
        .filter(of_version(app, key))
}

async fn find_version(
    db: &impl ConnectionTrait,
    app: Option<&AppId>,
    key: &str,
    hash: &str,
) -> Result<Option<TemplateVersion>, ArchiveError> {
    let row = versions(app, key).filter(template_version::Column::Hash.eq(hash));
    Ok(row.into_tuple::<VersionRow>().one(db).await?.map(read_version))
}
