//! The audit log: who did what, when.

use askama::Template;
use axum::extract::State;
use serde::Deserialize;
use stentor_archive::{AuditEntry, AuditFilter, DONE};
use stentor_domain::AppId;
use uuid::Uuid;

use super::{
    asked::Query,
    page::{Failure, Page, Section, Shell},
    visit::Visit,
    words::{Badge, address},
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

impl Log {
    /// What came of a deed. Of one that nobody ended it is not known: it is under way, or its process died.
    fn outcome(&self, entry: &AuditEntry) -> Badge {
        match entry.outcome.as_deref() {
            Some(DONE) => Badge::good(DONE),
            Some(why) => Badge::bad(format!("not done: {}", why.replace('_', " "))),
            None => Badge::warn("not known"),
        }
    }
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
    let app = visit.picked().map_or("", AppId::as_str);
    let older = entries.last().filter(|_| more).map(|last| {
        let before = last.id.to_string();
        let fields = [("app", app), ("action", &wanted.action), ("operator", &wanted.operator), ("before", &before)];
        address("/console/audit", &fields)
    });
    Ok(Page(Log { shell: visit.shell_of_all(Section::Audit, "Audit log"), wanted, entries, older }))
}
