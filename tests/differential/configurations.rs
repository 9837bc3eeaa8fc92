//! Configurations of Envoy's `jwt_authn`: every field of it, in forms that Envoy takes.

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::{json, Map, Value};

use crate::keys::{self, Signer};
use crate::matches::{route_match, string_matcher, Door};
use crate::random::Random;
use crate::spelling::Spelling;

/// A configuration, and what a request for it should know.
#[derive(Clone)]
pub struct Configuration {
    pub index: u64,
    /// The `JwtAuthentication` message.
    pub json: Value,
    /// What the gate is given in its place: Istio's rules.
    pub jwt_rules: Option<Value>,
    /// How it is written.
    pub spelling: Spelling,
    pub providers: Vec<Provider>,
    /// How to come under each rule, and the providers that it names; every provider where it names none.
    pub doors: Vec<(Door, Vec<String>)>,
    /// What the issuer answers for each path.
    pub sets: Vec<(String, u16, String)>,
    /// Variables of Envoy's environment.
    pub environment: Vec<(String, String)>,
    /// Headers that the filter writes.
    pub outputs: Vec<String>,
    has_bad_set: bool,
}

/// What a good token of a provider has.
#[derive(Clone)]
pub struct Provider {
    pub name: String,
    pub issuer: Option<&'static str>,
    pub audiences: Vec<&'static str>,
    pub subject: &'static str,
    pub signers: Vec<Signer>,
    pub places: Vec<Place>,
}

/// Where a provider looks for tokens.
#[derive(Clone, Debug)]
pub enum Place {
    Header(String, String),
    Param(String),
    Cookie(String),
}

pub const FILTER_STATE: &str = "gate.choice";

pub const ISSUERS: [&str; 4] = ["https://one.example", "https://two.example/", "three", "https://four.example"];
pub const AUDIENCES: [&str; 5] = ["api", "https://api.example/", "http://web", "x y", "spiffe://mesh/api"];
pub const SUBJECTS: [&str; 3] = ["alice", "spiffe://mesh/alice", "bob@example.com"];

impl Configuration {
    /// The `index`th configuration of that seed; both are in the paths of its key sets, so that these are its own.
    pub fn generate(seed: u64, index: u64) -> Self {
        let mut random = Random::of(seed, index);
        let random = &mut random;
        let mut this = Self {
            index,
            json: Value::Null,
            jwt_rules: None,
            spelling: Spelling::any(random),
            providers: Vec::new(),
            doors: Vec::new(),
            sets: Vec::new(),
            environment: Vec::new(),
            outputs: Vec::new(),
            has_bad_set: false,
        };
        let folder = format!("{seed}/{index}");
        if random.chance(8) {
            this.istio(random, &folder);
            return this;
        }
        let mut providers = Map::new();
        for number in 0..*random.pick(&[1, 1, 2, 2, 2, 3]) {
            let (provider, known) = this.provider(random, &folder, number);
            providers.insert(known.name.clone(), provider);
            this.providers.push(known);
        }
        let mut root = json!({ "providers": providers });
        let mut map = Map::new();
        if random.chance(25) {
            for name in ["named", "other.name"] {
                map.insert(name.to_owned(), this.requirement(random, 0));
            }
            root["requirement_map"] = Value::Object(map.clone());
        }
        root["rules"] = this.rules(random, &map);
        if random.chance(20) {
            let requires = json!({"one": this.requirement(random, 1), "two": this.requirement(random, 1)});
            root["filter_state_rules"] = json!({"name": FILTER_STATE, "requires": requires});
        }
        if random.chance(30) {
            root["bypass_cors_preflight"] = random.chance(85).into();
        }
        if random.chance(8) {
            root["strip_failure_response"] = random.chance(85).into();
        }
        if random.chance(10) {
            root["stat_prefix"] = "edge".into();
        }
        this.json = root;
        this
    }

    fn rules(&mut self, random: &mut Random, map: &Map<String, Value>) -> Value {
        let mut rules = Vec::new();
        for _ in 0..random.below(5) {
            let (matches, door) = route_match(random);
            rules.push(self.rule(random, map, matches, door));
        }
        if random.chance(85) {
            let door = Door { path: (*random.pick(&["/", "/any/thing"])).to_owned(), ..Door::default() };
            rules.push(self.rule(random, map, json!({"prefix": "/"}), door));
        }
        Value::Array(rules)
    }

    fn rule(&mut self, random: &mut Random, map: &Map<String, Value>, matches: Value, door: Door) -> Value {
        let mut rule = json!({ "match": matches });
        let mut named = Vec::new();
        if !map.is_empty() && random.chance(35) {
            let name = *random.pick(&["named", "other.name"]);
            rule["requirement_name"] = name.into();
            names_in(&map[name], &mut named);
        } else if random.chance(95) {
            rule["requires"] = self.requirement(random, 0);
            names_in(&rule["requires"], &mut named);
        }
        self.doors.push((door, named));
        rule
    }

    fn requirement(&self, random: &mut Random, depth: usize) -> Value {
        let name = &random.pick(&self.providers).name;
        let list = |random: &mut Random| {
            let members = (0..2 + random.below(2)).map(|_| self.requirement(random, depth + 1)).collect::<Vec<_>>();
            json!({ "requirements": members })
        };
        // What Envoy does while it fetches in vain, next to other requirements, is a matter of time. It asks for a set that failed
        // on demand even with `async_fetch`.
        match random.below(if depth < 3 && !self.has_bad_set { 24 } else { 16 }) {
            0..=8 => json!({ "provider_name": name }),
            9..=11 => {
                let audiences: Vec<_> = (0..random.below(3)).map(|_| *random.pick(&AUDIENCES)).collect();
                let mut wanted = json!({ "provider_name": name });
                if !audiences.is_empty() || random.chance(50) {
                    wanted["audiences"] = json!(audiences);
                }
                json!({ "provider_and_audiences": wanted })
            }
            12 => json!({"allow_missing": {}}),
            13 => json!({"allow_missing_or_failed": {}}),
            14 => match random.below(4) {
                0 | 1 => json!({"extract_only_without_validation": {}}),
                2 => json!({"extract_only_without_validation": {"verification_status_header": "X-Checked"}}),
                _ => json!({"extract_only_without_validation": {"verification_status_header": "-"}}),
            },
            15 => json!({}),
            16..=20 => json!({ "requires_any": list(random) }),
            _ => json!({ "requires_all": list(random) }),
        }
    }

    fn provider(&mut self, random: &mut Random, folder: &str, number: usize) -> (Value, Provider) {
        let name = (*random.pick(&["main", "p.q", "Zeta"])).to_owned() + &number.to_string();
        let mut provider = json!({});
        // Envoy keeps providers in an order that changes from start to start, and takes the first without an issuer where a
        // requirement names none: there is at most one.
        let issuer = (number > 0 || random.chance(75)).then(|| ISSUERS[number]);
        if let Some(issuer) = issuer {
            provider["issuer"] = issuer.into();
        }
        let audiences: Vec<_> = (0..[0, 0, 1, 2][random.below(4)]).map(|_| *random.pick(&AUDIENCES)).collect();
        if !audiences.is_empty() {
            provider["audiences"] = json!(audiences);
        }
        let subject = *random.pick(&SUBJECTS);
        if random.chance(12) {
            provider["subjects"] = string_matcher(random, subject);
        }
        if random.chance(12) {
            provider["require_expiration"] = random.chance(85).into();
        }
        if random.chance(10) {
            provider["max_lifetime"] = (*random.pick(&["1000s", "86400s", "4000.5s", "0.000001s"])).into();
        }
        if random.chance(20) {
            provider["clock_skew_seconds"] = json!(*random.pick(&[0, 1, 600, 4_294_967_295_u32]));
        }
        let signers = self.key_set(random, &mut provider, &format!("/{folder}/{number}"));
        places(random, &mut provider);
        let places = places_of(&provider);
        self.effects(random, &mut provider);
        (provider, Provider { name, issuer, audiences, subject, signers, places })
    }

    fn key_set(&mut self, random: &mut Random, provider: &mut Value, path: &str) -> Vec<Signer> {
        if random.chance(65) {
            let set = keys::good(random, false);
            provider["local_jwks"] = match random.below(6) {
                0 => json!({ "inline_bytes": BASE64_STANDARD.encode(&set.text) }),
                1 => {
                    let name = format!("JWKS{}", path.replace('/', "_"));
                    self.environment.push((name.clone(), set.text));
                    json!({ "environment_variable": name })
                }
                _ => json!({ "inline_string": set.text }),
            };
            return set.signers;
        }
        let uri = format!("http://issuer.example{path}");
        let mut remote = json!({"http_uri": {"uri": uri, "cluster": "issuer", "timeout": "2s"}});
        if random.chance(50) {
            remote["cache_duration"] = (*random.pick(&["300s", "3600.5s"])).into();
        }
        if random.chance(40) {
            remote["async_fetch"] = random
                .pick(&[json!({}), json!({"fast_listener": true}), json!({"failed_refetch_duration": "60s"})])
                .clone();
        }
        if random.chance(10) {
            let pace = json!({"base_interval": "0.01s", "max_interval": "0.02s"});
            remote["retry_policy"] = json!({"num_retries": 1, "retry_back_off": pace});
            if random.chance(50) {
                remote["retry_policy"]["retry_on"] =
                    (*random.pick(&["5xx", "gateway-error,connect-failure,reset"])).into();
            }
        }
        provider["remote_jwks"] = remote;
        let set = keys::good(random, true);
        // Of two that fail, Envoy tells what it hears first.
        if !self.has_bad_set && random.chance(20) {
            self.has_bad_set = true;
            let (status, body) = keys::bad(random);
            self.sets.push((path.to_owned(), status, body));
        } else {
            self.sets.push((path.to_owned(), 200, set.text));
        }
        set.signers
    }

    fn effects(&mut self, random: &mut Random, provider: &mut Value) {
        if random.chance(30) {
            provider["forward"] = random.chance(85).into();
        }
        if random.chance(25) {
            let header = *random.pick(&["x-payload", "X-Jwt-Payload", "x_payload"]);
            provider["forward_payload_header"] = header.into();
            self.outputs.push(header.to_owned());
            if random.chance(40) {
                provider["pad_forward_payload_header"] = true.into();
            }
        }
        if random.chance(45) {
            let claims: Vec<_> = (0..=random.below(4)).map(|_| self.claim_to_header(random)).collect();
            provider["claim_to_headers"] = json!(claims);
        }
        for (field, percent) in
            [("payload_in_metadata", 12), ("header_in_metadata", 8), ("failed_status_in_metadata", 10)]
        {
            if random.chance(percent) {
                provider[field] = field.split('_').next().into();
            }
        }
        if random.chance(8) {
            provider["normalize_payload_in_metadata"] = json!({"space_delimited_claims": ["scope"]});
        }
        if random.chance(10) {
            provider["clear_route_cache"] = true.into();
        }
        if random.chance(30) {
            let mut cache = json!({});
            if random.chance(60) {
                cache["jwt_cache_size"] = json!(*random.pick(&[0, 1, 2, 50]));
            }
            if random.chance(30) {
                cache["jwt_max_token_size"] = json!(*random.pick(&[1, 400, 100_000]));
            }
            provider["jwt_cache_config"] = cache;
        }
    }

    fn claim_to_header(&mut self, random: &mut Random) -> Value {
        let header = *random.pick(&["x-sub", "X-Name", "x-n", "x_under", "x-list", "x-sub", "x-deep"]);
        self.outputs.push(header.to_owned());
        if random.chance(25) {
            let paths = [
                json!([{"key": "sub"}]),
                json!([{"key": "a.b"}]),
                json!([{"key": "nest"}, {"key": "a"}]),
                json!([{"key": "nest"}, {"key": "a.b"}, {"key": "c"}]),
                json!([{"key": "https://x.example/roles"}]),
                json!([{"key": "list"}, {"key": "0"}]),
            ];
            return json!({"header_name": header, "claim_path": random.pick(&paths)});
        }
        let claim = *random.pick(&[
            "sub", "iss", "aud", "exp", "name", "n", "n", "nest", "nest.a", "nest.a.b", "list", "flag", "a.b", "scope",
            "missing", ".", "nest.", "jti",
        ]);
        json!({"header_name": header, "claim_name": claim})
    }
}

/// Chooses where a provider looks for tokens.
fn places(random: &mut Random, provider: &mut Value) {
    if random.chance(25) {
        let headers: Vec<_> = (0..=random.below(3))
            .map(|_| {
                let name = *random.pick(&["x-token", "X-Other", "authorization", "x-token"]);
                let prefix = *random.pick(&["", "", "Bearer ", "Tok ", "JWT", "a,b ", "Bearer", "Token="]);
                if prefix.is_empty() && random.chance(70) {
                    json!({ "name": name })
                } else {
                    json!({"name": name, "value_prefix": prefix})
                }
            })
            .collect();
        provider["from_headers"] = json!(headers);
    }
    for (field, choices) in
        [("from_params", &["token", "t", "access_token", "a b"][..]), ("from_cookies", &["session", "Jwt", "a.b"][..])]
    {
        if random.chance(15) {
            let names: Vec<_> = (0..=random.below(2)).map(|_| *random.pick(choices)).collect();
            provider[field] = json!(names);
        }
    }
}

/// Where a provider looks for tokens.
pub fn places_of(provider: &Value) -> Vec<Place> {
    let list = |field: &str| provider[field].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut places = Vec::new();
    places.extend(
        list("from_headers").iter().map(|header| Place::Header(text(&header["name"]), text(&header["value_prefix"]))),
    );
    places.extend(list("from_params").iter().map(|name| Place::Param(text(name))));
    places.extend(list("from_cookies").iter().map(|name| Place::Cookie(text(name))));
    if places.is_empty() {
        places.push(Place::Header("authorization".to_owned(), "Bearer ".to_owned()));
        places.push(Place::Header("Authorization".to_owned(), "Bearer ".to_owned()));
        places.push(Place::Param("access_token".to_owned()));
    }
    places
}

/// The providers that a requirement names.
fn names_in(requirement: &Value, names: &mut Vec<String>) {
    match requirement {
        Value::Object(members) => {
            for (member, value) in members {
                match value.as_str() {
                    Some(name) if member == "provider_name" => names.push(name.to_owned()),
                    _ => names_in(value, names),
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|member| names_in(member, names)),
        _ => {}
    }
}
