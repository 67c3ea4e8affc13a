//! A `redis-server` of the test's own.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::free_port;

/// A `redis-server` child with AOF on, stopped and its data removed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    data: TempDir,
    options: Vec<(String, String)>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further options of `redis.conf`.
    pub fn start_with(options: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a directory for Redis's data");
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut server = Self { child: None, port: 0, data, options };
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("redis-server does not start: is it installed? `make test-deps` installs it");
    }

    /// Its address, for `redis::Client::open`, with RESP3.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/?protocol=resp3", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id, for signals.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Where its data are.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Sends a command and gives the answer as Redis's types show it.
    pub fn command(&self, words: &[&str]) -> String {
        format!("{:?}", self.query::<redis::Value>(words))
    }

    /// Sends a command and gives the answer as a `T`.
    pub fn query<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.url()).expect("its own address");
        let mut conn = client.get_connection_with_timeout(Duration::from_secs(5)).expect("the server takes a connection");
        let mut cmd = redis::cmd(words[0]);
        for word in &words[1..] {
            cmd.arg(*word);
        }
        cmd.query(&mut conn).expect("the server takes the command")
    }

    /// An option that it was started with; empty if it was not.
    pub(crate) fn option(&self, name: &str) -> String {
        self.options.iter().find(|(option, _)| option == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Ends the server as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same port and data, after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.try_start(), "redis-server does not start again on port {}", self.port);
    }

    /// Freezes it (SIGSTOP): the kernel goes on taking what it is sent, and nothing answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("there is kill").success(), "SIG{name} was not sent");
    }

    /// Copies what it has on disk, which is all that it has answered.
    pub fn save(&self) -> TempDir {
        let saved = tempfile::tempdir().expect("a directory for a copy of Redis's data");
        copy(&self.aof(), saved.path());
        saved
    }

    /// Ends it as [`kill`](Self::kill) does, and starts it again with what was saved: it lacks whatever came later, as after a crash with
    /// `everysec`, or as a replica that lagged.
    pub fn restart_from(&mut self, saved: &TempDir) {
        self.kill();
        std::fs::remove_dir_all(self.aof()).expect("its data can be removed");
        copy(saved.path(), &self.aof());
        self.restart();
    }

    fn aof(&self) -> PathBuf {
        self.data.path().join("appendonlydir")
    }

    fn try_start(&mut self) -> bool {
        let mut conf = format!("bind 127.0.0.1\nport {}\ndir {}\n", self.port, self.data.path().display());
        // With `everysec` a write may wait up to 2 s for an fsync in progress, in the memory of a server that a test then kills.
        // With `no` it is with the operating system before it is answered: killing the server loses nothing.
        conf.push_str("save \"\"\nappendonly yes\nappendfsync no\nmaxmemory-policy noeviction\n");
        for (name, value) in &self.options {
            let _ = writeln!(conf, "{name} {value}");
        }
        let path = self.data.path().join("redis.conf");
        std::fs::write(&path, conf).expect("Redis's configuration is written");
        let child = Command::new("redis-server").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let Ok(child) = child else { return false };
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            let exited = self.child.as_mut().is_none_or(|c| !matches!(c.try_wait(), Ok(None)));
            if exited {
                break;
            }
            if self.answers() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10)); // a server that starts gives no event to wait for
        }
        self.kill();
        false
    }

    fn answers(&self) -> bool {
        let ping = || {
            let client = redis::Client::open(self.url())?;
            redis::cmd("PING").query::<String>(&mut client.get_connection_with_timeout(Duration::from_millis(500))?)
        };
        ping().is_ok_and(|pong| pong == "PONG")
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be made");
    for file in std::fs::read_dir(from).expect("the directory is there") {
        let file = file.expect("it can be listed");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("a file can be copied");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
