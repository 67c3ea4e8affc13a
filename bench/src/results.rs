//! What all parts found, as bench/RESULTS.md and pictures.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    machine, measure,
    parts::ALL,
    report::{self, Report},
    why,
};

/// What a part found, and when.
#[derive(Serialize, Deserialize)]
struct Kept {
    at: String,
    rounds: usize,
    quick: bool,
    report: Report,
}

/// Where the findings of each part lie.
fn kept_in() -> PathBuf {
    let folder = std::env::current_exe().expect("a path").parent().and_then(|p| p.parent()).expect("target").join("bench");
    folder.join(if real() { "full" } else { "short" })
}

/// Whether the figures are worth telling: a build of debug or a short look shows only that everything runs, and some systems alone are
/// held against nothing.
fn real() -> bool {
    !cfg!(debug_assertions) && !measure::quick() && std::env::var_os("ONLY").is_none()
}

/// Keeps what a part found.
pub(crate) fn keep(part: &str, report: Report) {
    let kept = Kept { at: machine::today(), rounds: measure::rounds(), quick: measure::quick(), report };
    let folder = kept_in();
    fs::create_dir_all(&folder).expect("a folder");
    let text = serde_json::to_string_pretty(&kept).expect("plain values");
    fs::write(folder.join(format!("{part}.json")), text).expect("it is kept");
}

/// Writes all that is kept: into `bench/` what is worth telling, else beside what is kept.
pub(crate) fn write() {
    let folder = if real() { PathBuf::from(env!("CARGO_MANIFEST_DIR")) } else { kept_in() };
    let mut all: BTreeMap<&str, Kept> = BTreeMap::new();
    for part in &ALL {
        let text = fs::read_to_string(kept_in().join(format!("{}.json", part.name)));
        if let Some(kept) = text.ok().and_then(|text| serde_json::from_str(&text).ok()) {
            all.insert(part.name, kept);
        }
    }
    let mut text = format!(
        "# What Stentor costs\n\nWritten by `make bench` on {}: figures of one machine, and ratios that hold on others. A *floor* is the \
         least that could do the work, in the same language, on the same Redis and database settings; a *peer* is another product \
         from a public registry. Whatever is measured has one core, what asks it the other. How it is done: [bench/src](src).\n\n{}\n",
        machine::today(),
        machine::describe()
    );
    text.push_str(report::HEAD);
    for part in ALL.iter().filter_map(|part| all.get(part.name)) {
        text.push_str(&report::lines(&part.report.rows));
    }
    let missed = why::lines(ALL.iter().filter_map(|part| all.get(part.name)).flat_map(|kept| &kept.report.rows));
    if !missed.is_empty() {
        let _ = write!(
            text,
            "\n## Goals that are not met, and why\n\n{missed}\nThe profiles at length: [What it costs](../docs/ARCHITECTURE.md#what-it-costs).\n"
        );
    }
    text.push_str("\n## To read the figures\n\n");
    for part in &ALL {
        let Some(kept) = all.get(part.name) else {
            let _ = writeln!(text, "- **{}** ({}): not measured.", part.name, part.about);
            continue;
        };
        let _ = write!(text, "- **{}** ({}): {}, median of {}.", part.name, part.about, kept.at, kept.rounds);
        for note in &kept.report.notes {
            text.push(' ');
            text.push_str(note);
        }
        text.push('\n');
    }
    let curves: Vec<_> = all.values().flat_map(|kept| &kept.report.curves).collect();
    if !curves.is_empty() {
        text.push_str("\n## How cost grows\n");
        fs::create_dir_all(folder.join("curves")).expect("a folder");
    }
    for curve in curves {
        let file = format!("curves/{}.svg", curve.name);
        fs::write(folder.join(&file), curve.svg()).expect("the picture is written");
        let _ = writeln!(text, "\n![{}]({file})", curve.title);
    }
    let file = folder.join("RESULTS.md");
    fs::write(&file, text).expect("the results are written");
    println!("\nwritten: {}", file.display());
}
