//! A PostgreSQL cluster of the test's own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::free_port;

/// What the server writes on its log once a client may connect (it is started with `--no-locale`).
const READY: &str = "database system is ready to accept connections";

/// A PostgreSQL cluster that listens on a port of 127.0.0.1 and nowhere else, stopped and its data removed when dropped.
///
/// Files are never synced (`fsync = off`), which a power cut would not forgive; the end of a process, which is what
/// tests try, loses nothing that was committed. `PostgreSQL` refuses to run as root: then it runs as the user `postgres`.
#[derive(Debug)]
pub struct Postgres {
    child: Option<Child>,
    port: u16,
    data: TempDir,
    bin: PathBuf,
    user: Option<(u32, u32)>,
}

impl Postgres {
    /// Makes a cluster, starts it and waits until it accepts connections.
    pub fn start() -> Self {
        let bin = find_bin().expect("PostgreSQL's initdb is installed: `make test-deps` installs it");
        let user = run_as();
        let data = tempfile::tempdir().expect("a directory for PostgreSQL's data");
        if let Some((uid, gid)) = user {
            chown(data.path(), Some(uid), Some(gid)).expect("root may give the directory to `postgres`");
        }
        let mut server = Self { child: None, port: 0, data, bin, user };
        server.init();
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start().is_ok() {
                return server;
            }
        }
        let log = server.try_start().err().unwrap_or_default();
        panic!("PostgreSQL does not start:\n{log}");
    }

    /// The address of the database `postgres`, with all rights and no password.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes a further database in this cluster and gives its address.
    pub fn create_database(&self, name: &str) -> String {
        let out = self
            .command("createdb")
            .args(["--host=127.0.0.1", "--username=postgres", "--no-password"])
            .arg(format!("--port={}", self.port))
            .arg(name)
            .output()
            .expect("createdb runs");
        assert!(out.status.success(), "createdb {name}: {}", String::from_utf8_lossy(&out.stderr));
        self.url_of(name)
    }

    /// Runs a query and gives its rows, a line each, columns parted by `|`.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let out = self
            .command("psql")
            .args(["--host=127.0.0.1", "--username=postgres", "--no-password", "--tuples-only", "--no-align"])
            .arg(format!("--port={}", self.port))
            .args(["--command", sql])
            .output()
            .expect("psql runs");
        assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
    }

    /// Runs `sql` in a transaction that stays open until the value is dropped: a lock, say, that others wait for.
    pub fn hold(&self, sql: &str) -> Held {
        let mut child = self
            .command("psql")
            .args(["--host=127.0.0.1", "--username=postgres", "--no-password", "--tuples-only", "--no-align", "--quiet"])
            .arg(format!("--port={}", self.port))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        writeln!(stdin, "BEGIN; {sql}; SELECT 'held';").expect("psql reads");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("psql answers");
        assert_eq!(line.trim(), "held", "{sql}");
        Held { child, stdin: Some(stdin) }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of its postmaster, for signals.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Where its data are.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Ends the server at once, without a checkpoint: every connection breaks and the next start has to recover.
    ///
    /// This is `PostgreSQL`'s immediate stop (SIGQUIT). SIGKILL would leave its backends alive for a moment, which
    /// refuse the next start, and its System V memory behind for ever.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_process(Pid::from_child(&child), Signal::QUIT);
            let _ = child.wait();
        }
    }

    /// Starts it again on the same port and data, after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        self.kill();
        if let Err(log) = self.try_start() {
            panic!("PostgreSQL does not start again on port {}:\n{log}", self.port);
        }
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn init(&self) {
        let out = self
            .command("initdb")
            .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres", "--pgdata"])
            .arg(self.data.path().join("cluster"))
            .output()
            .expect("initdb runs");
        assert!(out.status.success(), "initdb: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// Starts the server; the error is its log so far.
    fn try_start(&mut self) -> Result<(), String> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data.path().join("cluster"));
        let port = format!("port={}", self.port);
        for setting in [
            port.as_str(),
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=16MB",
            "log_destination=stderr",
            "logging_collector=off",
        ] {
            command.args(["-c", setting]);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
        let stderr = child.stderr.take().expect("stderr is piped");
        self.child = Some(child);
        let (tx, rx) = mpsc::channel();
        // The thread lives as long as the server: a log that nobody reads would fill its pipe and stop it.
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = tx.send(line);
            }
        });
        let mut log = String::new();
        while let Ok(line) = rx.recv_timeout(Duration::from_mins(1)) {
            if line.contains(READY) {
                return Ok(());
            }
            log.push_str(&line);
            log.push('\n');
        }
        self.kill();
        Err(log)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        // The caller's working directory may be closed to the user `postgres`.
        command.current_dir(self.data.path()).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// An open transaction, rolled back when dropped.
#[derive(Debug)]
pub struct Held {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.stdin.take()); // psql ends with its input
        let _ = self.child.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The folder of the newest `initdb`: Debian keeps each version in a folder of its own, others have it on the path.
fn find_bin() -> Option<PathBuf> {
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
        .collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.into_iter().rev().map(|(_, bin)| bin).chain(std::env::split_paths(&path)).find(|bin| bin.join("initdb").is_file())
}

/// The user and group to run as: `postgres` if we are root, else ourselves.
fn run_as() -> Option<(u32, u32)> {
    let me = fs::metadata("/proc/self").expect("/proc is mounted").uid();
    if me != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("root needs a user `postgres` to run PostgreSQL");
    let mut ids = line.split(':').skip(2).map_while(|id| id.parse().ok());
    Some((ids.next()?, ids.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(server: &Postgres, sql: &str) -> String {
        let out = server.command("psql").arg(server.url()).args(["-Atc", sql]).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn what_was_committed_survives_a_kill_and_a_restart() {
        let mut server = Postgres::start();
        query(&server, "CREATE TABLE t (n INT); INSERT INTO t VALUES (7)");
        server.kill();
        server.restart();
        assert_eq!(query(&server, "SELECT n FROM t"), "7");
    }

    #[test]
    fn two_clusters_share_nothing_and_end_with_their_value() {
        let (one, two) = (Postgres::start(), Postgres::start());
        assert_ne!(one.port(), two.port());
        assert!(one.create_database("extra").ends_with("/extra"));
        assert_eq!(query(&one, "SELECT count(*) FROM pg_database WHERE datname = 'extra'"), "1");
        assert_eq!(query(&two, "SELECT count(*) FROM pg_database WHERE datname = 'extra'"), "0");
        let (port, data) = (one.port(), one.data_dir().to_owned());
        drop(one);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
        assert!(!data.exists());
    }
}
