//! Something that is measured inside a process of its own, on the server's core: a crate of ours, a floor, or a peer in another
//! language. It prints what it found as the last line of its output, in JSON.

use std::{
    fmt::Display,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::server::CORE;

/// Runs the subject `name` of this very program.
pub(crate) fn run(name: &str, args: &[String]) -> Value {
    let own = std::env::current_exe().expect("a path");
    let mut command = on_core(own);
    command.arg("subject").arg(name).args(args);
    last_line(command)
}

/// A command on the server's core.
pub(crate) fn on_core(program: PathBuf) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(program);
    command
}

/// Runs a command that prints JSON at its end.
pub(crate) fn last_line(command: Command) -> Value {
    try_last_line(command).unwrap_or_else(|error| panic!("{error}"))
}

/// The same of one that may fail: what others made is no reason to measure nothing.
pub(crate) fn try_last_line(mut command: Command) -> Result<Value, String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{command:?} failed: {text}"));
    }
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(line).map_err(|e| format!("{command:?} gave no figure ({e}): {text}"))
}

/// A number in what a subject found.
pub(crate) fn figure(found: &Value, name: impl serde_json::value::Index + Display + Copy) -> f64 {
    found[name].as_f64().unwrap_or_else(|| panic!("no {name} in {found}"))
}
