//! What operators look at: the access log, Prometheus, and the dashboard that asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jwt_gate::stats;
use serde_json::{json, Value};

use crate::envoy::project;
use crate::mint::{key_set, Key, AUDIENCE, ISSUER};
use crate::proxy::{eventually, filter, log_access, Form, Options, Proxy};
use crate::servers::Behaviour;
use crate::wire::get;
use crate::{issuer, provider, token};

/// One line of text for each request, as the README has it.
const LINE: &str = "\"%REQ(:METHOD)% %PATH(NQ)%\" %RESPONSE_CODE% %FILTER_STATE(wasm.jwt_gate.outcome:PLAIN)% \
    %FILTER_STATE(wasm.jwt_gate.code:PLAIN)% %FILTER_STATE(wasm.jwt_gate.provider:PLAIN)% \
    %FILTER_STATE(wasm.jwt_gate.sub:PLAIN)% %FILTER_STATE(wasm.jwt_gate.kid:PLAIN)%\n";

/// Has Envoy write such lines.
pub fn log_lines(manager: &mut Value, folder: &Path) {
    log_access(manager, folder, &json!({"text_format_source": {"inline_string": LINE}}));
}

#[test]
fn the_access_log_of_the_readme_says_how_each_request_ended_and_whose_it_was() {
    let readme = std::fs::read_to_string(project("README.md")).expect("there is a README");
    let line = readme.lines().map(str::trim).find_map(|line| line.strip_prefix("inline_string: '"));
    let line = line.and_then(|line| line.strip_suffix('\'')).expect("the README has a format");
    assert_eq!(format!("{line}\n"), LINE);

    let key = Key::p256(1).named("k1");
    for semantics in ["jwt_gate", "jwt_authn"] {
        let gate = json!({
            "semantics": semantics,
            "access_log": ["outcome", "code", "provider", "sub", "kid"],
            "providers": {"main": {
                "issuer": ISSUER,
                "audiences": [AUDIENCE],
                "local_jwks": {"inline_string": key_set([key.jwk()])},
            }},
            "rules": [
                {"match": {"path": "/maybe"}, "requires": {"allow_missing": {}}},
                {"match": {"prefix": "/"}, "requires": {"provider_name": "main"}},
            ],
        });
        let proxy = Proxy::with_filters(vec![filter(&gate, Form::Struct)], log_lines);
        let forger = token(&key).claim("sub", "x\" 200 allowed - main root k1\nGET");
        for request in [
            get("/").bearing(&token(&key).mint()),
            get("/maybe"),
            get("/?a=b"),
            get("/").bearing(&token(&key).expires_in(-300).mint()),
            get("/").bearing(&token(&Key::p256(2).named("k1")).mint()),
            get("/").bearing(&forger.mint()),
        ] {
            proxy.send(&request);
        }
        // Envoy's filter says that a token has expired before it knows whose it is.
        let late = if semantics == "jwt_gate" { "alice k1" } else { "- -" };
        let expected = [
            r#""GET /" 200 allowed - main alice k1"#.to_owned(),
            r#""GET /maybe" 200 anonymous - - - -"#.to_owned(),
            r#""GET /" 401 denied token_missing main - -"#.to_owned(),
            format!(r#""GET /" 401 denied token_expired main {late}"#),
            r#""GET /" 401 denied signature_invalid main - -"#.to_owned(),
            r#""GET /" 200 allowed - main x%22%20200%20allowed%20-%20main%20root%20k1%0AGET k1"#.to_owned(),
        ];
        eventually("the access log", || proxy.file("access.log").lines().count() >= expected.len());
        assert_eq!(proxy.file("access.log").lines().collect::<Vec<_>>(), expected, "{semantics}");
    }
}

/// The page that Prometheus reads: the labels of each metric, and their values.
fn prometheus(proxy: &Proxy) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let page = proxy.admin(&get("/stats/prometheus")).text().to_owned();
    let mut metrics: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, rest) = line.split_once('{').expect("Envoy writes braces");
        let (labels, _) = rest.rsplit_once('}').expect("Envoy closes them");
        let known = metrics.entry(name.to_owned()).or_default();
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once("=\"").expect("a label has a value");
            known.entry(name.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
        }
    }
    metrics
}

/// An Envoy that has had a request of every kind that the dashboard shows.
fn busy(prefix: &str) -> Proxy {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    issuer.set("/revoked.json", Behaviour::json(&json!({"revoked": [{"jti": "gone"}]})));
    let mut main = provider();
    let address = json!({"uri": "http://issuer.example/revoked.json", "cluster": "issuer", "timeout": "2s"});
    main["revocation"] = json!({"http_uri": address, "refresh_interval": "1s"});
    let http_uri =
        |path: &str| json!({"uri": format!("http://issuer.example{path}"), "cluster": "issuer", "timeout": "2s"});
    main["introspection"] = json!({
        "http_uri": http_uri("/introspect"),
        "client_id": "gate",
        "client_secret_env": "INTROSPECTION_SECRET",
    });
    issuer.set(
        "/introspect",
        Behaviour::json(&json!({"active": true, "iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000_u64})),
    );
    issuer.set("/decide", Behaviour::json(&json!({"decision": true})));
    let service = json!({"protocol": "authzen", "http_uri": http_uri("/decide")});
    let mut stricter = main.clone();
    stricter["audiences"] = json!(["another"]);
    let asks = json!({"provider_name": "auth-api"});
    let gate = json!({
        "providers": {"auth-api": main},
        "rules": [
            {"match": {"path": "/open"}, "public": true},
            {"match": {"path": "/trial"}, "requires": asks, "enforce": false},
            {"match": {"path": "/asked"}, "requires": asks, "authorize": {"service": service}},
            {"match": {"prefix": "/"}, "requires": asks},
        ],
        "shadow": {"providers": {"auth-api": stricter}},
        "stat_prefix": prefix,
    });
    let options = Options { labels: true, ..Options::default() };
    let proxy = Proxy::try_start(&gate, &issuer, options).expect("Envoy starts");
    let has = |name: &str| proxy.count(&stats::full_name(prefix, name)) > 0;
    eventually("the first keys", || has("jwt_gate_jwks_fetch_ok"));
    eventually("the first list", || has("jwt_gate_revocation_fetch_ok"));
    let good = token(&key).mint();
    for request in [get("/").bearing(&good), get("/"), get("/open"), get("/trial"), get("/").bearing("a.b.c")] {
        proxy.send(&request);
    }
    for request in [get("/asked").bearing(&good), get("/").bearing("opaque")] {
        assert_eq!(proxy.send(&request).status(), 200);
    }
    // Each worker tells what it counted by itself.
    let codes = |proxy: &Proxy| Some(prometheus(proxy).get("jwt_gate_provider_denied")?.get("code")?.len());
    eventually("the refusals", || codes(&proxy) == Some(2));
    for name in [
        "jwt_gate_allowed",
        "jwt_gate_allowed_public",
        "jwt_gate_allowed_unenforced",
        "jwt_gate_shadow_would_deny",
        "jwt_gate_introspection_ok",
        "jwt_gate_authorization_ok",
    ] {
        eventually(name, || has(name));
    }
    proxy
}

#[test]
fn prometheus_reads_code_and_provider_as_labels() {
    check_labels("", &[]);
    check_labels("edge", &["edge"]);
}

fn check_labels(prefix: &str, prefixes: &[&str]) {
    let proxy = busy(prefix);
    eventually("the histograms", || prometheus(&proxy).contains_key("jwt_gate_revocation_fetch_milliseconds_bucket"));
    let metrics = prometheus(&proxy);
    let values = |name: &str, label: &str| {
        let labels = metrics.get(name).unwrap_or_else(|| panic!("no {name}"));
        labels.get(label).cloned().unwrap_or_default().into_iter().collect::<Vec<_>>()
    };
    for name in [
        "jwt_gate_provider_allowed",
        "jwt_gate_provider_denied",
        "jwt_gate_provider_jwks_fetch_ok",
        "jwt_gate_provider_jwks_fetch_not_modified",
        "jwt_gate_provider_revocation_fetch_failed",
        "jwt_gate_jwks_keys",
        "jwt_gate_jwks_age_seconds",
        "jwt_gate_revocation_entries",
        "jwt_gate_revocation_age_seconds",
    ] {
        assert_eq!(values(name, "provider"), ["auth_api"], "{name}");
    }
    // Of these each has been there since the start; of a provider, those that were counted are.
    for name in ["jwt_gate_denied", "jwt_gate_unenforced", "jwt_gate_shadow_denies"] {
        assert!(values(name, "code").len() > 25, "{name}: {:?}", values(name, "code"));
        assert!(values(name, "code").contains(&"token_missing".to_owned()), "{name}");
        assert_eq!(values(name, "provider"), Vec::<String>::new(), "{name}");
    }
    assert_eq!(values("jwt_gate_provider_denied", "code"), ["token_malformed", "token_missing"]);
    // Whatever has a name of its own, and no label, keeps it.
    for name in
        ["jwt_gate_allowed", "jwt_gate_allowed_unenforced", "jwt_gate_shadow_would_deny", "jwt_gate_jwks_fetch_ok"]
    {
        assert!(metrics.get(name).is_some_and(|labels| !labels.contains_key("code")), "{name}");
        assert_eq!(values(name, "stat_prefix"), prefixes, "{name}");
    }
    let stray: Vec<&String> =
        metrics.keys().filter(|name| name.contains("auth_api") || name.contains("token_")).collect();
    assert_eq!(stray, Vec::<&String>::new());
}

/// The words of a query and the signs between them, without texts and ranges.
fn words(query: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut characters = query.chars().peekable();
    while let Some(character) = characters.next() {
        let is_part = |c: &char| c.is_ascii_alphanumeric() || "_:.".contains(*c);
        match character {
            '"' => drop(characters.by_ref().find(|&c| c == '"')),
            '[' => drop(characters.by_ref().find(|&c| c == ']')),
            c if is_part(&c) => {
                let mut word = c.to_string();
                while let Some(next) = characters.next_if(is_part) {
                    word.push(next);
                }
                words.push(word);
            }
            c if c.is_whitespace() => {}
            c => words.push(c.to_string()),
        }
    }
    words
}

/// The metrics in a query, and the labels.
fn names(query: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut metrics, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let words = words(query);
    let mut in_labels = false;
    for (index, word) in words.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", |index| words[index].as_str());
        let behind = words.get(index + 1).map_or("", String::as_str);
        match word.as_str() {
            "{" => in_labels = true,
            "(" => in_labels = matches!(before, "by" | "without"),
            "}" | ")" => in_labels = false,
            name if !name.starts_with(|c: char| c.is_ascii_alphabetic()) => {}
            name if in_labels => drop(labels.insert(name.to_owned())),
            "by" | "without" => {}
            name if behind == "(" || behind == "by" => {
                assert!(["sum", "max", "min", "rate", "histogram_quantile"].contains(&name), "{query}: {name}");
            }
            name => drop(metrics.insert(name.to_owned())),
        }
    }
    (metrics, labels)
}

#[test]
fn every_name_of_the_dashboard_is_on_the_page_that_prometheus_reads() {
    let text = std::fs::read_to_string(project("examples/microservices/grafana/jwt-gate.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
    assert_eq!((&dashboard["uid"], &dashboard["title"]), (&json!("jwt-gate"), &json!("jwt-gate")));
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert!(variables.iter().any(|variable| variable["name"] == "datasource" && variable["type"] == "datasource"));
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has a number of its own");

    let proxy = busy("");
    // What Envoy reads of histograms it tells every few seconds.
    for name in ["jwks_fetch", "revocation_fetch", "introspection", "authorization"] {
        let bucket = format!("jwt_gate_{name}_milliseconds_bucket");
        eventually(&bucket, || prometheus(&proxy).contains_key(&bucket));
    }
    let page = prometheus(&proxy);
    let mut queries = 0;
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().expect("a panel has a title");
        assert_eq!(panel["datasource"], json!({"type": "prometheus", "uid": "${datasource}"}), "{title}");
        assert!(panel["gridPos"]["w"].as_u64().is_some_and(|width| (1..=24).contains(&width)), "{title}");
        let targets = panel["targets"].as_array().expect("a panel asks something");
        for target in targets {
            let query = target["expr"].as_str().expect("a target has a query");
            let (metrics, labels) = names(query);
            assert!(!metrics.is_empty(), "{title}: {query}");
            for metric in &metrics {
                let known = page.get(metric).unwrap_or_else(|| panic!("{title}: {metric} is not there: {query}"));
                for label in &labels {
                    assert!(known.contains_key(label), "{title}: {metric} has no {label}: {query}");
                }
            }
            // A legend shows what the query keeps.
            let legend = target["legendFormat"].as_str().expect("a target has a legend");
            for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                assert!(labels.contains(label), "{title}: {legend}");
            }
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries}");
    let query =
        "histogram_quantile(0.5, sum by (le, code) (rate(a_bucket{code=\"x\", x!~\"y\"}[$__rate_interval]))) / b";
    let of = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(names(query), (of(&["a_bucket", "b"]), of(&["code", "le", "x"])));
}
