//! A server under measurement: a process on a core of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A process, ended when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens: host and port.
    pub(crate) address: String,
}

/// The core of the server; the clients have the other.
pub(crate) const CORE: &str = "0";

impl Server {
    /// Starts `command` on its core. `address` finds where it listens in a line that it writes to stdout or stderr.
    pub(crate) fn start(
        program: &Path,
        args: &[&str],
        settings: &[(String, String)],
        address: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(program).args(args).envs(settings.iter().cloned());
        // Both go to one pipe, whichever it writes to.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        command.stdout(writer.try_clone().expect("a pipe")).stderr(writer).stdin(Stdio::null());
        let child = command.spawn().expect("the server starts");
        drop(command);
        let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
        let found = lines.by_ref().find_map(|line| address(&line)).expect("the server listens");
        std::thread::spawn(move || lines.for_each(drop)); // or it would stand still at a full pipe
        Self { child, address: found }
    }

    /// How much of a core it has used.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let of = |task: std::io::Result<fs::DirEntry>| -> Option<u64> {
            let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse().ok()
        };
        Duration::from_nanos(tasks.filter_map(of).sum())
    }

    /// Its memory, in bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
