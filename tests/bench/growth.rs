//! How the cost of a request, and the memory of a VM, grow with what is configured and with what comes.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{json, Value};

use crate::figures::{rounded, Figures, Spread};
use crate::filters::{self, Filters};
use crate::load::{Load, Traffic};
use crate::machine::{Cpus, Memory};
use crate::mint::{key_set, Key};
use crate::stage::{Row, Stage};
use crate::tokens::{self, USUAL};
use crate::Scale;

/// One chart: what a request costs above no filter, for each point of the axis.
pub struct Curve {
    pub title: &'static str,
    pub axis: &'static str,
    pub points: Vec<f64>,
    pub lines: Vec<(&'static str, Vec<Option<Spread>>)>,
    figures: Vec<Figures>,
}

impl Curve {
    /// The chart as text.
    pub fn table(&self) -> String {
        let mut text = format!("{}; µs above no filter\n{:>24}", self.title, self.axis);
        self.points.iter().for_each(|point| text.push_str(&format!("  {point:>9}")));
        for (name, values) in &self.lines {
            text.push_str(&format!("\n{name:>24}"));
            for value in values {
                let value = value.map_or_else(|| "-".into(), |spread| format!("{:.1}", spread.median));
                text.push_str(&format!("  {value:>9}"));
            }
        }
        text.push('\n');
        text
    }

    /// The points of one line.
    pub fn line(&self, name: &str) -> Option<&[Option<Spread>]> {
        self.lines.iter().find(|(known, _)| *known == name).map(|(_, values)| values.as_slice())
    }

    pub fn json(&self) -> Value {
        json!({"title": self.title, "axis": self.axis, "stages": self.figures.iter().map(Figures::json).collect::<Vec<_>>()})
    }
}

/// The names of the lines.
pub const GATE: &str = "jwt-gate";
pub const NATIVE: &str = "native jwt_authn";

/// One point: the same requests without a filter, through Envoy's own, and through the gate.
struct Point {
    value: f64,
    traffic: Traffic,
    native: Filters,
    gate: Filters,
    requests: usize,
    warm_up: usize,
}

/// Measures all points in one Envoy.
fn curve(
    title: &'static str,
    axis: &'static str,
    points: Vec<Point>,
    scale: Scale,
    cpus: Cpus,
) -> Result<Curve, String> {
    let mut rows = Vec::new();
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    for point in points {
        let base = rows.len();
        for (name, filters) in [("no filter", filters::none()), (NATIVE, point.native), (GATE, point.gate)] {
            rows.push(Row {
                name: format!("{name}, {} {axis}", point.value),
                filters,
                traffic: point.traffic.clone(),
                status: 200,
                requests: point.requests,
                warm_up: point.warm_up,
                base,
                native: (name == GATE).then_some(base + 1),
            });
        }
    }
    let figures = Figures::measure(rows, 1, cpus, scale.rounds)?;
    let line = |place: usize| (0..values.len()).map(|index| figures.above(index * 3 + place)).collect();
    Ok(Curve { title, axis, lines: vec![(NATIVE, line(1)), (GATE, line(2))], points: values, figures: vec![figures] })
}

/// 1 to 1,000 rules, the last of which matches.
pub fn rules(scale: Scale, cpus: Cpus) -> Result<Curve, String> {
    by_rules("A repeated token, the last rule matches", RULES, filters::rules, scale, cpus)
}

/// The same with path templates.
pub fn templates(scale: Scale, cpus: Cpus) -> Result<Curve, String> {
    by_rules("The same, each a path template", TEMPLATES, filters::templates, scale, cpus)
}

/// The axes of both.
pub const RULES: &str = "rules";
pub const TEMPLATES: &str = "path templates";

fn by_rules(
    title: &'static str,
    axis: &'static str,
    rules: fn(usize) -> Value,
    scale: Scale,
    cpus: Cpus,
) -> Result<Curve, String> {
    let token = tokens::mint(&filters::key("ES256"), "ES256", USUAL, 1);
    let keys = filters::published();
    let point = |count: usize| Point {
        value: count as f64,
        traffic: Traffic::rotating(Arc::clone(&token)),
        native: filters::native(filters::provider(&keys), rules(count)),
        gate: filters::gate(&format!("{count} {axis}"), filters::provider(&keys), rules(count), &json!({})),
        requests: scale.requests / 2,
        warm_up: scale.requests / 4,
    };
    curve(title, axis, [1, 10, 100, 1000].map(point).into(), scale, cpus)
}

/// 1 to 100 keys, the last of which signed.
pub fn keys(scale: Scale, cpus: Cpus) -> Result<Curve, String> {
    let key = |number: u8| Key::p256(number).named(&format!("key-{number}"));
    let point = |count: u8| {
        let keys = key_set((1..=count).map(|number| key(number).jwk()));
        let provider = || filters::provider(&keys);
        let pool = tokens::mint(&key(count), "ES256", USUAL, scale.signatures * (scale.rounds + 1));
        Point {
            value: f64::from(count),
            traffic: Traffic::once(pool),
            native: filters::native(provider(), filters::one_rule()),
            gate: filters::gate(&format!("{count} keys"), provider(), filters::one_rule(), &json!({})),
            requests: scale.signatures,
            warm_up: scale.signatures / 4,
        }
    };
    curve("ES256 never seen, the last key signed", "keys", [1, 10, 100].map(point).into(), scale, cpus)
}

/// Tokens of 0.5 to 8 KB.
pub fn sizes(scale: Scale, cpus: Cpus) -> Result<Curve, String> {
    let keys = filters::published();
    let point = |size: usize| Point {
        value: size as f64,
        traffic: Traffic::rotating(tokens::mint(&filters::key("ES256"), "ES256", size, 1)),
        native: filters::native(filters::provider(&keys), filters::one_rule()),
        gate: filters::gate(&format!("{size} bytes"), filters::provider(&keys), filters::one_rule(), &json!({})),
        requests: scale.requests / 2,
        warm_up: scale.requests / 4,
    };
    curve("A repeated token of ES256", "bytes", [500, 1000, 2000, 4000, 8000].map(point).into(), scale, cpus)
}

/// 10 to 100,000 different tokens in rotation.
pub fn tokens(scale: Scale, cpus: Cpus) -> Result<Curve, String> {
    let keys = filters::published();
    let most = 100_000;
    let all = tokens::mint(&filters::key("EdDSA"), "EdDSA", USUAL, most);
    let point = |count: usize| Point {
        value: count as f64,
        traffic: Traffic::rotating(all[..count].into()),
        native: filters::native(filters::provider(&keys), filters::one_rule()),
        gate: filters::gate(&format!("{count} tokens"), filters::provider(&keys), filters::one_rule(), &json!({})),
        requests: scale.requests / 2,
        // Each has come once when the measuring begins, or the last point would be of tokens never seen.
        warm_up: count.max(scale.requests / 4),
    };
    let counts = [10, 100, 1_000, 10_000, most];
    curve("Tokens of EdDSA in rotation", "tokens", counts.map(point).into(), scale, cpus)
}

/// One and two workers on the same CPU, in one Envoy after the other: what a worker costs, not how workers scale.
pub fn workers(scale: Scale, cpus: Cpus) -> Result<Curve, String> {
    let keys = filters::published();
    let token = tokens::mint(&filters::key("RS256"), "RS256", USUAL, 1);
    let measure = |concurrency: usize| {
        let one = || filters::one_rule();
        let filters = [
            ("no filter", filters::none()),
            (NATIVE, filters::native(filters::provider(&keys), one())),
            (GATE, filters::gate("workers", filters::provider(&keys), one(), &json!({}))),
        ];
        let row = |(name, filters): (&str, Filters)| Row {
            name: format!("{name}, {concurrency} workers"),
            filters,
            traffic: Traffic::rotating(Arc::clone(&token)),
            status: 200,
            requests: scale.requests,
            warm_up: scale.requests / 2,
            base: 0,
            native: None,
        };
        Figures::measure(filters.map(row).into(), concurrency, cpus, scale.rounds)
    };
    let figures = vec![measure(1)?, measure(2)?];
    let line = |row: usize| figures.iter().map(|figures| figures.above(row)).collect();
    let lines = vec![(NATIVE, line(1)), (GATE, line(2))];
    let title = "A repeated token of RS256, --concurrency";
    Ok(Curve { title, axis: "workers", points: vec![1.0, 2.0], lines, figures })
}

/// The memory of Envoy: without a filter and with the gate, with one worker and with four; before the tokens came, after them, and
/// after more than can be remembered.
pub struct Footprint {
    bare: [Memory; 3],
    one: [Memory; 3],
    four: [Memory; 3],
}

/// How many tokens each worker sees, of 1 KB.
const SEEN: usize = 10_000;

/// How many others it sees then.
const FLOOD: usize = 30_000;

impl Footprint {
    /// The heap of a worker's VM before the tokens, in MiB: what three workers more make of linear memory. It never shrinks.
    pub fn heap_at_start(&self) -> f64 {
        Self::per_worker(&self.one[0], &self.four[0])
    }

    /// The same after the tokens.
    pub fn heap_after(&self) -> f64 {
        Self::per_worker(&self.one[1], &self.four[1])
    }

    /// The same after the flood.
    pub fn heap_flooded(&self) -> f64 {
        Self::per_worker(&self.one[2], &self.four[2])
    }

    fn per_worker(one: &Memory, four: &Memory) -> f64 {
        mib(four.heaps - one.heaps) / 3.0
    }

    pub fn table(&self) -> String {
        let title = "Memory in MiB, tokens of 1 KB";
        let mut text = format!("{title:44}  {:>10}  {:>10}  {:>10}\n", "none", "10,000", "40,000");
        let mut line = |name: &str, [before, after, flooded]: [f64; 3]| {
            text.push_str(&format!("{name:44}  {before:>10.2}  {after:>10.2}  {flooded:>10.2}\n"));
        };
        line("heap of a worker's VM", [self.heap_at_start(), self.heap_after(), self.heap_flooded()]);
        for (name, memory) in
            [("one worker, no filter", self.bare), ("one worker", self.one), ("four workers", self.four)]
        {
            line(&format!("resident, {name}"), memory.map(|memory| mib(memory.resident)));
        }
        text
    }

    pub fn json(&self) -> Value {
        let resident = |memory: [Memory; 3]| json!(memory.map(|memory| rounded(mib(memory.resident))));
        let heap = [self.heap_at_start(), self.heap_after(), self.heap_flooded()].map(rounded);
        json!({
            "unit": "MiB, before the tokens, after 10,000 and after 40,000",
            "heap_of_a_vm": heap,
            "resident_one_worker_no_filter": resident(self.bare),
            "resident_one_worker": resident(self.one),
            "resident_four_workers": resident(self.four),
        })
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Measures Envoys of which each worker sees all tokens.
pub fn memory(cpus: Cpus) -> Result<Footprint, String> {
    let pool = tokens::mint(&filters::key("EdDSA"), "EdDSA", 1000, SEEN + FLOOD);
    let keys = filters::published();
    let look = |filters: Filters, concurrency: usize| -> Result<[Memory; 3], String> {
        let traffic = Traffic::rotating(pool[..SEEN].into());
        let flood = Traffic::rotating(pool[SEEN..].into());
        let row = Row {
            name: format!("memory, {concurrency} workers"),
            filters,
            traffic: traffic.clone(),
            status: 200,
            requests: 0,
            warm_up: 0,
            base: 0,
            native: None,
        };
        let stage = Stage::start(vec![row], concurrency, cpus)?;
        let settled = || {
            thread::sleep(Duration::from_secs(1));
            Memory::of(stage.envoy.pid())
        };
        let before = settled();
        // As many connections as workers: one each, as the listener spreads them evenly.
        let mut load = Load::open(stage.envoy.ports()["0"], concurrency);
        load.run_on_each(&traffic, SEEN, 200)?;
        let after = settled();
        load.run_on_each(&flood, FLOOD, 200)?;
        Ok([before, after, settled()])
    };
    let gate = || filters::gate("memory", filters::provider(&keys), filters::one_rule(), &json!({}));
    let found = Footprint { bare: look(filters::none(), 1)?, one: look(gate(), 1)?, four: look(gate(), 4)? };
    match (found.one[1].vms, found.four[1].vms) {
        (one, four) if four == one + 3 => Ok(found),
        (one, four) => Err(format!("{four} VMs of four workers and {one} of one: not one VM per worker")),
    }
}
