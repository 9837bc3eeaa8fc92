//! One Envoy with a pair of listeners for each configuration, an issuer, and a service that tells what it got.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::configurations::{places_of, Configuration, FILTER_STATE};
use crate::envoy::{self, address, cluster, wasm_filter, Envoy, Settings, PATIENCE};
use crate::istio;
use crate::mint::{key_set, Key};
use crate::now;
use crate::outcome::{Outcome, STATE};
use crate::random::Random;
use crate::requests::Request;
use crate::servers::{serve, Behaviour, Issuer};
use crate::spelling::{Spelling, TYPE};
use crate::tokens::Token;
use crate::wire::{Connection, Message};

/// Which filter a listener has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Envoy's own.
    Native,
    /// What it is compared with.
    Other,
}

/// What the native filter is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// The gate, told to behave like it.
    Gate,
    /// Itself: whatever differs then is the fault of this test.
    Native,
    /// Itself with another configuration: whatever does not differ then is the fault of this test.
    Altered,
}

/// The servers behind Envoy. They stay for the whole run.
pub struct Servers {
    issuer: Issuer,
    service: u16,
}

impl Servers {
    pub fn start() -> Self {
        Self { issuer: Issuer::start(), service: serve(echo) }
    }
}

/// A running Envoy.
pub struct Stage {
    envoy: Envoy,
    ports: HashMap<(usize, Side), u16>,
    connections: HashMap<(usize, Side), Connection>,
}

impl Stage {
    /// Starts Envoy with these configurations; those that it refuses have no listeners.
    pub fn start<'a>(
        servers: &Servers,
        configurations: impl IntoIterator<Item = (&'a Configuration, &'a Value)>,
        rival: Rival,
    ) -> Self {
        let folder = envoy::new_folder();
        let configurations: Vec<_> = configurations.into_iter().collect();
        // While a difference is made smaller, all are one configuration.
        let environment: BTreeMap<_, _> =
            configurations.iter().flat_map(|(one, _)| &one.environment).cloned().collect();
        let variables: Vec<_> = environment.keys().map(String::as_str).collect();
        let mut listeners = Vec::new();
        if rival == Rival::Gate {
            // Envoy compiles the module once for all, but again and again until one configuration was taken.
            listeners.push(listener(ANCHOR, vec![gate(&anchor(), true, Spelling::default(), &variables)]));
        }
        let mut remote = false;
        for (index, (configuration, json)) in configurations.iter().enumerate() {
            let json = &warmable(json);
            remote |= !configuration.sets.is_empty();
            for (path, status, body) in &configuration.sets {
                let answer = Behaviour::Answer(*status, Vec::new(), body.clone().into_bytes());
                servers.issuer.set(path, answer);
            }
            for side in [Side::Native, Side::Other] {
                let filter = match (side, rival, &configuration.jwt_rules) {
                    (Side::Other, Rival::Gate, Some(rules)) => gate(rules, false, configuration.spelling, &variables),
                    (Side::Other, Rival::Gate, None) => gate(json, true, configuration.spelling, &variables),
                    (Side::Other, Rival::Altered, _) => native(&altered(json), configuration.spelling),
                    _ => native(json, configuration.spelling),
                };
                let filters = vec![choice(), filter, state(side == Side::Other && rival == Rival::Gate)];
                listeners.push(listener(&format!("{index}-{side:?}"), filters));
            }
        }
        envoy::write(&folder, "listeners.json", &json!({ "resources": listeners }));
        let issuer = servers.issuer.port;
        let clusters =
            [cluster("service", servers.service), cluster("issuer", issuer), cluster(istio::CLUSTER, issuer)];
        let bootstrap = json!({
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": address(0)},
            "dynamic_resources": {"lds_config": {"path_config_source": {"path": folder.join("listeners.json")}}},
            "static_resources": {"clusters": clusters},
        });
        let settings = Settings { concurrency: 1, cpu: None, logs: "wasm:warning" };
        let envoy = Envoy::start_without_listeners(folder, &bootstrap, settings, &environment)
            .unwrap_or_else(|log| panic!("Envoy did not start:\n{log}"));
        let mut stage = Self { envoy, ports: HashMap::new(), connections: HashMap::new() };
        stage.wait(listeners.len(), rival == Rival::Gate);
        if remote {
            // Those that fetch in the background and do not wait for it.
            thread::sleep(Duration::from_millis(400));
        }
        for (index, (configuration, json)) in configurations.iter().enumerate() {
            stage.warm(index, configuration, json);
        }
        stage
    }

    /// Waits until every listener serves or was refused.
    fn wait(&mut self, listeners: usize, anchored: bool) {
        let started = Instant::now();
        loop {
            let ports = self.envoy.ports();
            let refused = ["rejected", "failure"]
                .iter()
                .any(|what| self.stat(&format!("listener_manager.lds.update_{what}")) > 0);
            // What is not open when a refusal has been counted waits for keys, or never comes.
            let settled = refused && self.stat("listener_manager.total_listeners_warming") == 0;
            if ports.len() == listeners || settled {
                let log = || self.envoy.log();
                assert!(!anchored || ports.contains_key(ANCHOR), "the module takes no configuration:\n{}", log());
                self.ports = ports.iter().filter_map(|(name, port)| Some((key(name)?, *port))).collect();
                return;
            }
            assert!(started.elapsed() < PATIENCE, "no listeners:\n{}", self.envoy.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes both sides fetch what they fetch on demand. While Envoy waits for keys it goes on with the next of `requires_any`, and
    /// gives up on them if that lets the request through: what a request without keys becomes is a matter of time.
    fn warm(&mut self, index: usize, configuration: &Configuration, json: &Value) {
        for provider in &configuration.providers {
            let known = &json["providers"][&provider.name];
            if !is_fetched_on_demand(known) {
                continue;
            }
            // Not every good token is near enough to its end for every `max_lifetime`.
            let tokens: Vec<String> =
                (0..WARMERS).map(|n| Token::good(&mut Random::of(n, 0), provider, now()).text).collect();
            for side in
                [Side::Native, Side::Other].into_iter().filter(|&side| self.serves(index, side)).collect::<Vec<_>>()
            {
                let places = places_of(known);
                let _ = tokens.iter().flat_map(|text| places.iter().map(move |place| (text, place))).any(
                    |(text, place)| {
                        let request = Request::to(&warm_path(&provider.name)).with_token(place, text);
                        self.ask(index, side, &request).is_allowed()
                    },
                );
            }
        }
    }

    fn stat(&self, name: &str) -> u64 {
        let page = self.envoy.ask(&format!("/stats?filter=^{}$", name.replace('.', "\\.")));
        page.trim().rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Whether that side took the configuration.
    pub fn serves(&self, index: usize, side: Side) -> bool {
        self.ports.contains_key(&(index, side))
    }

    /// The lines of Envoy's log that tell why it refused something.
    pub fn refusals(&self) -> String {
        let log = self.envoy.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("refused") || line.contains("rejected")).collect();
        lines.join("\n")
    }

    /// What both sides make of a request.
    pub fn compare(&mut self, index: usize, request: &Request) -> (Outcome, Outcome) {
        (self.ask(index, Side::Native, request), self.ask(index, Side::Other, request))
    }

    /// What one side makes of a request.
    pub fn ask(&mut self, index: usize, side: Side, request: &Request) -> Outcome {
        let bytes = request.bytes();
        let port = self.ports[&(index, side)];
        // A connection that Envoy closed after the last answer says so only now.
        for _ in 0..2 {
            let mut connection = self.connections.remove(&(index, side)).unwrap_or_else(|| Connection::open(port));
            if !connection.try_send(&bytes) {
                continue;
            }
            if let Some(answer) = connection.try_receive(request.method == "HEAD") {
                if answer.value("connection") != Some("close") && request.method != "CONNECT" {
                    self.connections.insert((index, side), connection);
                }
                return Outcome::of(&answer);
            }
        }
        Outcome::closed()
    }
}

/// The name of a listener that is there for the module alone.
const ANCHOR: &str = "anchor";

/// The least that a configuration can be.
fn anchor() -> Value {
    let keys = key_set([Key::p256(1).jwk()]);
    json!({"providers": {"main": {"issuer": "nobody", "audiences": ["nothing"], "local_jwks": {"inline_string": keys}}}})
}

/// The same configuration with a rule before all others for each provider whose keys are fetched on demand.
fn warmable(json: &Value) -> Value {
    let mut json = json.clone();
    let providers = json["providers"].as_object().into_iter().flatten();
    let names: Vec<_> =
        providers.filter(|(_, known)| is_fetched_on_demand(known)).map(|(name, _)| name.clone()).collect();
    for name in names {
        let rule = json!({"match": {"path": warm_path(&name)}, "requires": {"provider_name": name}});
        match json["rules"].as_array_mut() {
            Some(rules) => rules.insert(0, rule),
            None => json["rules"] = json!([rule]),
        }
    }
    json
}

fn warm_path(provider: &str) -> String {
    format!("/.warm/{provider}")
}

/// How many tokens are tried to make Envoy fetch a set.
const WARMERS: u64 = 8;

/// Whether Envoy fetches the keys of that provider when a request needs them.
pub fn is_fetched_on_demand(provider: &Value) -> bool {
    provider["remote_jwks"].is_object() && provider["remote_jwks"]["async_fetch"].is_null()
}

/// Which configuration the listener of that name has, and on which side.
fn key(name: &str) -> Option<(usize, Side)> {
    let (index, side) = name.split_once('-')?;
    Some((index.parse().ok()?, if side == "Native" { Side::Native } else { Side::Other }))
}

/// The gate, in a VM that sees these variables of Envoy's environment. Only a configuration of `jwt_authn` says whose it is.
fn gate(json: &Value, is_jwt_authn: bool, spelling: Spelling, variables: &[&str]) -> Value {
    let mut filter = wasm_filter("jwt-gate", &envoy::module(), &spelling.gate(json, is_jwt_authn));
    filter["typed_config"]["config"]["vm_config"]["environment_variables"] = json!({ "host_env_keys": variables });
    filter
}

/// Envoy's filter.
fn native(json: &Value, spelling: Spelling) -> Value {
    let mut message = spelling.message(json);
    message["@type"] = TYPE.into();
    json!({"name": "jwt-gate", "typed_config": message})
}

/// Another configuration: clocks may differ by an hour, and the payload is forwarded in another header.
fn altered(json: &Value) -> Value {
    let mut altered = json.clone();
    for provider in altered["providers"].as_object_mut().into_iter().flat_map(|providers| providers.values_mut()) {
        provider["clock_skew_seconds"] = 3600.into();
        if provider.get("forward_payload_header").is_some() {
            provider["forward_payload_header"] = "x-altered".into();
        }
    }
    altered
}

/// Shows what the filter before it left for access logs and for other filters: to the service what is known of a good token, and in
/// the answer why one failed.
fn state(is_gate: bool) -> Value {
    let show = |key: &str| {
        let value = if is_gate {
            format!("%FILTER_STATE(wasm.jwt_authn.{key}:PLAIN)%")
        } else {
            format!("%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:{key})%")
        };
        let header = json!({"key": format!("{STATE}{key}"), "value": value});
        json!({"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}})
    };
    json!({
        "name": "state",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {
                "request_mutations": [show("payload"), show("header")],
                "response_mutations": [show("failed")],
            },
        },
    })
}

/// Makes the filter state of `filter_state_rules` from a header.
fn choice() -> Value {
    json!({
        "name": "choice",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [{
                "object_key": FILTER_STATE,
                "factory_key": "envoy.string",
                "format_string": {"text_format_source": {"inline_string": "%REQ(x-choice)%"}, "omit_empty_values": true},
                "skip_if_empty": true,
            }],
        },
    })
}

/// A listener in which nothing depends on which one it is.
fn listener(name: &str, filters: Vec<Value>) -> Value {
    let mut listener = envoy::listener(name, filters, &json!({"route": {"cluster": "service"}}));
    listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["generate_request_id"] = false.into();
    manager["max_request_headers_kb"] = 192.into();
    if let Some(router) = manager["http_filters"].as_array_mut().and_then(|filters| filters.last_mut()) {
        router["typed_config"]["suppress_envoy_headers"] = true.into();
    }
    listener
}

/// Tells what it got: in the body, or in a header where an answer has no body.
fn echo(request: &Message) -> Behaviour {
    let mut fields = BTreeMap::<&str, Vec<&str>>::new();
    for (name, value) in &request.fields {
        fields.entry(name).or_default().push(value);
    }
    let body: String = request.body.iter().map(|&byte| char::from(byte)).collect();
    let seen = json!({"request": request.start, "fields": fields, "body": body}).to_string();
    if request.start.starts_with("HEAD ") {
        return Behaviour::Answer(200, vec![("x-seen", seen)], Vec::new());
    }
    Behaviour::Answer(200, vec![("x-seen", "below".to_owned())], seen.into_bytes())
}
