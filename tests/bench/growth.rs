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
    let token = tokens::mint(&filters::key("ES256"), "ES256", USUAL, 1);
    let keys = filters::published();
    let point = |count: usize| Point {
        value: count as f64,
        traffic: Traffic::rotating(Arc::clone(&token)),
        native: filters::native(filters::provider(&keys), filters::rules(count)),
        gate: filters::gate(&format!("{count} rules"), filters::provider(&keys), filters::rules(count), &json!({})),
        requests: scale.requests / 2,
        warm_up: scale.requests / 4,
    };
    curve("A repeated token, the last rule matches", "rules", [1, 10, 100, 1000].map(point).into(), scale, cpus)
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
        // What a cache can hold is in it when the measuring begins.
        warm_up: count.min(most / 5).max(scale.requests / 4),
    };
    let counts = [10, 100, 1_000, 10_000, most];
    curve("Tokens of EdDSA in rotation", "tokens", counts.map(point).into(), scale, cpus)
}

/// One and two workers on the same CPU.
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

/// The memory of a VM.
#[derive(Clone, Copy)]
pub struct PerVm {
    /// What a worker more costs, its VM included: resident bytes above those of a worker without one.
    pub empty: f64,
    /// The same when it has seen 10,000 tokens.
    pub full: f64,
    /// The linear memory of a worker's VM, which is its heap, at the start.
    pub heap_empty: f64,
    /// The same when it has seen 10,000 tokens.
    pub heap_full: f64,
}

impl PerVm {
    pub fn table(&self) -> String {
        let mib = |bytes: f64| format!("{:.2} MiB", bytes / f64::from(1 << 20));
        format!(
            "Memory of one VM                       at the start   10,000 tokens of 1 KB seen\n\
             linear memory (its heap, code apart)   {:>12}   {:>12}\n\
             resident, with V8's part of it         {:>12}   {:>12}\n",
            mib(self.heap_empty),
            mib(self.heap_full),
            mib(self.empty),
            mib(self.full)
        )
    }

    pub fn json(&self) -> Value {
        json!({
            "resident_empty": rounded(self.empty),
            "resident_with_tokens": rounded(self.full),
            "heap_empty": rounded(self.heap_empty),
            "heap_with_tokens": rounded(self.heap_full),
        })
    }
}

/// Measures one and four workers, each of which sees all tokens.
pub fn memory(scale: Scale, cpus: Cpus) -> Result<PerVm, String> {
    let count = if scale.is_quick() { 2_000 } else { 10_000 };
    let pool = tokens::mint(&filters::key("EdDSA"), "EdDSA", 1000, count);
    let keys = filters::published();
    let look = |filters: Filters, concurrency: usize| -> Result<(Memory, Memory), String> {
        let row = Row {
            name: format!("memory, {concurrency} workers"),
            filters,
            traffic: Traffic::rotating(Arc::clone(&pool)),
            status: 200,
            requests: 1,
            warm_up: 200,
            base: 0,
            native: None,
        };
        let traffic = row.traffic.clone();
        let stage = Stage::start(vec![row], concurrency, cpus)?;
        let settled = || {
            thread::sleep(Duration::from_secs(1));
            Memory::of(stage.envoy.pid())
        };
        let empty = settled();
        // As many connections as workers: one each, as the listener spreads them evenly.
        let port = stage.envoy.ports()["0"];
        Load::open(port, concurrency).run_on_each(&traffic, count, 200)?;
        Ok((empty, settled()))
    };
    let gate = || filters::gate("memory", filters::provider(&keys), filters::one_rule(), &json!({}));
    let (one, four) = (look(gate(), 1)?, look(gate(), 4)?);
    if four.1.vms != one.1.vms + 3 {
        return Err(format!(
            "three workers more have {} VMs instead of {}: where are they?",
            four.1.vms,
            one.1.vms + 3
        ));
    }
    let (bare_one, bare_four) = (look(filters::none(), 1)?, look(filters::none(), 4)?);
    if std::env::var_os("BENCH_DEBUG").is_some() {
        eprintln!("{one:?}\n{four:?}\n{bare_one:?}\n{bare_four:?}");
    }
    let third = |more: u64, less: u64| (more as f64 - less as f64) / 3.0;
    let worker = |pick: fn(&(Memory, Memory)) -> u64| third(pick(&four), pick(&one));
    let bare = |pick: fn(&(Memory, Memory)) -> u64| third(pick(&bare_four), pick(&bare_one));
    Ok(PerVm {
        empty: worker(|memory| memory.0.resident) - bare(|memory| memory.0.resident),
        full: worker(|memory| memory.1.resident) - bare(|memory| memory.1.resident),
        heap_empty: worker(|memory| memory.0.heaps),
        heap_full: worker(|memory| memory.1.heaps),
    })
}
