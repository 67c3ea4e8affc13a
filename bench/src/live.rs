//! `make bench-live`: what pushing costs, beside a raw `send()` loop and a bare axum WebSocket of the same bytes.
//!
//! The server has one core and the clients the other. Each round measures the three one after the other; what is printed is
//! the median of the rounds, and ratios.
#![allow(clippy::print_stdout, reason = "it is a report")]

mod crowd;
mod floor;
mod server;

use std::time::{Duration, Instant};

use crowd::Crowd;
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use server::Server;
use stentor_testkit::RedisServer;
use stentor_tests::{Api, serve};

/// Broadcasts, and bursts of ten, of which the median counts.
const REPEATS: usize = 7;
/// How many pushes to one person a second, and for how long.
const RATE: u64 = 1_000;
const SECONDS: u64 = 5;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match args.get(1).map(String::as_str) {
        Some("floor") => runtime.block_on(floor::serve(&args[2])).expect("the floor serves"),
        _ => runtime.block_on(run(&args[1..])),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Stentor,
    Raw,
    Axum,
}

/// What one system did in one round.
#[derive(Clone, Default)]
struct Measured {
    /// Deliveries per CPU second of the server.
    single: f64,
    burst: f64,
    /// From the call to the last client.
    last: f64,
    /// Of a push to one: half are faster, and 99 of 100, in ms.
    p50: f64,
    p99: f64,
    /// Bytes of memory a connection.
    memory: f64,
}

async fn run(args: &[String]) {
    let own = std::process::id().to_string();
    let pinned = std::process::Command::new("taskset").args(["-a", "-cp", "1", &own]).output().expect("taskset runs");
    assert!(pinned.status.success(), "{}", String::from_utf8_lossy(&pinned.stderr));
    let sizes: Vec<usize> = args.iter().filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 5_000, 10_000] } else { sizes };
    let rounds = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(3);
    println!("medians of {rounds} rounds; single and burst: deliveries per CPU second of the server\n");
    println!("| sockets | system | single | burst of 10 | last client ms | 1:1 p50 ms | p99 ms | KiB a socket |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for n in sizes {
        let mut all: [Vec<Measured>; 3] = Default::default();
        let mut bytes = 400;
        for _ in 0..rounds {
            for (kind, measured) in [Kind::Stentor, Kind::Raw, Kind::Axum].into_iter().zip(&mut all) {
                measured.push(measure(kind, n, &mut bytes).await);
            }
        }
        let [stentor, raw, axum] = all.map(|rounds| median(&rounds));
        for (name, m) in [("stentor", &stentor), ("raw send()", &raw), ("bare axum", &axum)] {
            println!(
                "| {n} | {name} | {:.0} | {:.0} | {:.1} | {:.2} | {:.2} | {:.1} |",
                m.single,
                m.burst,
                m.last,
                m.p50,
                m.p99,
                m.memory / 1_024.0
            );
        }
        println!("\n{n} sockets, frames of {bytes} bytes:");
        let line = |what: &str, ratio: f64, goal: &str| println!("- {what}: {ratio:.2} (goal {goal})");
        line("broadcast, of raw's deliveries per CPU second", stentor.single / raw.single, ">= 0.8");
        line("broadcast, of axum's", stentor.single / axum.single, "> 1");
        line("last client, of raw's time", stentor.last / raw.last, "<= 1.25");
        line("bursts of ten, of raw's single rate", stentor.burst / raw.single, ">= 5");
        line("KiB of memory an idle socket", stentor.memory / 1_024.0, "<= 4");
        line(&format!("p99 of a push to one at {RATE}/s, ms"), stentor.p99, "<= 5");
        line("its p50, of raw's POST to frame", stentor.p50 / raw.p50, "none");
        println!();
    }
}

fn median(rounds: &[Measured]) -> Measured {
    let of = |field: fn(&Measured) -> f64| middle(rounds.iter().map(field).collect());
    Measured {
        single: of(|m| m.single),
        burst: of(|m| m.burst),
        last: of(|m| m.last),
        p50: of(|m| m.p50),
        p99: of(|m| m.p99),
        memory: of(|m| m.memory),
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A system with its clients, and how it is made to send.
struct Subject {
    server: Server,
    http: reqwest::Client,
    api: Option<Api>,
    text: String,
    _parts: Option<(RedisServer, tempfile::TempDir)>,
}

impl Subject {
    fn start(kind: Kind, bytes: usize) -> Self {
        let http = stentor_tests::client();
        if kind != Kind::Stentor {
            let own = std::env::current_exe().expect("a path");
            let which = if kind == Kind::Raw { "raw" } else { "axum" };
            let server = Server::start(&own, &["floor", which], &[], |line| Some(line.to_owned()));
            return Self { server, http, api: None, text: "x".repeat(bytes), _parts: None };
        }
        let redis = RedisServer::start();
        let dir = tempfile::tempdir().expect("a directory");
        let more = [("STENTOR__REALTIME__CONNECTS_PER_SECOND", "100000"), ("STENTOR__LOG__LEVEL", "info")];
        let settings = serve::settings(&redis.url(), &serve::sqlite(&dir), &more);
        let api = serve::bank(&settings);
        let server = Server::start(&stentor_tests::binary(), &["serve"], &settings, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "ready").then(|| line["address"].as_str().map(str::to_owned)).flatten()
        });
        Self { server, http, api: Some(api), text: String::new(), _parts: Some((redis, dir)) }
    }

    async fn crowd(&self, n: usize) -> Crowd {
        let Some(api) = &self.api else {
            return Crowd::connect(&self.server.address, |i| format!("/ws/{i}"), n, |_| None).await.expect("all connect");
        };
        let tokens: Vec<String> = stream::iter(0..n)
            .map(async |i| {
                api.put(&format!("/v1/recipients/p{i}"), &json!({})).await;
                api.token(&format!("p{i}")).await
            })
            .buffered(32)
            .collect()
            .await;
        let hello = |i: usize| Some(json!({"type": "auth", "token": tokens[i]}).to_string());
        Crowd::connect(&self.server.address, |_| "/v1/inbox/ws".to_owned(), n, hello).await.expect("all connect")
    }

    /// Sends `count` frames to everyone.
    async fn broadcast(&self, count: usize) {
        if let Some(api) = &self.api {
            let one =
                json!({"audience": "everyone", "content": {"title": "The news of the day", "summary": "It is what it is."}});
            let (status, body) = match count {
                1 => api.post("/v1/notifications", &one).await,
                _ => api.post("/v1/notifications/batch", &json!({"notifications": vec![one; count]})).await,
            };
            assert!(status.is_success(), "{body}");
            return;
        }
        let url = format!("http://{}/all", self.server.address);
        for _ in 0..count {
            let sent = self.http.post(&url).body(self.text.clone()).send().await.expect("an answer");
            assert!(sent.status().is_success());
        }
    }

    fn push(&self, i: usize) -> impl Future<Output = ()> + Send + 'static {
        let one = json!({"audience": {"recipients": [format!("p{i}")]}, "channels": ["inbox"], "content": {"title": "For you"}});
        let request = match &self.api {
            Some(api) => api.request(Method::POST, "/v1/notifications").json(&one),
            None => self.http.post(format!("http://{}/one/{i}", self.server.address)).body(self.text.clone()),
        };
        async {
            let answer = request.send().await.expect("an answer");
            assert!(answer.status().is_success(), "{}", answer.status());
        }
    }
}

async fn measure(kind: Kind, n: usize, bytes: &mut usize) -> Measured {
    let subject = Subject::start(kind, *bytes);
    let warm = subject.crowd(64).await; // what is loaded once is no memory of a connection
    warm.expect(64);
    subject.broadcast(1).await;
    warm.reached().await;
    warm.leave().await;
    if subject.api.is_none() {
        let forgotten = subject.http.delete(format!("http://{}/all", subject.server.address)).send().await;
        assert!(forgotten.is_ok_and(|answer| answer.status().is_success()));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = subject.server.rss();
    let crowd = subject.crowd(n).await;
    tokio::time::sleep(Duration::from_secs(3)).await; // it is idle
    let memory = subject.server.rss().saturating_sub(before) as f64 / n as f64;
    let floor_frames = n as u64;
    let (mut single, mut last, mut burst) = (Vec::new(), Vec::new(), Vec::new());
    for (count, of) in [(1, &mut single), (10, &mut burst)] {
        for _ in 0..REPEATS {
            let (begun, cpu) = (Instant::now(), subject.server.cpu());
            crowd.expect(floor_frames * count);
            subject.broadcast(count as usize).await;
            let at = crowd.reached().await;
            let spent = subject.server.cpu().saturating_sub(cpu);
            of.push((floor_frames * count) as f64 / spent.as_secs_f64());
            if count == 1 {
                last.push(at.saturating_duration_since(begun).as_secs_f64() * 1e3);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    if kind == Kind::Stentor {
        *bytes = crowd.mean_bytes();
    }
    let (p50, p99) = push_to_one(&subject, &crowd, n).await;
    crowd.leave().await;
    Measured { single: middle(single), burst: middle(burst), last: middle(last), p50, p99, memory }
}

/// Pushes to one person after another at a steady rate, whatever the answers take.
async fn push_to_one(subject: &Subject, crowd: &Crowd, n: usize) -> (f64, f64) {
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
    let total = RATE * SECONDS;
    crowd.took();
    crowd.expect(total);
    let pushes = async {
        let mut open = tokio::task::JoinSet::new();
        for k in 0..total {
            ticks.tick().await;
            let i = (k as usize * 7) % n;
            let push = subject.push(i);
            crowd.sent(i);
            open.spawn(push);
        }
        open.join_all().await;
    };
    tokio::join!(pushes, crowd.reached());
    let took = crowd.took();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    (at(0.5), at(0.99))
}
