//! Schema and connection.

use std::task::{Context, Waker};

use stentor_archive::{Archive, ArchiveError};
use stentor_domain::ItemState;
use stentor_testkit::{Postgres, free_port};

use crate::support::{Database, Fixture, accepted, app, changed, id, item, on_both};

on_both! { the_schema_is_brought_up_to_date_once }

async fn the_schema_is_brought_up_to_date_once(f: Fixture) {
    f.write(&[accepted(1)]).await;
    f.archive.migrate().await.unwrap();
    assert_eq!(f.archive.pending_migrations().await.unwrap(), 0);
    f.archive.ping().await.unwrap();
    assert!(f.archive.find_notification(&app(), id(1)).await.unwrap().is_some(), "the second time nothing changes");
}

#[tokio::test]
async fn before_that_it_says_what_is_pending() {
    for postgres in [false, true] {
        let database = Database::new(postgres);
        let archive = Archive::connect(&database.url).await.unwrap();
        assert!(archive.pending_migrations().await.unwrap() > 0);
        assert!(archive.list_apps().await.is_err());
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_an_error_and_not_a_wait() {
    let closed = format!("postgres://postgres@127.0.0.1:{}/postgres", free_port());
    let error = Archive::connect(&closed).await.err().unwrap();
    assert!(matches!(error, ArchiveError::Database(_)), "{error:?}");
    let dir = tempfile::tempdir().unwrap();
    assert!(Archive::connect(&format!("sqlite:{}/none/stentor.db?mode=rwc", dir.path().display())).await.is_err());
}

#[tokio::test]
async fn what_was_refused_while_it_was_down_is_written_when_it_is_back() {
    let mut postgres = Postgres::start();
    let archive = Archive::connect(&postgres.url()).await.unwrap();
    archive.migrate().await.unwrap();
    archive.write_events(&[accepted(1)]).await.unwrap();
    postgres.kill();
    assert!(archive.ping().await.is_err());
    let error = archive.write_events(&[accepted(2), accepted(3)]).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Database(_)), "trouble of the moment buries nothing: {error:?}");
    postgres.restart();
    assert_eq!(archive.write_events(&[accepted(2), accepted(3)]).await.unwrap().buried, []);
    for n in 1..=3 {
        assert!(archive.find_notification(&app(), id(n)).await.unwrap().is_some());
    }
    assert_eq!(postgres.query("SELECT count(*) FROM buried_events"), ["0"]);
}

#[tokio::test]
async fn a_writer_that_stands_still_in_mid_batch_does_not_hold_the_others() {
    let postgres = Postgres::start();
    let (stopped, other) = (Archive::connect(&postgres.url()).await.unwrap(), Archive::connect(&postgres.url()).await.unwrap());
    other.migrate().await.unwrap();
    let batch = [accepted(1), accepted(2), item("u1", 1), item("u1", 2), changed("u1", 1, 3, ItemState::default())];
    let mut writing = Box::pin(stopped.write_events(&batch));
    // A future that is not polled any more is what a stopped process is: its row is written, its transaction open.
    let has_written = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL";
    while postgres.query(has_written) == ["0"] {
        let polled = writing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "it was not stopped in time");
        tokio::task::yield_now().await;
    }
    assert_eq!(other.write_events(&batch).await.unwrap().buried, [], "the other gets its turn");
    assert!(writing.await.is_err(), "who stood still is told so, and writes its batch again");
    assert_eq!(stopped.write_events(&batch).await.unwrap().buried, []);
    assert_eq!(postgres.query("SELECT count(*) FROM notifications"), ["2"]);
}
