//! The audit log: who did what, when.

use askama::Template;
use axum::extract::State;
use serde::Deserialize;
use stentor_archive::{AuditEntry, AuditFilter};
use uuid::Uuid;

use super::{
    asked::Query,
    page::{Failure, Page, Section, Shell},
    visit::Visit,
};
use crate::state::ApiState;

/// How many entries a page has.
const PAGE: usize = 50;

/// Which entries.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    action: String,
    operator: String,
    before: Option<Uuid>,
}

#[derive(Template)]
#[template(path = "audit.html")]
pub(super) struct Log {
    shell: Shell,
    wanted: Wanted,
    entries: Vec<AuditEntry>,
    older: Option<String>,
}

/// The log, the newest first.
pub(super) async fn list(
    State(state): State<ApiState>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Page<Log>, Failure> {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
    let filter = AuditFilter { app: visit.picked().cloned(), operator: given(&wanted.operator), action: given(&wanted.action) };
    let mut entries = state.archive.list_audit(&filter, wanted.before, PAGE + 1).await?;
    let more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let older = entries.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Page(Log { shell: visit.shell_of_all(Section::Audit, "Audit log"), wanted, entries, older }))
}
