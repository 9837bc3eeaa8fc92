//! JSON as Envoy writes it: protobuf's text of a `Value`, in which numbers are doubles and more is escaped than must be.
//!
//! Envoy writes the members of an object in an order that differs from time to time; here it is that of their names.

use std::fmt::Write;

use crate::json::Value;
use crate::order::{self, Numbered};

/// The text of `value`.
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    append(value, &mut text);
    text
}

fn append(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number_text(number.as_f64().unwrap_or_default())),
        Value::String(string) => append_string(string, text),
        Value::Array(elements) => {
            text.push('[');
            for (index, element) in elements.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                append(element, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let members: Vec<(&String, &Value)> = members.iter().collect();
            let mut order: Vec<Numbered<'_>> =
                members.iter().enumerate().map(|(place, (name, _))| (name.as_bytes(), place)).collect();
            order::sort(&mut order);
            text.push('{');
            for (index, (_, place)) in order.into_iter().enumerate() {
                let Some((name, value)) = members.get(place) else { continue };
                text.push_str(if index > 0 { "," } else { "" });
                append_string(name, text);
                text.push(':');
                append(value, text);
            }
            text.push('}');
        }
    }
}

/// C's `%.15g`, or `%.17g` where that is another number.
fn number_text(number: f64) -> String {
    let short = significant(number, 15);
    if short.parse() == Ok(number) {
        short
    } else {
        significant(number, 17)
    }
}

/// C's `%.<digits>g`: so many significant digits, zeros at the end left out, an exponent where the point is far away.
fn significant(number: f64, digits: i32) -> String {
    let scientific = format!("{number:.*e}", usize::try_from(digits - 1).unwrap_or_default());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let bare = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if (-4..digits).contains(&exponent) {
        bare(&format!("{number:.*}", usize::try_from(digits - 1 - exponent).unwrap_or_default()))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", bare(mantissa), exponent.unsigned_abs())
    }
}

fn append_string(string: &str, text: &mut String) {
    text.push('"');
    for c in string.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            c if must_escape(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Control characters, those that a browser could take for markup, and those that nobody sees.
fn must_escape(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '<' | '>' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{600}'..='\u{603}' | '\u{6dd}' | '\u{70f}'
        | '\u{17b4}' | '\u{17b5}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'
        | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_protobuf_writes_them() {
        for (value, text) in [
            (json!([1.0, 1e21, -0.0, 9223372036854775808.0, 0.1]), "[1,1e+21,-0,9.2233720368547758e+18,0.1]"),
            (
                json!([1e15, 1e14, 123456789012345680.0, 1e-4, 1e-5]),
                "[1e+15,100000000000000,1.2345678901234568e+17,0.0001,1e-05]",
            ),
            (json!([1234567890123456.0, 0.30000000000000004]), "[1234567890123456,0.30000000000000004]"),
            (json!({"z": 1, "a": {"b": null, "": [true]}}), r#"{"a":{"":[true],"b":null},"z":1}"#),
            (json!("ü/€\u{0}\n\"\\<>\u{7f}\u{ad}"), r#""ü/€\u0000\n\"\\\u003c\u003e\u007f\u00ad""#),
            (json!("\u{1d173}"), r#""\ud834\udd73""#),
        ] {
            assert_eq!(write(&value), text);
        }
    }
}
