//! Pushes: what they cost, beside a raw `send()` loop and a bare axum WebSocket of the same bytes, and beside peers that are told the
//! same by the same clients.
//!
//! `SOCKETS=1000,5000` for so many; 10,000 otherwise. `ONLY=Stentor` measures some of the systems, for whoever works on one of them.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::json;
use stentor_testkit::RedisServer;
use stentor_tests::{Api, serve};

use crate::{
    crowd::Crowd,
    load::{self, Request},
    measure::{median as middle, rounds, sized},
    peers,
    report::{Goal, Report},
    server::Server,
    stentor::{self, redis},
};

/// Broadcasts, and bursts of ten, of which the median counts.
const REPEATS: usize = 7;
/// How many pushes to one person a second, and for how long.
const RATE: u64 = 1_000;
const SECONDS: u64 = 5;
/// How many push as fast as they can.
const PUSHERS: usize = 64;
/// What centrifuge wants to be told first, as its versions say it: an empty `connect`, or empty `params` of the first method, which it is.
const CONNECT: &str = r#"{"id":1,"connect":{},"params":{}}"#;
/// How many bytes centrifuge puts around a message to all.
const ENVELOPE: usize = 44;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Stentor,
    Raw,
    Axum,
    Ws,
    SocketIo,
    Nchan,
    Centrifuge,
}

impl Kind {
    const ALL: [Self; 7] = [Self::Stentor, Self::Raw, Self::Axum, Self::Ws, Self::SocketIo, Self::Nchan, Self::Centrifuge];

    fn name(self) -> &'static str {
        match self {
            Self::Stentor => "Stentor",
            Self::Raw => "raw send()",
            Self::Axum => "bare axum",
            Self::Ws => "ws (Node)",
            Self::SocketIo => "socket.io",
            Self::Nchan => "nchan",
            Self::Centrifuge => "centrifuge",
        }
    }

    fn is_peer(self) -> bool {
        matches!(self, Self::Ws | Self::SocketIo | Self::Nchan | Self::Centrifuge)
    }

    /// Whether it can run here.
    fn is_there(self) -> bool {
        match self {
            Self::Stentor | Self::Raw | Self::Axum => true,
            Self::Ws | Self::SocketIo => peers::program("ws.mjs").is_some(),
            Self::Nchan => peers::nchan().is_some(),
            Self::Centrifuge => peers::centrifuge().is_some(),
        }
    }
}

/// What one system did in one round.
#[derive(Clone, Default)]
pub(crate) struct Measured {
    /// Deliveries per CPU second of the server.
    pub(crate) single: f64,
    pub(crate) burst: f64,
    /// From the call to the last client.
    pub(crate) last: f64,
    /// Pushes to one person each, as many as can be, a second.
    pub(crate) saturated: f64,
    /// Of a push to one: half are faster, and 99 of 100, in ms.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Bytes of memory a connection.
    pub(crate) memory: f64,
}

pub(crate) async fn run() -> Report {
    let asked = std::env::var("SOCKETS").unwrap_or_default();
    let sizes: Vec<usize> = asked.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![sized(10_000, 500)] } else { sizes };
    let mut report = Report::default();
    if let Ok(only) = std::env::var("ONLY") {
        for n in sizes {
            for kind in Kind::ALL.into_iter().filter(|kind| only.split(',').any(|name| name == kind.name())) {
                let mut rounds_of = Vec::new();
                for _ in 0..rounds() {
                    rounds_of.push(measure(kind, n, &mut 400).await);
                }
                tell_alone(&mut report, n, kind.name(), &median(&rounds_of));
            }
        }
        return report;
    }
    for n in sizes {
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_there()).collect();
        let mut all = vec![Vec::new(); kinds.len()];
        let mut bytes = 400;
        for _ in 0..rounds() {
            for (kind, measured) in kinds.iter().zip(&mut all) {
                measured.push(measure(*kind, n, &mut bytes).await);
            }
        }
        let all: Vec<(Kind, Measured)> = kinds.into_iter().zip(all.iter().map(|rounds| median(rounds))).collect();
        tell(&mut report, n, &all[0].1, &all[1].1, &all[2].1);
        for (kind, measured) in all.iter().filter(|(kind, _)| kind.is_peer()) {
            tell_peer(&mut report, n, &all[0].1, kind.name(), measured);
        }
        report.note(format!("Frames of {bytes} bytes."));
    }
    if let Some(version) = peers::centrifuge_version() {
        report.note(format!(
            "centrifuge is {version}, with its own defaults: up to four messages share a frame, and each is counted."
        ));
    }
    for missing in Kind::ALL.into_iter().filter(|kind| !kind.is_there()) {
        report.note(format!("{} is not installed (`scripts/bench-peers.sh`).", missing.name()));
    }
    report
}

fn tell_alone(report: &mut Report, n: usize, name: &str, measured: &Measured) {
    let figures = [
        ("broadcasts, per CPU second", measured.single, "deliveries"),
        ("bursts of ten, per CPU second", measured.burst, "deliveries"),
        ("broadcast, last client", measured.last, "ms"),
        ("POST to frame of one person, 1,000/s: p50", measured.p50, "ms"),
        ("POST to frame of one person, 1,000/s: p99", measured.p99, "ms"),
        ("POST to frame of one person, as many as can be", measured.saturated, "a second"),
        ("an idle socket", measured.memory / 1_024.0, "KiB"),
    ];
    for (work, value, unit) in figures {
        report.figure(format!("{name}, {n} sockets: {work}"), value, unit, Goal::None);
    }
}

fn tell_peer(report: &mut Report, n: usize, ours: &Measured, name: &str, peer: &Measured) {
    let mut row = |work: String, of: fn(&Measured) -> f64, unit: &str, goal| {
        report.ratio(work, of(ours), (name, of(peer)), unit, goal);
    };
    row(format!("broadcast to {n} sockets, per CPU second"), |m| m.single, "deliveries", Goal::AtLeast(1.3));
    row(format!("bursts of ten to {n} sockets, per CPU second"), |m| m.burst, "deliveries", Goal::AtLeast(5.0));
    row(format!("broadcast to {n} sockets, last client"), |m| m.last, "ms", Goal::AtMost(1.0));
    row("POST to frame of one person, 1,000/s: p50".to_owned(), |m| m.p50, "ms", Goal::AtMost(1.0));
    row("POST to frame of one person, 1,000/s: p99".to_owned(), |m| m.p99, "ms", Goal::AtMost(1.0));
    row("POST to frame of one person, as many as can be".to_owned(), |m| m.saturated, "a second", Goal::AtLeast(1.0));
    row("an idle socket".to_owned(), |m| m.memory / 1_024.0, "KiB", Goal::AtMost(1.0));
}

fn tell(report: &mut Report, n: usize, stentor: &Measured, raw: &Measured, axum: &Measured) {
    let mut row = |work: String, of: fn(&Measured) -> f64, (name, other), unit: &str, goal| {
        report.ratio(work, of(stentor), (name, of(other)), unit, goal);
    };
    let (raw, axum, published) = (("raw send()", raw), ("bare axum", axum), ("bare axum, PUBLISH", axum));
    row(format!("broadcast to {n} sockets, per CPU second"), |m| m.single, raw, "deliveries", Goal::AtLeast(0.8));
    row(format!("broadcast to {n} sockets, per CPU second"), |m| m.single, axum, "deliveries", Goal::AtLeast(1.0));
    row(format!("broadcast to {n} sockets, last client"), |m| m.last, raw, "ms", Goal::AtMost(1.25));
    row("POST to frame of one person, 1,000/s: p50".to_owned(), |m| m.p50, published, "ms", Goal::AtMost(2.0));
    row("POST to frame of one person, 1,000/s: p99".to_owned(), |m| m.p99, published, "ms", Goal::None);
    row("POST to frame of one person, as many as can be".to_owned(), |m| m.saturated, published, "a second", Goal::AtLeast(0.4));
    let work = format!("bursts of ten to {n} sockets, of the floor's single rate");
    report.ratio(work, stentor.burst, ("raw send()", raw.1.single), "deliveries", Goal::AtLeast(7.0));
    report.ratio("bursts of ten, burst for burst", stentor.burst, ("bare axum", axum.1.burst), "deliveries", Goal::AtLeast(1.0));
    let limit = ("ten frames in each raw send()", raw.1.burst);
    report.ratio("bursts of ten, burst for burst", stentor.burst, limit, "deliveries", Goal::None);
    report.figure("POST to frame of one person, 1,000/s: p99", stentor.p99, "ms", Goal::AtMost(5.0));
    report.figure("an idle socket", stentor.memory / 1_024.0, "KiB", Goal::AtMost(3.0));
}

fn median(rounds: &[Measured]) -> Measured {
    let of = |field: fn(&Measured) -> f64| middle(rounds.iter().map(field).collect());
    Measured {
        single: of(|m| m.single),
        burst: of(|m| m.burst),
        last: of(|m| m.last),
        saturated: of(|m| m.saturated),
        p50: of(|m| m.p50),
        p99: of(|m| m.p99),
        memory: of(|m| m.memory),
    }
}

/// A system with its clients, and how it is made to send.
struct Subject {
    kind: Kind,
    server: Server,
    http: reqwest::Client,
    api: Option<Api>,
    text: String,
    _redis: Option<RedisServer>,
    _dir: Option<tempfile::TempDir>,
}

impl Subject {
    fn start(kind: Kind, bytes: usize) -> Self {
        let http = stentor_tests::client();
        if kind.is_peer() {
            let (server, config) = peers::serve(kind);
            let around = if kind == Kind::Centrifuge { ENVELOPE } else { 0 };
            let text = "x".repeat(bytes.saturating_sub(around));
            return Self { kind, server, http, api: None, text, _redis: None, _dir: config };
        }
        if kind != Kind::Stentor {
            let own = std::env::current_exe().expect("a path");
            let which = if kind == Kind::Raw { "raw" } else { "axum" };
            let redis = redis();
            let server = Server::start(&own, &["floor", which, &redis.url()], &[], |line| Some(line.to_owned()));
            return Self { kind, server, http, api: None, text: "x".repeat(bytes), _redis: Some(redis), _dir: None };
        }
        let redis = redis();
        let dir = tempfile::tempdir().expect("a directory");
        let more = [("STENTOR__REALTIME__CONNECTS_PER_SECOND", "100000"), ("STENTOR__LOG__LEVEL", "info")];
        let settings = serve::settings(&redis.url(), &serve::sqlite(&dir), &more);
        let api = serve::bank(&settings);
        let server = stentor::run(&settings);
        Self { kind, server, http, api: Some(api), text: String::new(), _redis: Some(redis), _dir: Some(dir) }
    }

    /// What each of so many clients says first. That they are known, and have tokens, is no memory of a connection.
    async fn people(&self, n: usize) -> Vec<Option<String>> {
        let Some(api) = &self.api else {
            let hello = match self.kind {
                Kind::SocketIo => Some("40"), // its namespace is to be asked for
                Kind::Centrifuge => Some(CONNECT),
                _ => None,
            };
            return vec![hello.map(str::to_owned); n];
        };
        stream::iter(0..n)
            .map(async |i| {
                api.put(&format!("/v1/recipients/p{i}"), &json!({})).await;
                Some(json!({"type": "auth", "token": api.token(&format!("p{i}")).await}).to_string())
            })
            .buffered(32)
            .collect()
            .await
    }

    /// Connects them.
    async fn crowd(&self, hellos: &[Option<String>]) -> Crowd {
        let path = |i| match self.kind {
            Kind::Stentor => "/v1/inbox/ws".to_owned(),
            Kind::SocketIo => format!("/socket.io/?EIO=4&transport=websocket&i={i}"),
            _ => format!("/ws/{i}"),
        };
        Crowd::connect(&self.server.address, path, hellos.len(), |i| hellos[i].clone()).await.expect("all connect")
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
        let (url, times) = match self.kind {
            Kind::Raw => (format!("http://{}/all/{count}", self.server.address), 1),
            _ => (format!("http://{}/all", self.server.address), count),
        };
        for _ in 0..times {
            let sent = self.http.post(&url).body(self.text.clone()).send().await.expect("an answer");
            assert!(sent.status().is_success());
        }
    }

    /// Where, with what key and with what words one person is told something.
    fn one(&self, i: usize) -> (String, &str, String) {
        let Some(api) = &self.api else { return (format!("/one/{i}"), "none", self.text.clone()) };
        let one = json!({"audience": {"recipients": [format!("p{i}")]}, "channels": ["inbox"], "content": {"title": "For you"}});
        ("/v1/notifications".to_owned(), &api.key, one.to_string())
    }
}

pub(crate) async fn measure(kind: Kind, n: usize, bytes: &mut usize) -> Measured {
    let subject = Subject::start(kind, *bytes);
    let people = subject.people(n).await;
    let some = &people[..64.min(n)];
    let warm = subject.crowd(some).await; // what is loaded once is no memory of a connection
    warm.expect(some.len() as u64);
    subject.broadcast(1).await;
    warm.reached().await;
    warm.leave().await;
    if subject.api.is_none() && kind != Kind::Nchan {
        let forgotten = subject.http.delete(format!("http://{}/all", subject.server.address)).send().await;
        assert!(forgotten.is_ok_and(|answer| answer.status().is_success()));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = subject.server.rss();
    let crowd = subject.crowd(&people).await;
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
    let saturated = saturate(&subject, &crowd, n).await;
    crowd.leave().await;
    Measured { single: middle(single), burst: middle(burst), last: middle(last), saturated, p50, p99, memory }
}

/// Pushes to one person each as fast as they are taken, until the last frame came: how many a second.
async fn saturate(subject: &Subject, crowd: &Crowd, n: usize) -> f64 {
    let request = |i: usize| {
        let (path, key, body) = subject.one(i);
        Request::post(&subject.server.address, &path, key, &body)
    };
    let requests: Vec<Request> = (0..PUSHERS.min(n)).map(|i| request(i).again(i as u8)).collect();
    let times = sized(200, 20) as u64;
    let total = requests.len() as u64 * times;
    crowd.expect(total);
    let begun = Instant::now();
    let (called, at) = tokio::join!(load::all(&subject.server.address, &requests, times), crowd.reached());
    called.expect("it answers");
    total as f64 / (at - begun).as_secs_f64()
}

/// Pushes to one person after another at a steady rate, whatever the answers take.
async fn push_to_one(subject: &Subject, crowd: &Crowd, n: usize) -> (f64, f64) {
    let total = RATE * SECONDS;
    let who = |k: usize| (k * 7) % n;
    crowd.took();
    crowd.expect(total);
    let address = &subject.server.address;
    let requests = (0..total as usize).map(|k| {
        let (path, key, body) = subject.one(who(k));
        Request::once(address, &path, key, &body)
    });
    let (pushed, _) = tokio::join!(load::paced(address, requests, RATE, |k| crowd.sent(who(k))), crowd.reached());
    pushed.expect("it answers");
    let took = crowd.took();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    (at(0.5), at(0.99))
}
