//! `make bench`: what Stentor costs, as ratios measured side by side in one run: beside bare floors (the least that could do the
//! work, in `floors`) and beside peers from the public registries (`bench/peers`).
//!
//! `bench` measures every part, `bench accept queue` those alone. Whatever is measured has core 0 to itself; what asks it, and the
//! servers that it needs (Redis, PostgreSQL), have core 1. In each round one runs after the other; medians of the rounds count.
//! What was found lies in `target/bench`; RESULTS.md is made of all that lies there.
//!
//! The inner loops by themselves are not here but in `benches/inner`, which `make bench-inner` runs.
#![allow(clippy::print_stdout, reason = "it is a report")]
#![allow(clippy::print_stderr, reason = "it tells how far it has come")]

mod crowd;
mod curve;
mod floors;
mod load;
mod machine;
mod measure;
mod parts;
mod peers;
mod report;
mod results;
mod server;
mod stentor;
mod subject;
mod why;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match args.first().map(String::as_str) {
        Some("floor") => runtime.block_on(floors::serve(&args[1], &args[2..])).expect("the floor serves"),
        Some("subject") => println!("{}", runtime.block_on(parts::subject(&args[1], &args[2..]))),
        _ => {
            let own = std::process::id().to_string();
            let pinned = std::process::Command::new("taskset").args(["-a", "-cp", "1", &own]).output().expect("taskset runs");
            assert!(pinned.status.success(), "{}", String::from_utf8_lossy(&pinned.stderr));
            let failed = tokio::task::LocalSet::new().block_on(&runtime, run(&args));
            std::process::exit(i32::from(failed));
        }
    }
}

/// Measures what is asked for, or everything. Tells whether a part failed: the others are measured all the same.
async fn run(asked: &[String]) -> bool {
    let known = parts::ALL.map(|part| part.name);
    if let Some(unknown) = asked.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("there is no part {unknown}; the parts are: {}", known.join(", "));
        std::process::exit(2);
    }
    let mut failed = false;
    for part in parts::ALL.iter().filter(|part| asked.is_empty() || asked.iter().any(|name| name == part.name)) {
        eprintln!("==> {}: {}", part.name, part.about);
        let Ok(report) = tokio::task::spawn_local((part.run)()).await else {
            eprintln!("==> {} failed: what it found before stands in the results", part.name);
            failed = true;
            continue;
        };
        println!("\n### {}\n\n{}{}", part.about, report::HEAD, report::lines(&report.rows));
        for note in &report.notes {
            println!("- {note}");
        }
        results::keep(part.name, report);
    }
    results::write();
    failed
}
