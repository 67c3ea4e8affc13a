//! What the command line does is put on record, as what operators do in the console is.

use anyhow::Context;
use stentor_archive::{Archive, DONE, Deed};
use stentor_domain::{AppId, Clock, SystemClock};

/// Does `deed` once its entry is in the audit log, and adds what came of it. What cannot be put on record is not done.
pub(super) async fn on_record<T>(
    archive: &Archive,
    app: Option<&AppId>,
    (action, subject): (&str, &str),
    deed: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let entry = Deed {
        at: SystemClock.now(),
        operator: None,
        name: "command line".into(),
        app: app.cloned(),
        action: action.into(),
        subject: subject.into(),
        detail: None,
    };
    let id = archive.insert_audit(&entry).await.context("the audit log cannot be written")?;
    let done = deed.await;
    if let Err(error) = archive.end_audit(id, if done.is_ok() { DONE } else { "failed" }).await {
        tracing::warn!(%error, "the audit log does not say what came of it");
    }
    done
}
