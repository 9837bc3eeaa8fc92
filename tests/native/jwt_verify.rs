//! The test suite of Envoy's JWT library, recorded, against our model of it; and what no input may do to the model.
//!
//! The recordings are not part of the project: where their folder is absent, the test says so and passes.

use std::collections::BTreeMap;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use jwt_gate::crypto::{CryptoProvider, Portable};
use jwt_gate::jwt_verify::{base64 as lenient, json, verify, CheckAudience, KeySet, Status, Token, Unusable};
use jwt_gate::keys::Origin;
use proptest::prelude::*;
use serde_json::{json, Value};

use crate::forge::PrimeRsa;
use crate::mint::{encode, Key};
use crate::vectors;

/// The clock of the tests that upstream runs by the wall clock: their tokens do not expire for a while.
const NOW: u64 = 1_790_000_000;

/// The cases of one file; `None` where the folder is absent.
fn cases(kind: &str) -> Option<Vec<Value>> {
    let file = vectors::read(&format!("envoy-jwt-verify/{kind}.json"))?;
    let cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(file["count"], cases.len());
    Some(cases)
}

fn string<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} of {case}"))
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

fn name(status: Result<(), Status>) -> &'static str {
    status.err().unwrap_or(Status::Ok).name()
}

/// The set of a case, with the changes that the case makes to it after it is read.
fn key_set(case: &Value) -> Result<KeySet, Status> {
    if case["jwks_format"] == "JWKS" {
        assert!(case.get("key_overrides").is_none() && case.get("pem_added").is_none(), "{case}");
        return KeySet::parse(string(case, "jwks").as_bytes(), Origin::Local);
    }
    let overrides = case["key_overrides"].as_array().into_iter().flatten();
    let alg = overrides.filter(|change| change["field"] == "alg").map(|change| string(change, "value")).next();
    let alg = alg.or(case["pem_alg"].as_str()).unwrap_or_default();
    let mut set = KeySet::from_pem(string(case, "jwks"), case["pem_kid"].as_str().unwrap_or_default(), alg)?;
    for added in case["pem_added"].as_array().into_iter().flatten() {
        set.append(KeySet::from_pem(string(added, "pem"), string(added, "kid"), string(added, "alg"))?);
    }
    Ok(set)
}

#[test]
fn envoys_tests_of_parsing_come_out_the_same() {
    for case in cases("parse").into_iter().flatten() {
        let status = Token::parse(string(&case, "jwt").as_bytes()).map(drop);
        assert_eq!(name(status), string(&case, "expected"), "{case}");
    }
}

#[test]
fn envoys_tests_of_claims_come_out_the_same() {
    for case in cases("claim").into_iter().flatten() {
        let token = Token::parse(string(&case, "jwt").as_bytes()).unwrap();
        let found: Value = match string(&case, "field") {
            "alg" => token.alg.name().into(),
            "kid" => token.kid.into(),
            "iss" => token.iss.into(),
            "sub" => token.sub.into(),
            "aud" => token.audiences.into(),
            "iat" => token.iat.into(),
            "nbf" => token.nbf.into(),
            "exp" => token.exp.into(),
            "jti" => token.jti.into(),
            other => panic!("a field that the test does not know: {other}"),
        };
        assert_eq!(found, case["expected"], "{case}");
    }
}

#[test]
fn envoys_tests_of_key_sets_come_out_the_same() {
    for case in cases("jwks_status").into_iter().flatten() {
        assert_eq!(name(key_set(&case).map(drop)), string(&case, "expected"), "{case}");
    }
    for case in cases("jwks_size").into_iter().flatten() {
        assert_eq!(key_set(&case).map_or(0, |set| set.keys().len()), case["expected"], "{case}");
    }
    for case in cases("jwk_field").into_iter().flatten() {
        let set = key_set(&case).unwrap();
        let key = &set.keys()[case["key_index"].as_u64().unwrap() as usize];
        let found = match string(&case, "field") {
            "alg" => &key.alg,
            "kid" => &key.kid,
            "kty" => key.kty.name(),
            "crv" => &key.crv,
            other => panic!("a field that the test does not know: {other}"),
        };
        assert_eq!(found, string(&case, "expected"), "{case}");
    }
}

#[test]
fn envoys_tests_of_time_come_out_the_same() {
    for case in cases("time").into_iter().flatten() {
        let mut token = Token::parse(string(&case, "jwt").as_bytes()).unwrap();
        for (claim, value) in case["claim_overrides"].as_object().into_iter().flatten() {
            match claim.as_str() {
                "nbf" => token.nbf = value.as_u64().unwrap(),
                "exp" => token.exp = value.as_u64().unwrap(),
                other => panic!("a claim that the test does not know: {other}"),
            }
        }
        let status = token.check_time(case["now"].as_u64().unwrap(), case["clock_skew"].as_u64().unwrap());
        assert_eq!(name(status), string(&case, "expected"), "{case}");
    }
}

#[test]
fn envoys_tests_of_audiences_come_out_the_same() {
    for case in cases("audience").into_iter().flatten() {
        let allowed = CheckAudience::new(strings(&case["config_audiences"])).allows(strings(&case["jwt_audiences"]));
        assert_eq!(allowed, case["expected"], "{case}");
    }
}

/// What a case says of one token: `verifyJwt` of the library.
fn outcome(token: &Token, set: Option<&KeySet>, case: &Value) -> &'static str {
    let providers: [Box<dyn CryptoProvider>; 1] = [Box::new(Portable)];
    let audiences = case.get("audiences").map(strings).unwrap_or_default();
    if !CheckAudience::new(audiences).allows(&token.audiences) {
        return Status::JwtAudienceNotAllowed.name();
    }
    let skew = case["clock_skew"].as_u64().unwrap();
    let verified = token
        .check_time(case["now"].as_u64().unwrap_or(NOW), skew)
        .and_then(|()| verify(token.clone(), set.expect("the set of a case that comes so far"), &providers));
    name(verified.map(drop))
}

/// Every forgery that a case stands for.
fn forgeries(kind: &str, token: &Token) -> Vec<Token> {
    let with = |signature: Vec<u8>| Token { signature, ..token.clone() };
    let length = token.signature.len();
    let flipped = |bit: usize| {
        let mut signature = token.signature.clone();
        signature[bit / 8] ^= 1 << (bit % 8);
        with(signature)
    };
    match kind {
        "every_single_bit_flip_of_the_signature" => (0..length * 8).map(flipped).collect(),
        "every_truncation_of_the_signature_to_1..len-1_bytes" => {
            (1..length).map(|length| with(token.signature[..length].to_vec())).collect()
        }
        other => panic!("a kind of forgery that the test does not know: {other}"),
    }
}

#[test]
fn envoys_tests_of_signatures_come_out_the_same_but_for_keys_that_are_unusable() {
    let Some(cases) = cases("verify") else { return };
    let mut deviations: BTreeMap<String, usize> = BTreeMap::new();
    let mut forged = 0;
    for case in cases {
        let token = Token::parse(string(&case, "jwt").as_bytes()).unwrap();
        let set = case["jwks"].as_str().map(|_| key_set(&case).unwrap());
        let expected = string(&case, "expected");
        if let Some(kind) = case["fuzz"].as_str() {
            for forgery in forgeries(kind, &token) {
                assert_eq!(outcome(&forgery, set.as_ref(), &case), expected, "{case}");
                forged += 1;
            }
            continue;
        }
        let unusable = set.iter().flat_map(|set| set.keys()).find_map(|key| key.unusable());
        let found = outcome(&token, set.as_ref(), &case);
        match unusable {
            Some(reason) if expected == "Ok" && found != expected => {
                assert_eq!(found, "JwtVerificationFail", "{case}");
                *deviations.entry(format!("{reason:?}")).or_default() += 1;
            }
            _ => assert_eq!(found, expected, "{case}"),
        }
    }
    println!("{forged} forgeries; deviations: {deviations:?}");
    // Every RSA key of the suite has 2048 bits, no Ed25519 key has small order, and secrets are local there.
    assert_eq!(deviations, BTreeMap::new());
}

/// Keys with which Envoy verifies, and we do not. Each has a signature that holds.
#[test]
fn unusable_keys_count_and_verify_nothing() {
    let input = |alg: &str| format!("{}.e30", encode(format!(r#"{{"alg":"{alg}"}}"#).as_bytes()));
    let token = |alg: &str, signature: &[u8]| format!("{}.{}", input(alg), encode(signature));
    let long = PrimeRsa::new(9689, 65537);
    let short_secret = Key::hmac(b"a");
    let identity = [&[1][..], &[0; 31]].concat();
    // R is the identity and S is zero: for this key, that holds for every message.
    let of_everyone = [identity.as_slice(), &[0; 32]].concat();
    let lax = VerifyingKey::from_bytes(identity.as_slice().try_into().unwrap()).unwrap();
    assert!(lax.verify(input("EdDSA").as_bytes(), &Signature::from_slice(&of_everyone).unwrap()).is_ok());
    for (key, origin, reason, token) in [
        (
            Key::short_rsa().jwk(),
            Origin::Local,
            Some(Unusable::RsaSize),
            token("RS256", &Key::short_rsa().sign("RS256", input("RS256").as_bytes())),
        ),
        (
            long.jwk(),
            Origin::Local,
            Some(Unusable::RsaSize),
            token("RS256", &long.sign(input("RS256").as_bytes()).unwrap()),
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&identity)}),
            Origin::Local,
            Some(Unusable::SmallOrder),
            token("EdDSA", &of_everyone),
        ),
        (
            short_secret.jwk(),
            Origin::Remote,
            Some(Unusable::RemoteSecret),
            token("HS256", &short_secret.sign("HS256", input("HS256").as_bytes())),
        ),
        (
            short_secret.jwk(),
            Origin::Local,
            None,
            token("HS256", &short_secret.sign("HS256", input("HS256").as_bytes())),
        ),
        (PrimeRsa::new(2203, 65537).jwk(), Origin::Local, None, {
            token("RS256", &PrimeRsa::new(2203, 65537).sign(input("RS256").as_bytes()).unwrap())
        }),
    ] {
        let set = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes(), origin).unwrap();
        assert_eq!(set.keys()[0].unusable(), reason, "{key}");
        let providers: [Box<dyn CryptoProvider>; 1] = [Box::new(Portable)];
        let verified = verify(Token::parse(token.as_bytes()).unwrap(), &set, &providers);
        let expected = if reason.is_some() { "JwtVerificationFail" } else { "Ok" };
        assert_eq!(name(verified.map(drop)), expected, "{key}");
    }
}

#[test]
fn of_several_certificates_of_a_name_the_first_counts() {
    const CERTIFICATE: &str = include_str!("../support/keys/rsa-2048.certificate.pem");
    const SHORT: &str = include_str!("../support/keys/rsa-1024.certificate.pem");
    for (pem, result) in [
        (CERTIFICATE.to_owned(), Ok(None)),
        (format!("{CERTIFICATE}{SHORT}"), Ok(None)),
        (format!("{SHORT}{CERTIFICATE}"), Ok(Some(Unusable::RsaSize))),
        (CERTIFICATE.replace('\n', "\r\n"), Err(Status::JwksNoKeys)),
        (format!(" {CERTIFICATE}"), Err(Status::JwksNoKeys)),
        (CERTIFICATE.replacen("MII", "MIJ", 1), Err(Status::JwksX509ParseError)),
    ] {
        let document = serde_json::json!({ "kid": pem }).to_string();
        let set = KeySet::parse(document.as_bytes(), Origin::Remote);
        assert_eq!(set.map(|set| set.keys()[0].unusable()), result, "{pem}");
    }
}

/// Numbers as doubles, which is all that protobuf has.
fn with_doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().unwrap().into(),
        Value::Array(array) => array.iter().map(with_doubles).collect(),
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), with_doubles(value))).collect(),
        other => other.clone(),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has finite numbers", |number| number.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Text that is nearly JSON: its characters, its words, and a few bytes of anything.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] =
        &["{", "}", "[", "]", ",", ":", "\"", "'", "\\u", "\\ud83d", "null", "true", "1", "-", ".", "e", "a", " "];
    let word = prop_oneof![
        4 => prop::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn a_strict_object_is_read_as_the_same_value(
        members in prop::collection::btree_map(any::<String>(), any_value(), 0..6),
        pretty in any::<bool>(),
    ) {
        let object = Value::Object(members.into_iter().collect());
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        prop_assert_eq!(json::parse_object(text.as_bytes()).map(Value::Object), Some(with_doubles(&object)));
    }

    #[test]
    fn base64url_is_read_back_however_it_is_spaced(bytes in prop::collection::vec(any::<u8>(), 0..60), gap in 1..9usize) {
        let text = BASE64_URL_SAFE_NO_PAD.encode(&bytes);
        prop_assert_eq!(lenient::decode(text.as_bytes()), Some(bytes.clone()));
        let spaced = text.as_bytes().chunks(gap).collect::<Vec<_>>().join(&b" \t"[..]);
        prop_assert_eq!(lenient::decode(&spaced), Some(bytes));
    }

    #[test]
    fn no_input_makes_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in nearly_json()) {
        for input in [&bytes, &text] {
            let _ = lenient::decode(input);
            let _ = json::parse_object(input);
            let _ = KeySet::parse(input, Origin::Local);
            let _ = Token::parse(input);
            let encoded = BASE64_URL_SAFE_NO_PAD.encode(input);
            let _ = Token::parse(format!("{encoded}.{encoded}.{encoded}").as_bytes());
            let _ = Token::parse(format!("eyJhbGciOiJFUzI1NiJ9.{encoded}.{encoded}").as_bytes());
        }
    }

    #[test]
    fn no_key_makes_the_readers_panic(
        kty in prop::sample::select(&["RSA", "EC", "oct", "OKP"][..]),
        crv in prop::sample::select(&["P-256", "P-384", "P-521", "Ed25519", "X"][..]),
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 3),
    ) {
        let part = |index: usize| BASE64_URL_SAFE_NO_PAD.encode(&parts[index]);
        let jwk = serde_json::json!({"kty": kty, "crv": crv, "x": part(0), "y": part(1), "n": part(0), "e": "AQAB", "k": part(2)});
        let _ = KeySet::parse(serde_json::json!({ "keys": [jwk] }).to_string().as_bytes(), Origin::Local);
        let lines = base64::prelude::BASE64_STANDARD.encode(&parts[0]);
        let _ = KeySet::from_pem(&format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"), "", "");
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n");
        let _ = KeySet::parse(serde_json::json!({ "k": certificate }).to_string().as_bytes(), Origin::Local);
    }
}
