//! Apps and their keys.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, ExprTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func},
};
use stentor_domain::{AppId, Timestamp};

use crate::{
    Archive, ArchiveError, column,
    entities::{api_key, app},
    search::contains,
};

/// An app: who sends.
#[derive(Clone, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// What it is called.
    pub name: String,
    /// What signs inbox tokens.
    pub inbox_secret: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An app to be made.
pub type NewApp = App;

/// An app key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id: the part of the key that is no secret.
    pub id: String,
    /// Whose it is.
    pub app: AppId,
    /// What it is called.
    pub name: String,
    /// The SHA-256 of its secret.
    pub secret_sha256: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TryFrom<app::Model> for App {
    type Error = ArchiveError;

    fn try_from(row: app::Model) -> Result<Self, ArchiveError> {
        Ok(Self {
            id: row.id.parse().map_err(|e| ArchiveError::unreadable("apps", e))?,
            name: row.name,
            inbox_secret: row.inbox_secret,
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}

impl TryFrom<api_key::Model> for ApiKey {
    type Error = ArchiveError;

    fn try_from(row: api_key::Model) -> Result<Self, ArchiveError> {
        Ok(Self {
            id: row.id,
            app: row.app.parse().map_err(|e| ArchiveError::unreadable("api_keys", e))?,
            name: row.name,
            secret_sha256: row
                .secret_sha256
                .try_into()
                .map_err(|_| ArchiveError::unreadable("api_keys", "a hash has 32 bytes"))?,
            scopes: column::read("api_keys", &row.scopes)?,
            created_at: Timestamp::from_millis(row.created_at),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
        })
    }
}

impl Archive {
    /// Makes an app. Fails if there is one of that id.
    pub async fn insert_app(&self, new: &NewApp) -> Result<(), ArchiveError> {
        let row = app::ActiveModel {
            id: Set(new.id.to_string()),
            name: Set(new.name.clone()),
            inbox_secret: Set(new.inbox_secret.clone()),
            created_at: Set(new.created_at.as_millis()),
        };
        app::Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// Calls an app otherwise.
    pub async fn rename_app(&self, id: &AppId, name: &str) -> Result<(), ArchiveError> {
        let of = app::Entity::update_many().filter(app::Column::Id.eq(id.as_str()));
        of.col_expr(app::Column::Name, Expr::value(name)).exec(&self.db).await?;
        Ok(())
    }

    /// Every app, by id.
    pub async fn list_apps(&self) -> Result<Vec<App>, ArchiveError> {
        app::Entity::find().order_by_asc(app::Column::Id).all(&self.db).await?.into_iter().map(App::try_from).collect()
    }

    /// A page of the apps whose id or name contains `text`, in whatever case: by id, those after `after`.
    pub async fn page_of_apps(&self, text: &str, after: Option<&AppId>, limit: usize) -> Result<Vec<App>, ArchiveError> {
        use app::Column;
        let mut rows = app::Entity::find();
        if !text.is_empty() {
            let pattern = contains(&text.to_lowercase());
            let with_it = |column: Column| Expr::expr(Func::lower(Expr::col(column))).like(pattern.clone());
            rows = rows.filter(Condition::any().add(with_it(Column::Id)).add(with_it(Column::Name)));
        }
        if let Some(after) = after {
            rows = rows.filter(Column::Id.gt(after.as_str()));
        }
        let rows = rows.order_by_asc(Column::Id).limit(limit as u64);
        rows.all(&self.db).await?.into_iter().map(App::try_from).collect()
    }

    /// An app.
    pub async fn find_app(&self, id: &AppId) -> Result<Option<App>, ArchiveError> {
        app::Entity::find_by_id(id.to_string()).one(&self.db).await?.map(App::try_from).transpose()
    }

    /// Stores a key.
    pub async fn insert_key(&self, key: &ApiKey) -> Result<(), ArchiveError> {
        let row = api_key::ActiveModel {
            id: Set(key.id.clone()),
            app: Set(key.app.to_string()),
            name: Set(key.name.clone()),
            secret_sha256: Set(key.secret_sha256.to_vec()),
            scopes: Set(serde_json::to_string(&key.scopes).unwrap_or_default()),
            created_at: Set(key.created_at.as_millis()),
            revoked_at: Set(key.revoked_at.map(Timestamp::as_millis)),
        };
        api_key::Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// A key, of whatever app: this is how the app of a caller is found. Revoked ones are given too.
    pub async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, ArchiveError> {
        api_key::Entity::find_by_id(id.to_owned()).one(&self.db).await?.map(ApiKey::try_from).transpose()
    }

    /// An app's keys, by id.
    pub async fn list_keys(&self, app: &AppId) -> Result<Vec<ApiKey>, ArchiveError> {
        let keys = api_key::Entity::find().filter(api_key::Column::App.eq(app.as_str())).order_by_asc(api_key::Column::Id);
        keys.all(&self.db).await?.into_iter().map(ApiKey::try_from).collect()
    }

    /// A page of an app's keys: those that hold first, of both kinds the newest first; those after the key `after`.
    pub async fn page_of_keys(&self, app: &AppId, after: Option<&str>, limit: usize) -> Result<Vec<ApiKey>, ArchiveError> {
        use api_key::Column;
        let mut rows = api_key::Entity::find().filter(Column::App.eq(app.as_str()));
        let last = match after {
            Some(after) => self.find_key(after).await?.filter(|key| key.app == *app),
            None => None,
        };
        if let Some(last) = last {
            let at = last.created_at.as_millis();
            let older = Column::CreatedAt.lt(at).or(Column::CreatedAt.eq(at).and(Column::Id.gt(last.id.as_str())));
            rows = rows.filter(if last.revoked_at.is_some() {
                Condition::all().add(Column::RevokedAt.is_not_null()).add(older)
            } else {
                Condition::any().add(Column::RevokedAt.is_not_null()).add(Column::RevokedAt.is_null().and(older))
            });
        }
        let rows = rows.order_by(Column::RevokedAt.is_not_null(), Order::Asc).order_by_desc(Column::CreatedAt);
        let rows = rows.order_by_asc(Column::Id).limit(limit as u64);
        rows.all(&self.db).await?.into_iter().map(ApiKey::try_from).collect()
    }

    /// Revokes a key; false if the app has no such key that is valid.
    pub async fn revoke_key(&self, app: &AppId, id: &str, at: Timestamp) -> Result<bool, ArchiveError> {
        let revoked = api_key::Entity::update_many().col_expr(api_key::Column::RevokedAt, Expr::value(at.as_millis())).filter(
            api_key::Column::App.eq(app.as_str()).and(api_key::Column::Id.eq(id)).and(api_key::Column::RevokedAt.is_null()),
        );
        Ok(revoked.exec(&self.db).await?.rows_affected > 0)
    }
}
