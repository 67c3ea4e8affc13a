//! The fault suite: a client that remembers every 202 sends through a fault, and afterwards the sinks are asked what came.
//!
//! `cargo test` runs a short form of each fault, `make chaos` (`STENTOR_FAULTS=full`) the long one. An argument chooses the
//! faults whose names contain it. At the end a table tells what was accepted, arrived, lost and repeated.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by panicking, and this one prints a table"
)]

mod archive;
mod load;
mod poison;
mod processes;
mod providers;
mod redis_server;
mod sinks;
mod stack;

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use futures_util::FutureExt;

/// How far the faults go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A minute or two in all.
    Short,
    /// As long as it takes.
    Full,
}

impl Scale {
    pub fn of<T>(self, short: T, full: T) -> T {
        if self == Self::Short { short } else { full }
    }
}

/// What became of what was accepted under a fault.
#[derive(Default)]
pub struct Row {
    pub accepted: usize,
    pub arrived: usize,
    pub lost: usize,
    pub repeated: usize,
    /// What else is to be told: kills, copies, states.
    pub notes: Vec<String>,
}

type Run = fn(Scale) -> Pin<Box<dyn Future<Output = Row>>>;

macro_rules! faults {
    ($($name:literal => $run:path),* $(,)?) => {
        [$(($name, (|scale| Box::pin($run(scale))) as Run)),*]
    };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, url, lease] = arguments.as_slice()
        && mode == poison::WORKER
    {
        return poison::work(url, Duration::from_millis(lease.parse().unwrap()));
    }
    let faults = faults! {
        "kill -9 of worker, API, all" => processes::killed,
        "a worker frozen beyond its lease" => processes::frozen,
        "a worker's clock 10 minutes ahead" => processes::wrong_clock,
        "a poisonous job among good ones" => poison::poisonous,
        "Redis killed and restarted" => redis_server::killed,
        "Redis frozen" => redis_server::frozen,
        "Redis out of memory" => redis_server::out_of_memory,
        "all due in one instant" => redis_server::due_at_once,
        "PostgreSQL down through the load" => archive::down,
        "SMTP server resets after DATA" => providers::reset_after_data,
        "SMS gateway's answer is lost" => providers::lost_answer,
        "SMS gateway answers 429, then 200" => providers::too_many_requests,
        "SMS gateway answers 500" => providers::server_error,
        "SMS gateway answers byte by byte" => providers::slow_answer,
        "SMS gateway never answers" => providers::stalled,
    };
    let scale = if std::env::var("STENTOR_FAULTS").is_ok_and(|v| v == "full") { Scale::Full } else { Scale::Short };
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    assert!(faults.iter().any(|(name, _)| name.contains(wanted)), "no fault's name contains {wanted:?}");
    let (mut rows, mut failed) = (Vec::new(), 0);
    for (name, run) in faults.into_iter().filter(|(name, _)| name.contains(wanted)) {
        let began = Instant::now();
        let row = runtime.block_on(AssertUnwindSafe(run(scale)).catch_unwind());
        let good = row.as_ref().is_ok_and(|row| row.lost == 0 && row.repeated == 0 && row.accepted > 0);
        println!("fault {name} ... {} ({} s)", if good { "ok" } else { "FAILED" }, began.elapsed().as_secs());
        failed += usize::from(!good);
        rows.push((name, row.ok(), began.elapsed()));
    }
    table(&rows);
    let passed = rows.len() - failed;
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table(rows: &[(&str, Option<Row>, Duration)]) {
    let heads = ["fault", "accepted", "arrived", "lost", "repeated", "s", ""];
    let cells = rows.iter().map(|(name, row, time)| match row {
        None => {
            [(*name).to_owned(), "-".into(), "-".into(), "-".into(), "-".into(), time.as_secs().to_string(), "it broke".into()]
        }
        Some(row) => [
            (*name).to_owned(),
            row.accepted.to_string(),
            row.arrived.to_string(),
            row.lost.to_string(),
            row.repeated.to_string(),
            time.as_secs().to_string(),
            row.notes.join(", "),
        ],
    });
    let lines: Vec<[String; 7]> = std::iter::once(heads.map(str::to_owned)).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    println!();
    for line in &lines {
        let [name, accepted, arrived, lost, repeated, seconds, notes] = line;
        let (w0, w1, w2, w3, w4, w5) = (width(0), width(1), width(2), width(3), width(4), width(5));
        let text = format!("{name:w0$}  {accepted:>w1$}  {arrived:>w2$}  {lost:>w3$}  {repeated:>w4$}  {seconds:>w5$}  {notes}");
        println!("{}", text.trim_end());
    }
}
