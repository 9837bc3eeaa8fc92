//! What operators look at: the access log, Prometheus, and the dashboard that asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

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

/// The page that Prometheus reads.
struct Page {
    /// What each metric is: a counter, a gauge or a histogram.
    kinds: BTreeMap<String, String>,
    /// Metrics with the values of their labels.
    series: Vec<(String, BTreeMap<String, String>)>,
}

impl Page {
    fn of(proxy: &Proxy) -> Self {
        let page = proxy.admin(&get("/stats/prometheus")).text().to_owned();
        let kinds = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let kinds = kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        let series = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| {
            let (name, rest) = line.split_once('{').expect("Envoy writes braces");
            let (labels, _) = rest.rsplit_once('}').expect("Envoy closes them");
            let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
                let (name, value) = label.split_once("=\"").expect("a label has a value");
                (name.to_owned(), value.trim_end_matches('"').to_owned())
            });
            (name.to_owned(), labels.collect())
        });
        Self { kinds, series: series.collect() }
    }

    fn is(&self, metric: &str, kind: &str) -> bool {
        self.kinds.get(metric).is_some_and(|known| known == kind)
    }

    fn has(&self, metric: &str) -> bool {
        self.series.iter().any(|(name, _)| name == metric)
    }

    /// The values that a label has in all series of a metric.
    fn values(&self, metric: &str, label: &str) -> BTreeSet<&str> {
        let of_metric = self.series.iter().filter(|(name, _)| name == metric);
        of_metric.filter_map(|(_, labels)| labels.get(label)).map(String::as_str).collect()
    }
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
    for request in [get("/").bearing(&good), get("/"), get("/open"), get("/trial"), get("/").bearing("e30.b.c")] {
        proxy.send(&request);
    }
    for request in [get("/asked").bearing(&good), get("/").bearing("opaque")] {
        assert_eq!(proxy.send(&request).status(), 200);
    }
    // Each worker tells what it counted by itself.
    eventually("the refusals", || Page::of(&proxy).values("jwt_gate_provider_denied", "code").len() == 2);
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
    eventually("the histograms", || Page::of(&proxy).has("jwt_gate_revocation_fetch_milliseconds_bucket"));
    let page = Page::of(&proxy);
    let values = |name: &str, label: &str| {
        assert!(page.has(name), "no {name}");
        page.values(name, label).into_iter().collect::<Vec<_>>()
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
        assert!(values(name, "code").contains(&"token_missing"), "{name}");
        assert_eq!(values(name, "provider"), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(values("jwt_gate_provider_denied", "code"), ["token_malformed", "token_missing"]);
    // Whatever has a name of its own, and no label, keeps it.
    for name in
        ["jwt_gate_allowed", "jwt_gate_allowed_unenforced", "jwt_gate_shadow_would_deny", "jwt_gate_jwks_fetch_ok"]
    {
        assert_eq!(values(name, "code"), Vec::<&str>::new(), "{name}");
        assert_eq!(values(name, "stat_prefix"), prefixes, "{name}");
    }
    let names = page.series.iter().map(|(name, _)| name);
    let stray: Vec<&String> = names.filter(|name| name.contains("auth_api") || name.contains("token_")).collect();
    assert_eq!(stray, Vec::<&String>::new());
}

/// The trees of queries, by tests/interop/promql.py.
fn trees(queries: &[String]) -> Vec<Value> {
    let python = project(".tools/interop/bin/python");
    assert!(python.exists(), "{} is missing: `make test` installs it", python.display());
    let program = project("tests/interop/promql.py");
    let output = Command::new(python).arg(program).arg(json!(queries).to_string()).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// The labels by which a call puts series together.
fn by(call: &Value) -> impl Iterator<Item = &str> {
    call["by"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The labels that a query keeps.
fn labels(tree: &Value) -> BTreeSet<&str> {
    by(tree).chain(tree["args"].as_array().into_iter().flatten().flat_map(labels)).collect()
}

/// Why a query within these calls shows nothing of the page, or nothing true.
fn problem(tree: &Value, around: &[&Value], page: &Page) -> Option<String> {
    if let Some(error) = tree["error"].as_str() {
        return Some(error.to_owned());
    }
    let Some(metric) = tree["metric"].as_str() else {
        let around = [around, &[tree]].concat();
        return tree["args"].as_array()?.iter().find_map(|arg| problem(arg, &around, page));
    };
    let is_matched = |labels: &BTreeMap<String, String>| {
        tree["matchers"].as_array().expect("a selector has matchers").iter().all(|matcher| {
            let [name, sign, value] = [0, 1, 2].map(|at| matcher[at].as_str().expect("a matcher is of texts"));
            // A label that is not there is empty.
            (labels.get(name).map_or("", String::as_str) == value) == (sign == "=")
        })
    };
    let series: Vec<_> = page.series.iter().filter(|(name, labels)| name == metric && is_matched(labels)).collect();
    if series.is_empty() {
        return Some(format!("no series of {metric} is like that"));
    }
    let of_histogram = |end: &str| metric.strip_suffix(end).is_some_and(|name| page.is(name, "histogram"));
    let only_grows = page.is(metric, "counter") || ["_bucket", "_count", "_sum"].into_iter().any(of_histogram);
    let is_rate = around.last().is_some_and(|call| call["call"] == "rate" || call["call"] == "increase");
    if only_grows != is_rate {
        return Some(format!("{metric} {}", if is_rate { "does not only grow" } else { "only grows" }));
    }
    let kept: BTreeSet<&str> = around.iter().flat_map(|call| by(call)).collect();
    let is_quantile = around.iter().any(|call| call["call"] == "histogram_quantile");
    if is_quantile && !(of_histogram("_bucket") && kept.contains("le")) {
        return Some(format!("{metric} is not by the bounds of buckets"));
    }
    let absent = kept.iter().find(|label| series.iter().any(|(_, labels)| !labels.contains_key(**label)));
    absent.map(|label| format!("{metric} has no {label}"))
}

#[test]
fn every_query_of_the_dashboard_is_answered_by_the_page_that_prometheus_reads() {
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
        eventually(&bucket, || Page::of(&proxy).has(&bucket));
    }
    let page = Page::of(&proxy);
    let (mut queries, mut shown) = (Vec::new(), Vec::new());
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().expect("a panel has a title");
        assert_eq!(panel["datasource"], json!({"type": "prometheus", "uid": "${datasource}"}), "{title}");
        assert!(panel["gridPos"]["w"].as_u64().is_some_and(|width| (1..=24).contains(&width)), "{title}");
        let targets = panel["targets"].as_array().expect("a panel asks something");
        for target in targets {
            // Grafana puts a duration in the place of these.
            let query = target["expr"].as_str().expect("a target has a query");
            let query = ["$__rate_interval", "$__interval", "$__range"]
                .iter()
                .fold(query.to_owned(), |query, name| query.replace(name, "1m"));
            queries.push(query);
            shown.push((title, target["legendFormat"].as_str().expect("a target has a legend")));
        }
    }
    assert!(queries.len() > 20, "{queries:?}");
    for ((query, tree), (title, legend)) in queries.iter().zip(trees(&queries)).zip(shown) {
        assert_eq!(problem(&tree, &[], &page), None, "{title}: {query}");
        assert!(tree.to_string().contains("\"metric\""), "{title} asks for nothing: {query}");
        // A legend shows what the query keeps.
        for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            assert!(labels(&tree).contains(label), "{title}: {legend}");
        }
    }

    // What would not be answered, or not with what the panel says.
    let wrong = [
        ("sum(rate(jwt_gate_denied[1m])))", "unexpected right parenthesis"),
        ("sum(rate(jwt_gate_denied))", "expected type matrix"),
        ("sum(jwt_gate_denied[1m])", "expected type vector"),
        ("summ(rate(jwt_gate_denied[1m]))", "unknown function"),
        ("sum(jwt_gate_denied)", "jwt_gate_denied only grows"),
        ("rate(jwt_gate_jwks_keys[1m])", "jwt_gate_jwks_keys does not only grow"),
        ("sum(rate(jwt_gate_refused[1m]))", "no series of jwt_gate_refused"),
        ("sum(rate(jwt_gate_denied{code=\"token_absent\"}[1m]))", "no series of jwt_gate_denied"),
        ("sum(rate(jwt_gate_allowed{code!=\"\"}[1m]))", "no series of jwt_gate_allowed"),
        ("sum by (provider) (rate(jwt_gate_denied[1m]))", "jwt_gate_denied has no provider"),
        (
            "histogram_quantile(0.5, sum(rate(jwt_gate_jwks_fetch_milliseconds_bucket[1m])))",
            "jwt_gate_jwks_fetch_milliseconds_bucket is not by the bounds",
        ),
        ("jwt_gate_jwks_keys + on (provider) jwt_gate_revocation_entries", "the tests know no BinaryExpr"),
    ];
    let queries: Vec<String> = wrong.iter().map(|(query, _)| (*query).to_owned()).collect();
    for (tree, (query, expected)) in trees(&queries).iter().zip(wrong) {
        let found = problem(tree, &[], &page).unwrap_or_else(|| panic!("answered: {query}"));
        assert!(found.contains(expected), "{query}: {found}");
    }
}
