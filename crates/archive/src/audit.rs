//! What operators did: who, when, what. Written before it is done, and never changed; what came of it is added once it is known.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
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
    /// What came of it: [`DONE`], or why not. `None` while it is under way, and for ever if its process died before it could say.
    pub outcome: Option<String>,
}

/// The outcome of what was done.
pub const DONE: &str = "done";

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
        Ok(Self { id: row.id, deed, outcome: row.outcome })
    }
}

impl Archive {
    /// Puts on record a deed that is about to be done; gives the id of its entry.
    pub async fn insert_audit(&self, deed: &Deed) -> Result<Uuid, ArchiveError> {
        let millis = u64::try_from(deed.at.as_millis()).unwrap_or(0);
        let (seconds, nanos) = (millis / 1_000, u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0));
        let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos));
        let row = audit::ActiveModel {
            id: Set(id),
            at: Set(deed.at.as_millis()),
            operator: Set(deed.operator.clone()),
            name: Set(deed.name.clone()),
            app: Set(deed.app.as_ref().map(AppId::to_string)),
            action: Set(deed.action.clone()),
            subject: Set(deed.subject.clone()),
            detail: Set(deed.detail.clone()),
            outcome: Set(None),
        };
        audit::Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(id)
    }

    /// Adds what came of a deed: [`DONE`], or why it was not done. Once: the first word stands.
    pub async fn end_audit(&self, id: Uuid, outcome: &str) -> Result<(), ArchiveError> {
        use audit::Column;
        let update = audit::Entity::update_many().col_expr(Column::Outcome, Expr::value(outcome));
        update.filter(Column::Id.eq(id).and(Column::Outcome.is_null())).exec(&self.db).await?;
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
