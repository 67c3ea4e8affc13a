//! Rounds, medians, and how large everything is.

use std::time::Duration;

/// How often everything is measured; the median counts.
pub(crate) fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(5).max(1)
}

/// Whether a short look is wanted (`QUICK=1`): the same work, less of it.
pub(crate) fn quick() -> bool {
    std::env::var("QUICK").is_ok_and(|q| !q.is_empty() && q != "0")
}

/// So much of it; less for a short look.
pub(crate) fn sized(full: usize, short: usize) -> usize {
    if quick() { short } else { full }
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "something was measured");
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The time below which this part of the sorted `took` lies, in ms.
pub(crate) fn quantile_ms(took: &[Duration], part: f64) -> f64 {
    took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
}
