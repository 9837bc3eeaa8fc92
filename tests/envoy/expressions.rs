//! `authorize.cel` in the module that has it, and in the one that has not.

use serde_json::{json, Value};

use crate::envoy::module_with_cel;
use crate::mint::{Key, AUDIENCE, ISSUER};
use crate::proxy::{filter_of, Form, Options, Proxy};
use crate::servers::Issuer;
use crate::token;
use crate::wire::get;

fn gate(key: &Key, rules: &[(&str, String)]) -> Value {
    let rule = |(path, cel): &(&str, String)| json!({"match": {"prefix": path}, "requires": {"provider_name": "main"}, "authorize": {"cel": cel}});
    let main = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json!({"keys": [key.jwk()]}).to_string()},
    });
    json!({"providers": {"main": main}, "rules": rules.iter().map(rule).collect::<Vec<_>>()})
}

#[test]
fn expressions_are_evaluated_in_the_module_that_has_them_however_deep_and_whatever_the_claims() {
    let key = Key::ed25519(1);
    let deepest = format!("{}claims.flag{}", "!(!(".repeat(7), "))".repeat(7));
    let gate = gate(
        &key,
        &[
            ("/mine", r#"claims.roles.exists(r, r == "admin") || request.path == "/mine/" + claims.sub"#.into()),
            ("/deep", deepest),
            ("/nested", "claims.deep == claims.deep && claims.deep.all(x, x == x)".into()),
            ("/long", "claims.many.all(x, claims.many.all(y, x + y > 0))".into()),
            ("/failing", "claims.number / 0 == 1 || -claims.least == 1 || claims.number[claims.sub] == 1".into()),
            ("/", "claims.roles.all(r, r in [\"admin\", \"user\"])".into()),
        ],
    );
    let proxy = Proxy::with_filters(vec![filter_of(&module_with_cel(), &gate, Form::Struct)], |_, _| {});
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let token = |roles: Value| {
        let token =
            token(&key).claim("sub", "ada").claim("roles", roles).claim("flag", true).claim("deep", deep.clone());
        let token = token.claim("many", vec![1; 1000]).claim("number", 7).claim("least", i64::MIN);
        format!("Bearer {}", token.mint())
    };
    for (path, roles, status) in [
        ("/mine/ada", json!([]), 200),
        ("/mine/bob", json!([]), 403),
        ("/mine/bob", json!(["admin"]), 200),
        ("/mine/ada/../bob", json!(["admin"]), 403),
        ("/deep", json!([]), 200),
        ("/nested", json!([]), 200),
        ("/long", json!([]), 403),
        ("/failing", json!([]), 403),
        ("/", json!(["user"]), 200),
        ("/", json!(["root"]), 403),
        ("/", json!(7), 403),
        ("/", Value::Null, 403),
    ] {
        let answer = proxy.send(&get(path).with("authorization", token(roles.clone())));
        assert_eq!(answer.status(), status, "{path}, {roles}: {}", answer.text());
    }
}

#[test]
fn an_expression_in_the_module_without_them_is_refused_by_its_path() {
    let gate = gate(&Key::ed25519(1), &[("/", "true".into())]);
    let log = Proxy::try_start(&gate, &Issuer::start(), Options::default()).err().expect("Envoy does not take it");
    let problem = "rules[0].authorize.cel: this module has no CEL: the other one that is built beside it, jwt_gate_cel.wasm, does";
    assert!(log.contains(problem), "{log}");
}
