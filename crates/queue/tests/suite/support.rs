//! A queue on a Redis of the test's own, and workers over it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use apalis::prelude::*;
use redis::FromRedisValue;
use serde::Deserialize;
use stentor_connection::{Connection, Place};
use stentor_queue::{Lane, Lease, NewJob, Outcome, Queue, WorkerConfig};
use stentor_testkit::RedisServer;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// How long anything may take before a test gives it up. Never waited for when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A lease that ends soon, for tests that wait for its end.
pub(crate) const SHORT: Duration = Duration::from_millis(900);
const QUEUE: &str = "test";

/// What the handlers of these tests are given.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Job {
    pub n: u32,
}

pub(crate) struct Fixture {
    pub redis: RedisServer,
    pub queue: Queue,
    conn: Connection,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let redis = RedisServer::start();
        let conn = connect(&redis.url()).await;
        Self { redis, queue: Queue::new(conn.clone(), QUEUE), conn }
    }

    /// A command to Redis, its words separated by blanks; `@` stands for the prefix of the queue's keys.
    pub(crate) async fn command<T: FromRedisValue>(&self, words: &str) -> T {
        self.try_command(words).await.unwrap()
    }

    /// As [`command`](Self::command), where an error is one of the answers.
    pub(crate) async fn try_command<T: FromRedisValue>(&self, words: &str) -> redis::RedisResult<T> {
        let words = words.replace('@', &format!("stentor:{{q:{QUEUE}}}:"));
        let mut words = words.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        for word in words {
            cmd.arg(word);
        }
        cmd.query_async(&mut self.conn.clone()).await
    }

    /// Adds an entry that keeps these words.
    pub(crate) async fn add_entry(&self, lane: Lane, job: &str) {
        let mut add = redis::cmd("XADD");
        add.arg(format!("stentor:{{q:{QUEUE}}}:{}", lane.as_str())).arg("*").arg("j").arg(job);
        add.query_async::<()>(&mut self.conn.clone()).await.unwrap();
    }

    /// Sets fields of what is kept under a name in the queue, whatever stands in them.
    pub(crate) async fn set_fields(&self, name: &str, fields: &[(&str, &[u8])]) {
        let mut set = redis::cmd("HSET");
        set.arg(format!("stentor:{{q:{QUEUE}}}:{name}")).arg(fields);
        set.query_async::<()>(&mut self.conn.clone()).await.unwrap();
    }

    /// Redis's clock (ms).
    pub(crate) async fn now(&self) -> i64 {
        let (seconds, micros): (i64, i64) = self.command("TIME").await;
        seconds * 1_000 + micros / 1_000
    }

    /// Adds the jobs `ns` to a lane.
    pub(crate) async fn add(&self, lane: Lane, ns: impl IntoIterator<Item = u32>) {
        let jobs: Vec<_> = ns.into_iter().map(|n| (format!("job-{n}"), format!("{{\"n\":{n}}}"))).collect();
        let jobs: Vec<_> = jobs.iter().map(|(id, payload)| new_job(id, lane, payload)).collect();
        assert_eq!(self.queue.enqueue(&jobs).await.unwrap(), jobs.len());
    }

    pub(crate) async fn work<H, F>(&self, config: WorkerConfig, handle: H) -> Worker
    where
        H: Fn(Job, Lease) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let places = config.concurrency;
        Worker::start(self.queue.clone(), &self.redis.url(), config, places, handle).await
    }

    /// A worker in a runtime of one thread of its own: a handler that blocks the thread freezes all of it, as SIGSTOP would,
    /// and dropping the runtime ends it as SIGKILL would.
    pub(crate) fn work_apart<H, F>(&self, config: WorkerConfig, handle: H) -> Apart
    where
        H: Fn(Job, Lease) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let url = self.redis.url();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let queue = Queue::new(connect(&url).await, QUEUE);
                let places = config.concurrency;
                let worker = Worker::start(queue, &url, config, places, handle).await;
                let _ = ended.await;
                drop(worker);
            });
            runtime.shutdown_background();
        });
        Apart { end: Some(end), thread: Some(thread) }
    }

    /// Waits until all is done: nothing on the lanes, nothing in the due set.
    pub(crate) async fn drained(&self) {
        eventually("the queue is empty", async || {
            let depth = self.queue.depth().await.ok()?;
            (depth.high + depth.normal + depth.bulk + depth.due == 0).then_some(())
        })
        .await;
    }
}

pub(crate) fn new_job<'a>(id: &'a str, lane: Lane, payload: &'a str) -> NewJob<'a> {
    NewJob { id, lane, payload: payload.as_bytes(), body: None, due: None, expires: None, is_new: false }
}

pub(crate) fn config(concurrency: usize) -> WorkerConfig {
    WorkerConfig { reap_every: Duration::from_millis(50), block: Duration::from_millis(100), ..WorkerConfig::new(concurrency) }
}

pub(crate) fn short_lease(concurrency: usize) -> WorkerConfig {
    WorkerConfig { lease: SHORT, sending: SHORT * 2, ..config(concurrency) }
}

/// A connection for everything that does not block.
pub(crate) async fn connect(url: &str) -> Connection {
    url.parse::<Place>().unwrap().connect().await.unwrap()
}

/// A connection for a reader that blocks for so long.
pub(crate) async fn connect_blocking(url: &str, block: Duration) -> Connection {
    url.parse::<Place>().unwrap().connect_blocking(block).await.unwrap()
}

/// A running worker; it goes on when this is dropped.
pub(crate) struct Worker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), String>>,
}

impl Worker {
    /// Starts a worker whose backend has the places of `config` and to which apalis gives `places`.
    pub(crate) async fn start<H, F>(queue: Queue, url: &str, config: WorkerConfig, places: usize, handle: H) -> Self
    where
        H: Fn(Job, Lease) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let reader = connect_blocking(url, config.block).await;
        let worker = move |n| {
            let handle = handle.clone();
            WorkerBuilder::new(format!("worker-{n}"))
                .backend(queue.backend::<Job>(config.clone(), reader.clone()))
                .concurrency(places)
                .build(move |job: Job, lease: Data<Lease>| handle(job, Lease::clone(&lease)))
        };
        let (stop, stopped) = oneshot::channel();
        let signal = async move {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        let monitor = Monitor::new().register(worker).shutdown_timeout(PATIENCE);
        let task = tokio::spawn(async move { monitor.run_with_signal(signal).await.map_err(|e| e.to_string()) });
        Self { stop, task }
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    /// Ends it in order and waits for that.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends in time").unwrap().unwrap();
    }
}

/// A worker in a thread of its own; dying when dropped.
pub(crate) struct Apart {
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Apart {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asks until the answer is there.
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

/// The next message, in time.
pub(crate) async fn next<T>(rx: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(PATIENCE, rx.recv()).await.expect("it comes in time").expect("somebody tells it")
}

/// The next `n` messages, sorted.
pub(crate) async fn next_sorted<T: Ord>(rx: &mut mpsc::UnboundedReceiver<T>, n: usize) -> Vec<T> {
    let mut all = Vec::new();
    while all.len() < n {
        all.push(next(rx).await);
    }
    all.sort();
    all
}
