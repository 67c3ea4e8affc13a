//! What operators did: who, when, what. Written before it is done, and never changed.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use stentor_domain::{AppId, Timestamp};
use uuid::Uuid;

use crate::{Archive, ArchiveError, entities::audit};

/// One thing that an operator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// The operator's id; `None` for the command line.
    pub operator: Option<String>,
    /// What they were called then.
    pub name: String,
    /// Whose things it concerned; `None` if no app's.
    pub app: Option<AppId>,
    /// What was done, as `thing.verb`.
    pub action: String,
    /// To which.
    pub subject: String,
    /// What else there is to say. Never an address or a secret.
    pub detail: Option<String>,
}

/// A deed on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The order of ids is that of time.
    pub id: Uuid,
    /// What was done.
    pub deed: Deed,
}

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only what concerned this app.
    pub app: Option<AppId>,
    /// Only what this operator did.
    pub operator: Option<String>,
    /// Only this action.
    pub action: Option<String>,
}

impl TryFrom<audit::Model> for AuditEntry {
    type Error = ArchiveError;

    fn try_from(row: audit::Model) -> Result<Self, ArchiveError> {
        let deed = Deed {
            at: Timestamp::from_millis(row.at),
            operator: row.operator,
            name: row.name,
            app: row.app.map(|app| app.parse().map_err(|e| ArchiveError::unreadable("audit", e))).transpose()?,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
        };
        Ok(Self { id: row.id, deed })
    }
}

impl Archive {
    /// Puts a deed on record.
    pub async fn insert_audit(&self, deed: &Deed) -> Result<(), ArchiveError> {
        let millis = u64::try_from(deed.at.as_millis()).unwrap_or(0);
        let (seconds, nanos) = (millis / 1_000, u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0));
        let row = audit::ActiveModel {
            id: Set(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))),
            at: Set(deed.at.as_millis()),
            operator: Set(deed.operator.clone()),
            name: Set(deed.name.clone()),
            app: Set(deed.app.as_ref().map(AppId::to_string)),
            action: Set(deed.action.clone()),
            subject: Set(deed.subject.clone()),
            detail: Set(deed.detail.clone()),
        };
        audit::Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// Entries, the newest first, those before `before`.
    pub async fn list_audit(
        &self,
        filter: &AuditFilter,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, ArchiveError> {
        let mut rows = audit::Entity::find();
        if let Some(app) = &filter.app {
            rows = rows.filter(audit::Column::App.eq(app.as_str()));
        }
        if let Some(operator) = &filter.operator {
            rows = rows.filter(audit::Column::Operator.eq(operator.as_str()));
        }
        if let Some(action) = &filter.action {
            rows = rows.filter(audit::Column::Action.eq(action.as_str()));
        }
        if let Some(before) = before {
            rows = rows.filter(audit::Column::Id.lt(before));
        }
        let rows = rows.order_by_desc(audit::Column::Id).limit(limit as u64).all(&self.db).await?;
        rows.into_iter().map(AuditEntry::try_from).collect()
    }
}
