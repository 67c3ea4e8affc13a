//! `stentor serve`, as it runs in production.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use stentor_testkit::free_port;

use super::{Api, PATIENCE, stentor};

/// One process of `stentor serve`, killed when dropped.
pub struct Process {
    child: Child,
    settings: Vec<(String, String)>,
}

impl Process {
    /// Starts it with settings from the environment and waits until it is ready.
    pub async fn start(settings: &[(String, String)]) -> Self {
        Self { child: spawn(settings).await, settings: settings.to_vec() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with the same settings.
    pub async fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.settings).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn spawn(settings: &[(String, String)]) -> Child {
    let mut command = stentor();
    command.arg("serve").envs(settings.iter().cloned());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (tx, rx) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut tx = Some(tx);
        for line in stderr.lines().map_while(Result::ok) {
            let ready = serde_json::from_str::<Value>(&line).is_ok_and(|l| l["message"] == "ready");
            if let Some(tx) = tx.take_if(|_| ready) {
                let _ = tx.send(());
            }
            if std::env::var_os("STENTOR_TEST_LOG").is_some() {
                eprintln!("{line}");
            }
        }
    });
    tokio::time::timeout(PATIENCE, rx).await.expect("serve is ready in time").expect("serve runs");
    child
}

/// A signal to a process: `STOP`, `CONT`.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// The settings of a process on these servers; it listens on a port of its own.
pub fn settings(redis: &str, database: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let listen = format!("127.0.0.1:{}", free_port());
    let own = [
        ("STENTOR__HTTP__LISTEN", listen.as_str()),
        ("STENTOR__REDIS__URL", redis),
        ("STENTOR__ARCHIVE__URL", database),
        ("STENTOR__LOG__LEVEL", "info"),
        ("STENTOR__LOG__FORMAT", "json"),
    ];
    own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Makes the app `bank`, and a key that may do everything, for a process with these settings.
pub fn bank(settings: &[(String, String)]) -> Api {
    let cli = |args: &[&str]| {
        let output = stentor().args(["--json"]).args(args).envs(settings.iter().cloned()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    cli(&["app", "create", "bank"]);
    let key = cli(&["key", "create", "--app", "bank", "--scopes", "send,read,manage,templates"]);
    let (_, listen) = settings.iter().find(|(name, _)| name == "STENTOR__HTTP__LISTEN").unwrap();
    Api::new(&format!("http://{listen}"), key["api_key"].as_str().unwrap())
}

/// One process that does everything, and its API.
pub struct Serve {
    _process: Process,
    pub api: Api,
}

impl Serve {
    pub async fn start(redis: &str, database: &str, more: &[(&str, &str)]) -> Self {
        let settings = settings(redis, database, more);
        let api = bank(&settings);
        Self { _process: Process::start(&settings).await, api }
    }
}

/// The URL of a database in `dir`.
pub fn sqlite(dir: &tempfile::TempDir) -> String {
    format!("sqlite:{}?mode=rwc", dir.path().join("stentor.db").display())
}
