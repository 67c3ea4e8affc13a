//! The folder of templates, read anew whenever it changes: who writes sees what becomes of it without a restart.
//!
//! The folder is small and read whole, several times a second: that works on every file system, mounted ones too.

use std::{path::PathBuf, time::Duration};

use stentor_catalog::{Catalog, Folder};
use stentor_domain::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// Watches `dir` until `stop`. A template that cannot be used stays as it was, and what is wrong with it is said.
pub(super) async fn watch(catalog: Catalog, dir: PathBuf, stop: CancellationToken) {
    let (mut read, mut seen) = (None, None);
    loop {
        let place = dir.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || Folder::read(&place)).await else { return };
        // Twice the same: nobody is in the middle of writing it.
        if (seen.as_ref() == Some(&now) || read.is_none())
            && read.as_ref() != Some(&now)
            && reload(&catalog, now.clone(), read.is_none()).await
        {
            read = Some(now.clone());
        }
        seen = Some(now);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn reload(catalog: &Catalog, folder: Folder, first: bool) -> bool {
    match catalog.reload_shared(folder, SystemClock.now()).await {
        Ok((changed, findings)) => {
            for finding in &findings {
                tracing::warn!("{finding}");
            }
            match (changed.as_slice(), findings.is_empty()) {
                ([], true) => {}
                ([], false) => tracing::warn!("templates with mistakes stay as they were"),
                (keys, _) if !first => tracing::info!(templates = keys.join(", "), "templates are read anew"),
                _ => {}
            }
            true
        }
        Err(error) => {
            tracing::warn!(%error, "templates are not read anew; they will be");
            false
        }
    }
}
