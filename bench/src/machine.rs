//! Where it was measured, and with which versions.

use std::{fmt::Write as _, fs, process::Command};

/// Lines of `- what: which`.
pub(crate) fn describe() -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get).max(online());
    let kib: f64 =
        field("/proc/meminfo", "MemTotal").and_then(|m| m.trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default();
    let mut text = format!("- {cores} cores, {cpu}; {:.0} GiB of memory\n", kib / 1_048_576.0);
    for (what, program, args) in [
        ("kernel", "uname", &["-sr"][..]),
        ("Rust", "rustc", &["--version"]),
        ("Redis", "redis-server", &["--version"]),
        ("PostgreSQL", "psql", &["--version"]),
        ("Node", "node", &["--version"]),
        ("Python", "python3", &["--version"]),
        ("Stentor's commit", "git", &["describe", "--always", "--dirty"]),
    ] {
        let output = Command::new(program).args(args).output();
        let line = output.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
        let _ = writeln!(text, "- {what}: {}", line.as_deref().unwrap_or("not there"));
    }
    text
}

/// How many cores there are, whatever this process is pinned to.
fn online() -> usize {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines().filter(|line| line.starts_with("processor")).count()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Today, in UTC.
pub(crate) fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}
