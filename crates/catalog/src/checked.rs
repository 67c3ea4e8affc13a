//! Whether files make a template, and what its author should know of it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use stentor_templates::{Library, LoadError, Template};
use utoipa::ToSchema;

use crate::files::{Files, is_shared_file};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot be published.
    Error,
    /// It can, and somebody should look.
    Warning,
}

/// Something about the files that their author should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Which file, by its path in the folder of the template.
    pub file: String,
    /// Its line, from 1; 0 if it is the file as a whole.
    pub line: usize,
    /// The column, from 1, in characters; 0 if it is the line as a whole.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for programs.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file)?,
            (line, 0) => write!(f, "{}:{line}", self.file)?,
            (line, column) => write!(f, "{}:{line}:{column}", self.file)?,
        }
        write!(f, ": {}. {}.", self.message, self.advice)
    }
}

/// Files that were looked at.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The template, unless a finding is an error.
    pub template: Option<Arc<Template>>,
    /// What there is to say, the worst first, then in the order of the files.
    pub findings: Vec<Finding>,
}

/// Looks at the files of the template `key`. Layouts and partials that are not among them are taken from `base`.
pub fn check(key: &str, files: &Files, base: &Files) -> Checked {
    let placed = |(path, text): (&String, &String)| {
        let path = if is_shared_file(path) { path.clone() } else { format!("{key}/{path}") };
        (path, text.clone())
    };
    let shared = base.iter().filter(|(path, _)| is_shared_file(path));
    let all: BTreeMap<String, String> = shared.chain(files).map(placed).collect();
    let (template, mut findings) = match Library::of_files(&all) {
        Ok(library) => (library.find(key), Vec::new()),
        Err(errors) => (None, errors.iter().map(|e| finding(key, e)).collect()),
    };
    if template.is_none() && findings.is_empty() {
        findings.push(Finding {
            file: "template.toml".to_owned(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            code: "missing_file".to_owned(),
            message: "there is no template among these files".to_owned(),
            advice: "Send template.toml, schema.json and a content.md per language".to_owned(),
        });
    }
    findings.sort_by(|a, b| (a.severity, &a.file, a.line, a.column).cmp(&(b.severity, &b.file, b.line, b.column)));
    Checked { template, findings }
}

fn finding(key: &str, error: &LoadError) -> Finding {
    let file = error.at.file.strip_prefix(key).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&error.at.file);
    Finding {
        file: file.to_owned(),
        line: error.at.line,
        column: error.at.column,
        severity: Severity::Error,
        code: "invalid".to_owned(),
        message: error.what.clone(),
        advice: error.mend.clone(),
    }
}
