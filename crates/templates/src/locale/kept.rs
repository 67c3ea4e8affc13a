//! Formatters that are kept: making one takes many times what using it does.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

/// How many of a kind are kept. Data may name any currency: when there are more, all are dropped.
const MOST: usize = 512;

/// Formatters by what they are made for.
pub(super) struct Kept<K, V>(RwLock<HashMap<K, Arc<V>>>);

impl<K: Eq + Hash, V> Kept<K, V> {
    /// None yet.
    pub(super) fn none() -> Self {
        Self(RwLock::default())
    }

    /// The one for `key`, made if there is none; `None` if it cannot be made.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> Option<V>) -> Option<Arc<V>> {
        if let Some(kept) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Some(kept.clone());
        }
        let made = Arc::new(make()?);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(key, made.clone());
        Some(made)
    }
}
