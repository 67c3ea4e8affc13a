//! Who is connected to this process, and the one subscription that feeds them all.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use stentor_domain::{AppId, Clock, Entry, RecipientId, Timestamp};
use stentor_inbox::{InboxError, LiveEvent, LiveFeed, LiveMessage, Position, Presence, Presences, TimelineView, Timelines};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, sleep_until},
};

use super::{Manners, Receipts, manners::Bucket};
use crate::problem::ApiError;

/// The most connections that one person may have to one process: ten devices with a few tabs each.
pub(crate) const MAX_CONNECTIONS: usize = 64;
/// How many messages may wait for one connection before it has to catch up by itself.
const WAITING: usize = 256;

/// How often the copy of a timeline is held against Redis, whatever was published.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// How many connections are ended in a millisecond when the process stops: those who come back must be received elsewhere.
const CLOSINGS_A_MS: u64 = 2;
/// The longest that ending them takes.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// What happened, and the timeline as it was then.
#[derive(Clone)]
pub(crate) struct Pushed {
    pub what: What,
    pub view: Arc<TimelineView>,
}

/// What happened.
#[derive(Clone)]
pub(crate) enum What {
    /// Something in the person's own part.
    Message(Arc<LiveMessage>),
    /// An entry of the timeline was written or changed.
    Entry { epoch: u64, entry: Arc<Entry> },
}

/// What a hub is built on.
pub struct HubParts {
    /// What happens in Redis, as far as it is subscribed to.
    pub feed: LiveFeed,
    /// What `feed` tells.
    pub events: mpsc::Receiver<LiveEvent>,
    /// The timelines.
    pub timelines: Timelines,
    /// Where it is told who is connected.
    pub presences: Presences,
    /// Where it is noted what devices were shown.
    pub receipts: Receipts,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The connections of this process.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    feed: LiveFeed,
    timelines: Timelines,
    clock: Arc<dyn Clock>,
    apps: Mutex<HashMap<AppId, App>>,
    /// Taken around each subscription and its end, so that who comes just as the last one leaves is not unsubscribed.
    /// By person, in shards: a subscription is a round trip, and strangers need not wait for one another.
    subscriptions: [tokio::sync::Mutex<()>; SHARDS],
    next: AtomicU64,
    receipts: Receipts,
    presences: Presences,
    /// This process among those that report who is connected.
    name: String,
    bucket: Bucket,
    closing: tokio_util::sync::CancellationToken,
}

const SHARDS: usize = 64;

type Address = (AppId, RecipientId);

/// The people of an app who are connected, and how far they were told of its timeline.
#[derive(Default)]
struct App {
    people: HashMap<RecipientId, Person>,
    told: Position,
}

#[derive(Default)]
struct Person {
    connections: Vec<Member>,
}

struct Member {
    id: u64,
    tx: mpsc::Sender<Pushed>,
    behind: Arc<Behind>,
}

/// Set when a message could not be handed over: the connection then catches up from its own cursor.
#[derive(Default)]
pub(crate) struct Behind {
    flag: AtomicBool,
    wake: Notify,
}

impl Behind {
    fn set(&self) {
        self.flag.store(true, Relaxed);
        self.wake.notify_one();
    }

    /// Waits until the connection is behind, and takes note.
    pub(crate) async fn wait(&self) {
        while !self.flag.swap(false, Relaxed) {
            self.wake.notified().await;
        }
    }
}

/// The person has too many connections already.
pub(crate) struct TooMany;

impl Hub {
    /// A hub over `parts`, until `closing` is cancelled.
    pub fn start(parts: HubParts, manners: &Manners, closing: tokio_util::sync::CancellationToken) -> Self {
        let HubParts { feed, mut events, timelines, presences, receipts, clock } = parts;
        let hub = Self(Arc::new(Inner {
            feed,
            timelines,
            clock,
            apps: Mutex::default(),
            subscriptions: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            next: AtomicU64::new(0),
            receipts,
            presences,
            name: uuid::Uuid::now_v7().to_string(),
            bucket: Bucket::new(manners.connects_per_second),
            closing,
        }));
        tokio::spawn(hub.clone().report());
        let fed = hub.clone();
        tokio::spawn(async move {
            let mut check_at = Instant::now() + CHECK_EVERY;
            loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    () = sleep_until(check_at) => {
                        fed.check_timelines().await;
                        check_at = Instant::now() + fed.next_check();
                        continue;
                    }
                };
                match event {
                    Some(LiveEvent::Message { app, recipient, message }) => fed.push(&app, &recipient, &message),
                    Some(LiveEvent::Timeline { app, epoch, entry }) => {
                        fed.push_entry(&app, epoch, &entry).await;
                        let expires = entry.body.expires_at().map(|at| Instant::now() + at.since(fed.now()));
                        check_at = expires.map_or(check_at, |at| at.min(check_at));
                    }
                    Some(LiveEvent::Resubscribed) => fed.all_behind(),
                    None => return,
                }
            }
        });
        hub
    }

    /// Lets a connection begin, unless too many do at once.
    pub(crate) fn admit(&self) -> Result<(), ApiError> {
        self.0.bucket.take()
    }

    /// Tells the other processes who is connected here, again and again.
    async fn report(self) {
        let mut apps: HashMap<AppId, Presence> = HashMap::new();
        while !self.0.closing.is_cancelled() {
            for presence in apps.values_mut() {
                *presence = Presence::default();
            }
            for (app, here) in self.apps().iter() {
                let connections = here.people.values().map(|p| p.connections.len() as u64).sum();
                apps.insert(app.clone(), Presence { connections, people: here.people.len() as u64 });
            }
            for (app, presence) in &apps {
                if let Err(error) = self.0.presences.report(app, &self.0.name, *presence).await {
                    tracing::debug!(%error, "who is connected is told again in a while");
                }
            }
            apps.retain(|_, presence| presence.connections > 0);
            tokio::select! { () = sleep(CHECK_EVERY) => {} () = self.0.closing.cancelled() => {} }
        }
        for app in apps.keys() {
            let _ = self.0.presences.report(app, &self.0.name, Presence::default()).await;
        }
    }

    /// Waits until the process wants this connection to end: not all in one moment, at most 10 s after the first.
    pub(crate) async fn closed(&self) {
        self.0.closing.cancelled().await;
        let spread = Duration::from_millis(self.sockets() as u64 / CLOSINGS_A_MS).min(CLOSE_WITHIN);
        let share: f64 = rand::Rng::random(&mut rand::rng());
        sleep(spread.mul_f64(share)).await;
    }

    /// Waits until every connection has ended, once the process wants that.
    pub async fn drained(&self) {
        let drained = async {
            while self.sockets() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_WITHIN + Duration::from_secs(2), drained).await;
    }

    /// Where it is noted what devices were shown.
    pub(crate) fn receipts(&self) -> &Receipts {
        &self.0.receipts
    }

    /// How many sockets are open.
    pub fn sockets(&self) -> usize {
        self.apps().values().flat_map(|app| app.people.values()).map(|p| p.connections.len()).sum()
    }

    /// Joins a connection of `person`. When this returns, the subscription is confirmed: what is published from
    /// now on arrives, so that a snapshot read afterwards leaves no gap.
    pub(crate) async fn join(&self, app: &AppId, recipient: &RecipientId) -> Result<Result<Membership, TooMany>, InboxError> {
        let (tx, rx) = mpsc::channel(WAITING);
        let (id, behind) = (self.0.next.fetch_add(1, Relaxed), Arc::<Behind>::default());
        let address = (app.clone(), recipient.clone());
        {
            let mut apps = self.apps();
            let person = apps.entry(app.clone()).or_default().people.entry(recipient.clone()).or_default();
            if person.connections.len() >= MAX_CONNECTIONS {
                return Ok(Err(TooMany));
            }
            person.connections.push(Member { id, tx, behind: behind.clone() });
        }
        let membership = Membership { hub: self.clone(), address, id, rx, behind };
        let _guard = self.subscription(&membership.address).lock().await;
        // Also for the second connection: the first may have failed to subscribe.
        self.0.feed.subscribe(app, recipient).await?;
        self.0.feed.subscribe_timeline(app).await?;
        self.begin_timeline(app).await?;
        Ok(Ok(membership))
    }

    /// From where on the app's people are told of its timeline: the subscription is confirmed, so nothing after it is missed.
    async fn begin_timeline(&self, app: &AppId) -> Result<(), InboxError> {
        if self.apps().get(app).is_some_and(|a| a.told != Position::default()) {
            return Ok(());
        }
        let position = self.0.timelines.fresh(app, self.now()).await?.position();
        if let Some(app) = self.apps().get_mut(app)
            && app.told == Position::default()
        {
            app.told = position;
        }
        Ok(())
    }

    fn subscription(&self, address: &Address) -> &tokio::sync::Mutex<()> {
        let mut hasher = std::hash::DefaultHasher::new();
        address.hash(&mut hasher);
        &self.0.subscriptions[hasher.finish() as usize % SHARDS]
    }

    async fn unsubscribe_if_gone(&self, address: &Address) {
        let _guard = self.subscription(address).lock().await;
        let gone = self.apps().get(&address.0).is_none_or(|app| !app.people.contains_key(&address.1));
        if gone && let Err(error) = self.0.feed.unsubscribe(&address.0, &address.1).await {
            tracing::debug!(%error, "a live channel stays subscribed until the next reconnect");
        }
    }

    fn push(&self, app: &AppId, recipient: &RecipientId, message: &Arc<LiveMessage>) {
        {
            let view = self.0.timelines.known(app);
            let apps = self.apps();
            let Some(person) = apps.get(app).and_then(|app| app.people.get(recipient)) else { return };
            person.push(&Pushed { what: What::Message(message.clone()), view });
        }
        if let LiveMessage::Item { item, .. } = &**message {
            self.0.receipts.note(app, recipient, [item.card.id]);
        }
    }

    /// Hands an entry to everyone of the app who is connected; whether it is theirs, each connection knows.
    async fn push_entry(&self, app: &AppId, epoch: u64, entry: &Arc<Entry>) {
        let told = self.apps().get(app).map(|a| a.told);
        let next = told == Some(Position { epoch, rev: entry.rev - 1 });
        if next && self.0.timelines.apply(app, epoch, entry) != stentor_inbox::Applied::Missing {
            self.tell(app, Position { epoch, rev: entry.rev }, std::slice::from_ref(entry));
        } else if told.is_some_and(|told| (told.epoch, told.rev) < (epoch, entry.rev)) {
            self.check_timeline(app, self.now()).await; // one was not heard of
        }
    }

    /// Reads what is new in a timeline and hands it on: what was published may have been lost.
    async fn check_timeline(&self, app: &AppId, now: Timestamp) {
        let view = match self.0.timelines.fresh(app, now).await {
            Ok(view) => view,
            Err(error) => {
                tracing::debug!(%error, "a timeline is read again in a while");
                return;
            }
        };
        let told = self.apps().get(app).map(|a| a.told).unwrap_or_default();
        if view.position() == told {
            return;
        }
        if let Some(entries) = view.since(told) {
            let entries: Vec<Arc<Entry>> = entries.into_iter().cloned().collect();
            self.tell(app, view.position(), &entries);
        } else if let Some(app) = self.apps().get_mut(app) {
            app.told = view.position();
            app.people.values().for_each(Person::all_behind);
        }
    }

    fn tell(&self, app: &AppId, position: Position, entries: &[Arc<Entry>]) {
        let view = self.0.timelines.known(app);
        let mut apps = self.apps();
        let Some(app) = apps.get_mut(app) else { return };
        app.told = position;
        for entry in entries {
            let what = What::Entry { epoch: position.epoch, entry: entry.clone() };
            let pushed = Pushed { what, view: view.clone() };
            app.people.values().for_each(|person| person.push(&pushed));
        }
    }

    async fn check_timelines(&self) {
        let apps: Vec<AppId> = self.apps().iter().filter(|(_, a)| !a.people.is_empty()).map(|(app, _)| app.clone()).collect();
        for app in apps {
            self.check_timeline(&app, self.now()).await;
        }
    }

    /// Until the next entry of anybody's timeline expires, or the next check is due.
    fn next_check(&self) -> Duration {
        let now = self.now();
        let apps: Vec<AppId> = self.apps().iter().filter(|(_, a)| !a.people.is_empty()).map(|(app, _)| app.clone()).collect();
        let expiry = apps.iter().filter_map(|app| self.0.timelines.known(app).next_expiry(now)).min();
        expiry.map_or(CHECK_EVERY, |at| at.since(now).min(CHECK_EVERY))
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn all_behind(&self) {
        self.apps().values().flat_map(|app| app.people.values()).for_each(Person::all_behind);
    }

    fn apps(&self) -> MutexGuard<'_, HashMap<AppId, App>> {
        // A panic between two operations on the map cannot leave it half-changed.
        self.0.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Person {
    fn push(&self, pushed: &Pushed) {
        for member in &self.connections {
            if member.tx.try_send(pushed.clone()).is_err() {
                member.behind.set();
            }
        }
    }

    fn all_behind(&self) {
        self.connections.iter().for_each(|member| member.behind.set());
    }
}

/// One connection's place in the hub; it leaves when dropped.
pub(crate) struct Membership {
    hub: Hub,
    address: Address,
    id: u64,
    pub(crate) rx: mpsc::Receiver<Pushed>,
    pub(crate) behind: Arc<Behind>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut apps = self.hub.apps();
        let Some(app) = apps.get_mut(&self.address.0) else { return };
        let Some(person) = app.people.get_mut(&self.address.1) else { return };
        person.connections.retain(|m| m.id != self.id);
        if person.connections.is_empty() {
            app.people.remove(&self.address.1);
            let (hub, address) = (self.hub.clone(), self.address.clone());
            tokio::spawn(async move { hub.unsubscribe_if_gone(&address).await });
        }
    }
}
