//! What differs between two versions.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use similar::{
    ChangeTag, DiffOp,
    algorithms::{Capture, Compact, Replace, myers},
    group_diff_ops,
    udiff::UnifiedHunkHeader,
};
use utoipa::ToSchema;

use crate::files::Files;

/// How many lines stand around a change.
const CONTEXT: usize = 3;

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
        Some(FileDiff { file: path.clone(), change, diff: unified([&names.0, &names.1], &before, &after) })
    };
    paths.into_iter().filter_map(compare).collect()
}

/// The difference of two texts, in the unified format.
///
/// The crate's own (`TextDiff`) chooses among its algorithms when it runs, so that all of them are in the program: 0.5 MB.
fn unified(names: [&str; 2], before: &str, after: &str) -> String {
    let [old, new] = [before, after].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let mut found = Compact::new(Replace::new(Capture::new()), &old[..], &new[..]);
    let Ok(()) = myers::diff(&mut found, &old[..], 0..old.len(), &new[..], 0..new.len());
    let hunks = group_diff_ops(found.into_inner().into_inner().into_ops(), CONTEXT);
    let mut text = if hunks.is_empty() { String::new() } else { format!("--- {}\n+++ {}\n", names[0], names[1]) };
    for hunk in &hunks {
        let _ = writeln!(text, "{}", UnifiedHunkHeader::new(hunk)); // into memory: it cannot fail
        for (tag, line) in hunk.iter().flat_map(|op| lines(op, &old, &new)) {
            let _ = write!(text, "{tag}{line}");
            if !line.ends_with('\n') {
                text += "\n\\ No newline at end of file\n";
            }
        }
    }
    text
}

/// The lines of one change, each with its sign.
fn lines<'a>(op: &DiffOp, old: &'a [&str], new: &'a [&str]) -> impl Iterator<Item = (ChangeTag, &'a str)> {
    op.iter_slices(old, new).flat_map(|(tag, lines)| lines.iter().map(move |line| (tag, *line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_keeps_what_is_near_and_says_where_a_last_line_is_not_ended() {
        let text =
            |changed: &str| (1..=9).map(|n| if n == 5 { format!("{changed}\n") } else { format!("{n}\n") }).collect::<String>();
        let files = |text: String| [("a".to_owned(), text)].into_iter().collect::<Files>();
        let diff = |from: String, to: String| diff(&files(from), &files(to)).remove(0).diff;
        assert_eq!(diff(text("old"), text("new")), "--- a/a\n+++ b/a\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-old\n+new\n 6\n 7\n 8\n");
        let not_ended = "\\ No newline at end of file\n";
        assert_eq!(diff("x".to_owned(), "x\n".to_owned()), format!("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n{not_ended}+x\n"));
    }

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
