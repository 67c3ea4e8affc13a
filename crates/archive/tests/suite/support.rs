//! An empty archive on each database, and facts to write.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use serde_json::{Value, json};
use stentor_archive::{Archive, WrittenEvents};
use stentor_domain::{
    AppId, Card, Channel, DeliveryId, DeliveryState, Event, EventKind, ItemState, Notification, NotificationId, RecipientId,
    Timestamp,
    event::{DeliveryReport, ItemChange},
};
use stentor_testkit::Postgres;
use tempfile::TempDir;

/// One server for all tests that run at a time, a database for each. Whoever is the last to use it stops it.
static POSTGRES: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The time at which everything begins.
pub(crate) const BEGIN: i64 = 1_790_000_000_000;

/// An archive of the test's own.
pub(crate) struct Fixture {
    pub archive: Archive,
    pub database: Database,
}

/// An empty database without a schema.
pub(crate) struct Database {
    pub url: String,
    _server: Option<Arc<Postgres>>,
    _dir: TempDir,
}

impl Database {
    pub(crate) fn new(postgres: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if !postgres {
            let url = format!("sqlite:{}?mode=rwc", dir.path().join("stentor.db").display());
            return Self { url, _server: None, _dir: dir };
        }
        let mut shared = POSTGRES.lock().unwrap();
        let server = shared.upgrade().unwrap_or_else(|| Arc::new(Postgres::start()));
        *shared = Arc::downgrade(&server);
        let url = server.create_database(&format!("test{}", DATABASES.fetch_add(1, Relaxed)));
        Self { url, _server: Some(server), _dir: dir }
    }
}

impl Fixture {
    pub(crate) async fn new(postgres: bool) -> Self {
        let database = Database::new(postgres);
        let archive = Archive::connect(&database.url).await.unwrap();
        archive.migrate().await.unwrap();
        Self { archive, database }
    }

    /// Writes events, none of which is refused.
    pub(crate) async fn write(&self, events: &[Event]) {
        assert_eq!(self.archive.write_events(events).await.unwrap(), WrittenEvents::default());
    }
}

/// Makes two tests of an async function that takes a [`Fixture`]: one on SQLite, one on PostgreSQL.
macro_rules! on_both {
    ($($name:ident)*) => {
        $(mod $name {
            #[tokio::test]
            async fn on_sqlite() {
                super::$name(crate::support::Fixture::new(false).await).await;
            }

            #[tokio::test]
            async fn on_postgresql() {
                super::$name(crate::support::Fixture::new(true).await).await;
            }
        })*
    };
}
pub(crate) use on_both;

pub(crate) fn app() -> AppId {
    "bank".parse().unwrap()
}

pub(crate) fn other() -> AppId {
    "news".parse().unwrap()
}

pub(crate) fn person(id: &str) -> RecipientId {
    id.parse().unwrap()
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + millis)
}

/// Notification `n`, accepted `n` ms after the beginning.
pub(crate) fn id(n: u64) -> NotificationId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    NotificationId::new(at(i64::try_from(n).unwrap()), &random)
}

pub(crate) fn notification(n: u64) -> Notification {
    let request: Value = json!({"audience": {"recipients": ["u1"]}, "content": {"title": format!("n-{n}")}});
    Notification {
        id: id(n),
        app: app(),
        accepted_at: id(n).accepted_at(),
        request: serde_json::from_value(request).unwrap(),
        updated_at: None,
        template_version: None,
        invalid_addresses: Vec::new(),
        locale: None,
    }
}

pub(crate) fn accepted(n: u64) -> Event {
    let notification = Box::new(notification(n));
    Event::new(app(), notification.accepted_at, EventKind::Accepted { notification })
}

pub(crate) fn card(n: u64) -> Card {
    let card =
        json!({"id": id(n).to_string(), "title": format!("n-{n}"), "priority": "normal", "created_at": id(n).accepted_at()});
    serde_json::from_value(card).unwrap()
}

/// The item of notification `n` at the place `n` of an inbox, written in revision `n`.
pub(crate) fn item(recipient: &str, n: u64) -> Event {
    let kind =
        EventKind::ItemWritten { recipient: person(recipient), card: Box::new(card(n)), seq: n, rev: n, variant: "en".into() };
    Event::new(app(), at(i64::try_from(n).unwrap()), kind)
}

pub(crate) fn changed(recipient: &str, n: u64, rev: u64, state: ItemState) -> Event {
    let items = vec![ItemChange { notification: id(n), state }];
    Event::new(app(), at(i64::try_from(rev).unwrap()), EventKind::ItemsChanged { recipient: person(recipient), rev, items })
}

/// The item of notification `n` is withdrawn from an inbox, in revision `rev`.
pub(crate) fn item_recalled(recipient: &str, n: u64, rev: u64) -> Event {
    let kind = EventKind::ItemRecalled { recipient: person(recipient), rev, notification: id(n) };
    Event::new(app(), at(i64::try_from(rev).unwrap()), kind)
}

/// The item of notification `n` says something else in revision `rev`, if the inbox is hot.
pub(crate) fn item_updated(recipient: &str, n: u64, rev: Option<u64>, version: i64) -> Event {
    let card = Box::new(Card { title: format!("n-{n} anew {version}"), ..card(n) });
    let kind = EventKind::ItemUpdated { recipient: person(recipient), card, variant: "fr".into(), rev, version };
    Event::new(app(), at(version), kind)
}

/// Notification `n` is said otherwise.
pub(crate) fn updated(n: u64, version: i64) -> Event {
    let notification = Box::new(Notification { updated_at: Some(Timestamp::from_millis(version)), ..notification(n) });
    Event::new(app(), at(version), EventKind::Updated { notification })
}

pub(crate) fn recalled(n: u64) -> Event {
    Event::new(app(), at(1), EventKind::Recalled { notification: id(n) })
}

pub(crate) fn report(n: u64, recipient: &str, state: DeliveryState, attempt: u32) -> DeliveryReport {
    let recipient = person(recipient);
    DeliveryReport {
        delivery: DeliveryId::new(id(n), &recipient, Channel::Email),
        notification: id(n),
        recipient,
        channel: Channel::Email,
        state,
        attempt,
        reason: None,
        provider: None,
        provider_message_id: None,
        next_attempt_at: None,
        sms: None,
    }
}

pub(crate) fn delivery(report: DeliveryReport) -> Event {
    let time = i64::from(report.state.version(report.attempt));
    Event::new(app(), at(time), EventKind::Delivery(report))
}

/// The numbers 0 to `n` in an order that is always the same for a seed.
pub(crate) fn shuffled<T>(mut all: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(2_654_435_769).wrapping_add(1);
    for i in (1..all.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(i, usize::try_from(state >> 33).unwrap() % (i + 1));
    }
    all
}
