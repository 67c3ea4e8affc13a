//! Small charts, drawn here: bars over time, what failed on top of what was sent.

use askama::{Template, filters::HtmlSafe};

/// The height of a chart, and the width of a bar with its gap, in its own units.
const HEIGHT: u64 = 40;
const STEP: u64 = 4;

/// One bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bar {
    pub sent: u64,
    pub failed: u64,
}

struct Drawn {
    x: u64,
    /// What was sent: top and height.
    sent: (u64, u64),
    /// What failed: top and height.
    failed: (u64, u64),
}

/// A chart of bars.
#[derive(Template)]
#[template(path = "chart.html")]
pub(crate) struct Chart {
    width: u64,
    height: u64,
    bars: Vec<Drawn>,
    /// What it shows, for those who do not see it.
    label: String,
}

impl HtmlSafe for Chart {}

impl Chart {
    /// Draws `bars`, the highest as high as the chart. A bar that is not empty is at least one unit high, so that one failure
    /// among a million is seen.
    pub(crate) fn new(bars: &[Bar], label: String) -> Self {
        let highest = bars.iter().map(|bar| bar.sent + bar.failed).max().unwrap_or(0).max(1);
        let scaled = |n: u64| if n == 0 { 0 } else { (n * HEIGHT / highest).max(1) };
        let draw = |(i, bar): (usize, &Bar)| {
            let failed = scaled(bar.failed);
            let sent = scaled(bar.sent).min(HEIGHT - failed);
            Drawn { x: i as u64 * STEP, sent: (HEIGHT - sent, sent), failed: (HEIGHT - sent - failed, failed) }
        };
        Self { width: bars.len() as u64 * STEP, height: HEIGHT, bars: bars.iter().enumerate().map(draw).collect(), label }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_among_a_million_is_seen_and_nothing_leaves_the_chart() {
        let chart = Chart::new(&[Bar { sent: 1_000_000, failed: 1 }, Bar::default(), Bar { sent: 1, failed: 0 }], String::new());
        assert_eq!(chart.bars[0].failed, (0, 1));
        assert_eq!(chart.bars[0].sent, (1, HEIGHT - 1));
        assert_eq!(chart.bars[1].sent.1 + chart.bars[1].failed.1, 0);
        assert_eq!(chart.bars[2].sent, (HEIGHT - 1, 1));
    }
}
