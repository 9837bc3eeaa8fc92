//! The gate with `semantics: jwt_authn` beside Envoy's own `jwt_authn`, in one Envoy, with the same configurations and the same
//! requests: both must answer alike, and hand the service the same request.
//!
//! `make differential` compares many, from a seed that it prints; `SEED=` repeats a run, `FIRST=` and `CONFIGURATIONS=` a part of
//! it. Every difference that is not among those in `explained.rs` is made as small as it can be and shown whole. A sample of
//! fixed seed is part of `make test`.
//!
//! `RIVAL=native` compares Envoy's filter with itself, and `RIVAL=altered` with itself in another configuration: tests of this test.

// What is forbidden to the core is the business of a host.
#![allow(clippy::disallowed_methods)]

mod configurations;
mod explained;
mod istio;
mod keys;
mod matches;
mod outcome;
mod random;
mod requests;
mod shrink;
mod spelling;
mod stage;
mod summary;
mod tokens;

#[path = "../support/envoy.rs"]
mod envoy;
#[path = "../support/mint.rs"]
mod mint;
#[allow(dead_code)] // Of the servers and of the wire, this test uses a part.
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/wire.rs"]
mod wire;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use configurations::Configuration;
use outcome::Outcome;
use requests::{Request, Requests};
use stage::{Rival, Servers, Side, Stage};
use summary::Summary;

/// Configurations in one Envoy.
const AT_ONCE: u64 = 60;

/// After so many differences, a run ends: they have few causes.
const ENOUGH: usize = 5;

/// What a run compares.
#[derive(Clone, Copy)]
struct Plan {
    seed: u64,
    first: u64,
    configurations: u64,
    requests: u64,
    rival: Rival,
}

/// How many configurations a sample has.
const SAMPLE: u64 = 25;

/// A difference that has no explanation.
enum Difference {
    /// The other side refuses a configuration.
    Refused { log: String },
    /// Both take it, and do not do the same.
    Answers { request: Request, native: Box<Outcome>, other: Box<Outcome> },
}

/// In `make test` a sample, the same each time; `make differential` asks for more by variables of the environment.
#[test]
fn the_gate_does_what_jwt_authn_does() {
    let number = |name: &str, otherwise: u64| {
        let text = std::env::var(name).ok().filter(|text| !text.is_empty());
        text.map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let plan = Plan {
        seed: number("SEED", 20_270_115),
        first: number("FIRST", 0),
        configurations: number("CONFIGURATIONS", SAMPLE),
        requests: number("REQUESTS", 80),
        rival: match std::env::var("RIVAL").as_deref() {
            Ok("native") => Rival::Native,
            Ok("altered") => Rival::Altered,
            _ => Rival::Gate,
        },
    };
    println!("SEED={} REQUESTS={}", plan.seed, plan.requests);
    let summary = run(plan);
    summary.print();
    let repeats = format!("SEED={} REQUESTS={} repeats this", plan.seed, plan.requests);
    assert_eq!((summary.unexplained, summary.refused), (0, 0), "{repeats}");
    assert_eq!(summary.comparisons, plan.configurations * plan.requests, "each request was compared");
    // Of a few configurations all may refuse all.
    let enough = plan.configurations < SAMPLE || summary.allowed * 5 > summary.comparisons;
    assert!(enough, "only {} of {} came through to the service", summary.allowed, summary.comparisons);
}

#[test]
fn jwt_authn_does_what_jwt_authn_does() {
    let plan = Plan { seed: 1, first: 0, configurations: 10, requests: 50, rival: Rival::Native };
    let summary = run(plan);
    assert_eq!((summary.unexplained, summary.refused), (0, 0), "see above");
}

#[test]
fn another_configuration_is_noticed() {
    let plan = Plan { seed: 1, first: 0, configurations: 10, requests: 50, rival: Rival::Altered };
    assert_ne!(run(plan).unexplained, 0);
}

fn run(plan: Plan) -> Summary {
    let servers = Servers::start();
    let started = Instant::now();
    let mut summary = Summary::default();
    let mut shown = 0;
    let end = plan.first + plan.configurations;
    for first in (plan.first..end).step_by(AT_ONCE as usize) {
        let indices = first..end.min(first + AT_ONCE);
        let configurations: Vec<_> = indices.map(|index| Configuration::generate(plan.seed, index)).collect();
        let mut stage = Stage::start(&servers, configurations.iter().map(|one| (one, &one.json)), plan.rival);
        for (index, configuration) in configurations.iter().enumerate() {
            let differences = differences(&mut stage, index, configuration, plan, &mut summary);
            for difference in differences {
                summary.unexplained += 1;
                if shown < ENOUGH {
                    shown += 1;
                    show(&servers, plan, configuration, &difference);
                }
            }
        }
        let (seconds, comparisons) = (started.elapsed().as_secs(), summary.comparisons);
        println!("{seconds:>5} s  {comparisons:>7} comparisons, {} unexplained", summary.unexplained);
        if shown >= ENOUGH {
            println!("These are enough; the rest of the run is left out.");
            break;
        }
    }
    summary
}

/// Sends the requests of one configuration to both sides. Of one configuration, the first difference of each kind is enough.
fn differences(
    stage: &mut Stage,
    index: usize,
    configuration: &Configuration,
    plan: Plan,
    summary: &mut Summary,
) -> Vec<Difference> {
    if !stage.serves(index, Side::Native) {
        summary.refused += 1;
        println!("Envoy refuses configuration {}: {}\n{}", configuration.index, configuration.json, stage.refusals());
        return Vec::new();
    }
    summary.configurations += 1;
    if !stage.serves(index, Side::Other) {
        return vec![Difference::Refused { log: stage.refusals() }];
    }
    let mut differences: Vec<Difference> = Vec::new();
    let mut kinds = Vec::new();
    let mut requests = Requests::of(plan.seed, configuration);
    for _ in 0..plan.requests {
        let request = requests.next(now());
        let (native, other) = stage.compare(index, &request);
        summary.count(&request, &native);
        if native == other {
            continue;
        }
        let ask = |side, request: &Request| stage.ask(index, side, request);
        if let Some(explanation) = explained::explain(configuration, &request, (&native, &other), ask) {
            summary.explain(explanation.name);
            continue;
        }
        let kind = (native.kind(), other.kind());
        if !kinds.contains(&kind) {
            kinds.push(kind);
            differences.push(Difference::Answers { request, native: Box::new(native), other: Box::new(other) });
        }
    }
    differences
}

/// Whether two answers differ without an explanation.
fn unexplained(
    stage: &mut Stage,
    index: usize,
    configuration: &Configuration,
    request: &Request,
    native: &Outcome,
    other: &Outcome,
) -> bool {
    let ask = |side, request: &Request| stage.ask(index, side, request);
    native != other && explained::explain(configuration, request, (native, other), ask).is_none()
}

/// Prints a difference, small and whole.
fn show(servers: &Servers, plan: Plan, configuration: &Configuration, difference: &Difference) {
    let Plan { seed, requests, .. } = plan;
    println!(
        "\n==== a difference; SEED={seed} FIRST={} CONFIGURATIONS=1 REQUESTS={requests} repeats it",
        configuration.index
    );
    println!("{:?}", configuration.spelling);
    if let Some(rules) = &configuration.jwt_rules {
        println!("the gate has {rules:#}");
    }
    match shrink::shrink(servers, plan.rival, configuration, difference) {
        Some((json, small)) => print(&json, &small),
        None => {
            println!("A fresh Envoy does not show it: it depends on earlier requests.");
            print(&configuration.json, difference);
        }
    }
    for (path, status, body) in &configuration.sets {
        println!("{path} answers {status}: {body}");
    }
}

fn print(json: &Value, difference: &Difference) {
    println!("configuration: {json:#}");
    match difference {
        Difference::Refused { log } => println!("is taken by Envoy's own filter, and refused by the other:\n{log}"),
        Difference::Answers { request, native, other } => {
            println!("faults: {:?}\nrequest:\n{}", request.faults, String::from_utf8_lossy(&request.bytes()));
            println!("Envoy's own filter:\n{native}\nthe other:\n{other}");
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}
