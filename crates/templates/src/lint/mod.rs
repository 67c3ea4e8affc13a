//! Lint: everything that is wrong with templates, told before anybody receives it.
//!
//! What keeps a template from being loaded is found by loading it. A template that loads is then read once more:
//! its variables against its schema ([`variables`]), its links and pictures ([`links`]), what it lacks
//! ([`absent`]); and each of its samples is written in each of its languages, and what came out is looked at
//! ([`rendered`]).

mod absent;
mod fields;
mod links;
mod rendered;
mod variables;

use std::{collections::BTreeMap, path::Path};

use crate::{
    error::{LoadError, Place},
    finding::{Code, Finding},
    library, limits, load,
    template::Template,
};

/// Everything that is wrong with the templates of `files`, by their paths (`welcome/en/content.md`), in the order of
/// the files. A layout or partial that is not among them is the shipped one.
pub fn lint(files: &BTreeMap<String, String>) -> Vec<Finding> {
    let (templates, errors) = load::read(files);
    let mut report = Report { found: errors, most: 0 };
    report.allow(limits::FINDINGS);
    links::check_partials(files, &mut report);
    for template in &templates {
        report.allow(limits::FINDINGS);
        check(template, &templates, files, &mut report);
    }
    report.into_findings()
}

/// Everything that is wrong with the templates of the folder `dir`.
pub fn lint_dir(dir: &Path) -> Vec<Finding> {
    let (files, unreadable) = library::files_of(dir);
    let mut findings: Vec<Finding> = unreadable.into_iter().map(Finding::from).collect();
    findings.extend(lint(&files));
    findings.sort();
    findings
}

fn check(template: &Template, all: &[Template], files: &BTreeMap<String, String>, report: &mut Report) {
    let own = Files { key: template.key(), all: files };
    absent::check(template, all, &own, report);
    variables::check(template, &own, report);
    links::check(template, &own, report);
    rendered::check(template, report);
}

/// The files of one template.
struct Files<'a> {
    key: &'a str,
    all: &'a BTreeMap<String, String>,
}

impl Files<'_> {
    fn find(&self, file: &str) -> Option<String> {
        self.all.get(&format!("{}/{file}", self.key)).map(|text| text.replace("\r\n", "\n"))
    }

    fn place(&self, file: &str) -> Place {
        Place::file(&format!("{}/{file}", self.key))
    }
}

/// What was found so far.
struct Report {
    found: Vec<LoadError>,
    /// How much may be found at most: nobody reads more, and to find it takes time.
    most: usize,
}

impl Report {
    /// Allows for so many more findings.
    fn allow(&mut self, more: usize) {
        self.most = self.found.len() + more;
    }

    /// Whether enough is found.
    fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    fn add(&mut self, at: Place, code: Code, what: impl Into<String>, mend: impl Into<String>) {
        if !self.is_full() {
            self.found.push(LoadError::new(at, code, what, mend));
        }
    }

    /// In the order of the files; the same mistake at the same place is told once.
    fn into_findings(self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.found.into_iter().map(Finding::from).collect();
        findings.sort();
        findings.dedup_by(|b, a| {
            (&a.file, a.line, a.column, a.code) == (&b.file, b.line, b.column, b.code) && a.code != Code::UnknownVariable
        });
        findings
    }
}
