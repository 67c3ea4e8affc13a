//! Stopping: what was fetched and not started goes back at once, what runs is waited for.

use std::{sync::Arc, time::Duration};

use apalis::prelude::WorkerContext;
use tokio::{sync::oneshot, task::JoinSet, time::sleep};

use super::{held::Shared, keep};
use crate::Lane;

/// Watches for the stop itself: apalis calls `poll_close` only when the last handler has ended, too late to give back.
pub(crate) async fn run(shared: Arc<Shared>, worker: WorkerContext, mut readers: JoinSet<()>, done: oneshot::Sender<()>) {
    while !worker.is_shutting_down() {
        sleep(Duration::from_millis(20)).await; // apalis gives no event for it
    }
    shared.close();
    give_back(&shared).await;
    while readers.join_next().await.is_some() {}
    give_back(&shared).await; // what the last read brought
    while !shared.held().is_empty() {
        sleep(Duration::from_millis(5)).await; // handlers end, outcomes are settled
    }
    for lane in Lane::ALL {
        keep::sweep(&shared, lane, &shared.owner.consumer).await;
    }
    let _ = done.send(());
}

async fn give_back(shared: &Shared) {
    for (lane, leases) in Lane::ALL.into_iter().zip(shared.by_lane(|holding| !holding.started)) {
        shared.give_back(lane, &leases).await;
    }
}
