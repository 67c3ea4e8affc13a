//! How cost grows: points over a logarithmic axis, drawn as a small SVG that reads in light and in dark.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::report::number;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 316.0;
/// Room for the words on each side.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 60.0; // the label of the highest point lies below the words at the top
const BOTTOM: f64 = 52.0;

/// One curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// The name of its file.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What grows.
    pub(crate) x: String,
    /// What it costs.
    pub(crate) y: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Curve {
    pub(crate) fn new(name: &str, title: &str, x: &str, y: &str) -> Self {
        Self { name: name.into(), title: title.into(), x: x.into(), y: y.into(), points: Vec::new() }
    }

    /// The picture. Both axes are logarithmic where the values span more than one power of ten; a flat cost stays flat.
    pub(crate) fn svg(&self) -> String {
        let xs = Scale::of(self.points.iter().map(|p| p.0), LEFT, WIDTH - RIGHT);
        let ys = Scale::of(self.points.iter().map(|p| p.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             role=\"img\" aria-label=\"{title}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
             <style>text{{fill:#444}}.t{{font-size:15px;font-weight:600}}.g{{stroke:#8884;stroke-width:1}}\
             .c{{fill:none;stroke:#3b6fd4;stroke-width:2}}.p{{fill:#3b6fd4}}.v{{font-size:11px}}\
             @media(prefers-color-scheme:dark){{text{{fill:#ccc}}.c{{stroke:#7ea6f4}}.p{{fill:#7ea6f4}}}}</style>\n\
             <text class=\"t\" x=\"{LEFT}\" y=\"22\">{title}</text>\n",
            title = escaped(&self.title)
        );
        for (value, at) in xs.ticks() {
            let (foot, label) = (HEIGHT - BOTTOM, number(value));
            let _ = writeln!(svg, "<line class=\"g\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{foot}\"/>");
            let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>", foot + 18.0);
        }
        for (value, at) in ys.ticks() {
            let (end, label) = (WIDTH - RIGHT, number(value));
            let _ = writeln!(svg, "<line class=\"g\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{end}\" y2=\"{at:.1}\"/>");
            let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0, at + 4.0);
        }
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        let _ =
            writeln!(svg, "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", HEIGHT - 12.0, escaped(&self.x));
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"38\" class=\"v\">{}</text>", escaped(&self.y));
        let line: Vec<String> = self.points.iter().map(|(x, y)| format!("{:.1},{:.1}", xs.at(*x), ys.at(*y))).collect();
        let _ = writeln!(svg, "<polyline class=\"c\" points=\"{}\"/>", line.join(" "));
        for (x, y) in &self.points {
            let (left, top) = (xs.at(*x), ys.at(*y));
            let anchor = if left > WIDTH - 60.0 { "end" } else { "middle" };
            let _ = writeln!(svg, "<circle class=\"p\" cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"3.5\"/>");
            let _ = writeln!(
                svg,
                "<text class=\"v\" x=\"{left:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                top - 8.0,
                number(*y)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// From values to places.
struct Scale {
    low: f64,
    high: f64,
    log: bool,
    from: f64,
    to: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for value in values {
            low = low.min(value);
            high = high.max(value);
        }
        // A zero has no logarithm: it stands where one would.
        let log = high.max(1.0) / low.max(1.0) > 10.0;
        if log {
            low = 10_f64.powf(low.max(1.0).log10().floor());
            high = 10_f64.powf(high.log10().ceil());
        } else {
            low = 0.0;
            high = step(high) * (high / step(high)).ceil();
        }
        Self { low, high: if high > low { high } else { low + 1.0 }, log, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let part = if self.log {
            (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + (self.to - self.from) * part
    }

    fn ticks(&self) -> Vec<(f64, f64)> {
        let mut ticks = Vec::new();
        let mut value = self.low;
        while value <= self.high * 1.001 {
            ticks.push((value, self.at(value)));
            value = if self.log { value * 10.0 } else { value + step(self.high) };
        }
        ticks
    }
}

/// A round step, so that there are two to five up to `high`.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf(high.max(1e-9).log10().floor());
    match high / power {
        r if r < 2.0 => power / 2.0,
        r if r < 5.0 => power,
        _ => power * 2.0,
    }
}
