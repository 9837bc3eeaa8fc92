//! JSON as Envoy reads it: protobuf's `JsonStringToMessage` into a `Struct`, with the old syntax that it still takes.
//!
//! Taken beyond RFC 8259: a comma after the last member or element, single quotes, names without quotes (letters, digits and
//! `_`, not beginning with a digit), control characters in strings, the escapes `\'` and `\U`, white space between the halves of
//! a surrogate pair, and `null` for an empty object. Every number is a double.
//!
//! Refused as in strict JSON: a member name that occurs twice, anything but white space after the object, invalid UTF-8, half a
//! surrogate pair, numbers outside the range of a double; and nesting deeper than `MAX_DEPTH`.

use crate::json::{self, Map, Number, Value};

/// The deepest nesting, the outermost object counted.
const MAX_DEPTH: usize = 100;

/// Reads an object that fills `text`; `None` where protobuf refuses it.
pub fn parse_object(text: &[u8]) -> Option<Map<String, Value>> {
    let mut reader = Reader { rest: text, depth: 0 };
    let object = match reader.peek()? {
        b'n' => reader.take(b"null").then(Map::new),
        _ => reader.object(),
    }?;
    reader.peek().is_none().then_some(object)
}

struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl Reader<'_> {
    /// The byte with which the next token begins.
    fn peek(&mut self) -> Option<u8> {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let start = self.rest.iter().position(|byte| !is_space(byte)).unwrap_or(self.rest.len());
        self.rest = self.rest.get(start..).unwrap_or_default();
        self.rest.first().copied()
    }

    /// Reads `literal`, if the next token begins with it.
    fn take(&mut self, literal: &[u8]) -> bool {
        self.peek();
        let rest = self.rest.strip_prefix(literal);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// The bytes up to the first that is not `wanted`.
    fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &[u8] {
        let length = self.rest.iter().position(|&byte| !wanted(byte)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        run
    }

    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            b'{' => self.object().map(Value::Object),
            b'[' => self.array().map(Value::Array),
            b'"' | b'\'' => self.string().map(Value::String),
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            b't' => self.take(b"true").then_some(Value::Bool(true)),
            b'f' => self.take(b"false").then_some(Value::Bool(false)),
            b'n' => self.take(b"null").then_some(Value::Null),
            _ => None,
        }
    }

    fn object(&mut self) -> Option<Map<String, Value>> {
        let mut object = Map::new();
        self.members(b"{", b"}", |reader| {
            let name = match reader.peek()? {
                b'"' | b'\'' => reader.string(),
                _ => reader.bare_name(),
            }?;
            if !reader.take(b":") {
                return None;
            }
            let value = reader.value()?;
            object.insert(name, value).is_none().then_some(())
        })?;
        Some(object)
    }

    fn array(&mut self) -> Option<Vec<Value>> {
        let mut array = Vec::new();
        self.members(b"[", b"]", |reader| {
            array.push(reader.value()?);
            Some(())
        })?;
        Some(array)
    }

    /// Members with commas between them, and perhaps one after the last.
    fn members(&mut self, open: &[u8], close: &[u8], mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH || !self.take(open) {
            return None;
        }
        let mut comma = true;
        while !self.take(close) {
            if !comma {
                return None;
            }
            read(self)?;
            comma = self.take(b",");
        }
        self.depth -= 1;
        Some(())
    }

    fn bare_name(&mut self) -> Option<String> {
        let name = std::str::from_utf8(self.run(|byte| byte == b'_' || byte.is_ascii_alphanumeric())).ok()?;
        let is_name = !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit());
        (is_name && !matches!(name, "null" | "true" | "false")).then(|| name.to_owned())
    }

    /// What may stand in a number is taken together and judged by the grammar of RFC 8259, which is protobuf's.
    fn number(&mut self) -> Option<Number> {
        let text = self.run(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
        let Ok(Value::Number(number)) = json::parse(text) else { return None };
        matches!(self.peek()?, b',' | b']' | b'}').then_some(())?;
        Number::from_f64(number.as_f64()?)
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.next()?;
        let mut bytes = Vec::new();
        loop {
            bytes.extend_from_slice(self.run(|byte| byte != quote && byte != b'\\'));
            if self.next()? == quote {
                return String::from_utf8(bytes).ok();
            }
            let escaped = self.escape()?;
            bytes.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            letter @ (b'"' | b'\\' | b'/' | b'\'') => char::from(letter),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' | b'U' => return self.code_point(),
            _ => return None,
        })
    }

    fn code_point(&mut self) -> Option<char> {
        let high = self.code_unit()?;
        if !(0xd800..=0xdbff).contains(&high) {
            return char::from_u32(high);
        }
        // Protobuf looks for the other half as for any token, past white space. `\U` does not begin it.
        let low = self.take(b"\\u").then(|| self.code_unit())??;
        (0xdc00..=0xdfff).contains(&low).then(|| char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)))?
    }

    fn code_unit(&mut self) -> Option<u32> {
        let mut digits = || self.next().and_then(|digit| char::from(digit).to_digit(16));
        Some(digits()? << 12 | digits()? << 8 | digits()? << 4 | digits()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The object as strict JSON.
    fn read(text: &[u8]) -> Option<String> {
        parse_object(text).map(|object| Value::Object(object).to_string())
    }

    #[test]
    fn the_old_syntax_of_protobuf_is_taken() {
        for (text, read_as) in [
            (&b"null"[..], "{}"),
            (b" {\"a\":1}\r\n\t ", r#"{"a":1.0}"#),
            (b"{\"a\":1,}", r#"{"a":1.0}"#),
            (b"{\"a\":[1,],}", r#"{"a":[1.0]}"#),
            (b"{'a':'b\"'}", r#"{"a":"b\""}"#),
            (b"{_a1:1,nullx:{}}", r#"{"_a1":1.0,"nullx":{}}"#),
            (b"{\"\":null}", r#"{"":null}"#),
            (b"{\"a\":\"\x00\x1f\n\"}", r#"{"a":"\u0000\u001f\n"}"#),
            (br#"{"a":"\'\U0041\/\b"}"#, r#"{"a":"'A/\b"}"#),
            (br#"{"a":"\ud83d\ude00"}"#, "{\"a\":\"\u{1f600}\"}"),
            (b"{\"a\":\"\\ud83d \n\\ude00\"}", "{\"a\":\"\u{1f600}\"}"),
            (br#"{"a":"\udbff\udfff"}"#, "{\"a\":\"\u{10ffff}\"}"),
            (b"{\"a\":18446744073709551615}", r#"{"a":1.8446744073709552e+19}"#),
            (b"{\"a\":-0}", r#"{"a":-0.0}"#),
            (b"{\"a\":1.5E+3}", r#"{"a":1500.0}"#),
            (b"{\"a\":1e-999}", r#"{"a":0.0}"#),
            (b"{\"b\":1,\"a\":2}", r#"{"b":1.0,"a":2.0}"#),
        ] {
            assert_eq!(read(text).as_deref(), Some(read_as), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_protobuf_refuses_is_refused() {
        for (text, why) in [
            (&b""[..], "nothing"),
            (b"nul", "half a word"),
            (b"[]", "no object"),
            (b"\"x\"", "no object"),
            (b"{\"a\":1} x", "something after the object"),
            (b"{\"a\":1}\x00", "a zero byte after the object"),
            (b"\x0b{}", "a vertical tab, which is no white space"),
            (b"\xef\xbb\xbf{}", "a byte order mark"),
            (b"{,}", "a comma alone"),
            (b"{\"a\":[,]}", "a comma alone"),
            (b"{\"a\":[1,,]}", "two commas"),
            (b"{\"a\":1 \"b\":2}", "no comma"),
            (b"{\"a\"=1}", "no colon"),
            (b"{1a:1}", "a name that begins with a digit"),
            (b"{null:1}", "a name that is a word of JSON"),
            (b"{a-b:1}", "a name with a hyphen"),
            (b"{\"a\":1,a:2}", "the same name twice"),
            (b"{\"a\":1,\"\\u0061\":2}", "the same name twice, spelt with an escape"),
            (b"{\"a\":{\"b\":1,\"b\":2}}", "the same name twice, inside"),
            (b"{\"a\":\"\xff\"}", "invalid UTF-8"),
            (b"{\"a\":\"\xed\xa0\x80\"}", "a surrogate in UTF-8"),
            (b"{\"a\":\"\xc2\\u0080\"}", "UTF-8 cut off by an escape"),
            (br#"{"a":"\v"}"#, "an unknown escape"),
            (br#"{"a":"\ud800"}"#, "half a surrogate pair"),
            (br#"{"a":"\udc00"}"#, "the other half"),
            (br#"{"a":"\ud83d\Ude00"}"#, "the other half with a capital letter"),
            (br#"{"a":"\u12G4"}"#, "no hexadecimal digit"),
            (b"{\"a\":-}", "no digits"),
            (b"{\"a\":--1}", "two signs"),
            (b"{\"a\":+1}", "a plus"),
            (b"{\"a\":01}", "a leading zero"),
            (b"{\"a\":1.}", "no digits after the point"),
            (b"{\"a\":.5}", "no digits before the point"),
            (b"{\"a\":1e}", "no exponent"),
            (b"{\"a\":1e5e5}", "two exponents"),
            (b"{\"a\":1e999}", "a number beyond a double"),
            (b"{\"a\":1 2}", "two numbers"),
            (b"{\"a\":NaN}", "not a number"),
            (b"{\"a\":truex}", "a word too long"),
            (b"{/**/}", "a comment"),
            (b"{\"a\":\"b", "a string without end"),
            (b"{\"a\":1", "an object without end"),
        ] {
            assert_eq!(read(text), None, "{why}: {}", text.escape_ascii());
        }
    }

    #[test]
    fn a_hundred_levels_are_taken_and_no_more() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse_object(nested(MAX_DEPTH).as_bytes()).is_some());
        assert!(parse_object(nested(MAX_DEPTH + 1).as_bytes()).is_none());
        assert!(parse_object("{a:".repeat(100_000).as_bytes()).is_none());
    }
}
