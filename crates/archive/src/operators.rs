//! Operators: who may open the console. They belong to no app.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use stentor_domain::Timestamp;

use crate::{Archive, ArchiveError, entities::operator};

/// Somebody who may open the console.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// The part of the key that is no secret.
    pub id: String,
    /// What they are called.
    pub name: String,
    /// The SHA-256 of the key's secret.
    pub secret_sha256: [u8; 32],
    /// When the key was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TryFrom<operator::Model> for Operator {
    type Error = ArchiveError;

    fn try_from(row: operator::Model) -> Result<Self, ArchiveError> {
        let hash = row.secret_sha256.try_into().map_err(|_| ArchiveError::unreadable("operators", "a hash has 32 bytes"))?;
        Ok(Self {
            id: row.id,
            name: row.name,
            secret_sha256: hash,
            created_at: Timestamp::from_millis(row.created_at),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
        })
    }
}

impl Archive {
    /// Stores an operator.
    pub async fn insert_operator(&self, operator: &Operator) -> Result<(), ArchiveError> {
        let row = operator::ActiveModel {
            id: Set(operator.id.clone()),
            name: Set(operator.name.clone()),
            secret_sha256: Set(operator.secret_sha256.to_vec()),
            created_at: Set(operator.created_at.as_millis()),
            revoked_at: Set(operator.revoked_at.map(Timestamp::as_millis)),
        };
        operator::Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// An operator. Revoked ones are given too.
    pub async fn find_operator(&self, id: &str) -> Result<Option<Operator>, ArchiveError> {
        operator::Entity::find_by_id(id.to_owned()).one(&self.db).await?.map(Operator::try_from).transpose()
    }

    /// Every operator, the oldest first, revoked ones among them.
    pub async fn list_operators(&self) -> Result<Vec<Operator>, ArchiveError> {
        let rows = operator::Entity::find().order_by_asc(operator::Column::CreatedAt).order_by_asc(operator::Column::Id);
        rows.all(&self.db).await?.into_iter().map(Operator::try_from).collect()
    }

    /// A page of operators, the oldest first, revoked ones among them; those after the operator `after`.
    pub async fn page_of_operators(&self, after: Option<&str>, limit: usize) -> Result<Vec<Operator>, ArchiveError> {
        use operator::Column;
        let mut rows = operator::Entity::find();
        let last = match after {
            Some(after) => self.find_operator(after).await?,
            None => None,
        };
        if let Some(last) = last {
            let at = last.created_at.as_millis();
            rows = rows.filter(Column::CreatedAt.gt(at).or(Column::CreatedAt.eq(at).and(Column::Id.gt(last.id))));
        }
        let rows = rows.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).limit(limit as u64);
        rows.all(&self.db).await?.into_iter().map(Operator::try_from).collect()
    }

    /// Revokes an operator's key; false if there is no such key that is valid.
    pub async fn revoke_operator(&self, id: &str, at: Timestamp) -> Result<bool, ArchiveError> {
        let valid = operator::Column::Id.eq(id).and(operator::Column::RevokedAt.is_null());
        let revoked = operator::Entity::update_many().col_expr(operator::Column::RevokedAt, Expr::value(at.as_millis()));
        Ok(revoked.filter(valid).exec(&self.db).await?.rows_affected > 0)
    }
}
