//! What holds for every token, every claim and every path, not only for those in the tables. Failing inputs are printed with
//! their seed and shrunk.

use jwt_gate::verdict::is_field_value;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{json, Map, Value};

use crate::mint::{encode, sign_compact, Key, Token, AUDIENCE, ISSUER, NOW};
use crate::world::{local, Request, Verdict, World};

/// So many cases, the same in every run; `PROPTEST_RNG_SEED` begins elsewhere.
pub fn cases(cases: u32) -> ProptestConfig {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(20_270_115),
        chosen => chosen,
    };
    ProptestConfig { rng_seed, ..config }
}

fn gate(more: Value) -> World {
    World::new(&json!({"providers": {"main": local(&[&Key::ed25519(1)], more)}}), 1)
}

/// JSON as a token may hold it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(
            prop::sample::select(vec!['\r', '\n', '\0', '\t', ' ', 'a', '\u{7f}', '\u{85}', 'é']),
            0..6
        )
        .prop_map(|chars| Value::from(chars.into_iter().collect::<String>())),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Values near those that matter for a date.
fn date_like() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (NOW - 200..NOW + 200).prop_map(Value::from),
        2 => (NOW * 1000 - 200_000..NOW * 1000 + 200_000).prop_map(|millis| Value::from(millis as f64 / 1000.0)),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any_json(),
    ]
}

fn audience_like() -> impl Strategy<Value = Value> {
    let one = prop_oneof![Just(Value::from(AUDIENCE)), Just(Value::from("other")), any_json()];
    prop_oneof![
        one.clone(),
        prop::collection::vec(
            prop_oneof![3 => Just(Value::from(AUDIENCE)), 2 => Just(Value::from("x")), 1 => any_json()],
            0..3
        )
        .prop_map(Value::from),
    ]
}

/// A date as RFC 7519 has it, in milliseconds; `None` for what is none. Written without a look at the gate's own.
fn oracle_date(value: &Value) -> Option<u128> {
    let seconds = value.as_f64()?;
    if !(0.0..=9_007_199_254_740_992.0).contains(&seconds) || value.as_u64().is_some_and(|whole| whole > 1 << 53) {
        return None;
    }
    match value.as_u64() {
        Some(whole) => Some(u128::from(whole) * 1000),
        None => Some((seconds * 1000.0) as u128),
    }
}

/// Whether a token with these claims must pass: 60 s of skew, one issuer, one audience, an end.
fn oracle(claims: &Map<String, Value>) -> bool {
    let now = u128::from(NOW) * 1000;
    let skew = 60_000;
    let dates: Option<Vec<Option<u128>>> = ["exp", "nbf", "iat"]
        .iter()
        .map(|name| claims.get(*name).map_or(Some(None), |value| oracle_date(value).map(Some)))
        .collect();
    let Some(dates) = dates else { return false };
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => one == AUDIENCE,
        Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().any(|one| one == AUDIENCE),
        _ => false,
    };
    claims.get("iss") == Some(&Value::from(ISSUER))
        && audience
        && claims.get("sub").is_none_or(Value::is_string)
        && claims.get("jti").is_none_or(Value::is_string)
        && dates[0].is_some_and(|exp| now < exp + skew)
        && dates[1].is_none_or(|nbf| nbf <= now + skew)
        && dates[2].is_none_or(|iat| iat <= now + skew)
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn bytes_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let value = [b"Bearer ".as_slice(), &bytes].concat();
        let verdict = gate(json!({})).ask(0, &Request::get("/").header("authorization", value));
        prop_assert_ne!(verdict.status(), 200);
    }

    #[test]
    fn what_has_the_shape_of_a_token_is_none(
        header in prop_oneof![any_json().prop_map(|json| json.to_string()), Just(r#"{"alg":"EdDSA"}"#.to_owned())],
        payload in any_json(),
        signature in prop::collection::vec(any::<u8>(), 0..70),
    ) {
        let token = format!("{}.{}.{}", encode(header.as_bytes()), encode(payload.to_string().as_bytes()), encode(&signature));
        let verdict = gate(json!({})).ask(0, &Request::get("/").bearer(&token));
        prop_assert_eq!(verdict.status(), 401);
    }

    #[test]
    fn a_good_token_that_was_changed_is_none(
        at in any::<prop::sample::Index>(),
        length in 0usize..4,
        with in "[A-Za-z0-9._=+/-]{0,4}",
    ) {
        let token = Token::new(&Key::ed25519(1)).mint();
        let at = at.index(token.len());
        let end = (at + length).min(token.len());
        let changed = format!("{}{with}{}", &token[..at], &token[end..]);
        let verdict = gate(json!({})).ask(0, &Request::get("/").bearer(&changed));
        prop_assert_eq!(verdict.status() == 200, changed == token, "{}", changed);
    }

    #[test]
    fn headers_of_any_shape_never_pass_a_closed_route(
        fields in prop::collection::vec(("[a-zA-Z:_-]{1,16}", prop::collection::vec(any::<u8>(), 0..40)), 0..8),
    ) {
        let request = fields.iter().fold(Request::get("/"), |request, (name, value)| request.header(name, value));
        let verdict = gate(json!({"from_params": ["t"], "from_cookies": ["c"], "from_headers": [{"name": "a"}]})).ask(0, &request);
        prop_assert_ne!(verdict.status(), 200);
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn claims_pass_exactly_when_they_say_what_they_must(
        exp in prop::option::weighted(0.95, date_like()),
        nbf in prop::option::weighted(0.5, date_like()),
        iat in prop::option::weighted(0.5, date_like()),
        aud in prop::option::weighted(0.95, audience_like()),
        iss in prop::option::weighted(0.95, prop_oneof![9 => Just(Value::from(ISSUER)), 1 => any_json()]),
        sub in prop::option::weighted(0.3, prop_oneof![3 => Just(Value::from("alice")), 1 => any_json()]),
        jti in prop::option::weighted(0.1, any_json()),
        sound in any::<bool>(),
    ) {
        let mut claims = Map::new();
        for (name, value) in [("exp", exp), ("nbf", nbf), ("iat", iat), ("aud", aud), ("iss", iss), ("sub", sub), ("jti", jti)] {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        }
        if sound {
            // Half of the cases differ from a good token in their dates alone, so that both answers are frequent.
            claims.insert("iss".into(), ISSUER.into());
            claims.insert("aud".into(), AUDIENCE.into());
            claims.retain(|name, value| !matches!(name.as_str(), "sub" | "jti") || value.is_string());
        }
        let payload = Value::Object(claims.clone()).to_string();
        let token = sign_compact(&Key::ed25519(1), "EdDSA", br#"{"alg":"EdDSA"}"#, payload.as_bytes());
        // The oracle sees what was written, after the same trip through text.
        let written: Map<String, Value> = serde_json::from_str(&payload).unwrap();
        let verdict = gate(json!({})).ask(0, &Request::get("/").bearer(&token));
        prop_assert_eq!(verdict.status() == 200, oracle(&written), "{} is {}", payload, verdict.code());
    }

    #[test]
    fn a_header_made_from_a_claim_holds_no_control_character(claim in any_json(), nested in any_json()) {
        let mut world = gate(json!({
            "forward_payload_header": "x-payload",
            "claim_to_headers": [
                {"header_name": "x-claim", "claim_name": "c"},
                {"header_name": "x-nested", "claim_name": "o.p"},
            ],
        }));
        let token = Token::new(&Key::ed25519(1)).claim("c", claim).claim("o", json!({ "p": nested }));
        match world.ask(0, &Request::get("/").bearer(&token.mint())) {
            Verdict::Allowed(edits) => {
                for (name, value) in edits.set {
                    prop_assert!(is_field_value(&value), "{}: {:?}", name, value);
                    prop_assert!(!value.iter().any(|b| b.is_ascii_control() && *b != b'\t'), "{}: {:?}", name, value);
                }
            }
            verdict => prop_assert_eq!(verdict.code(), "claim_not_forwardable"),
        }
    }
}

/// One way to write a byte of a path.
fn spelt(byte: u8, how: u8) -> String {
    match how % 6 {
        0 => format!("%{byte:02x}"),
        1 => format!("%{byte:02X}"),
        2 => format!("%25{byte:02x}"),
        3 => char::from(byte).to_ascii_uppercase().to_string(),
        _ => char::from(byte).to_string(),
    }
}

/// Whether a reader of paths, one of many kinds, sees something under `/closed`: it decodes so often, drops parameters or not,
/// takes backslashes for slashes or not, drops empty segments or not, resolves dots or not, ignores case or not, ends the path at a
/// delimiter that was encoded or not, parses a URL or not.
fn some_reader_sees_closed(path: &str) -> bool {
    (0..384).any(|reader: u32| {
        let (decodings, flags) = (reader / 128, reader % 128);
        let flag = |bit: u32| flags & (1 << bit) != 0;
        let mut text = path.as_bytes().to_vec();
        for _ in 0..decodings {
            text = percent_encoding::percent_decode(&text).collect();
        }
        let mut text = String::from_utf8_lossy(&text).into_owned();
        if flag(0) {
            text = text.replace('\\', "/");
        }
        if flag(1) {
            text = text.to_ascii_lowercase();
        }
        if flag(5) {
            text = text.split(['?', '#', '\0']).next().unwrap_or_default().to_owned();
        }
        if flag(6) && text.starts_with("//") {
            text = text.trim_start_matches('/').split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
        }
        let mut segments: Vec<&str> = Vec::new();
        for segment in text.trim_start_matches('/').split('/') {
            let segment = if flag(2) { segment.split(';').next().unwrap_or_default() } else { segment };
            match segment {
                "" if flag(3) => {}
                "." if flag(4) => {}
                ".." if flag(4) => {
                    segments.pop();
                }
                segment => segments.push(segment),
            }
        }
        segments.first() == Some(&"closed")
    })
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn no_spelling_of_a_closed_path_is_public(
        parts in prop::collection::vec(
            prop::sample::select(vec!["closed", "open", "x", "..", ".", "", ";", "..;", ";a=b", "/", "\\", "%2f", "%5C", "%2e%2e", "%", "%3f", "%00"]),
            1..7,
        ),
        separators in prop::collection::vec(prop::sample::select(vec!["/", "/", "//", "\\", "%2f", "/./"]), 7),
        how in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut path = String::from("/");
        for (part, separator) in parts.iter().zip(&separators) {
            path.push_str(part);
            path.push_str(separator);
        }
        let respelt: String = path
            .bytes()
            .enumerate()
            .map(|(index, byte)| if index == 0 { "/".into() } else { spelt(byte, how.get(index).copied().unwrap_or(5)) })
            .collect();
        let provider = local(&[&Key::ed25519(1)], json!({}));
        let mut world = World::new(
            &json!({
                "providers": {"main": provider},
                "rules": [
                    {"match": {"prefix": "/closed"}, "requires": {"provider_name": "main"}},
                    {"match": {"prefix": "/"}, "public": true},
                ],
            }),
            1,
        );
        let code = world.ask(0, &Request::get(&respelt)).code();
        prop_assert!(code != "allowed" || !some_reader_sees_closed(&respelt), "{} is public", respelt);
    }
}
