//! Gathering: while a few calls are under way, what comes then waits for the end of one and goes together, or for as many as fill a call,
//! which goes at once. Alone, one waits for nothing; under load, dozens share a call and its round trip, and Redis has the next call
//! while the last is being answered.

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
    calls_at_once: CallsAtOnce,
    /// How many calls have gone out.
    calls: AtomicU64,
}

/// How many calls may be under way.
#[derive(Clone, Copy, Debug)]
pub struct CallsAtOnce {
    /// So many, whatever goes in them.
    pub any: usize,
    /// So many, if the next is full.
    pub full: usize,
    /// What fills a call. More may go in one, if they came while it could not go.
    pub fill: usize,
}

impl CallsAtOnce {
    /// So many, full or not; of one, each follows the one before.
    pub const fn at_most(most: usize) -> Self {
        Self { any: most, full: most, fill: usize::MAX }
    }

    /// Whether a call of so many may go out while `others` are under way.
    fn may_go(self, many: usize, others: usize) -> bool {
        let most = if many >= self.fill { self.full } else { self.any };
        others < most
    }
}

struct Gathered<T> {
    waiting: Vec<T>,
    under_way: usize,
}

impl<T> Gathering<T> {
    /// For so many calls at once.
    pub fn new(calls_at_once: CallsAtOnce) -> Self {
        let gathered = Mutex::new(Gathered { waiting: Vec::new(), under_way: 0 });
        Self { gathered, calls_at_once, calls: AtomicU64::new(0) }
    }

    /// Adds what is to go. If a call is free for it, whoever added it gets its turn: they see to it that calls are made until
    /// [`Turn::next_call`] gives nothing more, whatever becomes of themselves.
    pub fn add(self: &Arc<Self>, one: T) -> Option<Turn<T>> {
        let mut gathered = self.lock();
        gathered.waiting.push(one);
        let is_free = self.calls_at_once.may_go(gathered.waiting.len(), gathered.under_way);
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
        gathered.waiting.is_empty() && self.calls_at_once.may_go(1, gathered.under_way)
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
    /// What is to go in a call; `None` ends the turn. What still waits then goes with another that is under way.
    pub fn next_call(&mut self) -> Option<Vec<T>> {
        let mut gathered = self.gathering.lock();
        let many = gathered.waiting.len();
        if many == 0 || !self.gathering.calls_at_once.may_go(many, gathered.under_way - 1) {
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
    fn what_fills_a_call_waits_for_no_other_and_a_few_wait_for_one_that_is_under_way() {
        let gathering = Arc::new(Gathering::new(CallsAtOnce { any: 1, full: 2, fill: 3 }));
        let mut first = gathering.add(1).expect("none is under way");
        assert_eq!(first.next_call(), Some(vec![1]));
        assert!(gathering.add(2).is_none() && gathering.add(3).is_none() && !gathering.is_calm());
        let mut second = gathering.add(4).expect("three fill a call");
        assert_eq!(second.next_call(), Some(vec![2, 3, 4]));
        assert!((5..9).all(|n| gathering.add(n).is_none()), "two are under way");
        assert_eq!(first.next_call(), Some(vec![5, 6, 7, 8]), "it may go, with all of them");
        assert!(gathering.add(9).is_none());
        assert_eq!(first.next_call(), None, "it fills none, and the second takes it");
        assert_eq!((second.next_call(), second.next_call(), gathering.calls()), (Some(vec![9]), None, 4));
        assert!(gathering.is_calm());
    }

    #[test]
    fn a_turn_takes_what_came_meanwhile_and_one_that_breaks_off_leaves_nobody_waiting() {
        let gathering = Arc::new(Gathering::new(CallsAtOnce::at_most(1)));
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
