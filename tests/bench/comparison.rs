//! The table: what each filter costs under each kind of request.

use std::sync::Arc;

use serde_json::json;

use crate::figures::{Figures, Spread};
use crate::filters::{self, Filters};
use crate::load::Traffic;
use crate::machine::Cpus;
use crate::stage::Row;
use crate::tokens::{self, USUAL};
use crate::Scale;

/// The algorithms whose signatures are checked.
const ALGORITHMS: [&str; 4] = ["RS256", "ES256", "PS256", "EdDSA"];

/// How many tokens come in rotation.
const ROTATION: usize = 10_000;

/// The rows that the bars and the plot name.
pub mod row {
    pub const NATIVE: &str = "native jwt_authn, its defaults";
    pub const FLOOR: &str = "floor: an empty wasm filter";
    pub const FLOOR_WITHOUT: &str = "floor, no token";
    pub const BARE_FLOOR: &str = "floor without an SDK: the same host calls";
    pub const REPEATED: &str = "jwt-gate, one token repeated";
    pub const ROTATION: &str = "jwt-gate, 10,000 tokens in rotation";
    pub const BARE: &str = "jwt-gate, no token: 401";

    /// A token of that algorithm that was never seen before.
    pub fn first_sight(filter: &str, alg: &str) -> String {
        format!("{filter}, {alg} never seen")
    }
}

/// Measures all of them.
pub fn measure(scale: Scale, cpus: Cpus) -> Result<Figures, String> {
    Figures::measure(rows(scale), 1, cpus, scale.rounds)
}

/// Rows in the making: which of them others refer to is known by name.
struct Rows {
    scale: Scale,
    rows: Vec<Row>,
}

impl Rows {
    fn index(&self, name: &str) -> usize {
        self.rows.iter().position(|row| row.name == name).expect("a row stands before those that refer to it")
    }

    /// Adds a row; its requests get the same answers as those of `base`, and of `native`.
    fn add(
        &mut self,
        name: &str,
        filters: Filters,
        traffic: Traffic,
        status: u16,
        base: &str,
        native: Option<&str>,
    ) -> &mut Row {
        let base = if base == name { self.rows.len() } else { self.index(base) };
        let native = native.map(|name| self.index(name));
        let (requests, warm_up) = (self.scale.requests, self.scale.requests / 2);
        self.rows.push(Row { name: name.into(), filters, traffic, status, requests, warm_up, base, native });
        self.rows.last_mut().expect("it was just added")
    }
}

/// The tokens of each algorithm, as many as are sent. The first time takes a minute; later ones read a file.
pub fn mint(scale: Scale) -> [Arc<[String]>; ALGORITHMS.len()] {
    let sent = scale.signatures * (scale.rounds + 1);
    ALGORITHMS.map(|alg| {
        let count = if alg == "RS256" { sent.max(ROTATION) } else { sent };
        tokens::kept(&filters::key(alg), alg, USUAL, count)
    })
}

fn rows(scale: Scale) -> Vec<Row> {
    let pools = mint(scale);
    let rs256 = &pools[0];
    let one = || Traffic::repeating(&rs256[0]);
    let keys = filters::published();
    let provider = || filters::provider(&keys);
    let gate = |vm: &str| filters::gate(vm, provider(), filters::one_rule(), &json!({}));
    let native = || filters::native(provider(), filters::one_rule());

    let mut rows = Rows { scale, rows: Vec::new() };
    let (plain, bare) = ("no filter", "no filter, no token");
    rows.add(plain, filters::none(), one(), 200, plain, None);
    rows.add(bare, filters::none(), Traffic::bare(), 200, bare, None);
    rows.add(row::NATIVE, native(), one(), 200, plain, None);
    let cached = filters::native_with_cache(provider(), filters::one_rule());
    rows.add("native jwt_authn, jwt_cache_config", cached, one(), 200, plain, Some(row::NATIVE));
    rows.add(row::FLOOR, filters::floor("floor"), one(), 200, plain, Some(row::NATIVE));
    rows.add(row::BARE_FLOOR, filters::floor("bare_floor"), one(), 200, plain, Some(row::NATIVE));
    rows.add(row::REPEATED, gate("repeated"), one(), 200, plain, Some(row::NATIVE));
    let many = Traffic::rotating(rs256[..ROTATION].into());
    rows.add(row::ROTATION, gate("rotation"), many, 200, plain, Some(row::NATIVE)).warm_up = ROTATION;
    let everything = filters::gate_with_everything("everything");
    rows.add("jwt-gate, all of the example, repeated", everything, one(), 200, plain, Some(row::NATIVE));
    let natively = "native jwt_authn, no token: 401";
    rows.add(natively, native(), Traffic::bare(), 401, bare, None);
    rows.add(row::FLOOR_WITHOUT, filters::floor("floor"), Traffic::bare(), 200, bare, Some(natively));
    rows.add(row::BARE, gate("bare"), Traffic::bare(), 401, bare, Some(natively));

    if scale.signatures == 0 {
        return rows.rows;
    }

    // Each of these rows sees tokens that are new to it.
    for (alg, pool) in ALGORITHMS.iter().zip(&pools) {
        let (natively, by_gate) = (row::first_sight("native jwt_authn", alg), row::first_sight("jwt-gate", alg));
        let traffic = || Traffic::once(Arc::clone(pool));
        rows.add(&natively, native(), traffic(), 200, plain, None).send(scale.signatures);
        rows.add(&by_gate, gate(&by_gate), traffic(), 200, plain, Some(&natively)).send(scale.signatures);
    }
    for (alg, pool) in ALGORITHMS.iter().zip(&pools).take(2) {
        let natively = row::first_sight("native jwt_authn", alg);
        let name = row::first_sight("jwt-gate, crypto: portable", alg);
        let portable = filters::gate(&name, provider(), filters::one_rule(), &json!({"crypto": "portable"}));
        let traffic = Traffic::once(Arc::clone(pool));
        rows.add(&name, portable, traffic, 200, plain, Some(&natively)).send(scale.signatures / 2);
    }
    let forged = tokens::mint(&filters::forger("RS256"), "RS256", USUAL, 100);
    let traffic = || Traffic::rotating(Arc::clone(&forged));
    let natively = "native jwt_authn, RS256 forged: 401";
    rows.add(natively, native(), traffic(), 401, plain, None).send(scale.signatures);
    rows.add("jwt-gate, RS256 forged: 401", gate("forged"), traffic(), 401, plain, Some(natively))
        .send(scale.signatures);
    rows.rows
}

/// The table as text: for each row what it costs above no filter, its ratio to Envoy's own filter with its defaults and a
/// repeated token, and to Envoy's own filter under the same requests.
pub fn table(figures: &Figures) -> String {
    let find = |name: &str| (0..figures.len()).find(|&row| figures.name(row) == name);
    let (native, floor) = (find(row::NATIVE), find(row::FLOOR));
    let times = |ratio: Option<Spread>| ratio.map_or_else(|| "-".into(), |ratio| format!("{:.2}", ratio.median));
    let mut text = format!(
        "{:44}  {:>9}  {:>15}  {:>8}  {:>8}  {:>8}\n",
        "CPU time of Envoy per request, above no filter", "median µs", "min..max", "× native", "× same", "× floor"
    );
    for row in 0..figures.len() {
        let name = figures.name(row);
        if let Some(problem) = figures.problem(row) {
            text.push_str(&format!("{name:46}  not available: {problem}\n"));
            continue;
        }
        let (Some(total), Some(above)) = (figures.total(row), figures.above(row)) else { continue };
        if figures.is_base(row) {
            let range = format!("{:.1}..{:.1}", total.least, total.most);
            text.push_str(&format!("{name:46}  {:>9.1}  {range:>15}  in all\n", total.median));
            continue;
        }
        let range = format!("{:.1}..{:.1}", above.least, above.most);
        let to = |other: Option<usize>| times(other.and_then(|other| figures.ratio(row, other)));
        text.push_str(&format!(
            "{name:46}  {:>9.1}  {range:>15}  {:>8}  {:>8}  {:>8}\n",
            above.median,
            to(native),
            to(figures.native(row)),
            to(floor)
        ));
    }
    text
}
