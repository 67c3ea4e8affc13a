//! An SMS gateway of the test's own.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::script::Script;

const SERVER: &str = include_str!("scripts/sms_gateway.py");
const PACKAGES: &str = "python3";

/// What the gateway does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers.
    Reply {
        /// The status.
        status: u16,
        /// Headers besides `Content-Length`.
        headers: BTreeMap<String, String>,
        /// The body.
        body: String,
    },
    /// Takes the request and never answers.
    Stall,
    /// Takes the request and breaks the connection.
    Drop,
}

impl Answer {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self::Reply { status, headers: BTreeMap::new(), body: String::new() }
    }

    /// An answer with a body.
    pub fn body(status: u16, body: impl Into<String>) -> Self {
        Self::Reply { status, headers: BTreeMap::new(), body: body.into() }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.insert(name.into(), value.into());
        }
        self
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Reply { status, headers, body } => json!({ "status": status, "headers": headers, "body": body }),
            Self::Stall => json!({ "stall": true }),
            Self::Drop => json!({ "drop": true }),
        }
    }
}

/// A real HTTP server process that records each request and answers as it is told, 200 at first. Stopped when dropped.
#[derive(Debug)]
pub struct SmsGateway {
    script: Script,
    folder: TempDir,
}

impl SmsGateway {
    /// Starts a gateway and waits until it listens.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the record");
        Self { script: run(&record(&folder), 0), folder }
    }

    /// Its root: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.script.port()
    }

    /// Its process id, for signals.
    pub fn pid(&self) -> u32 {
        self.script.pid()
    }

    /// From now on it answers so, in this order; the last answer is repeated.
    pub fn answer(&self, answers: &[Answer]) {
        assert!(!answers.is_empty(), "a gateway needs an answer");
        self.script.tell(&answers.iter().map(Answer::to_json).collect());
    }

    /// The requests so far, in the order in which they came: `method`, `path`, `query` (decoded), `headers` (names in
    /// lower case) and `body`. A request is recorded before it is answered.
    pub fn requests(&self) -> Vec<Value> {
        let record = fs::read_to_string(record(&self.folder)).unwrap_or_default();
        record.lines().map(|line| serde_json::from_str(line).expect("the record is JSON")).collect()
    }

    /// Waits until there were `n` requests in all, and gives all of them. Panics if that takes longer than `timeout`.
    pub async fn wait_for(&self, n: usize, timeout: Duration) -> Vec<Value> {
        self.script.wait_for("request", n, timeout).await;
        self.requests()
    }

    /// Ends the gateway as a power cut would. Its record stays.
    pub fn kill(&mut self) {
        self.script.kill();
    }

    /// Starts it again on the same port, with a new record and its first answer, after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        self.kill();
        let _ = fs::remove_file(record(&self.folder));
        self.script = run(&record(&self.folder), self.port());
    }
}

fn record(folder: &TempDir) -> PathBuf {
    folder.path().join("requests")
}

fn run(record: &std::path::Path, port: u16) -> Script {
    let record = record.to_str().expect("the temporary folder's path is UTF-8");
    Script::start(SERVER, &[record, &port.to_string()], PACKAGES)
}
