//! Whether files make a template, and what its author should know of it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use stentor_templates::{Library, Template};
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
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}. {}.", self.message, self.advice)
    }
}

impl From<stentor_templates::Finding> for Finding {
    fn from(found: stentor_templates::Finding) -> Self {
        let stentor_templates::Finding { file, line, column, severity, code, message, advice } = found;
        let severity = match severity {
            stentor_templates::Severity::Error => Severity::Error,
            stentor_templates::Severity::Warning => Severity::Warning,
        };
        Self { file, line, column, severity, code: code.to_string(), message, advice }
    }
}

/// Files that were looked at.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The template, if the files make one. It may have mistakes all the same.
    pub template: Option<Arc<Template>>,
    /// What there is to say, the worst first, then in the order of the files.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether nothing keeps it from being published.
    pub fn is_good(&self) -> bool {
        self.template.is_some() && self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

/// Looks at the files of the template `key`. Layouts and partials that are not among them are taken from `base`.
pub fn check(key: &str, files: &Files, base: &Files) -> Checked {
    let all = placed_files(key, files, base);
    let mut findings: Vec<Finding> = stentor_templates::lint(&all).into_iter().map(|found| unplaced(key, found.into())).collect();
    let template = match of(key, &all) {
        Ok(template) => Some(template),
        Err(errors) => {
            // Lint has told them, but for what makes no template at all.
            if findings.iter().all(|finding| finding.severity != Severity::Error) {
                findings.extend(errors);
            }
            None
        }
    };
    findings.sort_by(|a, b| (a.severity, &a.file, a.line, a.column).cmp(&(b.severity, &b.file, b.line, b.column)));
    Checked { template, findings }
}

/// Makes the template `key` of files that were looked at before; or says what keeps them from being one.
pub(crate) fn compile(key: &str, files: &Files, base: &Files) -> Result<Arc<Template>, Vec<Finding>> {
    of(key, &placed_files(key, files, base))
}

fn placed_files(key: &str, files: &Files, base: &Files) -> BTreeMap<String, String> {
    let placed = |(path, text): (&String, &String)| {
        let path = if is_shared_file(path) { path.clone() } else { format!("{key}/{path}") };
        (path, text.clone())
    };
    let shared = base.iter().filter(|(path, _)| is_shared_file(path));
    shared.chain(files).map(placed).collect()
}

fn of(key: &str, all: &BTreeMap<String, String>) -> Result<Arc<Template>, Vec<Finding>> {
    let library = Library::of_files(all)
        .map_err(|errors| errors.into_findings().into_iter().map(|f| unplaced(key, f.into())).collect::<Vec<_>>())?;
    library.find(key).ok_or_else(|| {
        vec![Finding {
            file: "template.toml".to_owned(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            code: "missing_file".to_owned(),
            message: "there is no template among these files".to_owned(),
            advice: "Send template.toml, schema.json and a content.md per language".to_owned(),
        }]
    })
}

fn unplaced(key: &str, finding: Finding) -> Finding {
    let file = finding.file.strip_prefix(key).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
    Finding { file: file.unwrap_or(finding.file), ..finding }
}
