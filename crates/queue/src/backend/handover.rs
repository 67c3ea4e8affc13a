//! Handing over: what is submitted in the process of a worker goes to that worker in the call that adds it, while it has free places.
//!
//! It is read under the worker's name like any other entry, and so leased, fenced and taken over like any other. What is saved is the
//! way through the blocked reader: its wake-up, a round trip, and the record, which is known here already.

use std::sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering::Relaxed};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{
    fetch::{Doors, Entry},
    held::{Places, Shared},
};
use crate::Lane;

/// Where a worker of this process is found by those who submit.
#[derive(Default)]
pub(crate) struct Handover(Mutex<Option<Taker<Weak<Shared>>>>);

struct Taker<W> {
    worker: W,
    taken: mpsc::UnboundedSender<Taken>,
}

/// An entry that came with the answer to a submission.
pub(crate) struct Taken {
    lane: Lane,
    entry: Entry,
    body: Option<Bytes>,
    places: Places,
}

/// Places that are kept for what a submission may bring.
pub(crate) struct Reserved {
    worker: Arc<Shared>,
    taken: mpsc::UnboundedSender<Taken>,
    places: [Vec<Places>; 3],
}

impl Handover {
    /// From now on `worker` is found here. Of several the last is.
    pub(crate) fn open(&self, worker: &Arc<Shared>) -> mpsc::UnboundedReceiver<Taken> {
        let (taken, receiver) = mpsc::unbounded_channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Taker { worker: Arc::downgrade(worker), taken });
        receiver
    }

    /// True if there is a worker with a place for an entry of `lane`.
    pub(crate) fn has_place(&self, lane: Lane) -> bool {
        let free = self.taker().map(|taker| taker.worker.free());
        free.is_some_and(|(all, common)| if lane == Lane::High { all > 0 } else { common > 0 })
    }

    /// The worker, if it takes anything now.
    fn taker(&self) -> Option<Taker<Arc<Shared>>> {
        let taker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Taker { worker, taken } = taker.as_ref()?;
        let worker = worker.upgrade().filter(|worker| worker.waiting.load(Relaxed) && !worker.is_closing())?;
        Some(Taker { worker, taken: taken.clone() })
    }

    /// Places for so many entries of each lane, or as many as are free; `None` if there is none.
    ///
    /// Only while the reader waits: where there is a backlog, it gives each lane its weight.
    pub(crate) fn reserve(&self, wanted: [usize; 3]) -> Option<Reserved> {
        let Taker { worker, taken } = self.taker()?;
        worker.handed_over.store(true, Relaxed);
        let places = Lane::ALL.map(|lane| worker.free_places(lane, wanted[lane as usize]).collect::<Vec<_>>());
        places.iter().any(|places| !places.is_empty()).then_some(Reserved { worker, taken, places })
    }
}

impl Reserved {
    /// Under whose name to read.
    pub(crate) fn consumer(&self) -> &str {
        &self.worker.owner.consumer
    }

    /// How many entries of each lane there are places for.
    pub(crate) fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|lane| self.places[lane].len())
    }

    /// Hands an entry over, with what is kept in its job's record if that is known.
    pub(crate) fn hand_over(&mut self, lane: Lane, (id, fields): (String, Vec<Vec<u8>>), body: Option<Bytes>) {
        let places = self.places[lane as usize].pop().unwrap_or_default();
        let taken = Taken { lane, entry: (id, 1, fields), body, places };
        if let Err(mpsc::error::SendError(Taken { lane, entry, body, .. })) = self.taken.send(taken) {
            // It has stopped meanwhile.
            let (worker, lease) = (self.worker.clone(), self.worker.lease(lane, &entry, body));
            tokio::spawn(async move { worker.give_back(lane, &[lease]).await });
        }
    }
}

/// Admits what is handed over, until the worker stops.
pub(crate) async fn run<A: DeserializeOwned>(shared: Arc<Shared>, mut taken: mpsc::UnboundedReceiver<Taken>, doors: Doors<A>) {
    let mut closing = shared.closing();
    loop {
        let next = tokio::select! {
            biased;
            next = taken.recv() => next,
            () = async { drop(closing.wait_for(|closing| *closing).await) } => {
                taken.close(); // what is in there is still received
                continue;
            }
        };
        let Some(Taken { lane, entry, body, places }) = next else { return };
        shared.admit(&doors, lane, entry, body, Some(places)).await;
    }
}
