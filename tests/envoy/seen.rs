//! What operators look at: the access log.

use serde_json::json;

use crate::envoy::project;
use crate::mint::{key_set, Key, AUDIENCE, ISSUER};
use crate::proxy::{eventually, filter, Form, Proxy};
use crate::token;
use crate::wire::get;

/// One line of text for each request, as the README has it.
const LINE: &str = "\"%REQ(:METHOD)% %PATH(NQ)%\" %RESPONSE_CODE% %FILTER_STATE(wasm.jwt_gate.outcome:PLAIN)% \
    %FILTER_STATE(wasm.jwt_gate.code:PLAIN)% %FILTER_STATE(wasm.jwt_gate.provider:PLAIN)% \
    %FILTER_STATE(wasm.jwt_gate.sub:PLAIN)% %FILTER_STATE(wasm.jwt_gate.kid:PLAIN)%\n";

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
        let proxy = Proxy::with_filters(vec![filter(&gate, Form::Struct)], |manager, folder| {
            manager["access_log"] = json!([{
                "name": "file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": folder.join("access.log"),
                    "log_format": {"text_format_source": {"inline_string": LINE}},
                },
            }]);
        });
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
