//! Configurations: what is taken is closed, and what is refused says where.
//!
//! * Reading a configuration again, in either spelling of its names, gives the same one.
//! * An error names a field: one that is there, or one that is missing in an object that is there. It quotes no secret, and neither
//!   does what a configuration prints.
//! * With the gate's own semantics a request without a token, or with one whose signature does not hold, passes only where a rule
//!   says `public`, where a requirement allows it, or as a preflight that is let through; and nothing of a token is made up for
//!   it. A refusal looks like one, whatever `responses` say. In every semantics it gets one answer, at once.
//!
//! An input is a configuration, or changes to one.

#![no_main]

use jwt_gate::cache::TokenCache;
use jwt_gate::config::{Config, ConfigError, FIELDS};
use jwt_gate::gate::{Effect, Event, Gate, Semantics};
use jwt_gate::json::{self, Map, Value};
use jwt_gate::policy::{Authorize, Policy, Requirement, Rule, Verifier};
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use jwt_gate::verdict::{is_field_value, Denial, FieldValue, Reason};
use jwt_gate_fuzz::{configuration, encode, Signatures, BASES};
use libfuzzer_sys::fuzz_target;

/// Stands in the secrets of the configurations that inputs begin with. It begins with no hexadecimal digit: an escape such as
/// `\x2c` could make one of what stands behind it.
const CANARY: &str = "wombat";

/// What the variable `SECRET` of the environment holds.
const SECRET: &str = "s3cret of the environment";

fn read(text: &[u8]) -> Result<Config, ConfigError> {
    Config::parse_in(text, &|name| (name == "SECRET").then(|| SECRET.to_owned()))
}

fn check_bases() {
    for (name, base) in BASES {
        assert!(read(base.as_bytes()).is_ok(), "{name} begins with a configuration that is refused");
    }
}

fuzz_target!(init: check_bases(), |input: &[u8]| {
    let text = configuration(input);
    let document = json::parse(&text).ok();
    match (read(&text), &document) {
        (Err(error), document) => check_error(&error, document.as_ref()),
        (Ok(config), document) => {
            assert_eq!(printed(&read(&text).expect("it was read before")), printed(&config));
            assert!(!printed(&config).contains(SECRET));
            if let Some(document) = document {
                let respelt = camel_case(document, "").to_string();
                let respelt = read(respelt.as_bytes()).expect("another spelling of what was read");
                assert_eq!(printed(&respelt), printed(&config));
                assert!(!is_in_secrets_alone(document) || !printed(&config).contains(CANARY));
                check_requests(&config, document);
            }
        }
    }
});

/// All that a configuration holds but its secrets, and but the name of each source, which is spelt as it was written.
fn printed(config: &Config) -> String {
    let Config { semantics, crypto, token_cache, stat_prefix, .. } = config;
    let documents = format!("{:?}", config.documents(1));
    let documents: String = documents
        .split("field: \"")
        .map(|part| part.split_once("\", address: ").map_or(part, |(_, rest)| rest))
        .collect();
    format!("{semantics:?} {documents} {crypto:?} {token_cache:?} {stat_prefix:?} {config:?}")
}

/// Whether the canary is nowhere but in values that are secrets.
fn is_in_secrets_alone(document: &Value) -> bool {
    let count = |text: &str| text.to_ascii_lowercase().matches(CANARY).count();
    let mut secrets = Vec::new();
    collect_secrets(document, "", &mut secrets);
    // An input can write it anywhere else, too, and in capitals.
    count(&document.to_string()) == secrets.iter().map(|secret| count(secret)).sum::<usize>()
}

/// `of` is the name of the value, or of the list that it is in.
fn collect_secrets<'d>(value: &'d Value, of: &str, secrets: &mut Vec<&'d str>) {
    match value {
        Value::String(text) if of == "inline_string" => secrets.push(text),
        Value::Array(elements) => elements.iter().for_each(|element| collect_secrets(element, of, secrets)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    // The value of a header that is sent to a client is none.
                    Value::String(text) if name == "value" && matches!(of, "request_headers" | "requestHeaders") => {
                        secrets.push(text);
                    }
                    value => collect_secrets(value, name, secrets),
                }
            }
        }
        _ => {}
    }
}

fn check_error(error: &ConfigError, document: Option<&Value>) {
    let ConfigError { path, problem } = error;
    assert!(!path.is_empty() && !problem.is_empty());
    if let Some(document) = document {
        assert!(path == "configuration" || is_named(document, path), "{error}");
        // A name that is unknown is shown, and so is an expression that is wrong.
        assert!(!is_in_secrets_alone(document) || !problem.contains(CANARY), "{error}");
    }
}

/// Whether a path leads to something in `value`, or to a field that it lacks.
fn is_named(value: &Value, path: &str) -> bool {
    if path.is_empty() {
        return true;
    }
    match value {
        Value::Object(members) => {
            let leads_on = |(name, value): (&String, &Value)| match path.strip_prefix(name.as_str()) {
                Some(rest) if rest.starts_with(['.', '[']) || rest.is_empty() => {
                    is_named(value, rest.strip_prefix('.').unwrap_or(rest))
                }
                _ => false,
            };
            members.iter().any(leads_on) || FIELDS.iter().any(|field| field.name == path)
        }
        Value::Array(elements) => {
            let inner = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            inner.is_some_and(|(index, rest)| {
                let element = index.parse().ok().and_then(|index: usize| elements.get(index));
                element.is_some_and(|element| is_named(element, rest.strip_prefix('.').unwrap_or(rest)))
            })
        }
        _ => false,
    }
}

/// The same with the names of fields in the other spelling. `of` is the name of the object.
fn camel_case(value: &Value, of: &str) -> Value {
    match value {
        Value::Object(members) => {
            // Their names are the user's.
            let are_fields = !matches!(of, "providers" | "requirement_map" | "statuses" | "requires of filter state");
            let respelt = |(name, value): (&String, &Value)| {
                let is_field = are_fields && FIELDS.iter().any(|field| field.name == name);
                let inner =
                    if of == "filter_state_rules" && name == "requires" { "requires of filter state" } else { name };
                let mut words = name.split('_').map(str::to_owned);
                let first = words.next().unwrap_or_default();
                let camel = words.fold(first, |camel, word| {
                    let (start, rest) = word.split_at(word.len().min(1));
                    camel + &start.to_ascii_uppercase() + rest
                });
                (if is_field { camel } else { name.clone() }, camel_case(value, if are_fields { inner } else { "" }))
            };
            Value::Object(members.iter().map(respelt).collect::<Map<_, _>>())
        }
        Value::Array(elements) => elements.iter().map(|element| camel_case(element, "")).collect(),
        other => other.clone(),
    }
}

/// Requests for every path that the configuration names, without a token and with one that nobody signed.
fn check_requests(config: &Config, document: &Value) {
    let mut paths = vec!["/".to_owned(), "/open/x".to_owned(), "/y/1".to_owned(), "/closed".to_owned()];
    collect_paths(document, &mut paths);
    let verifier = Verifier::new(vec![Box::new(Signatures(false))], TokenCache::new(config.token_cache, (1, 2)));
    let mut gate = Gate::new(config.semantics.clone(), config.documents(1), verifier, true);
    config.shadow.iter().for_each(|shadow| gate.cast_shadow(shadow.clone()));
    let now = UnixTime::from_secs(1_800_000_000);
    let claims = r#"{"iss":"https://issuer.example","aud":"api","sub":"eve","exp":1800000100}"#;
    let token = [r#"{"alg":"HS256"}"#, claims, "no signature"].map(|part| encode(part.as_bytes())).join(".");
    let (no_fields, forged) = (Vec::new(), vec![("authorization", format!("Bearer {token}"))]);
    let origin = |name| (name, "https://elsewhere.example".to_owned());
    let preflight = vec![origin("origin"), origin("access-control-request-method")];

    let mut id = 0;
    for path in paths.iter().take(12) {
        let a_page = vec![("accept", "text/html".to_owned())];
        for (method, fields) in [("GET", &no_fields), ("GET", &a_page), ("POST", &forged), ("OPTIONS", &preflight)] {
            id += 1;
            let pseudo = [(":method", method.to_owned()), (":path", path.clone())];
            let fields = pseudo.iter().chain(fields);
            let fields = fields.map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes()));
            let head = RequestHead::new(fields.collect());
            let effects = gate.handle(Event::Request(id, head.clone()), now);
            let is_terminal = |effect: &&Effect| {
                matches!(effect, Effect::Allow(..) | Effect::Deny(..) | Effect::Reply(..) | Effect::Wait(_))
            };
            let answers: Vec<&Effect> = effects.iter().filter(is_terminal).collect();
            let [answer] = answers.as_slice() else { panic!("{answers:?}") };
            if let Effect::Reply(..) = answer {
                let place = document["protected_resource"].as_object().or(document["protectedResource"].as_object());
                assert!(place.is_some() && path.starts_with("/.well-known/oauth-protected-resource"), "{path}");
            }
            if let (Effect::Deny(_, denial, grpc), Semantics::Gate(_)) = (answer, &config.semantics) {
                check_answer(denial, *grpc, &token);
            }
            if let (Effect::Allow(_, edits), Semantics::Gate(policy)) = (answer, &config.semantics) {
                if !policy.enforcement.of(rule_of(policy, &head)) {
                    assert!(edits.set.is_empty() && edits.add.is_empty(), "{edits:?}");
                    continue;
                }
                assert!(is_open(policy, &head), "{method} {path} passes without a token");
                // Of a token that did not hold, at most its place is cleared.
                let is_ours = |(name, _): &(_, FieldValue)| name == ":path" || name == "cookie";
                assert!(edits.set.iter().all(is_ours) && edits.add.is_empty() && edits.state.is_empty(), "{edits:?}");
            }
        }
    }
}

/// A refusal looks like one, whatever the configuration has it say, and repeats no token.
fn check_answer(denial: &Denial, grpc: bool, token: &str) {
    let (headers, body) = (denial.headers(grpc), denial.body(grpc));
    assert!((400..600).contains(&denial.status) || matches!(denial.status, 302 | 303 | 307), "{}", denial.status);
    assert!(headers.iter().all(|(_, value)| is_field_value(value.as_bytes()) && !value.contains(token)), "{headers:?}");
    assert!(!body.contains(token));
    assert_eq!(headers.iter().any(|(name, _)| *name == "location"), denial.status < 400);
}

/// Whether the configuration lets a request pass without a token.
fn is_open(policy: &Policy, head: &RequestHead) -> bool {
    if policy.bypass_cors_preflight && head.is_preflight() {
        return true;
    }
    match rule_of(policy, head).expect("an ambiguous path never passes").map(|index| &policy.rules[index]) {
        Some(Rule::Public) => true,
        Some(Rule::Protected(required, Authorize { scopes: None, claims, expression: None, service: None }))
            if claims.is_empty() =>
        {
            can_hold_without_token(required.tree())
        }
        _ => false,
    }
}

fn rule_of(policy: &Policy, head: &RequestHead) -> Result<Option<usize>, Reason> {
    if policy.allow_ambiguous_paths {
        Ok(policy.routes.first(head))
    } else {
        policy.routes.find(head)
    }
}

fn can_hold_without_token(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Provider(_) => false,
        Requirement::Any(children) => children.iter().any(can_hold_without_token),
        Requirement::All(children) => children.iter().all(can_hold_without_token),
        Requirement::AllowMissing | Requirement::AllowMissingOrFailed => true,
    }
}

fn collect_paths(value: &Value, paths: &mut Vec<String>) {
    match value {
        Value::String(text) if text.starts_with('/') => paths.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|element| collect_paths(element, paths)),
        Value::Object(members) => members.values().for_each(|member| collect_paths(member, paths)),
        _ => {}
    }
}
