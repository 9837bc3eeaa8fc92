//! Strict JSON (RFC 8259), for configurations, tokens and fetched documents alike.
//!
//! Refused besides malformed text: a member name that occurs twice in one object (RFC 7515 section 4 and RFC 7519 section 4
//! leave the choice between "last wins" and refusal; two readers that choose differently are an attack), anything after the
//! value, invalid UTF-8, nesting of more than 127 levels and numbers outside the range of a double.

mod packed;

use std::fmt;

pub use packed::{Entry, Packed};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
pub use serde_json::{Map, Number, Value};

/// Parses one JSON value that fills `text`.
///
/// # Errors
/// The text is not strict JSON. The error's message names line and column and quotes no part of a value.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(text).map(|Strict(value)| value)
}

/// Parses one JSON object that fills `text`; `None` for anything else.
pub fn parse_object(text: &[u8]) -> Option<Map<String, Value>> {
    match parse(text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("an object has two members of the same name"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strict_json_refuses() {
        for (text, why) in [
            (&br#"{"a":1,"a":2}"#[..], "a duplicate member"),
            (br#"{"a":{"b":1,"b":1}}"#, "a duplicate member inside"),
            (br#"{"a":1,"\u0061":2}"#, "a duplicate member, spelt with an escape"),
            (br#"{"a":1} x"#, "something after the value"),
            (b"{\"a\":\"\xff\"}", "invalid UTF-8"),
            (br#"{"a":1,}"#, "a trailing comma"),
            (br#"{'a':1}"#, "single quotes"),
            (br#"{"a":1e999}"#, "a number beyond a double"),
            (br#"{"a":NaN}"#, "not a number"),
            (b"{\"a\":\"\x01\"}", "a raw control character"),
            (b"\xef\xbb\xbf{}", "a byte order mark"),
            (b"", "nothing"),
        ] {
            assert!(parse(text).is_err(), "{why} was accepted");
        }
        assert!(parse("[".repeat(100_000).as_bytes()).is_err(), "depth is bounded");
    }

    #[test]
    fn integers_keep_their_precision() {
        let value = parse(b"[9007199254740993, 18446744073709551615, -9223372036854775808]").unwrap();
        assert_eq!(value.to_string(), "[9007199254740993,18446744073709551615,-9223372036854775808]");
    }
}
