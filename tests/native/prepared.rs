//! What the configuration could have prepared costs no request: not one byte more is allocated for longer names or more rules.

use std::hint::black_box;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};
use jwt_gate::cache::TokenCache;
use jwt_gate::config::Config;
use jwt_gate::crypto::{Alg, CryptoProvider, Portable, RsaKey};
use jwt_gate::gate::{Effect, Event, Gate, Semantics};
use jwt_gate::jwt_verify;
use jwt_gate::keys::{KeySet, Origin};
use jwt_gate::policy::Verifier;
use jwt_gate::remote::Answer;
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use jwt_gate::verdict::Denial;
use serde_json::{json, Value};
use sha2::Sha256;

use crate::mint::{key_set, Key, Token, AUDIENCE, ISSUER, NOW};
use crate::world::{local, merged};

/// What one request and its answer allocate, in number and in bytes, and how it ends, once others like it have come.
fn allocated(config: &Value, fields: &[(&str, &str)]) -> ((u64, u64), bool) {
    let config = Config::parse(config.to_string().as_bytes()).expect("it is a configuration");
    let verifier = Verifier::new(vec![Box::new(Portable)], TokenCache::new(config.token_cache, (1, 2)));
    let documents = config.documents(1);
    let mut gate = Gate::new(config.semantics, documents, verifier, true);
    config.shadow.into_iter().for_each(|shadow| gate.cast_shadow(shadow));
    let now = UnixTime::from_secs(NOW);
    gate.handle(Event::Start, now);
    gate.handle(Event::Tick, now);
    let head = || {
        let field = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        RequestHead::new(fields.iter().map(field).collect())
    };
    for _ in 0..3 {
        for effect in gate.handle(Event::Request(1, head()), now) {
            match effect {
                Effect::Ask(_, number, _) => {
                    let answer =
                        Answer { status: Some(200), body: br#"{"result": true}"#.to_vec(), ..Answer::default() };
                    gate.handle(Event::Answered(number, Some(answer)), now);
                }
                Effect::Deny(_, denial, grpc) => say(&denial, grpc),
                _ => {}
            }
        }
    }
    let (head, mut effects) = (head(), Vec::new());
    let counted = allocation_counter::measure(|| {
        effects = gate.handle(Event::Request(1, head), now);
        for effect in &effects {
            if let Effect::Deny(_, denial, grpc) = effect {
                say(denial, *grpc);
            }
        }
    });
    let passes = effects.iter().find_map(|effect| match effect {
        Effect::Allow(..) => Some(true),
        Effect::Deny(..) | Effect::Reply(..) => Some(false),
        _ => None,
    });
    let passes = passes.unwrap_or_else(|| panic!("{effects:?}"));
    ((counted.count_total, counted.bytes_total), passes)
}

/// Makes what the host sends.
fn say(denial: &Denial, grpc: bool) {
    black_box((denial.local_response(grpc), denial.details()));
}

fn key() -> Key {
    Key::rsa().named("k1")
}

/// Every name in it ends so.
fn config(end: &str, more: Value) -> Value {
    let provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": key_set([key().jwk()])},
        "forward_payload_header": format!("x-payload-{end}"),
        "claim_to_headers": [
            {"header_name": format!("x-user-{end}"), "claim_name": "sub"},
            {"header_name": format!("x-text-{end}"), "value": "{claims.sub}"},
            {"header_name": format!("x-constant-{end}"), "value": end},
        ],
        "payload_in_metadata": format!("payload-{end}"),
        "failed_status_in_metadata": format!("failure-{end}"),
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}, {"name": format!("x-token-{end}")}],
    });
    merged(
        json!({
            "providers": {format!("main-{end}"): provider},
            "access_log": ["outcome", "code", "provider", "sub", "kid"],
        }),
        more,
    )
}

fn rule(match_: Value, provider: &str) -> Value {
    json!({"match": match_, "requires": {"provider_name": provider}})
}

#[test]
fn a_request_allocates_the_same_however_long_the_names_of_the_configuration_are() {
    let long = "n".repeat(500);
    let token = Token::new(&key()).mint();
    let forged = Token::new(&Key::ed25519(7).named("k1")).mint();
    for (name, value, passes) in [
        ("authorization", format!("Bearer {token}"), true),
        ("authorization", format!("Bearer {forged}"), false),
        ("x-other", "1".to_owned(), false),
    ] {
        let fields = [(":method", "GET"), (":path", "/orders?page=2"), (":authority", "gateway"), (name, &*value)];
        // Both are longer than what is kept in place of a pointer.
        let short = allocated(&config(&"n".repeat(50), json!({})), &fields);
        assert_eq!(allocated(&config(&long, json!({})), &fields), short, "{name}");
        assert_eq!(short.1, passes);
    }
}

#[test]
fn a_request_allocates_the_same_however_many_rules_there_are() {
    let token = Token::new(&key()).mint();
    let bearer = format!("Bearer {token}");
    let end = "n".repeat(50);
    let provider = format!("main-{end}");
    let last = rule(json!({"prefix": "/orders"}), &provider);
    let with = |rules: Vec<Value>| config(&end, json!({"rules": Value::from([rules, vec![last.clone()]].concat())}));
    let path_match = |n: usize| json!({"name": ":path", "string_match": {"exact": format!("/x{n}")}});
    let query_match = |n: usize| json!({"name": format!("page{n}"), "string_match": {"exact": "3"}});
    let template = |n: usize| {
        json!({
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "path_template": format!("/service{n}/{{id}}"),
        })
    };
    type Form<'f> = &'f dyn Fn(usize) -> Value;
    let forms: [Form<'_>; 4] = [
        &|n| json!({"prefix": format!("/service{n}/api")}),
        &|n| json!({"safe_regex": {"regex": format!("/service{n}/[0-9]+")}}),
        &|n| json!({"path_match_policy": {"name": "template", "typed_config": template(n)}}),
        &|n| json!({"path": format!("/x{n}"), "headers": [path_match(n)], "query_parameters": [query_match(n)]}),
    ];
    let fields =
        [(":method", "GET"), (":path", "/orders?page=2"), (":authority", "gateway"), ("authorization", &*bearer)];
    for (form, place) in forms.into_iter().zip(0..) {
        let rules = |count: usize| (0..count).map(|n| rule(form(n), &provider)).collect();
        // Up to eight are looked at one by one, and more are found without a list of those that can match.
        let (few, ten) = (allocated(&with(rules(1)), &fields), allocated(&with(rules(10)), &fields));
        assert_eq!(allocated(&with(rules(100)), &fields), ten, "form {place}");
        assert_eq!(few, ten, "form {place}");
        assert!(few.1 && ten.1);
    }
}

#[test]
fn a_request_allocates_the_same_however_many_rules_the_path_does_not_tell_apart() {
    let token = Token::new(&key()).mint();
    let bearer = format!("Bearer {token}");
    let end = "n".repeat(50);
    let host = |n: usize| json!({"headers": [{"name": ":authority", "string_match": {"exact": format!("tenant-{n:04}.example")}}]});
    let path =
        |n: usize| json!({"headers": [{"name": ":path", "string_match": {"prefix": format!("/tenant-{n:04}/")}}]});
    let query =
        |n: usize| json!({"query_parameters": [{"name": "tenant", "string_match": {"exact": format!("{n:04}")}}]});
    type Form<'f> = (&'f dyn Fn(usize) -> Value, &'f dyn Fn(&str) -> String);
    let plain = |last: &str| format!("page=1&tenant={last}");
    let encoded = |last: &str| format!("p%61ge=1+2;x%20y&t%65nant=%30{}&%74enant=%30{}", &last[1..], &last[1..]);
    let forms: [Form<'_>; 4] = [(&host, &plain), (&path, &plain), (&query, &plain), (&query, &encoded)];
    for ((form, query), place) in forms.into_iter().zip(0..) {
        let with = |count: usize| {
            let asks = |n: usize| rule(merged(json!({"prefix": "/"}), form(n)), &format!("main-{end}"));
            let rules: Vec<Value> = (0..count).map(asks).collect();
            let (host, last) = (format!("tenant-{:04}.example", count - 1), format!("{:04}", count - 1));
            // Several readings, each of which falls under the same rules.
            let path = format!("/tenant-{last}/a%2fb%2fc?{}", query(&last));
            let fields = [(":method", "GET"), (":path", &*path), (":authority", &*host), ("authorization", &*bearer)];
            allocated(&config(&end, json!({"rules": rules})), &fields)
        };
        let few = with(10);
        assert!(few.1, "form {place}");
        assert_eq!(with(1000), few, "form {place}");
    }
}

#[test]
fn a_path_that_ends_with_a_slash_allocates_the_same_under_an_expression_however_long_it_is() {
    let bearer = Token::new(&key()).bearer();
    let end = "n".repeat(50);
    let rules = [rule(json!({"safe_regex": {"regex": "/orders/.*"}}), &format!("main-{end}"))];
    let with = |length: usize| {
        let path = format!("/orders/{}/", "x".repeat(length));
        let fields = [(":method", "GET"), (":path", &*path), (":authority", "gateway"), ("authorization", &*bearer)];
        allocated(&config(&end, json!({"rules": rules})), &fields)
    };
    let short = with(50);
    assert_eq!(with(500), short);
    assert!(short.1);
}

#[test]
fn a_request_allocates_the_same_however_much_a_service_is_told_with_every_question() {
    let token = Token::new(&key()).mint();
    let bearer = format!("Bearer {token}");
    let end = "n".repeat(50);
    let asks = |protocol: Value, constant: &str| {
        let service = json!({
            "http_uri": {"uri": format!("http://authz.example/{constant}"), "cluster": constant, "timeout": "1s"},
            "request_headers": [
                {"name": format!("x-{constant}"), "value": constant},
                {"name": format!("x-method-{constant}"), "value": "{method}"},
            ],
            "cache": {"ttl": "60s"},
        });
        let service = merged(service, protocol);
        let rule =
            merged(rule(json!({"prefix": "/"}), &format!("main-{end}")), json!({"authorize": {"service": service}}));
        config(&end, json!({"rules": [rule]}))
    };
    let fields = [(":method", "GET"), (":path", "/"), (":authority", "gateway"), ("authorization", &*bearer)];
    let http = |_: &str| json!({"protocol": "http"});
    let opa = |constant: &str| json!({"protocol": "opa", "input": {"policy": constant, "path": "{path}"}});
    for protocol in [http, opa] {
        let of = |constant: &str| allocated(&asks(protocol(constant), constant), &fields);
        let short = of(&"c".repeat(50));
        assert_eq!(of(&"c".repeat(500)), short);
        assert!(short.1, "by the answer that is kept");
    }
}

#[test]
fn a_refusal_allocates_the_same_however_much_the_configuration_has_it_say() {
    let token = Token::new(&key()).mint();
    let bearer = format!("Bearer {token}");
    let end = "n".repeat(50);
    let response = |constant: &str| {
        json!({
            "body": format!("{{code}} {{status}} {{detail}} {constant}"),
            "content_type": format!("text/{constant}"),
            "headers": [
                {"name": format!("x-{constant}"), "value": format!("{{code}} {constant}")},
                {"name": format!("x-plain-{constant}"), "value": constant},
            ],
        })
    };
    let resource = |constant: &str| json!({"resource": format!("https://gateway.example/{constant}")});
    type Words<'f> = &'f dyn Fn(&str) -> Value;
    let forms: [Words<'_>; 4] = [
        &|constant| json!({"responses": [response(constant)]}),
        &|constant| json!({"responses": [response(constant)], "strip_failure_response": true}),
        &|constant| json!({"protected_resource": resource(constant)}),
        &|constant| json!({"protected_resource": resource(constant), "responses": [{"status": 403}]}),
    ];
    let scopes = |constant: &str| json!({"authorize": {"scopes": {"all_of": [constant]}}});
    let none: [(&str, &str); 3] = [(":method", "GET"), (":path", "/"), (":authority", "gateway")];
    let grpc = [&none[..], &[("content-type", "application/grpc")]].concat();
    let lacking = [&none[..], &[("authorization", &*bearer)]].concat();
    for (form, place) in forms.into_iter().zip(0..) {
        for fields in [&none[..], &grpc, &lacking] {
            let with = |constant: &str| {
                let rule = merged(rule(json!({"prefix": "/"}), &format!("main-{end}")), scopes(constant));
                allocated(&config(&end, merged(form(constant), json!({"rules": [rule]}))), fields)
            };
            let short = with(&"c".repeat(50));
            assert_eq!(with(&"c".repeat(500)), short, "form {place}, {fields:?}");
            assert!(!short.1);
        }
    }
}

#[test]
fn a_refusal_with_another_status_allocates_no_more_than_one_with_its_own() {
    let end = "n".repeat(50);
    let fields = [(":method", "GET"), (":path", "/"), (":authority", "gateway")];
    let own = allocated(&config(&end, json!({})), &fields);
    assert_eq!(allocated(&config(&end, json!({"statuses": {"token_missing": 418}})), &fields), own);
    assert!(!own.1);
}

/// The table of a point on P-256, by far the largest thing that is prepared for a key, takes more than this, in bytes.
const TABLE: u64 = 50_000;

#[test]
fn a_key_is_prepared_by_its_first_check_alone_also_where_its_set_changes() {
    // No other test has these points: a table is that of all keys of its point.
    let (one, two) = (Key::p256(250).named("one"), Key::p256(251).named("two"));
    let token = Token::new(&one).mint();
    let providers: [Box<dyn CryptoProvider>; 1] = [Box::new(Portable)];
    let check = |set: &jwt_verify::KeySet| {
        let token = jwt_verify::Token::parse(token.as_bytes()).expect("a token");
        allocation_counter::measure(|| assert!(jwt_verify::verify(token, set, &providers).is_ok())).bytes_total
    };
    let read = |keys: &[&Key]| {
        let document = key_set(keys.iter().map(|key| key.jwk()));
        jwt_verify::KeySet::parse(document.as_bytes(), Origin::Remote).expect("a key set")
    };
    // What all keys share is made by the first check of all.
    check(&read(&[&one]));
    let before = read(&[&one]);
    assert!(check(&before) > TABLE);
    assert!(check(&before) < TABLE / 5);
    // Of the same key in another set, as of another provider or after a rotation, too.
    let after = read(&[&two, &one]);
    assert!(check(&after) < TABLE / 5);
    drop((before, after));
    assert!(check(&read(&[&one])) > TABLE, "with the last of them it is gone");
}

#[test]
fn an_rsa_key_is_prepared_when_its_set_is_read_and_so_is_what_the_hosts_cryptography_is_handed() {
    let key = Key::rsa().named("one");
    let document = key_set([key.jwk()]);
    let set = KeySet::parse(document.as_bytes(), Origin::Remote).expect("a key set");
    let public = set.keys()[0].public();
    let (message, signature) = (b"message".as_slice(), key.sign("RS256", b"message"));
    let check = || assert_eq!(Portable.verify(public, Alg::Rs256, message, &signature), Some(true));
    assert_eq!(allocation_counter::measure(check).count_total, 0, "not by the first");
    let handed = allocation_counter::measure(|| assert!(public.spki().is_some()));
    assert_eq!(handed.count_total, 0);
}

#[test]
fn an_rsa_key_is_prepared_once_however_many_sets_have_it() {
    let (one, two) = (Key::rsa(), Key::other_rsa());
    let read = |keys: &[&Key]| {
        let document = key_set(keys.iter().map(|key| key.jwk()));
        KeySet::parse(document.as_bytes(), Origin::Remote).expect("a key set")
    };
    let jwk = |key: &Key| {
        let jwk = key.jwk();
        let number =
            |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("it is one")).expect("it is one");
        (number("n"), number("e"))
    };
    let _first = read(&[&one]);
    let _other = read(&[&two, &one]);
    for key in [&one, &two] {
        let (n, e) = jwk(key);
        // Whatever zeros it is written with.
        for zeros in 0..3 {
            let padded = |number: &[u8]| [&vec![0; zeros], number].concat();
            let (n, e) = (padded(&n), padded(&e));
            let again = allocation_counter::measure(|| assert!(RsaKey::new(&n, &e).is_ok()));
            assert_eq!(again.count_total, 0, "{zeros} zeros");
        }
    }
    // Another exponent is another key.
    let (n, _) = jwk(&one);
    let another = RsaKey::new(&n, &[3]).expect("a key");
    let signature = one.sign("RS256", b"message");
    assert!(!another.verify_pkcs1::<Sha256>(b"message", &signature));
    let (n, e) = jwk(&one);
    assert!(RsaKey::new(&n, &e).expect("a key").verify_pkcs1::<Sha256>(b"message", &signature));
}

#[test]
fn the_check_of_a_signature_allocates_nothing() {
    let keys = [
        Key::rsa(),
        Key::long_rsa(false),
        Key::p256(252),
        Key::p384(1),
        Key::p521(1),
        Key::ed25519(1),
        Key::hmac(&[7; 64]),
    ];
    for key in keys.map(|key| key.named("one")) {
        let document = key_set([key.jwk()]);
        let set = KeySet::parse(document.as_bytes(), Origin::Local).expect("a key set");
        let public = set.keys()[0].public();
        for alg in Alg::ALL.iter().copied().filter(|&alg| public.fits(alg)) {
            let (message, signature) = (b"message".as_slice(), key.sign(alg.name(), b"message"));
            let check = || assert_eq!(Portable.verify(public, alg, message, &signature), Some(true), "{alg:?}");
            check();
            assert_eq!(allocation_counter::measure(check).count_total, 0, "{alg:?}");
        }
    }
}

#[test]
fn a_key_that_was_withdrawn_takes_no_other_keys_room_while_its_tokens_are_remembered() {
    let config = json!({"providers": {"main": local(&[&key()], json!({}))}});
    let config = Config::parse(config.to_string().as_bytes()).expect("it is a configuration");
    let Semantics::Gate(policy) = &config.semantics else { panic!("it is the gate's own semantics") };
    let mut verifier = Verifier::new(vec![Box::new(Portable)], TokenCache::new(config.token_cache, (1, 2)));
    let rotations = 40;
    for number in 1..=rotations {
        // A point that no other test has.
        let key = Key::p256(100 + number).named("k1");
        let set = KeySet::parse(key_set([key.jwk()]).as_bytes(), Origin::Remote).expect("a key set");
        let generation = u64::from(number);
        let mut check = |jti: &str| {
            let token = Token::new(&key).claim("jti", jti).mint();
            let mut check =
                || verifier.verify(token.as_bytes(), (0, &policy.providers[0]), (&set, generation), |_| true);
            allocation_counter::measure(|| assert!(check().is_ok())).bytes_total
        };
        assert!(check("first") > TABLE, "{number}");
        assert!(check("second") < TABLE / 5, "{number}");
    }
}

/// What a token with so long a claim allocates when it comes again.
fn with_claim(config: &Value, length: usize) -> ((u64, u64), bool) {
    let bearer = format!("Bearer {}", Token::new(&key()).claim("filler", "x".repeat(length)).mint());
    let fields = [(":method", "GET"), (":path", "/"), (":authority", "gateway"), ("authorization", &*bearer)];
    allocated(config, &fields)
}

#[test]
fn a_token_that_comes_again_allocates_the_same_however_much_is_shown_of_it() {
    let shows = json!({"payload_in_metadata": "payload", "header_in_metadata": "header"});
    let config = json!({"providers": {"main": local(&[&key()], shows)}});
    let short = with_claim(&config, 50);
    assert_eq!(with_claim(&config, 1000), short);
    assert!(short.1);
}

#[test]
fn what_envoys_filter_shows_of_a_token_is_written_once_however_often_it_comes() {
    let of = |shows: &Value| {
        let mut provider = json!({"issuer": ISSUER, "local_jwks": {"inline_string": key_set([key().jwk()])}});
        provider = merged(provider, shows.clone());
        json!({"semantics": "jwt_authn", "providers": {"main": provider}, "rules": [rule(json!({"prefix": "/"}), "main")]})
    };
    let (plain, shows) =
        (of(&json!({})), of(&json!({"payload_in_metadata": "payload", "header_in_metadata": "header"})));
    // This filter copies a token that it looks at, so more than that is what counts.
    let more = |length: usize| {
        let (((plain, plain_bytes), passes), ((shown, shown_bytes), _)) =
            (with_claim(&plain, length), with_claim(&shows, length));
        assert!(passes);
        (shown - plain, shown_bytes - plain_bytes)
    };
    assert_eq!(more(1000), more(50));
}

#[test]
fn a_token_that_comes_again_under_one_of_few_or_many_rules_takes_two_allocations() {
    let provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": key_set([key().jwk()])},
    });
    let bearer = Token::new(&key()).bearer();
    let fields = [(":method", "GET"), (":path", "/orders/17"), (":authority", "gateway"), ("authorization", &*bearer)];
    for others in [7, 99] {
        let rules = (0..others).map(|number| rule(json!({"prefix": format!("/service-{number}")}), "main"));
        let rules: Vec<Value> = rules.chain([rule(json!({"prefix": "/"}), "main")]).collect();
        let ((count, _), passes) = allocated(&json!({"providers": {"main": provider}, "rules": rules}), &fields);
        assert!(passes);
        // Who that is, and what is to be done.
        assert_eq!(count, 2);
    }
}

#[test]
fn a_request_allocates_the_same_however_much_the_configuration_compares_it_with() {
    let bearer = Token::new(&key()).claim("scope", "openid read").claim("tenant", "acme").bearer();
    let fields = [(":method", "GET"), (":path", "/orders"), (":authority", "gateway"), ("authorization", &*bearer)];
    let with = |count: usize| {
        let others = |own: &str| -> Value {
            (0..count).map(|number| format!("https://{number}.example")).chain([own.to_owned()]).collect()
        };
        let mut provider = local(&[&key()], json!({"audiences": others(AUDIENCE), "issuers": others(ISSUER)}));
        provider.as_object_mut().expect("an object").remove("issuer");
        let asks = json!({
            "scopes": {"any_of": others("read")},
            "claims": [{"claim": "tenant", "any_of": others("acme")}],
        });
        let asks = merged(rule(json!({"prefix": "/"}), "main"), json!({ "authorize": asks }));
        allocated(&json!({"providers": {"main": provider}, "rules": [asks]}), &fields)
    };
    let few = with(2);
    assert!(few.1);
    assert_eq!(with(200), few);
}

#[test]
fn a_refusal_that_was_said_before_allocates_nothing_for_what_the_client_is_sent() {
    let metadata = json!({"failed_status_in_metadata": "failure"});
    let provider = |more: Value| local(&[&key()], more);
    let plain = json!({"providers": {"main": provider(json!({}))}});
    let shown = json!({"providers": {"main": provider(metadata.clone()), "other": provider(metadata)}});
    let scopes = json!({"rules": [merged(rule(json!({"prefix": "/"}), "main"), json!({"authorize": {"scopes": {"all_of": ["s"]}}}))]});
    let said = json!({
        "responses": [{"body": "{code}", "headers": [{"name": "x-code", "value": "{code}"}]}],
        "protected_resource": {"resource": "https://gateway.example"},
    });
    let envoys = json!({
        "semantics": "jwt_authn",
        "strip_failure_response": true,
        "rules": [rule(json!({"prefix": "/"}), "main")],
    });
    let (noting, envoys) = (merged(shown.clone(), envoys.clone()), merged(plain.clone(), envoys));
    for config in [plain.clone(), merged(plain.clone(), scopes), merged(plain.clone(), said), shown, envoys, noting] {
        for kind in ["text/plain", "application/grpc"] {
            let fields = [(":method", "GET"), (":path", "/"), (":authority", "gateway"), ("content-type", kind)];
            let ((count, _), passes) = allocated(&config, &fields);
            assert!(!passes);
            // What is to be done, and the refusal.
            assert_eq!(count, 2, "{config}");
        }
    }
    let dry = merged(plain, json!({"enforce": false}));
    let ((count, _), passes) = allocated(&dry, &[(":method", "GET"), (":path", "/"), (":authority", "gateway")]);
    assert!(passes);
    assert_eq!(count, 1);
}

#[test]
fn a_redirect_that_does_not_lead_back_allocates_the_same_however_long_the_path_is() {
    let redirect = json!({"responses": [{"redirect": {"location": "/login?{code}"}}]});
    let config = merged(json!({"providers": {"main": local(&[&key()], json!({}))}}), redirect);
    let with = |length: usize| {
        let path = format!("/orders?next={}", "x".repeat(length));
        allocated(&config, &[(":method", "GET"), (":path", &path), (":authority", "gateway"), ("accept", "text/html")])
    };
    let short = with(50);
    assert_eq!(with(1000), short);
    assert!(!short.1);
}

#[test]
fn a_header_of_constants_and_claims_is_written_in_one_piece_however_long_the_constants_are() {
    let bearer = Token::new(&key()).bearer();
    let with = |length: usize| {
        let value = format!("{{claims.sub}} {} {{claims.iss}}", "c".repeat(length));
        let headers = json!({"claim_to_headers": [{"header_name": "x-text", "value": value}]});
        let fields = [(":method", "GET"), (":path", "/"), (":authority", "gateway"), ("authorization", &*bearer)];
        let ((count, _), passes) = allocated(&json!({"providers": {"main": local(&[&key()], headers)}}), &fields);
        assert!(passes);
        count
    };
    assert_eq!(with(1000), with(1));
}

#[test]
fn a_header_for_the_service_is_made_once_and_takes_two_allocations_itself_and_the_list_of_them() {
    let bearer = Token::new(&key()).claim("level", 7).bearer();
    let with = |headers: Value| {
        let fields = [(":method", "GET"), (":path", "/"), (":authority", "gateway"), ("authorization", &*bearer)];
        let ((count, _), passes) = allocated(&json!({"providers": {"main": local(&[&key()], headers)}}), &fields);
        assert!(passes);
        count
    };
    let without = with(json!({}));
    for headers in [
        json!({"forward_payload_header": "x-payload"}),
        json!({"claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}]}),
        json!({"claim_to_headers": [{"header_name": "x-level", "claim_name": "level"}]}),
        json!({"claim_to_headers": [{"header_name": "x-text", "value": "{claims.sub} of {claims.iss}"}]}),
    ] {
        assert_eq!(with(headers.clone()) - without, 2, "{headers}");
    }
}

#[test]
fn a_tenant_whose_issuer_fits_a_pattern_allocates_no_more_than_one_that_is_named() {
    let bearer = Token::new(&key()).claim("iss", "https://acme.login.example").bearer();
    let with = |issuer: &str| {
        let issuers = json!([issuer]);
        let provider = local(&[&key()], json!({"issuer": null, "issuers": issuers}));
        let fields = [(":method", "GET"), (":path", "/"), (":authority", "gateway"), ("authorization", &*bearer)];
        allocated(&json!({"providers": {"main": provider}}), &fields)
    };
    let named = with("https://acme.login.example");
    assert_eq!(with("https://{tenant}.login.example"), named);
    assert!(named.1);
}

#[test]
fn a_decision_of_envoys_filter_allocates_the_same_however_long_the_names_of_the_configuration_are() {
    let token = Token::new(&key()).mint();
    let forged = Token::new(&Key::rsa().named("other")).mint();
    let with = |end: &str, fields: &[(&str, &str)]| {
        let mut config = config(end, json!({"semantics": "jwt_authn", "rules": [rule(json!({"prefix": "/"}), "")]}));
        config["rules"][0]["requires"]["provider_name"] = json!(format!("main-{end}"));
        let provider = &mut config["providers"][format!("main-{end}")];
        // What the gate's own semantics have beside it.
        provider["claim_to_headers"] = json!([{"header_name": format!("x-user-{end}"), "claim_name": "sub"}]);
        allocated(&config, fields)
    };
    for (name, value, passes) in [
        ("authorization", format!("Bearer {token}"), true),
        ("authorization", format!("Bearer {forged}"), false),
        ("x-other", "1".to_owned(), false),
    ] {
        let fields = [(":method", "GET"), (":path", "/orders?page=2"), (":authority", "gateway"), (name, &*value)];
        let short = with(&"n".repeat(50), &fields);
        assert_eq!(with(&"n".repeat(500), &fields), short, "{name}");
        assert_eq!(short.1, passes, "{name}");
    }
}

#[test]
fn a_shadow_allocates_the_same_however_long_its_names_are_and_however_many_rules_it_has() {
    let bearer = Token::new(&key()).bearer();
    let fields = [(":method", "GET"), (":path", "/orders"), (":authority", "gateway"), ("authorization", &*bearer)];
    let with = |end: &str, rules: usize| {
        let others = (0..rules).map(|n| rule(json!({"prefix": format!("/service{n}")}), &format!("main-{end}")));
        let mut shadow = config(end, json!({"rules": others.collect::<Vec<_>>()}));
        shadow.as_object_mut().expect("an object").remove("access_log");
        allocated(&config(&"n".repeat(50), json!({ "shadow": shadow })), &fields)
    };
    let short = with(&"n".repeat(50), 10);
    assert!(short.1);
    assert_eq!(with(&"n".repeat(500), 10), short);
    assert_eq!(with(&"n".repeat(50), 100), short);
}

#[test]
fn what_the_gate_itself_answers_is_ready() {
    let resource = json!({"protected_resource": {"resource": "https://gateway.example"}});
    for method in ["GET", "OPTIONS", "POST"] {
        let fields =
            [(":method", method), (":path", "/.well-known/oauth-protected-resource"), (":authority", "gateway")];
        let ((count, _), _) = allocated(&config(&"n".repeat(50), resource.clone()), &fields);
        // What is to be done.
        assert_eq!(count, 1, "{method}");
    }
}

#[test]
fn an_access_log_of_what_the_configuration_names_allocates_nothing() {
    let bearer = Token::new(&key()).bearer();
    let plain = json!({"providers": {"main": local(&[&key()], json!({}))}});
    let logged = merged(plain.clone(), json!({"access_log": ["outcome", "code", "provider"]}));
    for (name, value) in [("authorization", &*bearer), ("x-other", "1")] {
        let fields = [(":method", "GET"), (":path", "/orders"), (":authority", "gateway"), (name, value)];
        assert_eq!(allocated(&logged, &fields), allocated(&plain, &fields), "{name}");
    }
}
