//! What is fetched once for all who need it: those that begin together wait for the first, and for those after them it is kept a while.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::OnceCell;

/// How many things are kept at most: a picture whose URL is another for each reader would fill the room with what nobody asks for again.
const MOST: usize = 500;

/// How long, and how heavy: what is kept of something fetched.
pub(crate) struct Keep {
    pub life: Duration,
    pub bytes: usize,
}

/// Things fetched, by key. A cheap handle.
pub(crate) struct Fetched<K, V>(Arc<Inner<K, V>>);

struct Inner<K, V> {
    /// How many bytes are kept at most; the oldest give way.
    room: usize,
    kept: Mutex<VecDeque<Kept<K, V>>>,
    fetching: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
}

struct Kept<K, V> {
    key: K,
    until: Instant,
    bytes: usize,
    value: V,
}

impl<K, V> Clone for Fetched<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Fetched<K, V> {
    /// Keeps up to `room` bytes.
    pub(crate) fn new(room: usize) -> Self {
        Self(Arc::new(Inner { room, kept: Mutex::default(), fetching: Mutex::default() }))
    }

    /// What is kept under `key`, or what `fetch` gives; `keep` says whether that is kept.
    pub(crate) async fn get(&self, key: K, fetch: impl Future<Output = V>, keep: impl FnOnce(&V) -> Option<Keep>) -> V {
        if let Some(value) = self.find(&key) {
            return value;
        }
        let cell = lock(&self.0.fetching).entry(key.clone()).or_default().clone();
        let begin = async {
            // It may have been there by the time that this one was the first again.
            if let Some(value) = self.find(&key) {
                return value;
            }
            let value = fetch.await;
            if let Some(Keep { life, bytes }) = keep(&value) {
                self.keep(Kept { key: key.clone(), until: Instant::now() + life, bytes, value: value.clone() });
            }
            value
        };
        // Whoever is given up while it fetches leaves it to the next who waits.
        let value = cell.get_or_init(|| begin).await.clone();
        let mut fetching = lock(&self.0.fetching);
        if fetching.get(&key).is_some_and(|own| Arc::ptr_eq(own, &cell)) {
            fetching.remove(&key);
        }
        value
    }

    fn find(&self, key: &K) -> Option<V> {
        let (mut kept, now) = (lock(&self.0.kept), Instant::now());
        kept.retain(|kept| kept.until > now);
        kept.iter().find(|kept| kept.key == *key).map(|kept| kept.value.clone())
    }

    fn keep(&self, new: Kept<K, V>) {
        let mut kept = lock(&self.0.kept);
        kept.push_back(new);
        let mut bytes: usize = kept.iter().map(|kept| kept.bytes).sum();
        while bytes > self.0.room || kept.len() > MOST {
            bytes -= kept.pop_front().map_or(bytes, |oldest| oldest.bytes);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_give_way_to_bytes_and_to_numbers() {
        let fetched = Fetched::new(1_000);
        let get = async |key: usize, bytes: usize| {
            let keep = |_: &bool| Some(Keep { life: Duration::from_mins(1), bytes });
            fetched.get(key, async { true }, keep).await
        };
        for key in 0..MOST + 10 {
            get(key, 1).await;
        }
        assert_eq!((fetched.find(&9), fetched.find(&10)), (None, Some(true)));
        get(MOST + 10, 999).await;
        assert_eq!(lock(&fetched.0.kept).len(), 2);
        get(MOST + 11, 2_000).await;
        assert!(lock(&fetched.0.kept).is_empty(), "what is larger than the room is not kept");
    }
}
