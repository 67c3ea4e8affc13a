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
        let pointers = match (self.archive.live_templates(app).await, known) {
            (Ok(pointers), _) => Arc::new(pointers),
            (Err(error), Some((_, pointers))) => {
                tracing::debug!(%error, "live templates are not asked for anew");
                pointers
            }
            (Err(error), None) => return Err(error),
        };
        let mut memory = self.memory();
        if memory.forgotten == forgotten {
            if memory.apps.len() >= APPS {
                memory.apps.clear();
            }
            memory.apps.insert(app.clone(), Known { at: Instant::now(), pointers: pointers.clone() });
        }
        Ok(pointers)
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
