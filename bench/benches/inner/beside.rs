//! One piece of work, done by ours and by others, and what each took.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use serde_json::Value;

/// What ours is called among the others.
const OURS: &str = "stentor";

/// All that is measured in one run.
pub(crate) struct Bench {
    criterion: Criterion,
    /// Where Criterion keeps what it finds.
    found: PathBuf,
    begun: SystemTime,
    /// Each piece of work, and who did it.
    works: Vec<(String, Vec<String>)>,
}

impl Bench {
    /// Asks the command line what is to be measured, and for how long.
    pub(crate) fn new() -> Self {
        // This program is target/PROFILE/deps/inner-….
        let own = env::current_exe().expect("a path");
        let found = own.ancestors().nth(3).expect("a target folder").join("criterion");
        let criterion = Criterion::default()
            .output_directory(&found)
            .without_plots()
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .configure_from_args();
        Self { criterion, found, begun: SystemTime::now(), works: Vec::new() }
    }

    /// Measures `ours` at a piece of work. The others follow by [`Work::beside`].
    pub(crate) fn work<T>(&mut self, name: &str, ours: impl FnMut() -> T) -> Work<'_> {
        self.works.push((name.to_owned(), Vec::new()));
        let (_, who) = self.works.last_mut().expect("it was pushed");
        Work { group: self.criterion.benchmark_group(name), who }.beside(OURS, ours)
    }

    /// Prints the table of what was measured in this run.
    pub(crate) fn end(self) {
        self.criterion.final_summary();
        println!("\n| work | stentor | beside | takes | ratio |\n| --- | --- | --- | --- | --- |");
        for (work, who) in &self.works {
            let median = |who: &str| median(&self.found.join(work).join(who).join("new/estimates.json"), self.begun);
            let Some(ours) = median(OURS) else { continue };
            for other in who.iter().filter(|who| *who != OURS) {
                let Some(takes) = median(other) else { continue };
                println!("| {work} | {} | {other} | {} | {:.2} |", time(ours), time(takes), ours / takes);
            }
        }
    }
}

/// A piece of work that is being measured.
pub(crate) struct Work<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    who: &'a mut Vec<String>,
}

impl Work<'_> {
    /// Measures another who does it.
    pub(crate) fn beside<T>(mut self, who: &str, mut work: impl FnMut() -> T) -> Self {
        self.group.bench_function(who, |bencher| bencher.iter(&mut work));
        self.who.push(who.to_owned());
        self
    }
}

/// Nanoseconds, if they were found in this run: what another left there says nothing of it.
fn median(path: &Path, begun: SystemTime) -> Option<f64> {
    let written = fs::metadata(path).and_then(|file| file.modified()).ok()?;
    let estimates: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64().filter(|_| written >= begun)
}

fn time(nanos: f64) -> String {
    if nanos < 1_000.0 { format!("{nanos:.1} ns") } else { format!("{:.2} µs", nanos / 1_000.0) }
}
