//! The forms in which hosts hand a configuration over: JSON text or, in Envoy where it is written as a
//! `google.protobuf.Struct`, the bytes of that message.
//!
//! Text is tried first. The bytes of a `Struct` are never JSON: they begin with a line feed (the tag of its first field) and the
//! length of what follows, and further on hold bytes that JSON allows nowhere outside a string.

use prost::Message;
use prost_types::value::Kind;
use prost_types::Struct;

use crate::json::{self, Map, Number, Value};

/// Reads a configuration in either form.
///
/// # Errors
/// What is wrong with it as JSON text, which is the form that people write.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, String> {
    // A `Struct` without members.
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    json::parse(bytes).or_else(|error| match Struct::decode(bytes) {
        Ok(message) => object(message).ok_or_else(|| "holds a number that is not finite".into()),
        Err(_) => Err(format!("not JSON: {error}")),
    })
}

fn object(message: Struct) -> Option<Value> {
    let member = |(name, field): (String, prost_types::Value)| Some((name, value(field)?));
    message.fields.into_iter().map(member).collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn value(field: prost_types::Value) -> Option<Value> {
    Some(match field.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::NumberValue(number)) => Value::Number(Number::from_f64(number)?),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::StructValue(inner)) => return object(inner),
        Some(Kind::ListValue(list)) => Value::Array(list.values.into_iter().map(value).collect::<Option<_>>()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::ListValue;

    fn message(json: &Value) -> prost_types::Value {
        let kind = match json {
            Value::Null => Kind::NullValue(0),
            Value::Bool(flag) => Kind::BoolValue(*flag),
            Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            Value::String(text) => Kind::StringValue(text.clone()),
            Value::Array(values) => Kind::ListValue(ListValue { values: values.iter().map(message).collect() }),
            Value::Object(members) => Kind::StructValue(fields(members)),
        };
        prost_types::Value { kind: Some(kind) }
    }

    fn fields(members: &Map<String, Value>) -> Struct {
        Struct { fields: members.iter().map(|(name, value)| (name.clone(), message(value))).collect() }
    }

    #[test]
    fn a_struct_reads_like_the_json_that_it_stands_for() {
        let json = r#"{"a": [1.5, "x", true, null, {}], "b": {"c": {"d": []}}, "e": ""}"#;
        let expected = json::parse(json.as_bytes()).unwrap();
        assert_eq!(decode(json.as_bytes()), Ok(expected.clone()));
        assert_eq!(decode(format!("\n {json}\n").as_bytes()), Ok(expected.clone()));
        assert_eq!(decode(&fields(expected.as_object().unwrap()).encode_to_vec()), Ok(expected));
    }

    #[test]
    fn what_is_neither_text_nor_a_struct_is_refused_as_text() {
        assert_eq!(decode(b""), Ok(Value::Object(Map::new())));
        assert!(decode(b"{").unwrap_err().starts_with("not JSON: "));
        assert!(decode(br#"{"a": 1, "a": 2}"#).unwrap_err().starts_with("not JSON: "));
        let infinite = Struct {
            fields: [("a".into(), prost_types::Value { kind: Some(Kind::NumberValue(f64::INFINITY)) })].into(),
        };
        assert_eq!(decode(&infinite.encode_to_vec()).unwrap_err(), "holds a number that is not finite");
    }
}
