//! What differs between two versions.

use serde::{Deserialize, Serialize};
use similar::TextDiff;
use utoipa::ToSchema;

use crate::files::Files;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the later version has it.
    Added,
    /// Only the earlier version has it.
    Removed,
    /// It says something else.
    Changed,
}

/// A file that is not the same in two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDiff {
    /// Its path.
    pub file: String,
    /// What became of it.
    pub change: Change,
    /// The difference, in the unified format.
    pub diff: String,
}

/// Each file that is not the same, in the order of paths.
pub fn diff(from: &Files, to: &Files) -> Vec<FileDiff> {
    let mut paths: Vec<&String> = from.keys().chain(to.keys()).collect();
    paths.sort();
    paths.dedup();
    let compare = |path: &String| {
        let (before, after) = (from.get(path), to.get(path));
        let change = match (before, after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (Some(before), Some(after)) if before == after => return None,
            _ => Change::Changed,
        };
        let text = |side: Option<&String>| side.cloned().unwrap_or_default();
        let (before, after) = (text(before), text(after));
        let names = match change {
            Change::Added => ("/dev/null".to_owned(), format!("b/{path}")),
            Change::Removed => (format!("a/{path}"), "/dev/null".to_owned()),
            Change::Changed => (format!("a/{path}"), format!("b/{path}")),
        };
        let diff = TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(&names.0, &names.1).to_string();
        Some(FileDiff { file: path.clone(), change, diff })
    };
    paths.into_iter().filter_map(compare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_names_every_file_that_differs() {
        let files = |list: &[(&str, &str)]| list.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect::<Files>();
        let from = files(&[("a", "one\ntwo\n"), ("b", "same\n"), ("c", "gone\n")]);
        let to = files(&[("a", "one\n2\n"), ("b", "same\n"), ("d", "new\n")]);
        let found: Vec<_> = diff(&from, &to).into_iter().map(|d| (d.file, d.change, d.diff)).collect();
        let lines = |text: &str| text.to_owned();
        assert_eq!(
            found,
            [
                ("a".to_owned(), Change::Changed, lines("--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n")),
                ("c".to_owned(), Change::Removed, lines("--- a/c\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n")),
                ("d".to_owned(), Change::Added, lines("--- /dev/null\n+++ b/d\n@@ -0,0 +1 @@\n+new\n")),
            ]
        );
    }
}
