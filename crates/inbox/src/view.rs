//! A timeline as this process knows it, and the copies of all timelines that it has read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use stentor_domain::{AppId, Entry, NotificationId, Timestamp, timeline::EntryBody};

use crate::{ColdStore, EntryEdit, Hot, InboxError, Position, Reader, Timeline, timeline::TimelineChanges};

/// How often it is looked whether Redis lost anything, at most, where nothing depends on it at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a rebuilt timeline may be found cold again before we give up.
const WARMINGS: usize = 3;

/// A timeline at one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimelineView {
    position: Position,
    base: u64,
    entries: BTreeMap<u64, Arc<Entry>>,
    places: HashMap<NotificationId, u64>,
}

impl TimelineView {
    /// Its life and revision.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The entry of a notification, alive or gone.
    pub fn find(&self, id: NotificationId) -> Option<&Arc<Entry>> {
        self.entries.get(self.places.get(&id)?)
    }

    /// The entries below `before`, newest first.
    pub fn newest(&self, before: Option<u64>) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.range(..before.unwrap_or(u64::MAX)).rev().map(|(_, entry)| entry)
    }

    /// The entries that changed after `position`, in the order of these changes; `None` if that cannot be told.
    pub fn since(&self, position: Position) -> Option<Vec<&Arc<Entry>>> {
        if position.epoch != self.position.epoch || position.rev > self.position.rev || position.rev < self.base {
            return None;
        }
        let mut changed: Vec<_> = self.entries.values().filter(|e| e.rev > position.rev).collect();
        changed.sort_by_key(|e| e.rev);
        Some(changed)
    }

    /// How many entries `reader` has not read.
    pub fn unread(&self, reader: &Reader, now: Timestamp) -> u64 {
        // What was read in one go is not looked at again, but for what was treated otherwise since.
        let upto = reader.read_upto.map_or(0, |(upto, _)| upto.seq);
        let beyond = self.entries.range(upto + 1..).map(|(_, e)| e);
        let treated = reader.treated.range(..=upto).filter_map(|(seq, _)| self.entries.get(seq));
        beyond.chain(treated).filter(|e| reader.is_unread(e, now)).count() as u64
    }

    /// The first time after `now` at which an entry expires.
    pub fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        self.entries.values().filter(|e| e.is_alive(now)).filter_map(|e| e.body.expires_at()).min()
    }

    fn put(&mut self, entry: Arc<Entry>) {
        self.places.insert(entry.body.id, entry.seq);
        self.entries.insert(entry.seq, entry);
    }

    fn apply(&mut self, changes: TimelineChanges) {
        if changes.all {
            (self.entries, self.places) = Default::default();
        }
        self.position = Position { epoch: changes.epoch, rev: changes.rev };
        self.base = changes.base;
        for entry in changes.entries {
            self.put(Arc::new(entry));
        }
    }
}

/// What became of a live message of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// It was the next.
    Next,
    /// It was known.
    Known,
    /// Something is missing before it: read the timeline again.
    Missing,
}

/// The timelines of all apps: in Redis, on record behind it, and the copies of this process.
#[derive(Clone)]
pub struct Timelines {
    hot: Timeline,
    cold: Arc<dyn ColdStore>,
    views: Arc<Mutex<HashMap<AppId, Copy>>>,
}

/// A timeline as it was read last, and what was heard since.
#[derive(Default)]
struct Copy {
    view: Arc<TimelineView>,
    /// When it was looked last whether Redis lost anything of it.
    looked_at: Option<Timestamp>,
}

impl Timelines {
    /// The timelines in `hot`, with `cold` as their record.
    pub fn new(hot: Timeline, cold: Arc<dyn ColdStore>) -> Self {
        Self { hot, cold, views: Arc::default() }
    }

    /// The timelines in Redis.
    pub fn hot(&self) -> &Timeline {
        &self.hot
    }

    fn views(&self) -> MutexGuard<'_, HashMap<AppId, Copy>> {
        // A panic between two operations on the map cannot leave it half-changed.
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy that this process has, however old; empty if there is none.
    pub fn known(&self, app: &AppId) -> Arc<TimelineView> {
        self.views().get(app).map_or_else(Arc::default, |copy| copy.view.clone())
    }

    /// The timeline as it is now: what changed since the copy was made is read.
    pub async fn fresh(&self, app: &AppId, now: Timestamp) -> Result<Arc<TimelineView>, InboxError> {
        let looked_at = self.views().get(app).and_then(|copy| copy.looked_at);
        let look = looked_at.is_none_or(|at| at.after(LOOK_EVERY) <= now || at > now);
        self.read(app, look, now).await
    }

    /// The same, and of this life: to be held against a cursor, which may be of a time that Redis has lost.
    pub async fn verified(&self, app: &AppId, now: Timestamp) -> Result<Arc<TimelineView>, InboxError> {
        self.read(app, true, now).await
    }

    async fn read(&self, app: &AppId, look: bool, now: Timestamp) -> Result<Arc<TimelineView>, InboxError> {
        let mut warmings = 0;
        loop {
            let known = self.known(app);
            match self.hot.since(app, known.position, look, now).await? {
                Hot::Warm(changes) => {
                    if look {
                        self.views().entry(app.clone()).or_default().looked_at = Some(now);
                    }
                    if changes.entries.is_empty() && !changes.all {
                        return Ok(known);
                    }
                    let (asked, all) = (known.position, changes.all);
                    let mut view = TimelineView::clone(&known);
                    view.apply(changes);
                    return Ok(self.keep(app, Arc::new(view), all.then_some(asked)));
                }
                Hot::Cold if warmings == WARMINGS => return Err(InboxError::StaysCold),
                Hot::Cold => self.warm(app, now).await?,
            }
            warmings += 1;
        }
    }

    /// Keeps the newer of two copies, and gives it back. One that is all there is, whatever was known at `instead_of`, stands instead
    /// of that: Redis is behind it if it has lost the rest.
    fn keep(&self, app: &AppId, view: Arc<TimelineView>, instead_of: Option<Position>) -> Arc<TimelineView> {
        let mut views = self.views();
        let kept = &mut views.entry(app.clone()).or_default().view;
        if view.position >= kept.position || instead_of == Some(kept.position) {
            *kept = view;
        }
        kept.clone()
    }

    /// Takes in one entry that was published at `epoch`.
    pub fn apply(&self, app: &AppId, epoch: u64, entry: &Arc<Entry>) -> Applied {
        let mut views = self.views();
        let Some(Copy { view: kept, .. }) = views.get_mut(app) else { return Applied::Missing };
        let at = kept.position;
        if epoch != at.epoch || entry.rev > at.rev + 1 {
            return Applied::Missing;
        }
        if entry.rev <= at.rev {
            return Applied::Known;
        }
        let view = Arc::make_mut(kept);
        view.position.rev = entry.rev;
        view.put(entry.clone());
        Applied::Next
    }

    /// Writes an entry, unless the timeline has the notification already; gives the entry that there is now.
    pub async fn append(&self, app: &AppId, body: &EntryBody, now: Timestamp) -> Result<Entry, InboxError> {
        for _ in 0..=WARMINGS {
            match self.hot.append(app, body, now).await? {
                Hot::Warm(entry) => return Ok(entry),
                Hot::Cold => self.warm(app, now).await?,
            }
        }
        Err(InboxError::StaysCold)
    }

    /// Changes the entry of a notification. Gives what it is now, and whether this call changed it; `None`: there is none.
    pub async fn edit(
        &self,
        app: &AppId,
        id: NotificationId,
        edit: &EntryEdit,
        now: Timestamp,
    ) -> Result<Option<(Entry, bool)>, InboxError> {
        for _ in 0..=WARMINGS {
            match self.hot.edit(app, id, edit, now).await? {
                Hot::Warm(edited) => return Ok(edited),
                Hot::Cold => self.warm(app, now).await?,
            }
        }
        Err(InboxError::StaysCold)
    }

    pub(crate) async fn warm(&self, app: &AppId, now: Timestamp) -> Result<(), InboxError> {
        let entries = self.cold.timeline(app, now).await.map_err(InboxError::Record)?;
        self.hot.warm(app, &entries, now).await
    }
}
