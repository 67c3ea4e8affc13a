//! Opening bundles, one after the other: what was added first stands first in line.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::held::Shared;
use crate::Lease;

/// Opens bundles until none can come any more.
pub(crate) async fn run(shared: Arc<Shared>, mut bundles: mpsc::UnboundedReceiver<Lease>) {
    while let Some(lease) = bundles.recv().await {
        let outcome = lease.open_bundle().await;
        shared.report(lease, outcome);
    }
}
