//! A token as Envoy reads it: split, decoded, and the claims that it knows taken out, before any signature is checked.
//!
//! The order of the checks is the library's, because the first that fails is the answer. Compared with RFC 7515 and RFC 7519 it
//! is lenient: empty parts between dots are skipped, `crit` and `b64` are not looked at, dates lose their fraction, and a date of
//! zero is none. Nothing here is trusted; what the signature check lets through is a [`Verified`](super::Verified).

use super::{base64, json, Status};
use crate::crypto::Alg;
use crate::json::{Map, Value};

/// A token; nothing in it is trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub payload: Map<String, Value>,
    /// `alg`.
    pub alg: Alg,
    /// `kid`; empty if absent.
    pub kid: String,
    /// `iss`; empty if absent.
    pub iss: String,
    /// `sub`; empty if absent.
    pub sub: String,
    /// `iat` in seconds; 0 if absent.
    pub iat: u64,
    /// `nbf` in seconds; 0 if absent.
    pub nbf: u64,
    /// `exp` in seconds; 0 if absent, and it means the same.
    pub exp: u64,
    /// `aud`, one or several.
    pub audiences: Vec<String>,
    /// `jti`; empty if absent.
    pub jti: String,
    /// The signature, decoded.
    pub signature: Vec<u8>,
    /// What the signature covers: header and payload as they came, with one dot between them, however many there were.
    pub signing_input: String,
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn parse(token: &[u8]) -> Result<Self, Status> {
        let mut parts = token.split(|&byte| byte == b'.').filter(|part| !part.is_empty());
        let (Some(header_text), Some(payload_text), Some(signature_text), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Status::JwtBadFormat);
        };

        let header = base64::decode(header_text).ok_or(Status::JwtHeaderParseErrorBadBase64)?;
        let header = json::parse_object(&header).ok_or(Status::JwtHeaderParseErrorBadJson)?;
        let alg = header.get("alg").and_then(Value::as_str).ok_or(Status::JwtHeaderBadAlg)?;
        // The name of RFC 9864 is unknown to the library.
        let alg = Alg::from_name(alg).filter(|&alg| alg != Alg::Ed25519);
        let alg = alg.ok_or(Status::JwtHeaderNotImplementedAlg)?;
        let kid = text(&header, "kid", Status::JwtHeaderBadKid)?;

        let payload = base64::decode(payload_text).ok_or(Status::JwtPayloadParseErrorBadBase64)?;
        let payload = json::parse_object(&payload).ok_or(Status::JwtPayloadParseErrorBadJson)?;
        let iss = text(&payload, "iss", Status::JwtPayloadParseErrorIssNotString)?;
        let sub = text(&payload, "sub", Status::JwtPayloadParseErrorSubNotString)?;
        let iat = date(
            &payload,
            "iat",
            Status::JwtPayloadParseErrorIatNotInteger,
            Status::JwtPayloadParseErrorIatOutOfRange,
        )?;
        let nbf = date(
            &payload,
            "nbf",
            Status::JwtPayloadParseErrorNbfNotInteger,
            Status::JwtPayloadParseErrorNbfOutOfRange,
        )?;
        let exp = date(
            &payload,
            "exp",
            Status::JwtPayloadParseErrorExpNotInteger,
            Status::JwtPayloadParseErrorExpOutOfRange,
        )?;
        let jti = text(&payload, "jti", Status::JwtPayloadParseErrorJtiNotString)?;
        let audiences = texts(&payload, "aud").ok_or(Status::JwtPayloadParseErrorAudNotString)?;

        let signature = base64::decode(signature_text).ok_or(Status::JwtSignatureParseErrorBadBase64)?;
        // What is base64url is ASCII: the error cannot arise.
        let signing_input = String::from_utf8([header_text, b".", payload_text].concat());
        let signing_input = signing_input.map_err(|_| Status::JwtBadFormat)?;
        Ok(Self { header, payload, alg, kid, iss, sub, iat, nbf, exp, audiences, jti, signature, signing_input })
    }

    /// The payload as it came, in base64url.
    pub fn payload_text(&self) -> &str {
        self.signing_input.split_once('.').map_or("", |(_, payload)| payload)
    }

    /// The claim whose name is `dotted`, each dot leading one object further in; `None` if it is absent, or something on the way
    /// to it is no object. A claim with a dot in its own name cannot be reached.
    pub fn claim(&self, dotted: &str) -> Option<&Value> {
        find(&self.payload, dotted.split('.'))
    }

    /// The claim at the end of `path`, each name taken as it is.
    pub fn claim_literal(&self, path: &[String]) -> Option<&Value> {
        find(&self.payload, path.iter().map(String::as_str))
    }

    /// Whether the token is valid at `now`, in seconds since the epoch, with clocks that differ by up to `skew` seconds.
    ///
    /// # Errors
    /// [`Status::JwtNotYetValid`], [`Status::JwtExpired`].
    pub fn check_time(&self, now: u64, skew: u64) -> Result<(), Status> {
        if now.saturating_add(skew) < self.nbf {
            return Err(Status::JwtNotYetValid);
        }
        // Overflow is expiry, as it is in the library for every skew that is smaller than `now`.
        if self.exp != 0 && self.exp.checked_add(skew).is_none_or(|end| now > end) {
            return Err(Status::JwtExpired);
        }
        Ok(())
    }
}

fn find<'a, 'b>(object: &'a Map<String, Value>, mut path: impl Iterator<Item = &'b str>) -> Option<&'a Value> {
    let first = object.get(path.next()?)?;
    path.try_fold(first, |value, name| value.as_object()?.get(name))
}

fn text(object: &Map<String, Value>, name: &str, wrong_type: Status) -> Result<String, Status> {
    match object.get(name) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong_type),
    }
}

/// A string or an array of strings; `None` for anything else.
fn texts(object: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    match object.get(name) {
        None => Some(Vec::new()),
        Some(Value::String(text)) => Some(vec![text.clone()]),
        Some(Value::Array(array)) => array.iter().map(|element| element.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    }
}

/// Whole seconds of a date; 0 if it is absent.
fn date(object: &Map<String, Value>, name: &str, wrong_type: Status, out_of_range: Status) -> Result<u64, Status> {
    let Some(value) = object.get(name) else { return Ok(0) };
    let secs = value.as_f64().ok_or(wrong_type)?;
    // 2^64 is the first double that is too large.
    if (0.0..18_446_744_073_709_551_616.0).contains(&secs) {
        Ok(secs as u64)
    } else {
        Err(out_of_range)
    }
}

#[cfg(test)]
mod tests {
    use ::base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", encode(header), encode(payload))
    }

    fn parse(payload: &str) -> Result<Token, Status> {
        Token::parse(token(r#"{"alg":"ES256"}"#, payload).as_bytes())
    }

    #[test]
    fn empty_parts_are_skipped_and_not_signed() {
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        let expected = Token::parse(good.as_bytes()).unwrap();
        let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(Token::parse(format!(".{header}...{payload}.{signature}.").as_bytes()), Ok(expected.clone()));
        assert_eq!(expected.signing_input, format!("{header}.{payload}"));
        assert_eq!(expected.payload_text(), payload);
        for bad in ["", "...", "a.b", "a.b.c.d"] {
            assert_eq!(Token::parse(bad.as_bytes()), Err(Status::JwtBadFormat), "{bad}");
        }
    }

    #[test]
    fn the_header_is_judged_before_the_payload_and_the_payload_before_the_signature() {
        for (header, payload, status) in [
            ("!", "!", Status::JwtHeaderParseErrorBadJson),
            ("null", "!", Status::JwtHeaderBadAlg),
            (r#"{"alg":1}"#, "!", Status::JwtHeaderBadAlg),
            (r#"{"alg":"none","kid":1}"#, "!", Status::JwtHeaderNotImplementedAlg),
            (r#"{"alg":"Ed25519"}"#, "!", Status::JwtHeaderNotImplementedAlg),
            (r#"{"alg":"EdDSA","kid":null}"#, "!", Status::JwtHeaderBadKid),
            (r#"{"alg":"EdDSA"}"#, "!", Status::JwtPayloadParseErrorBadJson),
            (r#"{"alg":"EdDSA"}"#, r#"{"iss":1,"sub":1}"#, Status::JwtPayloadParseErrorIssNotString),
            (r#"{"alg":"EdDSA"}"#, r#"{"sub":1,"iat":"1"}"#, Status::JwtPayloadParseErrorSubNotString),
            (r#"{"alg":"EdDSA"}"#, r#"{"iat":"1","nbf":""}"#, Status::JwtPayloadParseErrorIatNotInteger),
            (r#"{"alg":"EdDSA"}"#, r#"{"nbf":-1,"exp":""}"#, Status::JwtPayloadParseErrorNbfOutOfRange),
            (r#"{"alg":"EdDSA"}"#, r#"{"exp":null,"jti":1}"#, Status::JwtPayloadParseErrorExpNotInteger),
            (r#"{"alg":"EdDSA"}"#, r#"{"jti":1,"aud":1}"#, Status::JwtPayloadParseErrorJtiNotString),
            (r#"{"alg":"EdDSA"}"#, r#"{"aud":["a",1]}"#, Status::JwtPayloadParseErrorAudNotString),
        ] {
            let token = format!("{}=", token(header, payload));
            assert_eq!(Token::parse(token.as_bytes()), Err(status), "{header} {payload}");
        }
        let unreadable = format!("{}=", token(r#"{"alg":"EdDSA"}"#, "{}"));
        assert_eq!(Token::parse(unreadable.as_bytes()), Err(Status::JwtSignatureParseErrorBadBase64));
    }

    #[test]
    fn dates_lose_their_fraction_and_have_64_bits() {
        for (date, secs) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("0.5", Ok(0)),
            ("1700000000.9", Ok(1_700_000_000)),
            ("18446744073709549568", Ok(18_446_744_073_709_549_568)),
            ("18446744073709551615", Err(Status::JwtPayloadParseErrorExpOutOfRange)),
            ("-0.5", Err(Status::JwtPayloadParseErrorExpOutOfRange)),
            ("1e300", Err(Status::JwtPayloadParseErrorExpOutOfRange)),
            ("true", Err(Status::JwtPayloadParseErrorExpNotInteger)),
        ] {
            assert_eq!(parse(&format!("{{\"exp\":{date}}}")).map(|token| token.exp), secs, "{date}");
        }
    }

    #[test]
    fn a_token_is_valid_for_the_skew_on_both_sides() {
        let token = parse(r#"{"nbf":1000,"exp":2000}"#).unwrap();
        for (now, result) in [
            (939, Err(Status::JwtNotYetValid)),
            (940, Ok(())),
            (2060, Ok(())),
            (2061, Err(Status::JwtExpired)),
            (u64::MAX, Err(Status::JwtExpired)),
        ] {
            assert_eq!(token.check_time(now, 60), result, "{now}");
        }
        let forever = parse(r#"{"exp":0.5}"#).unwrap();
        assert_eq!(forever.check_time(u64::MAX, 60), Ok(()));
        let late = parse(r#"{"exp":18446744073709549568}"#).unwrap();
        assert_eq!(late.check_time(1, 60), Ok(()));
        assert_eq!(late.check_time(1, 4096), Err(Status::JwtExpired));
    }

    #[test]
    fn a_dot_leads_into_an_object_and_a_literal_path_does_not_split() {
        let token = parse(r#"{"a":{"b":{"c":1},"":2},"a.b":3,"l":[{"b":4}],"":5}"#).unwrap();
        for (name, value) in [
            ("a.b.c", Some(1.0)),
            ("a.", Some(2.0)),
            ("", Some(5.0)),
            ("a.x", None),
            ("l.b", None),
            ("l.0", None),
            (".a", None),
        ] {
            assert_eq!(token.claim(name).and_then(Value::as_f64), value, "{name:?}");
        }
        let literal = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
            token.claim_literal(&path).and_then(Value::as_f64)
        };
        assert_eq!(literal(&["a.b"]), Some(3.0));
        assert_eq!(literal(&["a", "b", "c"]), Some(1.0));
        assert_eq!(literal(&[]), None);
    }
}
