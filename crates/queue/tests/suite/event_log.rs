//! The event log: every group reads all of it, a batch is given again until it is acknowledged, only what all have is dropped.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use stentor_queue::{EventLog, EventReader};
use stentor_testkit::RedisServer;

use crate::support::{connect, connect_blocking};

const NOW: Duration = Duration::from_millis(1);
/// The longest that any reader of these tests waits.
const LONG: Duration = Duration::from_mins(1);

struct Log {
    redis: RedisServer,
    events: EventLog,
    conn: stentor_connection::Connection,
}

impl Log {
    async fn new() -> Self {
        let redis = RedisServer::start();
        let conn = connect(&redis.url()).await;
        Self { redis, events: EventLog::new(conn.clone(), "test"), conn }
    }

    async fn reader(&self, group: &str) -> EventReader {
        self.events.reader(group, connect_blocking(&self.redis.url(), LONG).await).await.unwrap()
    }

    /// Each by itself.
    async fn append(&self, ns: std::ops::Range<u8>) {
        for n in ns {
            self.events.append(&[vec![n]]).await.unwrap();
        }
    }
}

fn texts(batch: &[(String, Vec<u8>)]) -> Vec<u8> {
    batch.iter().flat_map(|(_, event)| event.clone()).collect()
}

fn places(batch: &[(String, Vec<u8>)]) -> Vec<String> {
    batch.iter().map(|(place, _)| place.clone()).collect()
}

#[tokio::test]
async fn a_batch_comes_again_until_it_is_acknowledged() {
    let l = Log::new().await;
    let mut reader = l.reader("archive").await;
    assert_eq!(reader.next_batch(10, NOW).await.unwrap(), []);
    l.append(0..5).await;
    let batch = reader.next_batch(3, NOW).await.unwrap();
    assert_eq!(texts(&batch), [0, 1, 2]);
    assert_eq!(reader.next_batch(10, NOW).await.unwrap(), batch);
    reader.ack(&places(&batch)[..1]).await.unwrap();
    assert_eq!(texts(&reader.next_batch(10, NOW).await.unwrap()), [1, 2]);
    reader.ack(&places(&batch)[1..]).await.unwrap();
    let batch = reader.next_batch(10, NOW).await.unwrap();
    assert_eq!(texts(&batch), [3, 4]);
    reader.ack(&places(&batch)).await.unwrap();
    assert_eq!(reader.next_batch(10, NOW).await.unwrap(), []);
}

#[tokio::test]
async fn what_comes_wakes_who_waits() {
    let l = Log::new().await;
    let mut reader = l.reader("archive").await;
    let waiting = tokio::spawn(async move { reader.next_batch(10, LONG).await.unwrap() });
    l.append(7..8).await;
    let batch = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it wakes").unwrap();
    assert_eq!(texts(&batch), [7]);
}

#[tokio::test]
async fn what_a_dead_reader_had_comes_to_another_of_its_group() {
    let l = Log::new().await;
    let mut dying = l.reader("archive").await;
    l.append(0..4).await;
    let batch = dying.next_batch(2, NOW).await.unwrap();
    let mut other = l.reader("archive").await;
    let rest = other.next_batch(10, NOW).await.unwrap();
    assert_eq!(texts(&rest), [2, 3], "each event has one reader");
    other.ack(&places(&rest)).await.unwrap();
    assert_eq!(other.next_batch(10, NOW).await.unwrap(), [], "it is not abandoned yet");
    for (place, _) in &batch {
        // As if ten seconds had passed.
        let mut age = redis::cmd("XCLAIM");
        age.arg("stentor:{events:test}:log").arg("archive").arg("dead").arg(0).arg(place).arg("IDLE").arg(10_001).arg("JUSTID");
        age.query_async::<redis::Value>(&mut l.conn.clone()).await.unwrap();
    }
    assert_eq!(texts(&other.next_batch(10, NOW).await.unwrap()), [0, 1]);
}

#[tokio::test]
async fn only_what_every_group_has_is_dropped() {
    let l = Log::new().await;
    let (mut archive, mut metrics) = (l.reader("archive").await, l.reader("metrics").await);
    l.append(0..10).await;
    let batch = archive.next_batch(10, NOW).await.unwrap();
    archive.ack(&places(&batch)).await.unwrap();
    assert_eq!((l.events.trim(0).await.unwrap(), l.events.depth().await.unwrap()), (0, 10), "the other has read none");
    let batch = metrics.next_batch(6, NOW).await.unwrap();
    metrics.ack(&places(&batch)[..4]).await.unwrap();
    assert_eq!((l.events.trim(0).await.unwrap(), l.events.depth().await.unwrap()), (4, 6));
    assert_eq!(texts(&metrics.next_batch(10, NOW).await.unwrap()), [4, 5]);
    metrics.ack(&places(&batch)[4..]).await.unwrap();
    let batch = metrics.next_batch(10, NOW).await.unwrap();
    assert_eq!(texts(&batch), [6, 7, 8, 9]);
    metrics.ack(&places(&batch)).await.unwrap();
    assert_eq!((l.events.trim(0).await.unwrap(), l.events.depth().await.unwrap()), (6, 0));
    l.append(10..11).await;
    assert_eq!(texts(&archive.next_batch(10, NOW).await.unwrap()), [10], "emptied, it goes on");
}

#[tokio::test]
async fn the_newest_are_kept_for_who_looks_what_happened_last() {
    let l = Log::new().await;
    let mut archive = l.reader("archive").await;
    let all: Vec<Vec<u8>> = (0..16_000_u32).map(|n| n.to_string().into_bytes()).collect();
    l.events.append(&all).await.unwrap();
    let batch = archive.next_batch(1_900, NOW).await.unwrap();
    assert_eq!(batch.len(), 15_200, "eight stand together");
    archive.ack(&places(&batch)).await.unwrap();
    assert_eq!(l.events.trim(3_000).await.unwrap(), 0, "there are fewer");
    assert!(l.events.trim(500).await.unwrap() >= 1_300);
    let left = l.events.depth().await.unwrap();
    assert!((500..700).contains(&left), "{left}");
    l.events.trim(10).await.unwrap();
    assert!(l.events.depth().await.unwrap() >= 100, "what was not acknowledged stays");
    let newest: Vec<Vec<u8>> = l.events.newest(3).await.unwrap().into_iter().map(|(_, event)| event).collect();
    assert_eq!(newest, all[15_976..]);
}

#[tokio::test]
async fn what_is_appended_at_once_stands_together_in_order() {
    let l = Log::new().await;
    let mut reader = l.reader("archive").await;
    let mut tail = l.events.tail(connect_blocking(&l.redis.url(), NOW).await).after(None);
    l.events.append(&(0..10).map(|n| vec![n]).collect::<Vec<_>>()).await.unwrap();
    l.events.append(&[]).await.unwrap();
    l.append(10..11).await;
    assert_eq!(l.events.depth().await.unwrap(), 3);
    let batch = reader.next_batch(2, NOW).await.unwrap();
    assert_eq!(texts(&batch), (0..10).collect::<Vec<u8>>());
    let mut two = places(&batch);
    two.dedup();
    assert_eq!(two.len(), 2);
    reader.ack(&two[..1]).await.unwrap();
    assert_eq!(texts(&reader.next_batch(9, NOW).await.unwrap()), [8, 9], "what stands in one entry is acknowledged with it");
    reader.ack(&two[1..]).await.unwrap();
    assert_eq!(texts(&reader.next_batch(9, NOW).await.unwrap()), [10]);
    assert_eq!(tail.next_batch(1, NOW).await.unwrap().concat(), (0..8).collect::<Vec<u8>>());
    assert_eq!(tail.next_batch(9, NOW).await.unwrap().concat(), [8, 9, 10], "a tail misses nothing of an entry");
}

#[tokio::test]
async fn a_redis_that_forgot_everything_is_read_anew() {
    let l = Log::new().await;
    let mut reader = l.reader("archive").await;
    redis::cmd("FLUSHALL").query_async::<()>(&mut l.conn.clone()).await.unwrap();
    l.append(1..2).await;
    assert_eq!(reader.next_batch(10, NOW).await.unwrap(), [], "the group is made anew");
    assert_eq!(texts(&reader.next_batch(10, NOW).await.unwrap()), [1]);
}

#[tokio::test]
async fn those_that_come_while_a_call_is_under_way_go_together() {
    let l = Log::new().await;
    let mut reader = l.reader("archive").await;
    let of = |n: u8| [vec![n], vec![n, 1], vec![n, 2]];
    let given_up = of(0);
    assert!(l.events.append(&given_up).now_or_never().is_none(), "whoever began the call goes away");
    let all: Vec<_> = (0..100).map(of).collect();
    join_all(all[1..].iter().map(|events| l.events.append(events))).await.into_iter().collect::<Result<(), _>>().unwrap();
    assert_eq!(l.events.depth().await.unwrap(), (64 * 3 / 8) + (36_u64 * 3).div_ceil(8), "calls of 64, entries of 8");
    let batch = reader.next_batch(100, NOW).await.unwrap();
    assert_eq!(batch.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), all.concat(), "each behind its own");

    let large = vec![vec![7; 600_000]];
    join_all([&large, &large, &large].map(|events| l.events.append(events)))
        .await
        .into_iter()
        .collect::<Result<(), _>>()
        .unwrap();
    assert_eq!(l.events.depth().await.unwrap(), 24 + 14 + 3, "large ones are no burden to each other");
}

#[tokio::test]
async fn whoever_waits_behind_a_redis_that_is_gone_is_told_so() {
    let mut l = Log::new().await;
    l.append(0..1).await;
    l.redis.kill();
    let told = join_all((1..200_u8).map(|n| {
        let events = l.events.clone();
        async move { events.append(&[vec![n]]).await }
    }))
    .await;
    assert!(told.iter().all(Result::is_err));
    l.redis.restart();
    l.append(1..2).await;
    assert_eq!(l.events.depth().await.unwrap(), 2);
}
