//! The backend: what apalis polls, and the tasks behind it.
//!
//! | task | does |
//! | --- | --- |
//! | [`fetch`] | reads entries in batches, as many as there are free places, lanes by weight |
//! | [`handover`] | takes what is submitted in this process straight from the call that adds it |
//! | [`members`] | hands over the jobs of bundles, one after the other, as places become free |
//! | [`settle`] | ends, moves or buries entries whose handlers have ended, in batches |
//! | [`keep`] | renews leases, takes over those that ended, runs suspects one at a time, promotes what is due |
//! | [`close`] | on stop, gives back what was fetched and not started, and waits for the rest |
//!
//! None of them ends because of Redis: they wait it out. What is held is in [`held::Held`], the one place that knows.

mod close;
mod config;
mod fetch;
mod handover;
mod held;
mod keep;
mod layer;
mod members;
mod settle;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis::prelude::{Backend, Task, WorkerContext};
use apalis_core::backend::{BackendConfig, finalize::Ephemeral};
use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use stentor_connection::Connection;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

pub use config::WorkerConfig;
use fetch::Doors;
pub(crate) use handover::{Handover, Reserved};
pub(crate) use held::GROUP;
use held::Shared;
use layer::SettleLayer;
pub(crate) use members::Member;

use crate::{Lane, Lease, Queue};

impl Queue {
    /// A backend for one apalis worker over this queue. `reader` is its own: blocking reads stop everything else on it.
    pub fn backend<A: DeserializeOwned + Send + Sync + 'static>(
        &self,
        config: WorkerConfig,
        reader: Connection,
    ) -> StreamsBackend<A> {
        StreamsBackend::start(self.clone(), config, reader)
    }
}

/// The backend of one worker.
pub struct StreamsBackend<A> {
    shared: Arc<Shared>,
    tasks: mpsc::UnboundedReceiver<Task<A>>,
    readers: Option<JoinSet<()>>,
    keepers: JoinSet<()>,
    closed: Option<oneshot::Receiver<()>>,
}

impl<A: DeserializeOwned + Send + Sync + 'static> StreamsBackend<A> {
    fn start(queue: Queue, config: WorkerConfig, reader: Connection) -> Self {
        let (open, tasks) = mpsc::unbounded_channel();
        let (suspects, suspected) = mpsc::unbounded_channel();
        let (settled, outcomes) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(queue, config, settled));
        let (mut readers, mut keepers) = (JoinSet::new(), JoinSet::new());
        let door: Arc<members::Door> = Arc::new({
            let open = open.clone();
            move |lease: &Lease, payload: &[u8]| {
                let _ = open.send(fetch::task(lease.clone(), serde_json::from_slice(payload)?)); // closed: a stop, and it is let go
                Ok(())
            }
        });
        let bundles = Lane::ALL.map(|lane| {
            let (bundles, read) = mpsc::unbounded_channel();
            readers.spawn(members::run(shared.clone(), lane, read, door.clone()));
            bundles
        });
        let doors = Doors { open: open.clone(), suspects, bundles };
        let taken = shared.owner.queue.handover.open(&shared);
        readers.spawn(fetch::run(shared.clone(), reader, doors.clone()));
        readers.spawn(handover::run(shared.clone(), taken, doors.clone()));
        readers.spawn(keep::reap(shared.clone(), doors));
        keepers.spawn(keep::run_suspects(shared.clone(), suspected, open));
        keepers.spawn(settle::run(shared.clone(), outcomes));
        keepers.spawn(keep::renew(shared.clone()));
        keepers.spawn(keep::promote(shared.clone()));
        Self { shared, tasks, readers: Some(readers), keepers, closed: None }
    }
}

impl<A> Backend for StreamsBackend<A> {
    type Task = Task<A>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Task<A>, Infallible>>> {
        match self.tasks.poll_recv(cx) {
            Poll::Ready(Some(task)) => Poll::Ready(Some(Ok(task))),
            _ => Poll::Pending, // no more tasks means a stop, which apalis sees by itself
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        let closed = self.closed.as_mut().map_or(Poll::Ready(()), |closed| closed.poll_unpin(cx).map(drop));
        closed.map(|()| {
            self.keepers.abort_all();
            Ok(())
        })
    }
}

impl<A: DeserializeOwned + Send + Sync + 'static> BackendConfig for StreamsBackend<A> {
    type Args = A;
    type Id = String;
    type Kind = Ephemeral;
    type Config = WorkerConfig;
    type Layer = SettleLayer;

    fn config(&self) -> &WorkerConfig {
        &self.shared.owner.config
    }

    fn middleware(&mut self, worker: &mut WorkerContext) -> SettleLayer {
        if let Some(readers) = self.readers.take() {
            let (tx, rx) = oneshot::channel();
            self.keepers.spawn(close::run(self.shared.clone(), worker.clone(), readers, tx));
            self.closed = Some(rx);
        }
        SettleLayer::new(self.shared.clone())
    }
}
