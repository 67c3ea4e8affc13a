//! Stentor as it runs in production, on the server's core, with a Redis and a database of its own.

use std::time::{Duration, Instant};

use serde_json::Value;
use stentor_testkit::RedisServer;
use stentor_tests::{Api, serve};

use crate::server::Server;

/// A running `stentor serve`.
pub(crate) struct Stentor {
    pub(crate) server: Server,
    pub(crate) api: Api,
    pub(crate) redis: RedisServer,
    /// From its start until it was ready.
    pub(crate) ready_after: Duration,
    _dir: tempfile::TempDir,
}

impl Stentor {
    /// Starts one on SQLite, with further settings.
    pub(crate) fn start(more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let database = serve::sqlite(&dir);
        Self::start_on(&database, dir, more)
    }

    /// Starts one on this database.
    pub(crate) fn start_on(database: &str, dir: tempfile::TempDir, more: &[(&str, &str)]) -> Self {
        let redis = redis();
        let settings = serve::settings(&redis.url(), database, more);
        let api = serve::bank(&settings); // migrates, too
        let begun = Instant::now();
        let server = run(&settings);
        Self { server, api, redis, ready_after: begun.elapsed(), _dir: dir }
    }
}

/// A Redis as it is advised: it keeps what it says, as of the last second. Its log is not rewritten meanwhile: that takes a core for
/// seconds, in one run and not in another.
pub(crate) fn redis() -> RedisServer {
    RedisServer::start_with(&[("appendfsync", "everysec"), ("auto-aof-rewrite-percentage", "0")])
}

/// Runs `stentor serve` with these settings until it is ready.
pub(crate) fn run(settings: &[(String, String)]) -> Server {
    Server::start(&stentor_tests::binary(), &["serve"], settings, |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "ready").then(|| line["address"].as_str().map(str::to_owned)).flatten()
    })
}
