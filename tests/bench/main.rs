//! What a request costs in a real Envoy, above what Envoy costs by itself: `make bench`.
//!
//! One Envoy with one worker has a CPU for itself; this program, which sends the requests and answers for the issuer, has
//! another. Every filter has its own listener, which answers by itself, so that nothing is measured but Envoy. All filters are
//! measured in turn, several times over; a figure is the CPU time of Envoy's process per request, less that of the same requests
//! without a filter in the same round.
//!
//! `BENCH=quick` shows in two minutes whether it works; its figures mean little. `BENCH=bars` measures what repeated tokens and missing
//! ones cost, and nothing else, many times over: where a machine is noisy, the median of five rounds is not enough for these.

// What is forbidden to the core is the business of a host.
#![allow(clippy::disallowed_methods)]

#[path = "../support/envoy.rs"]
mod envoy;
#[path = "../support/mint.rs"]
mod mint;
#[allow(dead_code)] // Of the servers and of the wire, the benchmark uses a part.
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/wire.rs"]
mod wire;

mod bars;
mod comparison;
mod figures;
mod filters;
mod growth;
mod load;
mod machine;
mod plot;
mod publish;
mod stage;
mod tokens;

use std::fs;
use std::process::ExitCode;

use serde_json::json;

use envoy::project;
use machine::Cpus;

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Scale {
    pub rounds: usize,
    /// Requests of a row in a round.
    pub requests: usize,
    /// The same where each has a signature that must be checked.
    pub signatures: usize,
}

impl Scale {
    const FULL: Self = Self { rounds: 5, requests: 20_000, signatures: 4_000 };
    const QUICK: Self = Self { rounds: 3, requests: 2_000, signatures: 400 };
    const BARS: Self = Self { rounds: 25, requests: 20_000, signatures: 0 };

    pub fn is_quick(self) -> bool {
        self.requests < Self::FULL.requests
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    // Cargo has arguments of its own.
    if std::env::args().any(|argument| argument == "publish") {
        return publish::publish();
    }
    let scale = match std::env::var("BENCH").as_deref() {
        Ok("quick") => Scale::QUICK,
        Ok("bars") => Scale::BARS,
        Err(_) | Ok("") => Scale::FULL,
        Ok(other) => return Err(format!("BENCH={other} is not known: it can be \"quick\" or \"bars\"")),
    };
    let cpus = Cpus::choose()?;
    println!("{}; Envoy on CPU {}, the load on CPU {}", machine::processor(), cpus.envoy, cpus.load);
    comparison::mint(scale);
    cpus.bind_self()?;
    let busy = machine::load_average();

    println!("\n{} rounds", scale.rounds);
    let comparison = comparison::measure(scale, cpus)?;
    println!("{}", comparison::table(&comparison));
    if scale.signatures == 0 {
        let bars = bars::check_repeated(&comparison);
        println!("{}", bars::table(&bars));
        println!("For each second on its CPU, Envoy waited {:.2} s for it.", comparison.disturbance);
        return bars::verdict(&bars);
    }
    let mut curves = Vec::new();
    for curve in [growth::rules, growth::templates, growth::keys, growth::sizes, growth::tokens, growth::workers] {
        let curve = curve(scale, cpus)?;
        println!("{}", curve.table());
        curves.push(curve);
    }
    let memory = growth::memory(cpus)?;
    println!("{}", memory.table());
    let bars = bars::check(&comparison, &curves, &memory);
    println!("{}", bars::table(&bars));
    // What else ran on Envoy's CPU made its caches cold, and the figures larger.
    println!("For each second on its CPU, Envoy waited {:.2} s for it.", comparison.disturbance);
    if comparison.disturbance > 0.05 {
        println!("Something else was running: measure again on an idle machine.");
    }

    let folder = project(if scale.is_quick() { ".run/bench/quick" } else { ".run/bench" });
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let result = json!({
        "processor": machine::processor(),
        "load_average_before": busy,
        "rounds": scale.rounds,
        "requests": scale.requests,
        "requests_with_signatures": scale.signatures,
        "comparison": comparison.json(),
        "growth": curves.iter().map(growth::Curve::json).collect::<Vec<_>>(),
        "memory": memory.json(),
        "bars": bars::json(&bars),
    });
    let svg = plot::draw(&comparison, &curves, &memory);
    let tables = publish::tables(&machine::processor(), &comparison, &curves, &memory, &bars);
    for (name, text) in [("result.json", format!("{result:#}\n")), ("bench.md", tables), ("bench.svg", svg)] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    if scale.is_quick() {
        Ok(())
    } else {
        bars::verdict(&bars)
    }
}
