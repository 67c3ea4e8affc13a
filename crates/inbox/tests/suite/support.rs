//! Inboxes on a Redis of the test's own, and a record in memory behind them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use stentor_connection::{Connection, Place};
use stentor_domain::{AppId, Card, Item, ItemState, NotificationId, Priority, RecipientId, Timestamp};
use stentor_domain::{Entry, event::ItemChange, item::Folder};
use stentor_inbox::{
    Change, ColdFuture, ColdStore, FoundItem, Hot, HotItem, HotMarked, Inbox, Inboxes, NewItem, Position, Reader, UnreadItem,
    WarmState,
};
use stentor_testkit::RedisServer;

/// How long anything may take before a test gives it up. Never waited for when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How many items the record gives to warm an inbox.
pub(crate) const FULL: usize = 128;

/// The time of these tests, `seconds` after they began.
pub(crate) fn at(seconds: u32) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + i64::from(seconds) * 1_000)
}

pub(crate) fn hours(hours: u32) -> Timestamp {
    at(hours * 3_600)
}

pub(crate) fn id(n: u32) -> NotificationId {
    NotificationId::new(Timestamp::from_millis(i64::from(n)), &[7; 10])
}

pub(crate) fn ids(ns: impl IntoIterator<Item = u32>) -> Vec<NotificationId> {
    ns.into_iter().map(id).collect()
}

pub(crate) fn card(n: u32) -> Card {
    Card {
        id: id(n),
        title: format!("No. {n}"),
        summary: Some("two\nlines".into()),
        image: None,
        link: None,
        actions: Vec::new(),
        category: None,
        priority: Priority::Normal,
        created_at: at(0),
        expires_at: None,
    }
}

pub(crate) fn expiring(n: u32, expires_at: Timestamp) -> Card {
    Card { expires_at: Some(expires_at), ..card(n) }
}

/// An item as the record has it: unread, revision and place given.
pub(crate) fn recorded(n: u32, seq: u64, rev: u64) -> HotItem {
    HotItem { item: Item::new(&card(n), ItemState::default(), rev).unwrap(), seq, variant: "en".into(), at: at(0) }
}

/// The items as they are found, without their places.
pub(crate) fn found(items: &[HotItem]) -> Vec<FoundItem> {
    items.iter().map(|i| FoundItem { item: i.item.clone(), variant: i.variant.clone(), shared: false }).collect()
}

/// A person's own part at a glance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Overview {
    pub unread: u64,
    pub cursor: Position,
}

/// What became of a write, but for its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Written {
    pub seq: u64,
    pub rev: u64,
    pub unread: u64,
    pub new: bool,
}

impl From<stentor_inbox::Written> for Written {
    fn from(w: stentor_inbox::Written) -> Self {
        Self { seq: w.seq, rev: w.rev, unread: w.unread, new: w.new }
    }
}

/// What became of a change to a person's own part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Marked {
    pub rev: u64,
    pub unread: u64,
    pub cursor: Position,
    pub items: Vec<ItemChange>,
    pub missing: Vec<NotificationId>,
}

impl From<HotMarked> for Marked {
    fn from(m: HotMarked) -> Self {
        Self { rev: m.position.rev, unread: m.unread, cursor: m.position, items: m.items, missing: m.missing }
    }
}

/// What changed in a person's own part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changes {
    pub recovered: bool,
    pub items: Vec<Item>,
    pub removed: Vec<NotificationId>,
    pub unread: u64,
    pub cursor: Position,
}

pub(crate) fn is_alive(item: &HotItem, now: Timestamp) -> bool {
    item.item.card.read().unwrap().expires_at.is_none_or(|at| at > now)
}

pub(crate) fn is_unread(item: &HotItem) -> bool {
    item.item.state.read_at.is_none() && item.item.state.archived_at.is_none()
}

/// What an inbox that is in Redis answers.
pub(crate) fn warm<T>(answer: Hot<T>) -> T {
    match answer {
        Hot::Warm(answer) => answer,
        Hot::Cold => panic!("it is cold"),
    }
}

pub(crate) fn place(redis: &RedisServer) -> Place {
    redis.url().parse().unwrap()
}

/// One inbox: warm and empty.
pub(crate) struct Fixture {
    pub redis: RedisServer,
    pub conn: Connection,
    pub inbox: Inbox,
    pub app: AppId,
    pub me: RecipientId,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let f = Self::cold().await;
        f.inbox.warm(&f.app, &f.me, &WarmState::default(), at(0)).await.unwrap();
        f
    }

    pub(crate) async fn cold() -> Self {
        let redis = RedisServer::start();
        let conn = place(&redis).connect().await.unwrap();
        Self { inbox: Inbox::new(conn.clone()), redis, conn, app: "demo".parse().unwrap(), me: "me".parse().unwrap() }
    }

    /// How many scripts Redis was asked for.
    pub(crate) fn scripts_called(&self) -> u32 {
        let stats: String = self.redis.query(&["INFO", "commandstats"]);
        let of_scripts = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
        of_scripts.split(',').next().unwrap().parse().unwrap()
    }

    pub(crate) async fn write_cards(&self, cards: &[Card], now: Timestamp) -> Vec<Written> {
        let items: Vec<_> = cards.iter().map(|card| NewItem { recipient: &self.me, card, variant: "en" }).collect();
        self.inbox.write(&self.app, &items, now).await.unwrap().into_iter().map(|w| warm(w).into()).collect()
    }

    pub(crate) async fn write(&self, ns: impl IntoIterator<Item = u32>, now: Timestamp) -> Vec<Written> {
        let cards: Vec<_> = ns.into_iter().map(card).collect();
        self.write_cards(&cards, now).await
    }

    pub(crate) async fn mark(&self, change: Change, ns: impl IntoIterator<Item = u32>, now: Timestamp) -> Marked {
        let ids: Vec<_> = ids(ns).into_iter().map(|id| (id, None)).collect();
        warm(self.inbox.mark(&self.app, &self.me, change, &ids, now).await.unwrap()).into()
    }

    pub(crate) async fn overview(&self, now: Timestamp) -> Overview {
        let own = warm(self.inbox.overview(&self.app, &self.me, now).await.unwrap());
        Overview { unread: own.unread, cursor: own.position }
    }

    /// Hot items, newest first.
    pub(crate) async fn page(&self, before: Option<u64>, limit: usize, now: Timestamp) -> Vec<HotItem> {
        warm(self.inbox.page(&self.app, &self.me, Folder::Inbox, before, limit, now).await.unwrap()).items
    }

    pub(crate) async fn find(&self, n: u32, now: Timestamp) -> Option<HotItem> {
        warm(self.inbox.find(&self.app, &self.me, id(n), now).await.unwrap())
    }

    /// Trims to the newest `keep`, as if the record had all the rest.
    pub(crate) async fn trim(&self, keep: usize, now: Timestamp) -> Vec<HotItem> {
        let excess = self.inbox.excess(&self.app, std::slice::from_ref(&self.me), keep, now).await.unwrap().concat();
        let same: Vec<_> = excess.iter().map(|i| (i.seq, i.item.rev)).collect();
        assert_eq!(self.inbox.trim(&self.app, &self.me, &same, keep, now).await.unwrap(), same.len());
        excess
    }
}

/// A record in memory.
#[derive(Default)]
pub(crate) struct Record {
    inboxes: Mutex<HashMap<(AppId, RecipientId), BTreeMap<u64, HotItem>>>,
    readers: Mutex<HashMap<(AppId, RecipientId), Reader>>,
    timelines: Mutex<HashMap<AppId, BTreeMap<u64, Entry>>>,
    /// It does not answer.
    pub failing: AtomicBool,
    /// How often it was asked for a whole inbox.
    pub loaded: AtomicUsize,
}

impl Record {
    pub(crate) fn set(&self, app: &AppId, recipient: &RecipientId, items: impl IntoIterator<Item = HotItem>) {
        let items = items.into_iter().map(|item| (item.seq, item)).collect();
        self.inboxes.lock().unwrap().insert((app.clone(), recipient.clone()), items);
    }

    /// Keeps what a person is to the timeline.
    pub(crate) fn set_reader(&self, app: &AppId, recipient: &RecipientId, reader: Reader) {
        self.readers.lock().unwrap().insert((app.clone(), recipient.clone()), reader);
    }

    /// Keeps an entry as it is now.
    pub(crate) fn set_entry(&self, app: &AppId, entry: Entry) {
        self.timelines.lock().unwrap().entry(app.clone()).or_default().insert(entry.seq, entry);
    }

    /// The items of an inbox, newest first.
    fn items<'a, T: Send + 'a>(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        of: impl FnOnce(Vec<HotItem>) -> T,
    ) -> ColdFuture<'a, T> {
        let items = self.inboxes.lock().unwrap().get(&(app.clone(), recipient.clone())).cloned().unwrap_or_default();
        let answer = if self.failing.load(SeqCst) {
            Err("the record is away".into())
        } else {
            Ok(of(items.into_values().rev().collect()))
        };
        Box::pin(std::future::ready(answer))
    }
}

impl ColdStore for Record {
    fn load<'a>(&'a self, app: &'a AppId, recipient: &'a RecipientId, now: Timestamp) -> ColdFuture<'a, WarmState> {
        self.loaded.fetch_add(1, SeqCst);
        let reader = self.readers.lock().unwrap().get(&(app.clone(), recipient.clone())).cloned();
        self.items(app, recipient, move |items| {
            let alive = || items.iter().filter(|i| is_alive(i, now));
            let unread =
                |i: &HotItem| UnreadItem { seq: i.seq, id: i.item.id, expires_at: i.item.card.read().unwrap().expires_at };
            WarmState {
                max_seq: items.first().map(|i| i.seq),
                reader,
                items: alive().take(FULL).cloned().collect(),
                unread: alive().filter(|i| is_unread(i)).map(unread).collect(),
            }
        })
    }

    fn register<'a>(
        &'a self,
        app: &'a AppId,
        recipient: &'a RecipientId,
        joined: u64,
        _now: Timestamp,
    ) -> ColdFuture<'a, Reader> {
        let mut readers = self.readers.lock().unwrap();
        let new = || Reader { everyone: joined, ..Reader::default() };
        let reader = readers.entry((app.clone(), recipient.clone())).or_insert_with(new).clone();
        Box::pin(std::future::ready(if self.failing.load(SeqCst) { Err("the record is away".into()) } else { Ok(reader) }))
    }

    fn register_new<'a>(
        &'a self,
        app: &'a AppId,
        recipients: &'a [&'a RecipientId],
        joined: u64,
    ) -> ColdFuture<'a, HashSet<RecipientId>> {
        if self.failing.load(SeqCst) {
            return Box::pin(std::future::ready(Err("the record is away".into())));
        }
        let (mut readers, inboxes) = (self.readers.lock().unwrap(), self.inboxes.lock().unwrap());
        let new = |id: &&&RecipientId| {
            let key = (app.clone(), RecipientId::clone(id));
            !readers.contains_key(&key) && !inboxes.contains_key(&key)
        };
        let new: HashSet<RecipientId> = recipients.iter().filter(new).map(|id| RecipientId::clone(id)).collect();
        let reader = Reader { everyone: joined, ..Reader::default() };
        readers.extend(new.iter().map(|id| ((app.clone(), id.clone()), reader.clone())));
        Box::pin(std::future::ready(Ok(new)))
    }

    fn timeline<'a>(&'a self, app: &'a AppId, _now: Timestamp) -> ColdFuture<'a, Vec<Entry>> {
        let entries = self.timelines.lock().unwrap().get(app).cloned().unwrap_or_default();
        let failing = self.failing.load(SeqCst);
        let answer = if failing { Err("the record is away".into()) } else { Ok(entries.into_values().collect()) };
        Box::pin(std::future::ready(answer))
    }

    fn page<'a>(
        &'a self,
        app: &'a AppId,
        recipient: &'a RecipientId,
        folder: Folder,
        before_seq: Option<u64>,
        limit: usize,
        now: Timestamp,
    ) -> ColdFuture<'a, Vec<HotItem>> {
        self.items(app, recipient, |items| {
            let listed =
                |i: &HotItem| before_seq.is_none_or(|seq| i.seq < seq) && is_alive(i, now) && folder.holds(&i.item.state);
            items.into_iter().filter(listed).take(limit).collect()
        })
    }

    fn find<'a>(&'a self, app: &'a AppId, recipient: &'a RecipientId, ids: &'a [NotificationId]) -> ColdFuture<'a, Vec<HotItem>> {
        self.items(app, recipient, |items| ids.iter().filter_map(|id| items.iter().find(|i| i.item.id == *id).cloned()).collect())
    }
}

/// Inboxes over a record in memory; the fixture's own is cold.
pub(crate) async fn inboxes() -> (Fixture, Inboxes, Arc<Record>) {
    let f = Fixture::cold().await;
    let record = Arc::new(Record::default());
    let inboxes = Inboxes::new(f.inbox.clone(), record.clone());
    (f, inboxes, record)
}

/// What comes, in time.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await; // Redis gives no event for it
    }
}
