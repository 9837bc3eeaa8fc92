//! The bars that the gate has set itself, as ratios within one run.

use std::fs;

use serde_json::{json, Value};

use crate::comparison::row;
use crate::envoy::module;
use crate::figures::{Figures, Spread};
use crate::growth::{Curve, Footprint, GATE, RULES, TEMPLATES};

/// One bar: what was measured, and what it may be at most.
pub struct Bar {
    name: &'static str,
    unit: &'static str,
    measured: Option<Spread>,
    most: f64,
}

impl Bar {
    pub fn is_met(&self) -> Option<bool> {
        Some(self.measured?.median <= self.most)
    }

    fn met(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        }
    }

    /// From the least of the rounds to the most; nothing of what is measured once.
    fn range(&self, to: &str) -> Option<String> {
        let Spread { least, most, .. } = self.measured.filter(|spread| spread.least < spread.most)?;
        Some(format!("{least:.2}{to}{most:.2}"))
    }
}

fn ratio(comparison: &Figures, one: &str, other: &str) -> Option<Spread> {
    let find = |name: &str| (0..comparison.len()).find(|&row| comparison.name(row) == name);
    comparison.ratio(find(one)?, find(other)?)
}

/// Those that need neither fresh signatures nor growth.
pub fn check_repeated(comparison: &Figures) -> Vec<Bar> {
    let bar = |name, one, other, most| Bar { name, unit: "×", measured: ratio(comparison, one, other), most };
    vec![
        bar("repeated token, to native's default", row::REPEATED, row::NATIVE, 0.3),
        bar("repeated token, to the floor", row::REPEATED, row::FLOOR, 1.3),
        bar("no token, to the floor", row::BARE, row::FLOOR_WITHOUT, 1.5),
    ]
}

/// All of them.
pub fn check(comparison: &Figures, curves: &[Curve], memory: &Footprint) -> Vec<Bar> {
    let ratio = |one: &str, other: &str| ratio(comparison, one, other);
    let first_sight = |alg: &str| ratio(&row::first_sight("jwt-gate", alg), &row::first_sight("native jwt_authn", alg));
    let thousand = |axis: &str| {
        let line = curves.iter().find(|curve| curve.axis == axis)?.line(GATE)?;
        Some(Spread::exact(line.last().copied().flatten()?.median / line.first().copied().flatten()?.median))
    };
    let module = fs::metadata(module()).ok().map(|data| Spread::exact(data.len() as f64 / f64::from(1 << 20)));
    let bar = |name, unit, measured, most| Bar { name, unit, measured, most };
    vec![
        bar("repeated token, to native's default", "×", ratio(row::REPEATED, row::NATIVE), 0.3),
        bar("repeated token, to the floor", "×", ratio(row::REPEATED, row::FLOOR), 1.3),
        bar("RS256 never seen, to native", "×", first_sight("RS256"), 1.3),
        bar("ES256 never seen, to native", "×", first_sight("ES256"), 1.3),
        bar("no token, to the floor", "×", ratio(row::BARE, row::FLOOR_WITHOUT), 1.5),
        bar("1,000 rules, to one rule", "×", thousand(RULES), 1.5),
        bar("1,000 path templates, to one", "×", thousand(TEMPLATES), 1.5),
        bar("heap of a VM with 10,000 tokens of 1 KB", "MiB", Some(Spread::exact(memory.heap_after())), 16.0),
        bar("the same after a flood of 30,000 others", "MiB", Some(Spread::exact(memory.heap_flooded())), 16.0),
        bar("the module", "MiB", module, 1.5),
    ]
}

/// Them as text, with how far the rounds were apart.
pub fn table(bars: &[Bar]) -> String {
    let mut text = format!("{:40}  {:>10}  {:>14}  {:>10}\n", "Bar", "measured", "min..max", "at most");
    for bar in bars {
        let number = |number: f64| format!("{number:.2} {}", bar.unit);
        let (measured, range) = bar.measured.map_or_else(
            || ("-".into(), String::new()),
            |spread| (number(spread.median), bar.range(" .. ").unwrap_or_default()),
        );
        let most = number(bar.most);
        text.push_str(&format!("{:40}  {measured:>10}  {range:>14}  {most:>10}  {}\n", bar.name, bar.met()));
    }
    text
}

/// The same in Markdown.
pub fn markdown(bars: &[Bar]) -> String {
    let mut text = "| Bar | measured | spread | at most | |\n|---|--:|--:|--:|---|\n".to_owned();
    for bar in bars {
        let measured = bar.measured.map_or_else(String::new, |spread| format!("{:.3} {}", spread.median, bar.unit));
        let range = bar.range(" to ").unwrap_or_default();
        text.push_str(&format!(
            "| {} | {measured} | {range} | {} {} | {} |\n",
            bar.name,
            bar.most,
            bar.unit,
            bar.met()
        ));
    }
    text
}

/// Whether all were measured, and none is missed.
pub fn verdict(bars: &[Bar]) -> Result<(), String> {
    if bars.iter().any(|bar| bar.is_met() == Some(false)) {
        Err("a bar is missed".to_owned())
    } else if bars.iter().any(|bar| bar.is_met().is_none()) {
        Err("a bar was not measured".to_owned())
    } else {
        Ok(())
    }
}

pub fn json(bars: &[Bar]) -> Value {
    let one = |bar: &Bar| {
        let measured = bar.measured.map(Spread::json);
        json!({"name": bar.name, "unit": bar.unit, "measured": measured, "at_most": bar.most, "met": bar.is_met()})
    };
    bars.iter().map(one).collect()
}
