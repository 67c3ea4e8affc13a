//! What every end-to-end test starts from: the real binary, on servers of its own.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, and shows the server's log if asked"
)]

pub mod device;
pub mod serve;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// How long anything may take before a test gives it up. Never waited for when all is well.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The binary that `make test` has built: it lies beside the test executables. `STENTOR_BIN` names another.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("STENTOR_BIN") {
        return named.into();
    }
    let mut path = std::env::current_exe().expect("a test knows its own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let binary = path.join("stentor");
    assert!(binary.exists(), "{} is missing: build it first (`cargo build -p stentor-server`)", binary.display());
    binary
}

/// A command of the binary that inherits none of our own settings.
pub fn stentor() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STENTOR")) {
        command.env_remove(name);
    }
    command
}

/// A running `stentor dev`, ended when dropped.
pub struct Dev {
    child: Option<Child>,
    killed: bool,
    stdout: Option<BufReader<ChildStdout>>,
    data: tempfile::TempDir,
    environment: Vec<(String, String)>,
    pub ready: Value,
    pub api: Api,
}

/// A caller of the API.
#[derive(Clone)]
pub struct Api {
    client: reqwest::Client,
    pub url: String,
    pub key: String,
}

impl Dev {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with settings from the environment.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a directory for the data");
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let api = Api { client: client(), url: String::new(), key: String::new() };
        let mut dev = Self { child: None, killed: false, stdout: None, data, environment, ready: Value::Null, api };
        dev.run();
        dev
    }

    fn run(&mut self) {
        let mut command = stentor();
        command.args(["--json", "dev", "--listen", "127.0.0.1:0", "--data"]).arg(self.data.path());
        command.arg("--ready-file").arg(self.data.path().join("ready.json"));
        command.envs(self.environment.iter().cloned()).env("STENTOR__LOG__LEVEL", "warn");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("stentor dev starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output is ours"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("stentor dev says that it is ready");
        self.ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("stentor dev did not come up ({e}): {line:?}"));
        self.child = Some(child);
        self.stdout = Some(stdout);
        self.api.url = self.text("api_url");
        self.api.key = self.text("api_key");
    }

    /// A field of the ready file.
    pub fn text(&self, field: &str) -> String {
        self.ready[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.ready)).to_owned()
    }

    pub fn outbox(&self, kind: &str) -> PathBuf {
        self.data.path().join("outbox").join(kind)
    }

    /// Ends it as a power cut would (SIGKILL); its Redis is left behind.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
            self.killed = true;
        }
    }

    /// Starts it again over the same data, after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        self.run();
        self.killed = false;
    }

    /// Ends it in order (SIGTERM) and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        let sent = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
        assert!(sent.success());
        child.wait().expect("it ends").code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.stop();
        } else if self.killed {
            // its Redis was left behind
            let _ = Command::new("redis-cli").args(["-u", &self.text("redis_url"), "shutdown", "nosave"]).status();
        }
    }
}

/// An HTTP client of a test.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(PATIENCE).build().expect("a client")
}

impl Api {
    pub fn new(url: &str, key: &str) -> Self {
        Self { client: client(), url: url.to_owned(), key: key.to_owned() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    /// Sends a notification that must be accepted, and gives its id.
    pub async fn send(&self, body: &Value) -> String {
        let (status, answer) = self.post("/v1/notifications", body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = answer(self.request(Method::GET, path)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// What the process counts under this name; of several lines the first.
    pub async fn metric(&self, name: &str) -> u64 {
        let metrics =
            self.client.get(format!("{}/metrics", self.url)).send().await.expect("an answer").text().await.expect("a body");
        let line = metrics.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map_or(0, |n| n as u64)
    }

    /// The inbox of the person with `token`, through REST.
    pub async fn as_person(&self, method: Method, path: &str, token: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    pub async fn token(&self, recipient: &str) -> String {
        let (status, body) = self.post(&format!("/v1/recipients/{recipient}/token"), &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["token"].as_str().expect("a token").to_owned()
    }

    /// Asks until every delivery of the notification has ended, and gives the last answer.
    pub async fn completed(&self, id: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let view = self.get(&format!("/v1/notifications/{id}")).await;
            if view["status"] == "completed" {
                return view;
            }
            assert!(Instant::now() < end, "not completed: {view}");
            tokio::time::sleep(Duration::from_millis(50)).await; // REST has no event to wait for
        }
    }
}

/// Sends, and gives status and body.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a body");
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}

/// Asks `found` until it gives something: for what has no event, such as files written by another process.
pub async fn eventually<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The time so many seconds from now, as the API takes it.
pub fn at(seconds: f64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970").as_secs_f64();
    let date = format!("@{}", now + seconds);
    let output = Command::new("date").args(["-u", "-d", &date, "+%Y-%m-%dT%H:%M:%S.%3NZ"]).output().expect("date runs");
    String::from_utf8(output.stdout).expect("ASCII").trim().to_owned()
}

/// True if every group of the events log was given and has acknowledged all of it; the newest stay in it all the same.
pub async fn is_archived(redis: &mut redis::aio::MultiplexedConnection) -> redis::RedisResult<bool> {
    type Fields = HashMap<String, redis::Value>;
    let mut pipe = redis::pipe();
    pipe.cmd("XINFO").arg("STREAM").arg("stentor:{events:0}:log").cmd("XINFO").arg("GROUPS").arg("stentor:{events:0}:log");
    let (stream, groups): (Fields, Vec<Fields>) = pipe.query_async(redis).await?;
    let text = |fields: &Fields, name: &str| fields.get(name).and_then(|v| redis::from_redis_value::<String>(v.clone()).ok());
    let pending = |group: &Fields| group.get("pending").and_then(|v| redis::from_redis_value::<u64>(v.clone()).ok());
    let last = text(&stream, "last-generated-id");
    Ok(groups.iter().all(|group| text(group, "last-delivered-id") == last && pending(group) == Some(0)))
}

/// The files in a folder, whole ones only.
pub fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let mut files: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == ending)).collect();
    files.sort();
    files
}
