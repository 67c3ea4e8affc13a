//! Starting: from the start of the process to the first request that it would answer, what it holds when nothing happens, how large it is.

use std::time::Duration;

use crate::{
    measure::{median, rounds},
    report::{Goal, Report},
    stentor::Stentor,
};

const MIB: f64 = 1_048_576.0;

pub(crate) async fn run() -> Report {
    let (mut ready, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        let stentor = Stentor::start(&[]);
        ready.push(stentor.ready_after.as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_secs(3)).await; // it is idle
        memory.push(stentor.server.rss() as f64 / MIB);
    }
    let binary = std::fs::metadata(stentor_tests::binary()).expect("it is there").len();
    let mut report = Report::default();
    report.figure("cold start to ready (`serve`, migrated)", median(ready), "ms", Goal::AtMost(200.0));
    report.figure("memory when idle", median(memory), "MiB", Goal::AtMost(40.0));
    report.figure("the binary", binary as f64 / MIB, "MiB", Goal::AtMost(40.0));
    report.note("All three roles in one process, on SQLite; memory is its RSS 3 s after it was ready.");
    report
}
