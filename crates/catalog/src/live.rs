//! Which version of each of an app's own templates is live, kept in memory for a few seconds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use stentor_archive::{Archive, ArchiveError};
use stentor_domain::AppId;

/// How long pointers are believed: the longest that a lost message keeps an old version live.
const BELIEVED: Duration = Duration::from_secs(10);
/// How many apps are remembered.
const APPS: usize = 10_000;

/// Hash by key.
pub(crate) type Pointers = Arc<BTreeMap<String, String>>;

struct Known {
    at: Instant,
    pointers: Pointers,
}

#[derive(Default)]
struct Memory {
    apps: HashMap<AppId, Known>,
    /// Counts what was forgotten: what was read from SQL before that is not believed.
    forgotten: u64,
}

/// The live pointers of apps.
pub(crate) struct Live {
    archive: Archive,
    memory: Mutex<Memory>,
}

impl Live {
    pub(crate) fn new(archive: Archive) -> Self {
        Self { archive, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pointers of `app`. If SQL cannot be asked, those that are known stay true.
    pub(crate) async fn of(&self, app: &AppId) -> Result<Pointers, ArchiveError> {
        let (known, forgotten) = {
            let memory = self.memory();
            (memory.apps.get(app).map(|known| (known.at, known.pointers.clone())), memory.forgotten)
        };
        if let Some((at, pointers)) = &known
            && at.elapsed() < BELIEVED
        {
            return Ok(pointers.clone());
        }
        let pointers = match (Box::pin(self.archive.live_templates(app)).await, known) {
            (Ok(pointers), _) => Arc::new(pointers),
            (Err(error), Some((_, pointers))) => {
                tracing::debug!(%error, "live templates are not asked for anew");
                pointers
            }
            (Err(error), None) => return Err(error),
        };
        self.keep(app, &pointers, forgotten);
        Ok(pointers)
    }

    /// Keeps what was read when so much was forgotten. What moved since makes it old, but not unknown: SQL may be down next time.
    fn keep(&self, app: &AppId, pointers: &Pointers, forgotten: u64) {
        let mut memory = self.memory();
        let is_new = memory.forgotten == forgotten;
        if !is_new && memory.apps.get(app).is_some_and(|known| known.at.elapsed() < BELIEVED) {
            return; // somebody else has read it since
        }
        if memory.apps.len() >= APPS {
            memory.apps.clear();
        }
        let at = if is_new { Instant::now() } else { long_ago(Instant::now()) };
        memory.apps.insert(app.clone(), Known { at, pointers: pointers.clone() });
    }

    /// The pointers of `app` have moved. What is known is kept for the case that SQL is down.
    pub(crate) fn forget(&self, app: &AppId) {
        let mut memory = self.memory();
        memory.forgotten += 1;
        if let Some(known) = memory.apps.get_mut(app) {
            known.at = long_ago(known.at);
        }
    }

    /// Any pointer may have moved.
    pub(crate) fn forget_all(&self) {
        let mut memory = self.memory();
        memory.forgotten += 1;
        for known in memory.apps.values_mut() {
            known.at = long_ago(known.at);
        }
    }
}

fn long_ago(at: Instant) -> Instant {
    at.checked_sub(BELIEVED).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_moved_while_it_was_read_is_kept_and_not_believed() {
        let live = Live::new(Archive::connect("sqlite::memory:").await.unwrap());
        let app: AppId = "bank".parse().unwrap();
        let pointing = |hash: &str| Arc::new(BTreeMap::from([("welcome".to_owned(), hash.to_owned())]));
        let known = || live.memory().apps.get(&app).map(|known| (known.pointers.clone(), known.at.elapsed() < BELIEVED));
        let before = live.memory().forgotten;
        live.forget(&app);
        live.keep(&app, &pointing("one"), before);
        assert_eq!(known(), Some((pointing("one"), false)));
        live.keep(&app, &pointing("two"), before + 1);
        assert_eq!(known(), Some((pointing("two"), true)));
        live.keep(&app, &pointing("one"), before);
        assert_eq!(known(), Some((pointing("two"), true)), "what was read later stays");
    }
}
