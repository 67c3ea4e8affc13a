//! A PostgreSQL that vanished without a word: what waits for it ends, and goes on over new connections.

use std::time::Duration;

use stentor_archive::{Archive, ArchiveError, Deadlines};
use stentor_domain::{DeliveryState, Event};
use stentor_testkit::{FaultProxy, Postgres};
use tokio::task::JoinHandle;

use crate::support::{accepted, app, at, delivery, id, report};

/// So long may take what has no deadline of its own here; what never ends fails by it.
const FOR_EVER: Duration = Duration::from_secs(30);

/// A PostgreSQL behind a proxy, and an archive that waits for little.
struct Remote {
    postgres: Postgres,
    proxy: FaultProxy,
    archive: Archive,
}

impl Remote {
    async fn new() -> Self {
        let postgres = Postgres::start();
        let proxy = FaultProxy::before(postgres.port());
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port());
        let short = Duration::from_secs(2);
        let deadlines = Deadlines { connection: short, answer: short, batch: short, ..Deadlines::default() };
        let archive = Archive::connect_within(&url, deadlines).await.unwrap();
        archive.migrate().await.unwrap();
        Self { postgres, proxy, archive }
    }

    /// How many statements wait for a lock.
    fn waiting(&self) -> usize {
        self.postgres.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")[0].parse().unwrap()
    }

    /// The server's processes for connections, beside the one that asks.
    fn connections(&self) -> Vec<String> {
        self.postgres.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
    }
}

/// Writes until it is written.
async fn written(archive: &Archive, events: &[Event]) {
    let writing = async { while archive.write_events(events).await.is_err() {} };
    tokio::time::timeout(FOR_EVER, writing).await.expect("it is written over a new connection");
}

async fn ended<T>(task: JoinHandle<Result<T, ArchiveError>>) -> Result<T, ArchiveError> {
    tokio::time::timeout(FOR_EVER, task).await.expect("it does not wait for ever").unwrap()
}

/// What is counted with it comes last in its batch.
fn counted() -> [Event; 2] {
    [accepted(1), delivery(report(1, "u1", DeliveryState::Sent, 1))]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_answer_never_comes_is_written_again() {
    let r = Remote::new().await;
    let archiver = r.archive.apart().await.unwrap();
    let held = r.postgres.hold("LOCK TABLE activity IN ACCESS EXCLUSIVE MODE");
    let writing = {
        let archiver = archiver.clone();
        tokio::spawn(async move { archiver.write_events(&counted()).await })
    };
    while r.waiting() < 1 {}
    r.proxy.swallow();
    drop(held);
    assert!(ended(writing).await.is_err());
    written(&archiver, &counted()).await;
    // Its connection was a black hole as well.
    written(&r.archive, &[accepted(2)]).await;
    assert!(r.archive.find_notification(&app(), id(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_come_back_is_made_anew() {
    let r = Remote::new().await;
    let archiver = r.archive.apart().await.unwrap();
    let held = r.postgres.hold("LOCK TABLE activity IN ACCESS EXCLUSIVE MODE");
    let writing = {
        let archiver = archiver.clone();
        tokio::spawn(async move { archiver.write_events(&counted()).await })
    };
    while r.waiting() < 1 {}
    r.proxy.swallow();
    // Nobody waits for its answer any more; the pool asks its only connection whether it is there.
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    drop(held);
    written(&archiver, &counted()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_whose_answer_never_comes_is_an_error_and_the_next_is_answered() {
    let r = Remote::new().await;
    written(&r.archive, &[accepted(1)]).await;
    let held = r.postgres.hold("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE");
    let reading = {
        let archive = r.archive.clone();
        tokio::spawn(async move { archive.find_notification(&app(), id(1)).await })
    };
    while r.waiting() < 1 {}
    r.proxy.swallow();
    drop(held);
    assert!(matches!(ended(reading).await, Err(ArchiveError::Database(_))));
    assert!(r.archive.find_notification(&app(), id(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_broken_off_and_its_connection_stays() {
    let r = Remote::new().await;
    written(&r.archive, &[accepted(1)]).await;
    let before = r.connections();
    let held = r.postgres.hold("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE");
    let archive = r.archive.clone();
    let reading = tokio::spawn(async move { archive.find_notification(&app(), id(1)).await });
    assert!(ended(reading).await.is_err());
    drop(held);
    assert!(r.archive.find_notification(&app(), id(1)).await.unwrap().is_some());
    let after = r.connections();
    assert!(before.iter().all(|pid| after.contains(pid)), "{before:?}, {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_migration_nor_what_forgets_much_is_broken_off() {
    let r = Remote::new().await;
    let held = r.postgres.hold("LOCK TABLE seaql_migrations, activity, scheduled, notifications IN ACCESS EXCLUSIVE MODE");
    let (a, b, c) = (r.archive.clone(), r.archive.clone(), r.archive.clone());
    let migrating = tokio::spawn(async move { a.migrate().await });
    let forgetting = tokio::spawn(async move { b.trim_activity(at(0)).await });
    let forgetting_more = tokio::spawn(async move { c.trim_scheduled(at(0)).await });
    while r.waiting() < 3 {}
    // Whatever else began later is over meanwhile.
    let archive = r.archive.clone();
    assert!(ended(tokio::spawn(async move { archive.find_notification(&app(), id(1)).await })).await.is_err());
    assert_eq!(r.waiting(), 3);
    drop(held);
    ended(migrating).await.unwrap();
    assert_eq!((ended(forgetting).await.unwrap(), ended(forgetting_more).await.unwrap()), (0, 0));
}
