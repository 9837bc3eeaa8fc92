//! `jwt_rules` for the gate, and for Envoy's own filter what Istio's control plane makes of them.

use serde_json::{json, Value};

use crate::configurations::{places_of, Configuration, Provider, AUDIENCES, ISSUERS, SUBJECTS};
use crate::keys;
use crate::matches::Door;
use crate::random::Random;

/// Istio's name for the service that holds the keys.
pub const CLUSTER: &str = "outbound|80||issuer.example";

impl Configuration {
    /// Rules of a `RequestAuthentication`, in `folder` at the issuer.
    pub(crate) fn istio(&mut self, random: &mut Random, folder: &str) {
        let mut rules = Vec::new();
        let mut providers = Vec::new();
        let count = *random.pick(&[1, 1, 2, 3]);
        for (number, issuer) in ISSUERS.iter().enumerate().take(count) {
            let (rule, provider) = self.jwt_rule(random, issuer, &format!("/{folder}/{number}"));
            rules.push(rule);
            providers.push(provider);
        }
        // Istio takes them by their issuers, in whatever order they were written.
        providers.sort_by_key(|provider| provider.issuer);
        let mut ordered = rules.clone();
        ordered.sort_by_key(|rule| rule["issuer"].as_str().map(str::to_owned));
        let mut messages = json!({});
        for (provider, rule) in providers.iter_mut().zip(&ordered) {
            let message = message(rule);
            provider.places = places_of(&message);
            messages[&provider.name] = message;
        }
        self.json = json!({
            "providers": messages,
            "rules": [{"match": {"prefix": "/"}, "requires": requirement(&providers)}],
            "bypass_cors_preflight": true,
        });
        self.doors = ["/", "/a/b"].map(|path| (Door { path: path.to_owned(), ..Door::default() }, Vec::new())).to_vec();
        self.providers = providers;
        self.jwt_rules = Some(json!({ "jwt_rules": rules }));
    }

    fn jwt_rule(&mut self, random: &mut Random, issuer: &'static str, path: &str) -> (Value, Provider) {
        let mut rule = json!({ "issuer": issuer });
        let audiences: Vec<_> = (0..[0, 0, 1, 2][random.below(4)]).map(|_| *random.pick(&AUDIENCES)).collect();
        if !audiences.is_empty() {
            rule["audiences"] = json!(audiences);
        }
        let is_remote = random.chance(30);
        let set = keys::good(random, is_remote);
        if is_remote {
            rule["jwks_uri"] = format!("http://issuer.example{path}").into();
            self.sets.push((path.to_owned(), 200, set.text));
        } else {
            rule["jwks"] = set.text.into();
        }
        if random.chance(25) {
            let headers = [
                json!({"name": "x-token"}),
                json!({"name": "x-token", "prefix": "Tok "}),
                json!({"name": "authorization", "prefix": "Bearer "}),
            ];
            let count = 1 + random.below(2);
            rule["from_headers"] = (0..count).map(|_| random.pick(&headers).clone()).collect();
        }
        for (field, name) in [("from_params", "token"), ("from_cookies", "session")] {
            if random.chance(15) {
                rule[field] = json!([name]);
            }
        }
        if random.chance(40) {
            rule["forward_original_token"] = random.chance(85).into();
        }
        if random.chance(25) {
            rule["output_payload_to_header"] = "x-payload".into();
            self.outputs.push("x-payload".to_owned());
        }
        if random.chance(50) {
            let claims = ["sub", "name", "n", "nest.a.b", "list", "flag", "scope", "aud"];
            let count = 1 + random.below(3);
            rule["output_claim_to_headers"] = (0..count)
                .map(|index| json!({"header": format!("x-c{index}"), "claim": random.pick(&claims)}))
                .collect();
            self.outputs.push("x-c0".to_owned());
        }
        if random.chance(20) {
            rule["timeout"] = "2s".into();
        }
        if random.chance(20) {
            rule["space_delimited_claims"] = json!(["name"]);
        }
        let subject = *random.pick(&SUBJECTS);
        let provider = Provider {
            name: format!("origins-{issuer}"),
            issuer: Some(issuer),
            audiences,
            subject,
            signers: set.signers,
            places: Vec::new(),
        };
        (rule, provider)
    }
}

/// A provider of `jwt_authn`.
fn message(rule: &Value) -> Value {
    let mut delimited = vec![json!("permission"), json!("scope")];
    delimited.extend(rule["space_delimited_claims"].as_array().into_iter().flatten().cloned());
    let mut message = json!({
        "issuer": rule["issuer"],
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": delimited},
    });
    for (from, to) in [
        ("audiences", "audiences"),
        ("from_params", "from_params"),
        ("from_cookies", "from_cookies"),
        ("forward_original_token", "forward"),
        ("output_payload_to_header", "forward_payload_header"),
    ] {
        if let Some(value) = rule.get(from) {
            message[to] = value.clone();
        }
    }
    for (from, to, names) in [
        ("from_headers", "from_headers", [("name", "name"), ("prefix", "value_prefix")]),
        ("output_claim_to_headers", "claim_to_headers", [("header", "header_name"), ("claim", "claim_name")]),
    ] {
        let Some(items) = rule[from].as_array() else { continue };
        message[to] = items.iter().map(|item| renamed(item, &names)).collect();
    }
    match rule["jwks"].as_str() {
        Some(set) => message["local_jwks"] = json!({ "inline_string": set }),
        None => {
            let timeout = rule["timeout"].as_str().unwrap_or("5s");
            let address = json!({"uri": rule["jwks_uri"], "cluster": CLUSTER, "timeout": timeout});
            message["remote_jwks"] = json!({"http_uri": address, "cache_duration": "300s"});
        }
    }
    message
}

fn renamed(item: &Value, names: &[(&str, &str)]) -> Value {
    let members = names.iter().filter_map(|(from, to)| Some(((*to).to_owned(), item.get(from)?.clone())));
    Value::Object(members.collect())
}

/// A good token of any provider, or none at all.
fn requirement(providers: &[Provider]) -> Value {
    let one = |provider: &Provider| json!({"provider_name": provider.name});
    let optional =
        |provider: &Provider| json!({"requires_any": {"requirements": [one(provider), {"allow_missing": {}}]}});
    match providers {
        [provider] => optional(provider),
        _ => {
            let all: Vec<_> = providers.iter().map(optional).collect();
            let each = providers.iter().map(one).chain([json!({"requires_all": {"requirements": all}})]);
            json!({"requires_any": {"requirements": each.collect::<Vec<_>>()}})
        }
    }
}
