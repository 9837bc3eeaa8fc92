//! What claims may be. Dates are written as text: a library that writes JSON would not write most of them.

use serde_json::json;

use super::{code, gate, signed};
use crate::mint::{Key, Token, NOW};

/// A good payload with this text in place of a date.
fn payload(claim: &str, text: &str) -> String {
    let rest = Token::new(&Key::p256(1)).without(claim).payload();
    rest.replacen('{', &format!("{{\"{claim}\":{text},"), 1)
}

#[test]
fn a_date_is_one_number_of_seconds_from_zero_to_two_to_the_53() {
    let mut world = gate(&[&Key::p256(1)], json!({"clock_skew_seconds": 0}));
    assert_eq!(NOW, 1_800_000_000);
    for (text, of_exp, of_nbf) in [
        // As it should be.
        ("1800000001", "allowed", "token_not_yet_valid"),
        ("1800000000", "token_expired", "allowed"),
        ("1799999999", "token_expired", "allowed"),
        ("0", "token_expired", "allowed"),
        // Fractions and exponents are numbers like any other (RFC 7519 section 2).
        ("1800000000.5", "allowed", "token_not_yet_valid"),
        ("1799999999.9", "token_expired", "allowed"),
        ("1.800000001e9", "allowed", "token_not_yet_valid"),
        ("1.8E+9", "token_expired", "allowed"),
        ("18000000010000e-4", "allowed", "token_not_yet_valid"),
        ("1e-400", "token_expired", "allowed"),
        ("-0", "token_expired", "allowed"),
        ("-0.0", "token_expired", "allowed"),
        // The last whole number of which a double knows the next.
        ("9007199254740992", "allowed", "token_not_yet_valid"),
        ("9007199254740992.0", "allowed", "token_not_yet_valid"),
    ] {
        for (claim, expected) in [("exp", of_exp), ("nbf", of_nbf)] {
            let token = signed(r#"{"alg":"ES256"}"#, payload(claim, text));
            assert_eq!(code(&mut world, &token), expected, "{claim}: {text}");
        }
    }
    for text in [
        "9007199254740993",
        "9007199254740994.0",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744075509551616",
        "340282366920938463463374607431768211456",
        "1e16",
        "1e19",
        "1e308",
        "1e309",
        "1e99999999999",
        "-1",
        "-1800000001",
        "-0.5",
        "-9223372036854775808",
        "-9223372036854775809",
        "-1e-5",
        "\"1800000001\"",
        "\"\"",
        "\"never\"",
        "\"2027-01-15T08:00:01Z\"",
        "null",
        "true",
        "false",
        "[1800000001]",
        "[]",
        "{}",
        "{\"$numberLong\":\"1800000001\"}",
        "01800000001",
        "+1800000001",
        "1_800_000_001",
        "1800000001.",
        ".5",
        "0x6b49d201",
        "NaN",
        "Infinity",
        "",
    ] {
        for claim in ["exp", "nbf", "iat"] {
            let token = signed(r#"{"alg":"ES256"}"#, payload(claim, text));
            assert_eq!(code(&mut world, &token), "claims_malformed", "{claim}: {text}");
        }
    }
}

#[test]
fn a_date_of_the_wrong_type_is_no_absence_where_none_need_be() {
    let mut world = gate(&[&Key::p256(1)], json!({"require_expiration": false}));
    let token = signed(r#"{"alg":"ES256"}"#, Token::new(&Key::p256(1)).without("exp").payload());
    assert_eq!(code(&mut world, &token), "allowed");
    for text in ["null", "\"\"", "\"1800000300\"", "[]", "false", "-1", "1e300"] {
        let token = signed(r#"{"alg":"ES256"}"#, payload("exp", text));
        assert_eq!(code(&mut world, &token), "claims_malformed", "exp: {text}");
    }
    // Names are compared to the letter: this one is no claim that anyone knows.
    let token = signed(r#"{"alg":"ES256"}"#, payload("exp", "1").replace("\"exp\"", "\"Exp\""));
    assert_eq!(code(&mut world, &token), "allowed");
}

#[test]
fn an_audience_is_a_text_or_a_list_of_texts_and_one_of_them_is_ours() {
    let mut world = gate(&[&Key::p256(1)], json!({}));
    for (aud, expected) in [
        (json!("api"), "allowed"),
        (json!(["other", "api"]), "allowed"),
        (json!(["api", "api"]), "allowed"),
        (json!([]), "audience_not_allowed"),
        (json!(""), "audience_not_allowed"),
        (json!([""]), "audience_not_allowed"),
        (json!("api,other"), "audience_not_allowed"),
        (json!("api other"), "audience_not_allowed"),
        (json!("*"), "audience_not_allowed"),
        (json!("[\"api\"]"), "audience_not_allowed"),
        (json!("xapi"), "audience_not_allowed"),
        (json!("apix"), "audience_not_allowed"),
        (json!("api\0"), "audience_not_allowed"),
        (json!(null), "claims_malformed"),
        (json!(true), "claims_malformed"),
        (json!(0), "claims_malformed"),
        (json!({}), "claims_malformed"),
        (json!({"api": true}), "claims_malformed"),
        (json!({"0": "api"}), "claims_malformed"),
        (json!([null]), "claims_malformed"),
        (json!(["api", null]), "claims_malformed"),
        (json!(["api", 1]), "claims_malformed"),
        (json!([["api"]]), "claims_malformed"),
        (json!([{"api": 1}]), "claims_malformed"),
    ] {
        let token = Token::new(&Key::p256(1)).claim("aud", aud.clone()).mint();
        assert_eq!(code(&mut world, &token), expected, "{aud}");
    }
    assert_eq!(code(&mut world, &Token::new(&Key::p256(1)).without("aud").mint()), "audience_not_allowed");
}
