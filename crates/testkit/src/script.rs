//! A server of ours that is a Python script: Debian's Python, for which Debian has the packages.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

const PYTHON: &str = "/usr/bin/python3";

/// A running script that tells what happens as JSON lines.
#[derive(Debug)]
pub(crate) struct Script {
    child: Child,
    stdin: Mutex<(ChildStdin, mpsc::Receiver<()>)>,
    events: watch::Receiver<Vec<Value>>,
    port: u16,
}

impl Script {
    /// Starts the script and waits until it listens. `packages` are Debian's that it needs, for the message if it fails.
    pub(crate) fn start(source: &str, arguments: &[&str], packages: &str) -> Self {
        let mut child = python(source, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{PYTHON} does not start ({e}): `make test-deps` installs it"));
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines().map_while(Result::ok);
        let first = lines.next().and_then(|line| serde_json::from_str::<Value>(&line).ok());
        let port = first.as_ref().and_then(|event| event["port"].as_u64()).and_then(|port| u16::try_from(port).ok());
        let Some(port) = port else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("a server of the tests does not start: `make test-deps` installs {packages}");
        };
        let (tx, events) = watch::channel(Vec::new());
        let (told_tx, told) = mpsc::channel();
        thread::spawn(move || {
            for event in lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok()) {
                if event["event"] == "told" {
                    let _ = told_tx.send(());
                } else {
                    tx.send_modify(|events| events.push(event));
                }
            }
        });
        Self { child, stdin: Mutex::new((stdin, told)), events, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells the script something and waits until it has heard.
    pub(crate) fn tell(&self, message: &Value) {
        assert!(self.exchange(message), "the script runs, and answers within 10 s");
    }

    /// True once the script has heard; false if it has ended.
    fn exchange(&self, message: &Value) -> bool {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(stdin.0, "{message}").is_ok() && stdin.1.recv_timeout(Duration::from_secs(10)).is_ok()
    }

    /// How many events of this name there were.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.events(event).len()
    }

    /// The events of this name, in order. All that the script told before this call are among them: its answer comes behind them
    /// on the same pipe, while what it tells may still be on its way when a client already has what it did.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        self.exchange(&Value::Null);
        self.events.borrow().iter().filter(|e| e["event"] == event).cloned().collect()
    }

    /// Waits until there were `n` events of this name.
    pub(crate) async fn wait_for(&self, event: &str, n: usize, timeout: Duration) {
        let mut events = self.events.clone();
        let enough = events.wait_for(|events| events.iter().filter(|e| e["event"] == event).count() >= n);
        let in_time = tokio::time::timeout(timeout, enough).await.is_ok_and(|events| events.is_ok());
        assert!(in_time, "{} of {n} {event} events within {timeout:?}", self.count(event));
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a script to its end with `input` on its stdin; what it prints.
pub(crate) fn run(source: &str, arguments: &[&str], input: &[u8], packages: &str) -> String {
    let mut child = python(source, arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    child.stdin.take().expect("stdin is piped").write_all(input).expect("the script reads all of its input");
    let out = child.wait_with_output().expect("the script ends");
    assert!(out.status.success(), "a script of the tests fails: `make test-deps` installs {packages}");
    String::from_utf8(out.stdout).expect("the script prints UTF-8")
}

/// Isolated: what the caller's environment or working directory holds for Python is not meant for this one.
fn python(source: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(PYTHON);
    command.args(["-I", "-u", "-c", source]).args(arguments);
    command
}
