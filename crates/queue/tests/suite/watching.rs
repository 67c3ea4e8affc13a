//! What those see who only watch: since when the first waits, what workers say of themselves, facts as they come.

use std::time::Duration;

use stentor_queue::{EventLog, Lane, NewJob, Oldest};

use crate::support::{Fixture, connect, connect_blocking, new_job};

#[tokio::test]
async fn the_oldest_is_the_first_of_any_lane_and_the_next_that_is_due() {
    let f = Fixture::new().await;
    assert_eq!(f.queue.oldest().await.unwrap(), Oldest::default());
    let before = f.now().await;
    f.queue.enqueue(&[new_job("a", Lane::Bulk, "{}")]).await.unwrap();
    let between = f.now().await;
    f.queue.enqueue(&[new_job("b", Lane::High, "{}")]).await.unwrap();
    for (id, due) in [("later", before + 90_000), ("soon", before + 60_000)] {
        f.queue.enqueue(&[NewJob { due: Some(due), ..new_job(id, Lane::Normal, "{}") }]).await.unwrap();
    }
    let oldest = f.queue.oldest().await.unwrap();
    assert!((before..=between).contains(&oldest.entry.unwrap()), "{oldest:?}");
    assert_eq!(oldest.due, Some(before + 60_000));
}

#[tokio::test]
async fn a_worker_that_falls_silent_is_not_reported_any_more() {
    let f = Fixture::new().await;
    assert_eq!(f.queue.reports().await.unwrap(), []);
    f.queue.report("w1", b"old words").await.unwrap();
    f.queue.report("w1", br#"{"a b": 1}"#).await.unwrap();
    f.queue.report("w2", b"").await.unwrap();
    let said = |name: &str, words: &[u8]| (name.to_owned(), words.to_vec());
    assert_eq!(f.queue.reports().await.unwrap(), [said("w1", br#"{"a b": 1}"#), said("w2", b"")]);
    // one that spoke 20 s ago, and one so long ago that the next report forgets it
    let now = f.now().await;
    f.command::<i64>(&format!("HSET @reports silent {}", now - 20_000)).await;
    f.command::<i64>(&format!("HSET @reports gone {}", now - 200_000)).await;
    assert_eq!(f.queue.reports().await.unwrap().len(), 2);
    f.queue.report("w2", b"x").await.unwrap();
    assert_eq!(f.command::<Vec<String>>("HKEYS @reports").await.len(), 3, "only what is long gone is dropped");
    assert!(f.command::<i64>("PTTL @reports").await > 0, "what nobody reports to goes by itself");
}

#[tokio::test]
async fn a_tail_reads_what_comes_from_now_on_in_no_group() {
    let redis = stentor_testkit::RedisServer::start();
    let log = EventLog::new(connect(&redis.url()).await, "test");
    log.append(&[vec![1], vec![2]]).await.unwrap();
    let (now, soon) = (Duration::from_millis(1), Duration::from_secs(30));
    let mut tail = log.tail(connect_blocking(&redis.url(), soon).await);
    assert!(tail.next_batch(10, now).await.unwrap().is_empty(), "what was before is passed over");
    for n in 3..=5 {
        log.append(&[vec![n]]).await.unwrap();
    }
    assert_eq!(tail.next_batch(2, now).await.unwrap(), [vec![3], vec![4]]);
    log.append(&[vec![6]]).await.unwrap();
    assert_eq!(tail.next_batch(10, now).await.unwrap(), [vec![5], vec![6]], "nothing between two reads is missed");
    let seven = [vec![7]];
    let (waited, written) = tokio::join!(tail.next_batch(10, soon), log.append(&seven));
    written.unwrap();
    assert_eq!(waited.unwrap(), [vec![7]]);
    // from a place that was seen before
    let newest = log.newest(2).await.unwrap();
    let mut tail = log.tail(connect_blocking(&redis.url(), soon).await).after(Some(&newest[0].0));
    assert_eq!(tail.next_batch(10, now).await.unwrap(), seven);
    // a log that is empty at first
    let empty = EventLog::new(connect(&redis.url()).await, "empty");
    let mut tail = empty.tail(connect_blocking(&redis.url(), soon).await);
    assert!(tail.next_batch(10, now).await.unwrap().is_empty());
    empty.append(&[vec![8]]).await.unwrap();
    assert_eq!(tail.next_batch(10, now).await.unwrap(), [vec![8]]);
}
