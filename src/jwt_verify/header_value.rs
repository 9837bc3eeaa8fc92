//! A claim as the value of a header, as Envoy writes it: every number is a double, arrays and objects are base64 of their JSON.

use base64::prelude::{Engine, BASE64_STANDARD};

use super::json_text;
use crate::json::Value;

/// The value; `None` where Envoy sets no header.
pub fn header_value(claim: &Value) -> Option<Vec<u8>> {
    let text = match claim {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number_text(number.as_f64()?),
        Value::Array(_) | Value::Object(_) => BASE64_STANDARD.encode(json_text::write(claim)),
        Value::Null => return None,
    };
    (!text.is_empty()).then(|| text.into_bytes())
}

/// Whole numbers that 64 bits hold without a sign as such, all others with six digits behind the point.
fn number_text(number: f64) -> String {
    const END: f64 = u64::MAX as f64;
    if (0.0..END).contains(&number) && number.fract() == 0.0 {
        (number as u64).to_string()
    } else {
        format!("{number:.6}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_become_headers_as_envoy_writes_them() {
        for (claim, expected) in [
            (json!("a b"), Some("a b")),
            (json!(""), None),
            (json!(true), Some("true")),
            (json!(null), None),
            (json!(9999.0), Some("9999")),
            (json!(-1.0), Some("-1.000000")),
            (json!(0.1), Some("0.100000")),
            (json!(1e21), Some("1000000000000000000000.000000")),
            (json!(9007199254740992.0), Some("9007199254740992")),
            (json!(["a", "b"]), Some("WyJhIiwiYiJd")),
            (json!({"a": true}), Some("eyJhIjp0cnVlfQ==")),
        ] {
            let value = header_value(&claim).map(|value| String::from_utf8(value).unwrap());
            assert_eq!(value.as_deref(), expected, "{claim}");
        }
    }
}
