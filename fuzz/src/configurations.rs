//! Configurations to begin with, and how an input changes them.

use jwt_gate::json::{self, Map, Value};

const GATE: &str = r#"{
  "providers": {
    "main": {
      "issuer": "https://issuer.example", "audiences": ["api"], "forward": true,
      "remote_jwks": {
        "http_uri": {"uri": "http://issuer.example/jwks", "cluster": "issuer", "timeout": "2s"},
        "request_headers": [{"name": "x-key", "value": "wombat"}]
      },
      "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}], "from_params": ["t"], "from_cookies": ["t"],
      "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
      "revocation": {"http_uri": {"uri": "http://issuer.example/revoked", "cluster": "issuer", "timeout": "2s"}}
    },
    "other": {
      "allow_any_audience": true, "algorithms": ["HS256"],
      "local_jwks": {"inline_string": "{\"keys\":[{\"kty\":\"oct\",\"k\":\"wombatwombatwombatwombatwombatwombatwombat0\"}]}"}
    }
  },
  "requirement_map": {"either": {"requires_any": {"requirements": [{"provider_name": "main"}, {"allow_missing": {}}]}}},
  "rules": [
    {"match": {"prefix": "/open"}, "public": true},
    {"match": {"path": "/x", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}, "requirement_name": "either"},
    {"match": {"safe_regex": {"regex": "/y/[0-9]+"}}, "requires": {"provider_name": "other"},
     "authorize": {"scopes": {"all_of": ["a"]}}}
  ]
}"#;

const JWT_AUTHN: &str = r#"{
  "semantics": "jwt_authn",
  "providers": {
    "main": {
      "issuer": "https://issuer.example",
      "local_jwks": {"inline_string": "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"wombatwombat\"}]}"}
    }
  },
  "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}]
}"#;

const ISTIO: &str = r#"{
  "jwtRules": [
    {"issuer": "https://issuer.example", "audiences": ["api"], "jwksUri": "http://issuer.example/jwks",
     "cluster": "issuer", "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}]}
  ]
}"#;

/// The configurations that a first line can name.
pub const BASES: [(&str, &str); 3] = [("gate", GATE), ("jwt_authn", JWT_AUTHN), ("istio", ISTIO)];

/// What an input stands for: itself; or, where its first line names a configuration, that one with a change in each line,
/// `rules.0.public=true` or, to take something out, `rules.0.public`.
pub fn configuration(input: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(input) else { return input.to_vec() };
    let lines = text.lines();
    let base = BASES.iter().find(|(name, _)| lines.clone().next() == Some(name));
    let Some((_, base)) = base else { return input.to_vec() };
    let mut document = json::parse(base.as_bytes()).expect("it is JSON");
    for line in lines.skip(1).take(16) {
        match line.split_once('=') {
            // What is no JSON is a string: inputs are short that way.
            Some((path, value)) => {
                let value = json::parse(value.as_bytes()).unwrap_or_else(|_| value.into());
                change(&mut document, path, Some(value));
            }
            None => change(&mut document, line, None),
        }
    }
    document.to_string().into_bytes()
}

fn change(document: &mut Value, path: &str, value: Option<Value>) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (document, rest) {
        (Value::Object(members), Some(rest)) => {
            if value.is_some() || members.contains_key(name) {
                change(members.entry(name).or_insert_with(|| Map::new().into()), rest, value);
            }
        }
        (Value::Object(members), None) => {
            match value {
                Some(value) => members.insert(name.to_owned(), value),
                None => members.shift_remove(name),
            };
        }
        (Value::Array(elements), rest) => {
            let Ok(at) = name.parse::<usize>() else { return };
            match (elements.get_mut(at), rest, value) {
                (Some(element), Some(rest), value) => change(element, rest, value),
                (Some(element), None, Some(value)) => *element = value,
                (Some(_), None, None) => drop(elements.remove(at)),
                (None, None, Some(value)) => elements.push(value),
                (None, ..) => {}
            }
        }
        _ => {}
    }
}
