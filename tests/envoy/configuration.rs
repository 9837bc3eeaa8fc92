//! How a configuration reaches the gate, is refused, and is replaced under load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{json, Value};

use crate::envoy::module;
use crate::mint::{Key, AUDIENCE, ISSUER};
use crate::proxy::{eventually, eventually_on_every_worker, Form, Options, Proxy};
use crate::wire::{get, Connection};
use crate::{closed, issuer, provider, start, token, JWKS};

#[test]
fn json_text_in_a_string_value_is_taken_like_a_struct() {
    let key = Key::rsa().named("k1");
    let proxy =
        Proxy::try_start(&closed(), &issuer(&[&key]), Options { form: Form::StringValue, ..Options::default() })
            .expect("Envoy starts");
    assert_eq!(proxy.send(&get("/").bearing(&token(&key).mint())).status(), 200);
    assert_eq!(proxy.send(&get("/")).status(), 401);
}

#[test]
fn the_module_exports_no_callback_that_does_nothing() {
    let module = std::fs::read(module()).expect("the module is there");
    // The module is stripped: a name in it is that of an import or an export.
    let names = |name: &str| module.windows(name.len()).any(|window| window == name.as_bytes());
    for needed in ["proxy_on_context_create", "proxy_on_request_headers", "proxy_on_delete"] {
        assert!(names(needed), "{needed}");
    }
    for idle in ["proxy_on_done", "proxy_on_log", "proxy_on_request_body", "proxy_on_response_"] {
        assert!(!names(idle), "{idle}");
    }
}

#[test]
fn lower_camel_case_is_taken_like_snake_case() {
    let key = Key::rsa().named("k1");
    let gate = json!({
        "providers": {"main": {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "remoteJwks": {
                "httpUri": {"uri": format!("http://issuer.example{JWKS}"), "cluster": "issuer", "timeout": "2s"},
                "cacheDuration": {"seconds": 300},
            },
            "claimToHeaders": [{"headerName": "x-user-id", "claimName": "sub"}],
        }},
        "rules": [{"match": {"pathSeparatedPrefix": "/open"}, "requires": {"allowMissingOrFailed": {}}}],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    assert_eq!(proxy.send(&get("/open")).status(), 200);
    assert_eq!(proxy.send(&get("/")).status(), 401);
    assert_eq!(proxy.send(&get("/").bearing(&token(&key).mint())).status(), 200);
}

#[test]
fn a_refused_configuration_is_named_in_the_log_and_nothing_is_served() {
    let mut main = provider();
    main["isuer"] = json!("x");
    for (gate, problem) in [
        (json!({"providers": {"main": main}}), "providers.main.isuer: unknown field; did you mean \"issuer\"?"),
        (json!({}), "providers: is required"),
        (
            json!({"providers": {"main": provider()}, "rules": [{"match": {"prefix": "/"}}]}),
            "rules[0]: needs \"requires\", or \"public: true\" to let everyone in",
        ),
    ] {
        for form in [Form::Struct, Form::StringValue] {
            let Err(log) = Proxy::try_start(&gate, &issuer(&[]), Options { form, ..Options::default() }) else {
                panic!("accepted: {gate}")
            };
            assert!(log.contains(&format!("configuration refused: {problem}")), "{problem}\n{log}");
        }
    }
}

#[test]
fn a_new_configuration_takes_effect_without_a_dropped_request_or_another_fetch() {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    let proxy = start(&closed(), &issuer);
    let good = token(&key).mint();
    let rule = |prefix: &str| json!({"match": {"prefix": prefix}, "public": true});
    let with_rules = |rules: &[Value]| json!({"providers": {"main": provider()}, "rules": rules});

    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // A connection ends when its listener's configuration is drained; what was sent is answered first.
                let request = get("/closed").bearing(&good).with("connection", "close").bytes();
                while !stop.load(Ordering::Relaxed) {
                    let mut connection = Connection::open(proxy.port);
                    connection.send(&request);
                    let response = connection.receive();
                    assert_eq!(response.status(), 200, "{}", response.text());
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Stops the load when an assertion below fails, too.
        let _stop = OnDrop(|| stop.store(true, Ordering::Relaxed));
        for round in 0..5 {
            let path = format!("/open{round}");
            assert_eq!(proxy.send(&get(&path)).status(), 401);
            proxy.reconfigure(&with_rules(&[rule(&path)]));
            eventually_on_every_worker("the new rule holds", || proxy.send(&get(&path)).status() == 200);
        }
        // A configuration that is refused leaves the one before in force.
        proxy.reconfigure(&json!({"providers": {}}));
        eventually("the refusal is logged", || proxy.log().contains("configuration refused: providers"));
        assert_eq!(proxy.send(&get("/open4")).status(), 200);
        assert_eq!(proxy.send(&get("/closed")).status(), 401);
    });
    assert!(sent.into_inner() > 50, "there was load");
    assert_eq!(issuer.requests(JWKS).len(), 1, "the source did not change");
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}
