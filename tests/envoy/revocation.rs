//! Tokens that a list revokes, and lists that do not come.

use std::thread;
use std::time::Duration;

use serde_json::{json, Value};

use crate::mint::Key;
use crate::proxy::{eventually, eventually_on_every_worker, Proxy};
use crate::servers::Behaviour;
use crate::wire::get;
use crate::{issuer, provider, start, start_with_four_workers, token};

const LIST: &str = "/revoked.json";

fn with_list(extra: &Value) -> Value {
    let mut main = provider();
    main["revocation"] = json!({
        "http_uri": {"uri": format!("http://issuer.example{LIST}"), "cluster": "issuer", "timeout": "1s"},
        "refresh_interval": "1s",
    });
    let object = main["revocation"].as_object_mut().expect("it is an object");
    object.extend(extra.as_object().expect("it is an object").clone());
    json!({"providers": {"main": main}})
}

fn start_with_list(gate: &Value, key: &Key, list: Behaviour) -> (Proxy, crate::servers::Issuer) {
    let issuer = issuer(&[key]);
    issuer.set(LIST, list);
    (start(gate, &issuer), issuer)
}

#[test]
fn a_revoked_token_is_refused_by_every_worker_a_second_after_one_fetched_the_list_and_the_others_pass() {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    issuer.set(LIST, Behaviour::json(&json!({"revoked": []})).with("etag", "\"0\""));
    let proxy = start_with_four_workers(&with_list(&json!({})), &issuer);
    let revoked = get("/").bearing(&token(&key).claim("jti", "t1").mint());
    let other = get("/").bearing(&token(&key).claim("jti", "t2").mint());
    assert_eq!((proxy.send(&revoked).status(), proxy.send(&other).status()), (200, 200));

    eventually("an unchanged list is confirmed", || proxy.count("jwt_gate_revocation_fetch_not_modified") > 0);
    issuer.set(LIST, Behaviour::json(&json!({"revoked": [{"jti": "t1"}]})).with("etag", "\"1\""));
    // Counted when the new list is there: a refresh that brought the old one is none of the next.
    let fetches = issuer.requests(LIST).len();
    eventually("the next refresh", || issuer.requests(LIST).len() > fetches);
    thread::sleep(Duration::from_secs(1));
    for _ in 0..40 {
        let refused = proxy.send(&revoked);
        assert_eq!(refused.status(), 401, "on every worker, a second after the first had the list");
        assert!(refused.text().contains("token_revoked"), "{}", refused.text());
    }
    assert_eq!(proxy.send(&other).status(), 200);

    // What is no list changes nothing, and is counted and logged.
    issuer.set(LIST, Behaviour::json(&json!({"revoked": [{"jti": 1}]})));
    eventually("a bad list is counted", || proxy.count("jwt_gate_revocation_fetch_failed") > 0);
    assert_eq!((proxy.send(&revoked).status(), proxy.send(&other).status()), (401, 200));
    assert!(proxy.log().contains("providers.main.revocation"), "{}", proxy.log());

    issuer.set(LIST, Behaviour::json(&json!({"revoked": [{"kid": "k1"}]})));
    eventually_on_every_worker("the key is revoked", || proxy.send(&other).status() == 401);
}

#[test]
fn each_refresh_of_a_list_is_one_conditional_fetch_for_four_workers() {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    issuer.set(LIST, Behaviour::json(&json!({"revoked": [{"jti": "t1"}]})).with("etag", "\"7\""));
    let headers = json!({"request_headers": [{"name": "x-api-key", "value": "hush-4712"}]});
    let proxy = start_with_four_workers(&with_list(&headers), &issuer);
    eventually("conditional fetches", || proxy.count("jwt_gate_revocation_fetch_not_modified") >= 8);
    assert_eq!(proxy.count("jwt_gate_revocation_fetch_ok"), 1);

    let requests = issuer.requests(LIST);
    for (request, etag) in requests.iter().zip([None].into_iter().chain(std::iter::repeat(Some("\"7\"")))) {
        assert_eq!(request.value("if-none-match"), etag);
        assert_eq!(request.value("user-agent"), Some(concat!("jwt-gate/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(request.value("accept"), Some("application/json"));
        assert_eq!(request.value("x-api-key"), Some("hush-4712"));
    }
    assert!(!proxy.log().contains("hush-4712"), "{}", proxy.log());
    // 80 % of a second at least lie between any two of them, whichever worker made them.
    let arrivals = issuer.arrivals(LIST);
    let gaps: Vec<f64> = arrivals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps.iter().all(|gap| *gap >= 0.75), "{gaps:?}");
}

#[test]
fn without_a_list_tokens_are_refused_unless_the_configuration_says_otherwise() {
    let key = Key::rsa().named("k1");
    let good = get("/").bearing(&token(&key).mint());
    let (proxy, _issuer) = start_with_list(&with_list(&json!({})), &key, Behaviour::status(500));
    eventually("the fetch fails", || proxy.count("jwt_gate_revocation_fetch_failed") > 0);
    let refused = proxy.send(&good);
    assert_eq!(refused.status(), 503);
    assert!(refused.text().contains("revocation_unavailable"), "{}", refused.text());

    let (proxy, issuer) =
        start_with_list(&with_list(&json!({"on_unavailable": "allow"})), &key, Behaviour::status(500));
    eventually("the fetch fails", || proxy.count("jwt_gate_revocation_fetch_failed") > 0);
    assert_eq!(proxy.send(&good).status(), 200);
    issuer.set(LIST, Behaviour::json(&json!({"revoked": [{"sub": "alice"}]})));
    eventually_on_every_worker("the list came after all", || proxy.send(&good).status() == 401);
}
