//! Gathering: while a few calls are under way, what comes then waits for the end of one and goes together. Alone, one waits for nothing;
//! under load, dozens share a call and its round trip.

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What waits for the end of a call.
pub(crate) struct Gathering<T> {
    gathered: Mutex<Gathered<T>>,
    /// The most calls under way.
    most: usize,
    /// How many calls have gone out.
    calls: AtomicU64,
}

struct Gathered<T> {
    waiting: Vec<T>,
    under_way: usize,
}

impl<T> Gathering<T> {
    /// With at most so many calls under way.
    pub(crate) fn new(most: usize) -> Self {
        Self { gathered: Mutex::new(Gathered { waiting: Vec::new(), under_way: 0 }), most, calls: AtomicU64::new(0) }
    }

    /// Adds what is to go. If this is true a call is free for it: whoever added it sees to it that calls are made until
    /// [`take`](Self::take) gives nothing more, whatever becomes of themselves.
    pub(crate) fn add(&self, one: T) -> bool {
        let mut gathered = self.lock();
        gathered.waiting.push(one);
        let is_free = gathered.under_way < self.most;
        gathered.under_way += usize::from(is_free);
        is_free
    }

    /// What waits; `None` ends the call that asks.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        let mut gathered = self.lock();
        if gathered.waiting.is_empty() {
            gathered.under_way -= 1;
            return None;
        }
        self.calls.fetch_add(1, Relaxed);
        Some(mem::take(&mut gathered.waiting))
    }

    /// What waits, for a call that goes on.
    pub(crate) fn take_all(&self) -> Vec<T> {
        mem::take(&mut self.lock().waiting)
    }

    /// How many calls have gone out.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// True if a call is free for what comes now, and nothing waits for it.
    pub(crate) fn is_calm(&self) -> bool {
        let gathered = self.lock();
        gathered.waiting.is_empty() && gathered.under_way < self.most
    }

    fn lock(&self) -> MutexGuard<'_, Gathered<T>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
