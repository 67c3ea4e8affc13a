//! A Redis that keeps silent: its connections stand and nothing comes of them. Nobody waits for it longer than a few seconds.

use std::time::Duration;

use stentor_queue::{EventLog, EventReader, Lane, Outcome, Queue, WorkerConfig};
use stentor_testkit::{FaultProxy, RedisCluster, RedisSentinel, RedisServer};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    task::JoinSet,
};

use crate::support::{Job, Worker, config, connect, connect_blocking, eventually, new_job, next, short_lease};

const QUEUE: &str = "test";
/// How long the readers of events wait.
const BLOCK: Duration = Duration::from_millis(100);

/// A worker that tells what it does.
async fn work(url: &str, config: WorkerConfig) -> (Worker, UnboundedReceiver<u32>) {
    let (tx, rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, _| {
        let _ = tx.send(job.n);
        async { Outcome::Done }
    };
    let queue = Queue::new(connect(url).await, QUEUE);
    let places = config.concurrency;
    (Worker::start(queue, url, config, places, handle).await, rx)
}

/// Adds a job as another process would: nothing is handed over.
async fn add(queue: &Queue, n: u32) {
    let (id, payload) = (format!("job-{n}"), format!("{{\"n\":{n}}}"));
    let job = new_job(&id, Lane::Normal, &payload);
    eventually("Redis takes the job", async || queue.enqueue(&[job]).await.ok()).await;
}

/// Reads events for ever, whatever happens to Redis.
fn read(mut reader: EventReader) -> UnboundedReceiver<Vec<u8>> {
    let (tx, rx) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            for (place, event) in reader.next_batch(10, BLOCK).await.unwrap_or_default() {
                let _ = tx.send(event);
                let _ = reader.ack(&[place]).await; // or it is given again
            }
        }
    });
    rx
}

async fn reader_waits(redis: &RedisServer) {
    eventually("its reader waits", async || redis.command(&["INFO", "clients"]).contains("blocked_clients:1").then_some(()))
        .await;
}

#[tokio::test]
async fn after_a_failover_from_a_master_that_froze_no_queue_and_no_reader_of_events_is_deaf() {
    let mut redis = RedisSentinel::start();
    let url = redis.url();
    let (queue, log) = (Queue::new(connect(&url).await, QUEUE), EventLog::new(connect(&url).await, "test"));
    let (_worker, mut rx) = work(&url, config(2)).await;
    let mut events = read(log.reader("archive", connect_blocking(&url, BLOCK).await).await.unwrap());
    add(&queue, 1).await;
    assert_eq!(next(&mut rx).await, 1);
    log.append(&[b"before".to_vec()]).await.unwrap();
    assert_eq!(next(&mut events).await, b"before");

    redis.first_master().freeze();
    eventually("the replica is the master", async || redis.has_failed_over().then_some(())).await;
    add(&queue, 2).await;
    while next(&mut rx).await != 2 {} // the replica may not know yet that the first is done
    eventually("Redis takes the event", async || log.append(&[b"after".to_vec()]).await.ok()).await;
    while next(&mut events).await != b"after" {}
}

#[tokio::test]
async fn a_node_whose_connections_fell_silent_is_connected_to_anew_and_what_it_handed_out_meanwhile_is_done() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::before(redis.port());
    let config = WorkerConfig { block: Duration::from_secs(2), ..short_lease(2) };
    let (_worker, mut rx) = work(&format!("redis://127.0.0.1:{}", proxy.port()), config).await;
    reader_waits(&redis).await;
    proxy.swallow();
    let direct = Queue::new(connect(&redis.url()).await, QUEUE);
    add(&direct, 1).await;
    let lane = format!("stentor:{{q:{QUEUE}}}:normal");
    let (pending, ..): (u32, String, String, redis::Value) = redis.query(&["XPENDING", &lane, "workers"]);
    assert_eq!(pending, 1, "it was handed to a reader that will not hear of it");
    assert_eq!(next(&mut rx).await, 1);
    add(&direct, 2).await;
    assert_eq!(next(&mut rx).await, 2);
}

#[tokio::test]
async fn a_cluster_whose_connections_fell_silent_is_connected_to_anew() {
    let mut cluster = RedisCluster::start();
    let direct = Queue::new(connect(&cluster.url()).await, QUEUE);
    let proxies: Vec<FaultProxy> = cluster.nodes().iter().map(|node| FaultProxy::before(node.port())).collect();
    for (node, proxy) in cluster.nodes().iter().zip(&proxies) {
        node.command(&["CONFIG", "SET", "cluster-announce-port", &proxy.port().to_string()]);
    }
    eventually("each node names the proxies", async || {
        let names_all = |node: &RedisServer| {
            let slots = node.command(&["CLUSTER", "SLOTS"]);
            proxies.iter().all(|proxy| slots.contains(&format!("int({})", proxy.port())))
        };
        cluster.nodes().iter().all(names_all).then_some(())
    })
    .await;
    let (_worker, mut rx) = work(&format!("redis+cluster://127.0.0.1:{}", proxies[0].port()), config(2)).await;
    add(&direct, 1).await;
    assert_eq!(next(&mut rx).await, 1);
    for proxy in &proxies {
        proxy.swallow();
    }
    add(&direct, 2).await;
    assert_eq!(next(&mut rx).await, 2);
}

#[tokio::test]
async fn a_node_that_is_slow_meets_no_storm_of_connections() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::before(redis.port());
    let queue = Queue::new(connect(&format!("redis://127.0.0.1:{}", proxy.port())).await, QUEUE);
    redis.freeze();
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let queue = queue.clone();
        callers.spawn(async move { while queue.depth().await.is_err() {} });
    }
    eventually("it was given up twice", async || (proxy.made() >= 3).then_some(())).await;
    redis.thaw();
    callers.join_all().await;
    assert!(proxy.made() < 10, "{} connections were made", proxy.made());
}
