//! Who is connected to this process, and the one subscription that feeds them all.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use stentor_connection::Place as RedisPlace;
use stentor_domain::{AppId, Clock, Entry, RecipientId, Timestamp};
use stentor_inbox::{Applied, InboxError, Inboxes, LiveEvent, LiveFeed, Position, Presence, Presences, Timelines};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Manners, Receipts,
    manners::Bucket,
    shard::{Attach, CLOSE_WITHIN, CROWD, Census, MAX_CONNECTIONS, Message, Place, Shard, ShardParts},
};
use crate::problem::ApiError;

/// How often the copy of a timeline is held against Redis, whatever was published.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How many subscriptions may be made at a time: each is a round trip, and strangers need not wait for one another.
const SUBSCRIBING: usize = 64;
/// The most shards: beyond it the subscription, which all share, is what limits.
const MAX_SHARDS: usize = 16;

/// What a hub is built on.
pub struct HubParts {
    /// The Redis in which it happens.
    pub redis: RedisPlace,
    /// Where what was missed is read.
    pub inboxes: Inboxes,
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
    shards: Vec<Shard>,
    hasher: RandomState,
    /// How far the shards were told of each app's timeline.
    told: Mutex<HashMap<AppId, Position>>,
    /// The apps of which somebody is connected, as of a moment ago.
    busy: Mutex<HashSet<AppId>>,
    /// Taken around each subscription and its end, so that who comes just as the last one leaves is not unsubscribed.
    subscriptions: [tokio::sync::Mutex<()>; SUBSCRIBING],
    next: AtomicU64,
    sockets: Arc<AtomicUsize>,
    receipts: Receipts,
    presences: Presences,
    /// This process among those that report who is connected.
    name: String,
    bucket: Bucket,
    closing: CancellationToken,
    main: Handle,
}

/// A hub cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The system gives no thread.
    #[error("the threads of the sockets cannot be started")]
    Threads(#[from] std::io::Error),
    /// Redis does not answer.
    #[error("Redis (redis.url) does not answer")]
    Redis(#[from] InboxError),
}

/// The person has too many connections already.
pub(crate) struct TooMany;

impl Hub {
    /// A hub over `parts`, until `closing` is cancelled.
    pub async fn start(parts: HubParts, manners: &Manners, closing: CancellationToken) -> Result<Self, HubError> {
        let HubParts { redis, inboxes, presences, receipts, clock } = parts;
        let (gone, leavers) = mpsc::unbounded_channel();
        let sockets = Arc::<AtomicUsize>::default();
        let shards = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_SHARDS);
        let parts = ShardParts {
            timelines: inboxes.timelines().clone(),
            inboxes: inboxes.clone(),
            receipts: receipts.clone(),
            clock: clock.clone(),
            main: Handle::current(),
            closing: closing.clone(),
            shards,
            sockets: sockets.clone(),
            gone,
        };
        let shards: Vec<Shard> = (0..shards).map(|number| Shard::start(number, parts.clone())).collect::<Result<_, _>>()?;
        // The subscription lives on the thread of the first: a push waits for what that one does, at most a stride of a broadcast, and for
        // nothing that the rest of the process does.
        let first = shards[0].runtime().clone();
        let (feed, events) = first.spawn(LiveFeed::connect(redis)).await.map_err(std::io::Error::other)??;
        let hub = Self(Arc::new(Inner {
            feed,
            timelines: inboxes.timelines().clone(),
            clock,
            shards,
            hasher: RandomState::new(),
            told: Mutex::default(),
            busy: Mutex::default(),
            subscriptions: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            next: AtomicU64::new(0),
            sockets,
            receipts,
            presences,
            name: uuid::Uuid::now_v7().to_string(),
            bucket: Bucket::new(manners.connects_per_second),
            closing,
            main: Handle::current(),
        }));
        tokio::spawn(hub.clone().report());
        tokio::spawn(hub.clone().unsubscribe(leavers));
        first.spawn(hub.clone().feed(events));
        Ok(hub)
    }

    /// Hands on what happens.
    async fn feed(self, mut events: mpsc::Receiver<LiveEvent>) {
        let mut check_at = Instant::now() + CHECK_EVERY;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = sleep_until(check_at) => {
                    self.check_timelines().await;
                    check_at = Instant::now() + self.next_check();
                    continue;
                }
            };
            match event {
                Some(LiveEvent::Message { app, recipient, message }) => {
                    self.shard(&app, &recipient).tell(Message::Live(app, recipient, message)).await;
                }
                Some(LiveEvent::Timeline { app, epoch, entry }) => {
                    self.entry(&app, epoch, &entry).await;
                    let expires = entry.body.expires_at().map(|at| Instant::now() + at.since(self.now()));
                    check_at = expires.map_or(check_at, |at| at.min(check_at));
                }
                Some(LiveEvent::Resubscribed) => {
                    for shard in &self.0.shards {
                        shard.tell(Message::Behind(None)).await;
                    }
                }
                None => return,
            }
        }
    }

    /// Lets a connection begin, unless too many do at once.
    pub(crate) fn admit(&self) -> Result<(), ApiError> {
        self.0.bucket.take()
    }

    /// Tells the other processes who is connected here, again and again.
    async fn report(self) {
        let mut told = Census::default();
        while !self.0.closing.is_cancelled() {
            let mut census = Census::default();
            for shard in &self.0.shards {
                let (reply, counted) = oneshot::channel();
                shard.tell(Message::Count(reply)).await;
                let here = counted.await.unwrap_or_default();
                for (app, here) in here.apps {
                    *census.apps.entry(app).or_default() += here;
                }
                census.crowds.extend(here.crowds);
            }
            *self.busy() = census.apps.keys().cloned().collect();
            self.report_census(&census, &told).await;
            told = census;
            tokio::select! { () = sleep(CHECK_EVERY) => {} () = self.0.closing.cancelled() => {} }
        }
        self.report_census(&Census::default(), &told).await;
    }

    /// Tells what is counted, and of what was told before and is no more that it is none.
    async fn report_census(&self, census: &Census, told: &Census) {
        let (name, presences) = (&self.0.name, &self.0.presences);
        let gone = told.apps.keys().filter(|app| !census.apps.contains_key(*app)).map(|app| (Some(app), Presence::default()));
        let here = census.apps.iter().map(|(app, here)| (Some(app), *here));
        for (app, presence) in here.chain(gone).chain([(None, census.apps.values().copied().sum())]) {
            if let Err(error) = presences.report(app, name, presence).await {
                tracing::debug!(%error, "who is connected is told again in a while");
            }
        }
        let gone = told.crowds.keys().filter(|person| !census.crowds.contains_key(*person)).map(|person| (person, 0));
        for ((app, recipient), here) in census.crowds.iter().map(|(person, here)| (person, *here)).chain(gone) {
            if let Err(error) = presences.report_crowd(app, recipient, name, here as u64).await {
                tracing::debug!(%error, "how many connections a person has is told again in a while");
            }
        }
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

    /// How many connections there are.
    pub fn sockets(&self) -> usize {
        self.0.sockets.load(Relaxed)
    }

    /// Joins a connection of a person. When this returns, the subscription is confirmed: what is published from
    /// now on is kept for it, so that a snapshot read afterwards leaves no gap.
    pub(crate) async fn join(&self, app: &AppId, recipient: &RecipientId) -> Result<Result<Membership, TooMany>, InboxError> {
        let id = self.0.next.fetch_add(1, Relaxed);
        let place = Place { app: app.clone(), recipient: recipient.clone(), id };
        let (reply, may) = oneshot::channel();
        let shard = self.shard(app, recipient);
        // Before the shard hears of it: who goes away while we wait for its answer is counted all the same, and has to leave.
        let membership = Membership { hub: self.clone(), place: Some(place.clone()) };
        shard.tell(Message::Join(place, reply)).await;
        let Some(here) = may.await.unwrap_or_default() else { return Ok(Err(TooMany)) };
        if here >= CROWD {
            let all = self.0.presences.report_crowd(app, recipient, &self.0.name, here as u64).await?;
            if all > MAX_CONNECTIONS as u64 {
                return Ok(Err(TooMany));
            }
        }
        let _guard = self.subscription(app, recipient).lock().await;
        // Also for the second connection: the first may have failed to subscribe.
        self.0.feed.subscribe(app, recipient).await?;
        self.0.feed.subscribe_timeline(app).await?;
        self.begin_timeline(app).await?;
        Ok(Ok(membership))
    }

    /// From where on the app's people are told of its timeline: the subscription is confirmed, so nothing after it is missed.
    async fn begin_timeline(&self, app: &AppId) -> Result<(), InboxError> {
        self.busy().insert(app.clone());
        if self.told().contains_key(app) {
            return Ok(());
        }
        let position = self.0.timelines.fresh(app, self.now()).await?.position();
        self.told().entry(app.clone()).or_insert(position);
        Ok(())
    }

    fn hash(&self, app: &AppId, recipient: &RecipientId) -> usize {
        self.0.hasher.hash_one((app, recipient)) as usize
    }

    fn shard(&self, app: &AppId, recipient: &RecipientId) -> &Shard {
        &self.0.shards[self.hash(app, recipient) % self.0.shards.len()]
    }

    fn subscription(&self, app: &AppId, recipient: &RecipientId) -> &tokio::sync::Mutex<()> {
        &self.0.subscriptions[self.hash(app, recipient) % SUBSCRIBING]
    }

    /// Ends the subscriptions of those who have gone.
    async fn unsubscribe(self, mut leavers: mpsc::UnboundedReceiver<(AppId, RecipientId)>) {
        while let Some((app, recipient)) = leavers.recv().await {
            let _guard = self.subscription(&app, &recipient).lock().await;
            let (reply, here) = oneshot::channel();
            self.shard(&app, &recipient).tell(Message::IsHere(app.clone(), recipient.clone(), reply)).await;
            if !here.await.unwrap_or(true)
                && let Err(error) = self.0.feed.unsubscribe(&app, &recipient).await
            {
                tracing::debug!(%error, "a live channel stays subscribed until the next reconnect");
            }
        }
    }

    /// Hands an entry to everyone of the app who is connected; whether it is theirs is found out there.
    async fn entry(&self, app: &AppId, epoch: u64, entry: &Arc<Entry>) {
        let told = self.told().get(app).copied();
        let next = told == Some(Position { epoch, rev: entry.rev - 1 });
        if next && self.0.timelines.apply(app, epoch, entry) != Applied::Missing {
            self.tell(app, Position { epoch, rev: entry.rev }, vec![entry.clone()]).await;
        } else if told.is_some_and(|told| told < Position { epoch, rev: entry.rev }) {
            self.check_timeline(app, self.now()).await; // one was not heard of
        }
    }

    /// Reads what is new in a timeline and hands it on: what was published may have been lost.
    async fn check_timeline(&self, app: &AppId, now: Timestamp) {
        // Not on the thread of a shard: a connection to Redis that is made anew stays with who asked for it.
        let (timelines, of) = (self.0.timelines.clone(), app.clone());
        let Ok(fresh) = self.0.main.spawn(async move { timelines.verified(&of, now).await }).await else { return };
        let view = match fresh {
            Ok(view) => view,
            Err(error) => {
                tracing::debug!(%error, "a timeline is read again in a while");
                return;
            }
        };
        let told = self.told().get(app).copied().unwrap_or_default();
        if view.position() == told {
            return;
        }
        if let Some(entries) = view.since(told) {
            let entries: Vec<Arc<Entry>> = entries.into_iter().cloned().collect();
            self.tell(app, view.position(), entries).await;
        } else {
            self.told().insert(app.clone(), view.position());
            for shard in &self.0.shards {
                shard.tell(Message::Behind(Some((app.clone(), view.clone())))).await;
            }
        }
    }

    async fn tell(&self, app: &AppId, position: Position, entries: Vec<Arc<Entry>>) {
        self.told().insert(app.clone(), position);
        let view = self.0.timelines.known(app);
        for shard in &self.0.shards {
            let (app, epoch) = (app.clone(), position.epoch);
            shard.tell(Message::Entries { app, epoch, entries: entries.clone(), view: view.clone() }).await;
        }
    }

    async fn check_timelines(&self) {
        let apps: Vec<AppId> = self.busy().iter().cloned().collect();
        for app in apps {
            self.check_timeline(&app, self.now()).await;
        }
    }

    /// Until the next entry of anybody's timeline expires, or the next check is due.
    fn next_check(&self) -> Duration {
        let now = self.now();
        let apps: Vec<AppId> = self.busy().iter().cloned().collect();
        let expiry = apps.iter().filter_map(|app| self.0.timelines.known(app).next_expiry(now)).min();
        expiry.map_or(CHECK_EVERY, |at| at.since(now).min(CHECK_EVERY))
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<AppId>> {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, HashMap<AppId, Position>> {
        // A panic between two operations on the map cannot leave it half-changed.
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the hub; it leaves when dropped, also one that was not let in.
pub(crate) struct Membership {
    hub: Hub,
    /// `None` once the shard itself sees to it.
    place: Option<Place>,
}

impl Membership {
    /// Hands a connection that was welcomed to its shard. What arrives on a socket leaves by itself; of a stream the
    /// membership is to be kept.
    pub(crate) async fn attach(&mut self, attach: impl FnOnce(Place) -> Attach, leaves_by_itself: bool) {
        let Some(place) = self.place.clone() else { return };
        if leaves_by_itself {
            self.place = None;
        }
        let shard = self.hub.shard(&place.app, &place.recipient).clone();
        shard.tell(Message::Attach(Box::new(attach(place)))).await;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let shard = self.hub.shard(&place.app, &place.recipient).clone();
        self.hub.0.main.spawn(async move { shard.tell(Message::Leave(place)).await });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use stentor_domain::{NotificationId, SystemClock, item::Folder};
    use stentor_inbox::{ColdFuture, ColdStore, HotItem, Inbox, Reader, WarmState};
    use stentor_queue::EventLog;
    use stentor_testkit::RedisServer;

    use super::*;

    /// A record of which nothing is asked here.
    struct NoRecord;

    fn nothing<'a, T: Send + 'a>() -> ColdFuture<'a, T> {
        Box::pin(std::future::ready(Err("there is no record".into())))
    }

    impl ColdStore for NoRecord {
        fn load<'a>(&'a self, _: &'a AppId, _: &'a RecipientId, _: Timestamp) -> ColdFuture<'a, WarmState> {
            nothing()
        }

        fn register<'a>(&'a self, _: &'a AppId, _: &'a RecipientId, _: u64, _: Timestamp) -> ColdFuture<'a, Reader> {
            nothing()
        }

        fn register_new<'a>(&'a self, _: &'a AppId, _: &'a [&'a RecipientId], _: u64) -> ColdFuture<'a, HashSet<RecipientId>> {
            nothing()
        }

        fn timeline<'a>(&'a self, _: &'a AppId, _: Timestamp) -> ColdFuture<'a, Vec<Entry>> {
            nothing()
        }

        fn page<'a>(
            &'a self,
            _: &'a AppId,
            _: &'a RecipientId,
            _: Folder,
            _: Option<u64>,
            _: usize,
            _: Timestamp,
        ) -> ColdFuture<'a, Vec<HotItem>> {
            nothing()
        }

        fn find<'a>(&'a self, _: &'a AppId, _: &'a RecipientId, _: &'a [NotificationId]) -> ColdFuture<'a, Vec<HotItem>> {
            nothing()
        }
    }

    #[tokio::test]
    async fn who_goes_away_while_they_come_leaves_no_connection_behind() {
        let server = RedisServer::start();
        let redis: RedisPlace = server.url().parse().unwrap();
        let conn = redis.connect().await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let parts = HubParts {
            redis,
            inboxes: Inboxes::new(Inbox::new(conn.clone()), Arc::new(NoRecord)),
            presences: Presences::new(conn.clone()),
            receipts: Receipts::start(EventLog::new(conn, "0"), clock.clone()),
            clock,
        };
        let manners = Manners { origins: Vec::new(), connects_per_second: 1 };
        let hub = Hub::start(parts, &manners, CancellationToken::new()).await.unwrap();
        let (app, recipient) = ("bank".parse().unwrap(), "ada".parse().unwrap());
        for _ in 0..MAX_CONNECTIONS {
            let join = hub.join(&app, &recipient);
            assert!(poll!(std::pin::pin!(join)).is_pending(), "it waits for the shard, and is dropped");
        }
        let (reply, counted) = oneshot::channel();
        hub.shard(&app, &recipient).tell(Message::Count(reply)).await;
        counted.await.unwrap(); // by now the shard knows of all of them
        hub.drained().await;
        assert_eq!(hub.sockets(), 0);
    }
}
