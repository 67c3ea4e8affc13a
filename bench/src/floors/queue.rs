//! A queue with nothing but what must be: pipelines of XADD, and readers that acknowledge and delete what they read in the same round
//! trip in which they ask for more.

use std::time::Instant;

use redis::{
    aio::MultiplexedConnection,
    streams::{StreamReadOptions, StreamReadReply},
};
use serde_json::{Value, json};

/// Jobs of one pipeline, entries of one read.
const STEP: usize = 200;
/// Pipelines that are under way, readers that read: Redis need not wait for us.
pub(crate) const AT_ONCE: usize = 4;
const STREAM: &str = "floor";
const GROUP: &str = "workers";

async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("an address");
    client.get_multiplexed_async_connection().await.expect("Redis answers")
}

/// Adds `n` jobs.
pub(crate) async fn push(url: &str, n: usize, payload: &str) -> Value {
    let (redis, begun) = (connect(url).await, Instant::now());
    let mut pushers = tokio::task::JoinSet::new();
    for i in 0..AT_ONCE {
        let (mut redis, payload) = (redis.clone(), payload.to_owned());
        pushers.spawn(async move {
            for _ in (i * STEP..n).step_by(STEP * AT_ONCE) {
                let mut pipe = redis::pipe();
                for _ in 0..STEP {
                    pipe.cmd("XADD").arg(STREAM).arg("*").arg("d").arg(&payload).ignore();
                }
                pipe.query_async::<()>(&mut redis).await.expect("Redis takes it");
            }
        });
    }
    pushers.join_all().await;
    json!({ "per_second": n as f64 / begun.elapsed().as_secs_f64() })
}

/// Takes `n` jobs off.
pub(crate) async fn consume(url: &str, n: usize) -> Value {
    let mut redis = connect(url).await;
    let created: redis::RedisResult<()> =
        redis::cmd("XGROUP").arg("CREATE").arg(STREAM).arg(GROUP).arg("0").query_async(&mut redis).await;
    created.expect("a group");
    let begun = Instant::now();
    let mut readers = tokio::task::JoinSet::new();
    for i in 0..AT_ONCE {
        let mut redis = redis.clone();
        readers.spawn(async move {
            let options = StreamReadOptions::default().group(GROUP, format!("r{i}")).count(STEP);
            let (mut done, mut taken) = (Vec::<String>::new(), 0);
            loop {
                let mut pipe = redis::pipe();
                if !done.is_empty() {
                    pipe.xack(STREAM, GROUP, &done).ignore().xdel(STREAM, &done).ignore();
                }
                pipe.xread_options(&[STREAM], &[">"], &options);
                let (read,): (Option<StreamReadReply>,) = pipe.query_async(&mut redis).await.expect("Redis answers");
                done = read.into_iter().flat_map(|r| r.keys).flat_map(|k| k.ids).map(|entry| entry.id).collect();
                if done.is_empty() {
                    return taken;
                }
                taken += done.len();
            }
        });
    }
    let taken: usize = readers.join_all().await.into_iter().sum();
    assert_eq!(taken, n, "all are consumed");
    json!({ "per_second": n as f64 / begun.elapsed().as_secs_f64() })
}
