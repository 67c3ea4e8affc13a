//! What apps are called, kept in memory for a minute.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use stentor_archive::Archive;
use stentor_domain::AppId;

/// How long a name is believed.
const BELIEVED: Duration = Duration::from_mins(1);
/// How many apps are remembered.
const APPS: usize = 10_000;

/// The names of apps.
pub(crate) struct Names {
    archive: Archive,
    known: Mutex<HashMap<AppId, (Instant, Arc<str>)>>,
}

impl Names {
    pub(crate) fn new(archive: Archive) -> Self {
        Self { archive, known: Mutex::default() }
    }

    /// What `app` is called. If SQL cannot be asked, what is known, or its id: nothing waits for a name.
    pub(crate) async fn of(&self, app: &AppId) -> Arc<str> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(app).cloned();
        if let Some((at, name)) = &known
            && at.elapsed() < BELIEVED
        {
            return name.clone();
        }
        let name: Arc<str> = match (Box::pin(self.archive.find_app(app)).await, known) {
            (Ok(Some(found)), _) => found.name.into(),
            (Err(_), Some((_, name))) => name,
            (Ok(None) | Err(_), _) => app.as_str().into(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= APPS {
            known.clear();
        }
        known.insert(app.clone(), (Instant::now(), name.clone()));
        name
    }
}
