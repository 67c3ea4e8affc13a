//! What was measured, held against its goals: rows and curves, as Markdown.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::curve::Curve;

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// It is told for its own sake.
    None,
}

/// A line of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    stentor: String,
    /// What it is held against, and what that did: "name: figure".
    pub(crate) other: String,
    ratio: Option<f64>,
    /// What the goal is about: the ratio, or the figure itself.
    judged: f64,
    goal: Goal,
    unit: String,
}

/// What a part found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) curves: Vec<Curve>,
    /// What must be known to read the figures.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Ours beside another's: the goal is about ours divided by theirs.
    pub(crate) fn ratio(&mut self, work: impl Into<String>, ours: f64, (name, theirs): (&str, f64), unit: &str, goal: Goal) {
        self.rows.push(Row {
            work: work.into(),
            stentor: format!("{} {unit}", number(ours)),
            other: format!("{name}: {}", number(theirs)),
            ratio: Some(ours / theirs),
            judged: ours / theirs,
            goal,
            unit: String::new(),
        });
    }

    /// A figure by itself.
    pub(crate) fn figure(&mut self, work: impl Into<String>, value: f64, unit: &str, goal: Goal) {
        self.rows.push(Row {
            work: work.into(),
            stentor: format!("{} {unit}", number(value)),
            other: String::new(),
            ratio: None,
            judged: value,
            goal,
            unit: unit.to_owned(),
        });
    }

    /// Something that could not be measured here, and why.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl Row {
    /// Whether its goal is met, if it has one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtLeast(least) => Some(self.judged >= least),
            Goal::AtMost(most) => Some(self.judged <= most),
            Goal::None => None,
        }
    }
}

/// The head of the table.
pub(crate) const HEAD: &str =
    "| work | Stentor | floor or peer | ratio | goal | met |\n| --- | ---: | ---: | ---: | ---: | --- |\n";

/// The lines of a part.
pub(crate) fn lines(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let ratio = row.ratio.map(|r| format!("{r:.2}")).unwrap_or_default();
        let unit = if row.unit.is_empty() { String::new() } else { format!(" {}", row.unit) };
        let goal = match row.goal {
            Goal::AtLeast(least) => format!("≥ {}{unit}", number(least)),
            Goal::AtMost(most) => format!("≤ {}{unit}", number(most)),
            Goal::None => String::new(),
        };
        let met = row.is_met().map_or("", |met| if met { "yes" } else { "**no**" });
        let _ = writeln!(text, "| {} | {} | {} | {ratio} | {goal} | {met} |", row.work, row.stentor, row.other);
    }
    text
}

/// A number as people read it: three significant digits, thousands parted.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        let text = format!("{value:.2}");
        return text.strip_suffix(".00").map(str::to_owned).unwrap_or(text);
    }
    if value.abs() < 100.0 {
        let text = format!("{value:.1}");
        return text.strip_suffix(".0").map(str::to_owned).unwrap_or(text);
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}
