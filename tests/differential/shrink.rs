//! From a difference to a small one: what can be left out of the request and of the configuration is left out.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::configurations::Configuration;
use crate::outcome::Outcome;
use crate::requests::Request;
use crate::stage::{Rival, Servers, Side, Stage};
use crate::{unexplained, Difference};

/// How long one difference may take.
const TIME: Duration = Duration::from_secs(60);

/// Configurations that are tried in one Envoy.
const AT_ONCE: usize = 16;

/// The smallest difference of that kind that was found in time. `None` where a fresh Envoy shows none: then it comes from
/// what both sides remember of earlier requests.
pub fn shrink(
    servers: &Servers,
    rival: Rival,
    configuration: &Configuration,
    difference: &Difference,
) -> Option<(Value, Difference)> {
    let until = Instant::now() + TIME;
    let mut json = configuration.json.clone();
    let mut stage = Stage::start(servers, [(configuration, &json)], rival);
    // What Envoy orders at random differs only now and then.
    let mut small = (0..3).find_map(|_| check(&mut stage, 0, configuration, difference))?;
    small = shrink_request(&mut stage, configuration, small, until);
    // What Istio's rules become is not taken apart: it would be no more what they become.
    while configuration.jwt_rules.is_none() && Instant::now() < until {
        let candidates = smaller(&json);
        let mut found = None;
        for chunk in candidates.chunks(AT_ONCE) {
            if Instant::now() > until {
                break;
            }
            let mut stage = Stage::start(servers, chunk.iter().map(|json| (configuration, json)), rival);
            found = (0..chunk.len())
                .find_map(|index| Some((&chunk[index], check(&mut stage, index, configuration, &small)?)));
            if found.is_some() {
                break;
            }
        }
        let Some((next, difference)) = found else { break };
        (json, small) = (next.clone(), difference);
    }
    let mut stage = Stage::start(servers, [(configuration, &json)], rival);
    small = shrink_request(&mut stage, configuration, small, until + TIME / 4);
    Some((json, small))
}

/// The difference that there still is.
fn check(
    stage: &mut Stage,
    index: usize,
    configuration: &Configuration,
    difference: &Difference,
) -> Option<Difference> {
    match difference {
        Difference::Refused { .. } => {
            let is_refused = stage.serves(index, Side::Native) && !stage.serves(index, Side::Other);
            is_refused.then(|| Difference::Refused { log: stage.refusals() })
        }
        Difference::Answers { request, .. } => differs(stage, index, configuration, request),
    }
}

fn differs(stage: &mut Stage, index: usize, configuration: &Configuration, request: &Request) -> Option<Difference> {
    if !stage.serves(index, Side::Native) || !stage.serves(index, Side::Other) {
        return None;
    }
    let (native, other) = stage.compare(index, request);
    unexplained(stage, index, configuration, request, &native, &other).then(|| Difference::Answers {
        request: request.clone(),
        native: Box::<Outcome>::new(native),
        other: Box::new(other),
    })
}

fn shrink_request(
    stage: &mut Stage,
    configuration: &Configuration,
    difference: Difference,
    until: Instant,
) -> Difference {
    let mut small = difference;
    while let Difference::Answers { request, .. } = &small {
        let next = simpler(request)
            .into_iter()
            .take_while(|_| Instant::now() < until)
            .find_map(|request| differs(stage, 0, configuration, &request));
        match next {
            Some(next) => small = next,
            None => break,
        }
    }
    small
}

/// Requests with one thing less.
fn simpler(request: &Request) -> Vec<Request> {
    let mut simpler = Vec::new();
    let mut push = |change: &dyn Fn(&mut Request)| {
        let mut next = request.clone();
        change(&mut next);
        if next.bytes() != request.bytes() {
            simpler.push(next);
        }
    };
    for index in 0..request.headers.len() {
        push(&|next| drop(next.headers.remove(index)));
    }
    for index in 0..request.query.len() {
        push(&|next| drop(next.query.remove(index)));
    }
    push(&|next| (next.method, next.body) = ("GET", None));
    push(&|next| next.body = None);
    push(&|next| next.host = "gateway.example".to_owned());
    push(&|next| next.path = "/".to_owned());
    push(&|next| next.path.truncate(next.path.rfind('/').unwrap_or(0).max(1)));
    simpler
}

/// Values with one member or element less, the largest parts first.
fn smaller(value: &Value) -> Vec<Value> {
    let mut paths = Vec::new();
    collect(value, &mut Vec::new(), &mut paths);
    paths.sort_by_key(Vec::len);
    paths.iter().map(|path| without(value, path)).filter(|smaller| !share_an_issuer(smaller)).collect()
}

/// Which of two providers of one issuer is taken is Envoy's chance: that would be another difference.
fn share_an_issuer(configuration: &Value) -> bool {
    let providers = configuration["providers"].as_object();
    let mut issuers: Vec<&str> =
        providers.into_iter().flatten().map(|(_, provider)| provider["issuer"].as_str().unwrap_or_default()).collect();
    issuers.sort_unstable();
    issuers.windows(2).any(|pair| pair[0] == pair[1])
}

fn collect(value: &Value, path: &mut Vec<usize>, paths: &mut Vec<Vec<usize>>) {
    let children: Vec<&Value> = match value {
        // Without the type of a message, none of the configurations can be read.
        Value::Object(members) if members.contains_key("@type") => return,
        Value::Object(members) => members.values().collect(),
        Value::Array(elements) => elements.iter().collect(),
        _ => return,
    };
    for (index, child) in children.into_iter().enumerate() {
        path.push(index);
        paths.push(path.clone());
        collect(child, path, paths);
        path.pop();
    }
}

fn without(value: &Value, path: &[usize]) -> Value {
    let mut value = value.clone();
    let mut parent = &mut value;
    let Some((last, steps)) = path.split_last() else { return value };
    for step in steps {
        parent = match parent {
            Value::Object(members) => members.values_mut().nth(*step).expect("a path of this value"),
            Value::Array(elements) => &mut elements[*step],
            _ => unreachable!("a path leads through objects and arrays"),
        };
    }
    match parent {
        Value::Object(members) => {
            let name = members.keys().nth(*last).expect("a path of this value").clone();
            members.shift_remove(&name);
        }
        Value::Array(elements) => drop(elements.remove(*last)),
        _ => unreachable!("a path leads through objects and arrays"),
    }
    value
}
