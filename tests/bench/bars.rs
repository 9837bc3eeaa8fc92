//! The bars that the gate has set itself, as ratios within one run.

use std::fs;

use serde_json::{json, Value};

use crate::comparison::row;
use crate::envoy::module;
use crate::figures::{rounded, Figures};
use crate::growth::{Curve, Footprint, GATE, RULES, TEMPLATES};

/// One bar: what was measured, and what it may be at most.
pub struct Bar {
    name: &'static str,
    unit: &'static str,
    measured: Option<f64>,
    most: f64,
}

impl Bar {
    pub fn is_met(&self) -> Option<bool> {
        Some(self.measured? <= self.most)
    }
}

fn ratio(comparison: &Figures, one: &str, other: &str) -> Option<f64> {
    let find = |name: &str| (0..comparison.len()).find(|&row| comparison.name(row) == name);
    Some(comparison.ratio(find(one)?, find(other)?)?.median)
}

/// Those that need neither fresh signatures nor growth.
pub fn check_repeated(comparison: &Figures) -> Vec<Bar> {
    let bar = |name, one, other, most| Bar { name, unit: "×", measured: ratio(comparison, one, other), most };
    vec![
        bar("repeated token, to native's default", row::REPEATED, row::NATIVE, 0.3),
        bar("repeated token, to the floor", row::REPEATED, row::FLOOR, 1.3),
        bar("no token, to the floor", row::BARE, row::FLOOR, 1.5),
    ]
}

/// All of them.
pub fn check(comparison: &Figures, curves: &[Curve], memory: &Footprint) -> Vec<Bar> {
    let ratio = |one: &str, other: &str| ratio(comparison, one, other);
    let first_sight = |alg: &str| ratio(&row::first_sight("jwt-gate", alg), &row::first_sight("native jwt_authn", alg));
    let thousand = |axis: &str| {
        let line = curves.iter().find(|curve| curve.axis == axis)?.line(GATE)?;
        Some(line.last().copied().flatten()?.median / line.first().copied().flatten()?.median)
    };
    let module = fs::metadata(module()).ok().map(|data| data.len() as f64 / f64::from(1 << 20));
    let bar = |name, unit, measured, most| Bar { name, unit, measured, most };
    vec![
        bar("repeated token, to native's default", "×", ratio(row::REPEATED, row::NATIVE), 0.3),
        bar("repeated token, to the floor", "×", ratio(row::REPEATED, row::FLOOR), 1.3),
        bar("RS256 never seen, to native", "×", first_sight("RS256"), 1.3),
        bar("ES256 never seen, to native", "×", first_sight("ES256"), 1.3),
        bar("no token, to the floor", "×", ratio(row::BARE, row::FLOOR), 1.5),
        bar("1,000 rules, to one rule", "×", thousand(RULES), 1.5),
        bar("1,000 path templates, to one", "×", thousand(TEMPLATES), 1.5),
        bar("heap of a VM with 10,000 tokens of 1 KB", "MiB", Some(memory.heap_after()), 16.0),
        bar("the same after a flood of 30,000 others", "MiB", Some(memory.heap_flooded()), 16.0),
        bar("the module", "MiB", module, 1.5),
    ]
}

/// Them as text.
pub fn table(bars: &[Bar]) -> String {
    let mut text = format!("{:40}  {:>10}  {:>10}\n", "Bar", "measured", "at most");
    for bar in bars {
        let number = |number: f64| format!("{number:.2} {}", bar.unit);
        let met = match bar.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        };
        let measured = bar.measured.map_or_else(|| "-".into(), number);
        text.push_str(&format!("{:40}  {measured:>10}  {:>10}  {met}\n", bar.name, number(bar.most)));
    }
    text
}

/// Whether none is missed.
pub fn verdict(bars: &[Bar]) -> Result<(), String> {
    if bars.iter().any(|bar| bar.is_met() == Some(false)) {
        Err("a bar is missed".to_owned())
    } else {
        Ok(())
    }
}

pub fn json(bars: &[Bar]) -> Value {
    let one = |bar: &Bar| json!({"name": bar.name, "unit": bar.unit, "measured": bar.measured.map(rounded), "at_most": bar.most, "met": bar.is_met()});
    bars.iter().map(one).collect()
}
