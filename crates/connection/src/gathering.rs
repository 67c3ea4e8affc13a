//! Gathering: while a few calls are under way, what comes then waits for the end of one and goes together. Alone, one waits for nothing;
//! under load, dozens share a call and its round trip.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use redis::{ErrorKind, RedisError};

/// What waits for the end of a call.
pub struct Gathering<T> {
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
    pub fn new(most: usize) -> Self {
        Self { gathered: Mutex::new(Gathered { waiting: Vec::new(), under_way: 0 }), most, calls: AtomicU64::new(0) }
    }

    /// Adds what is to go. If a call is free for it, whoever added it gets its turn: they see to it that calls are made until
    /// [`Turn::next_call`] gives nothing more, whatever becomes of themselves.
    pub fn add(self: &Arc<Self>, one: T) -> Option<Turn<T>> {
        let mut gathered = self.lock();
        gathered.waiting.push(one);
        let is_free = gathered.under_way < self.most;
        gathered.under_way += usize::from(is_free);
        is_free.then(|| Turn { gathering: self.clone(), is_over: false })
    }

    /// How many calls have gone out.
    pub fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// True if a call is free for what comes now, and nothing waits for it.
    pub fn is_calm(&self) -> bool {
        let gathered = self.lock();
        gathered.waiting.is_empty() && gathered.under_way < self.most
    }

    fn lock(&self) -> MutexGuard<'_, Gathered<T>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who makes calls, until nothing waits.
pub struct Turn<T> {
    gathering: Arc<Gathering<T>>,
    is_over: bool,
}

impl<T> Turn<T> {
    /// What is to go in a call; `None` ends the turn.
    pub fn next_call(&mut self) -> Option<Vec<T>> {
        let mut gathered = self.gathering.lock();
        if gathered.waiting.is_empty() {
            gathered.under_way -= 1;
            self.is_over = true;
            return None;
        }
        self.gathering.calls.fetch_add(1, Relaxed);
        Some(mem::take(&mut gathered.waiting))
    }

    /// What waits by now, for a turn that goes on.
    pub fn take_all(&self) -> Vec<T> {
        mem::take(&mut self.gathering.lock().waiting)
    }
}

/// A turn that broke off, by a panic or since its runtime ends, is free for another; nobody is left waiting for it.
impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut gathered = self.gathering.lock();
        gathered.under_way -= 1;
        let left = if gathered.under_way == 0 { mem::take(&mut gathered.waiting) } else { Vec::new() };
        drop(gathered);
        drop(left); // who waits for them hears of it
    }
}

/// What is told to whoever waited for a turn that broke off.
pub fn broken_off() -> RedisError {
    RedisError::from((ErrorKind::Io, "the call was broken off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_takes_what_came_meanwhile_and_one_that_breaks_off_leaves_nobody_waiting() {
        let gathering = Arc::new(Gathering::new(1));
        let mut turn = gathering.add(1).unwrap();
        assert!(gathering.add(2).is_none() && !gathering.is_calm());
        assert_eq!(turn.next_call(), Some(vec![1, 2]));
        assert!(gathering.add(3).is_none());
        assert_eq!((turn.next_call(), turn.next_call(), gathering.calls()), (Some(vec![3]), None, 2));
        drop(turn);
        let turn = gathering.add(4).unwrap();
        assert!(gathering.add(5).is_none());
        drop(turn);
        assert!(gathering.is_calm());
        assert_eq!(gathering.add(6).unwrap().next_call(), Some(vec![6]));
    }
}
