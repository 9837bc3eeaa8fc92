//! The plot: an SVG that needs nothing but itself, and follows the reader's light or dark theme.

use std::fmt::Write;

use crate::comparison::row;
use crate::figures::{Figures, Spread};
use crate::growth::{Curve, Footprint, GATE};

const WIDTH: f64 = 880.0;
const MARGIN: f64 = 24.0;

/// Where the bars begin, and how long the longest may be.
const BARS_LEFT: f64 = 330.0;
const BARS_WIDTH: f64 = 440.0;
const BAR: f64 = 14.0;
const LINE: f64 = 24.0;

/// Line charts stand three in a row.
const CHART_WIDTH: f64 = 264.0;
const CHART_HEIGHT: f64 = 190.0;
const GAP: f64 = 20.0;

const STYLE: &str = "
svg { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif }
.card { fill: #ffffff; stroke: #d0d7de }
text { fill: #1f2328 }
.head { font-weight: 600; font-size: 14px }
.note, .tick { fill: #59636e }
.tick { font-size: 11px }
.grid { stroke: #d1d9e0; stroke-width: 1; fill: none }
.spread { stroke: #1f2328; stroke-width: 1; fill: none }
.gate { fill: #0969da; stroke: #0969da }
.native { fill: #bc4c00; stroke: #bc4c00 }
.floor { fill: #818b98; stroke: #818b98 }
path.gate, path.native { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
.card { fill: #0d1117; stroke: #3d444d }
text { fill: #f0f6fc }
.note, .tick { fill: #9198a1 }
.grid { stroke: #3d444d }
.spread { stroke: #f0f6fc }
.gate { fill: #4493f8; stroke: #4493f8 }
.native { fill: #db6d28; stroke: #db6d28 }
.floor { fill: #656c76; stroke: #656c76 }
path.gate, path.native { fill: none }
}
";

/// Draws everything.
pub fn draw(comparison: &Figures, curves: &[Curve], memory: &Footprint) -> String {
    let mut picture = Picture { body: String::new(), y: MARGIN };
    picture.title();
    let rows = || (0..comparison.len()).filter(|&row| !comparison.is_base(row) && comparison.above(row).is_some());
    let asks_for_signature =
        |row: usize| ["never seen", "forged"].iter().any(|part| comparison.name(row).contains(part));
    picture.bars("A token that comes again, or none", comparison, rows().filter(|&row| !asks_for_signature(row)));
    picture.bars("A token that comes for the first time", comparison, rows().filter(|&row| asks_for_signature(row)));
    picture.charts(curves, memory);
    let height = picture.y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"CPU time of Envoy per request: jwt-gate, native jwt_authn and an empty wasm filter\">\n\
         <style>{STYLE}</style>\n\
         <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n{}</svg>\n",
        WIDTH - 1.0,
        height - 1.0,
        picture.body
    )
}

struct Picture {
    body: String,
    /// How far down it is filled.
    y: f64,
}

impl Picture {
    fn title(&mut self) {
        self.text(
            MARGIN,
            self.y + 10.0,
            "head",
            "CPU time of Envoy per request, above the same request without a filter",
        );
        self.y += 28.0;
        let mut x = MARGIN;
        for (class, name) in
            [("gate", "jwt-gate"), ("native", "Envoy's own jwt_authn"), ("floor", "an empty wasm filter")]
        {
            self.rect(x, self.y, 12.0, 12.0, class);
            self.text(x + 18.0, self.y + 10.0, "note", name);
            x += 40.0 + 6.5 * name.len() as f64;
        }
        self.text(x, self.y + 10.0, "note", "µs; median and spread of the rounds");
        self.y += 48.0;
    }

    fn bars(&mut self, title: &str, figures: &Figures, rows: impl Iterator<Item = usize>) {
        let rows: Vec<(usize, Spread)> = rows.filter_map(|row| Some((row, figures.above(row)?))).collect();
        let top = step_above(rows.iter().map(|(_, above)| above.most).fold(1.0, f64::max));
        self.text(MARGIN, self.y, "head", title);
        self.y += 10.0;
        let bottom = self.y + rows.len() as f64 * LINE + 4.0;
        for tick in 0..=4 {
            let value = top * f64::from(tick) / 4.0;
            let x = BARS_LEFT + BARS_WIDTH * f64::from(tick) / 4.0;
            self.line((x, self.y), (x, bottom), "grid");
            self.anchored(x, bottom + 14.0, "tick", "middle", &short(value));
        }
        let x = |value: f64| BARS_LEFT + BARS_WIDTH * (value / top).clamp(0.0, 1.0);
        for (row, above) in rows {
            let name = figures.name(row);
            let middle = self.y + LINE / 2.0 + 2.0;
            self.anchored(BARS_LEFT - 10.0, middle + 4.0, "", "end", name);
            self.rect(BARS_LEFT, middle - BAR / 2.0, x(above.median) - BARS_LEFT, BAR, class_of(name));
            self.line((x(above.least), middle), (x(above.most), middle), "spread");
            for end in [above.least, above.most] {
                self.line((x(end), middle - 4.0), (x(end), middle + 4.0), "spread");
            }
            self.text(x(above.most) + 8.0, middle + 4.0, "", &format!("{:.1}", above.median));
            self.y += LINE;
        }
        self.y = bottom + 50.0;
    }

    fn charts(&mut self, curves: &[Curve], memory: &Footprint) {
        self.text(MARGIN, self.y, "head", "How it grows");
        self.y += 16.0;
        let top = self.y;
        let place = |index: usize| {
            let (column, line) = ((index % 3) as f64, (index / 3) as f64);
            (MARGIN + column * (CHART_WIDTH + GAP), top + line * (CHART_HEIGHT + GAP))
        };
        for (index, curve) in curves.iter().enumerate() {
            self.chart(place(index), curve);
        }
        let (x, y) = place(curves.len());
        self.text(x, y + 12.0, "", "Heap of one VM");
        let sizes = [("at the start", memory.heap_at_start()), ("10,000 tokens of 1 KB seen", memory.heap_after())];
        for ((what, size), y) in sizes.into_iter().zip([y + 36.0, y + 56.0]) {
            self.text(x, y, "note", what);
            self.anchored(x + CHART_WIDTH - 10.0, y, "", "end", &format!("{size:.1} MiB"));
        }
        self.y = top + (curves.len() / 3 + 1) as f64 * (CHART_HEIGHT + GAP) - GAP;
    }

    fn chart(&mut self, (x, y): (f64, f64), curve: &Curve) {
        self.text(x, y + 12.0, "", curve.title);
        let (left, right, top, bottom) = (x + 34.0, x + CHART_WIDTH - 14.0, y + 26.0, y + CHART_HEIGHT - 34.0);
        let most = curve.lines.iter().flat_map(|(_, line)| line.iter().flatten()).map(|spread| spread.most);
        let most = step_above(most.fold(1.0, f64::max));
        let up = |value: f64| bottom - (bottom - top) * (value / most).clamp(0.0, 1.0);
        for tick in 0..=4 {
            let value = most * f64::from(tick) / 4.0;
            self.line((left, up(value)), (right, up(value)), "grid");
            self.anchored(left - 6.0, up(value) + 4.0, "tick", "end", &short(value));
        }
        let logs: Vec<f64> = curve.points.iter().map(|point| point.ln()).collect();
        let (first, last) = (logs[0], logs[logs.len() - 1]);
        let across = |index: usize| left + 8.0 + (right - left - 16.0) * (logs[index] - first) / (last - first);
        for (index, &point) in curve.points.iter().enumerate() {
            self.anchored(across(index), bottom + 16.0, "tick", "middle", &short(point));
        }
        self.anchored((left + right) / 2.0, bottom + 32.0, "tick", "middle", curve.axis);
        for (name, line) in &curve.lines {
            let class = if *name == GATE { "gate" } else { "native" };
            let known: Vec<(f64, Spread)> =
                line.iter().enumerate().filter_map(|(index, spread)| Some((across(index), (*spread)?))).collect();
            let steps: Vec<String> =
                known.iter().map(|(x, spread)| format!("{x:.1} {:.1}", up(spread.median))).collect();
            if !steps.is_empty() {
                let _ = writeln!(self.body, "<path class=\"{class}\" d=\"M{}\"/>", steps.join("L"));
            }
            for (x, spread) in known {
                self.line((x, up(spread.least)), (x, up(spread.most)), "spread");
                let _ = writeln!(
                    self.body,
                    "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"3\"/>",
                    up(spread.median)
                );
            }
        }
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.anchored(x, y, class, "start", text);
    }

    fn anchored(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" stroke=\"none\"/>"
        );
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
    }
}

fn class_of(name: &str) -> &'static str {
    match name {
        row::FLOOR | row::FLOOR_WITHOUT | row::BARE_FLOOR => "floor",
        _ if name.starts_with("native") => "native",
        _ => "gate",
    }
}

/// The least of 1, 2, 4, 6, 8 times a power of ten that is no less: its quarters are short numbers.
fn step_above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|&step| step >= value).unwrap_or(value)
}

/// A number as an axis shows it.
fn short(number: f64) -> String {
    if number >= 1000.0 {
        format!("{}k", number / 1000.0)
    } else {
        let text = format!("{number:.1}");
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    }
}
