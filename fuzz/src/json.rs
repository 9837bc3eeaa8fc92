//! Strict JSON (RFC 8259): UTF-8, no member twice, nothing behind the value, no number beyond a double, not too deep.

use jwt_gate::json::Value;

/// Objects and arrays in each other are so many at most.
const MAX_DEPTH: usize = 127;

/// A value. Numbers are kept as they were written.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Flag(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The one value that fills `text`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: std::str::from_utf8(text).ok()?, depth: 0 };
        let value = reader.value()?;
        reader.rest.is_empty().then_some(value)
    }

    /// The same, if it is an object.
    pub fn object(text: &[u8]) -> Option<Self> {
        Self::parse(text).filter(|value| matches!(value, Self::Object(_)))
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The members of an object; none of anything else.
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements, if this is an array.
    pub fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The string, if this is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number as it was written, if this is one.
    pub fn number(&self) -> Option<&str> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Whether the gate has the same value: members in the same order, integers to the last digit.
    pub fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Flag(flag), Value::Bool(other)) => flag == other,
            (Self::Text(text), Value::String(other)) => text == other,
            (Self::Number(written), Value::Number(number)) => match (written.parse::<u64>(), written.parse::<i64>()) {
                (Ok(whole), _) => number.as_u64() == Some(whole),
                // The one zero that an integer has no room for.
                (_, Ok(whole)) if whole != 0 => number.as_i64() == Some(whole),
                _ => number.is_f64() && number.as_f64().map(f64::to_bits) == written.parse().ok().map(f64::to_bits),
            },
            (Self::Array(elements), Value::Array(others)) => {
                elements.len() == others.len() && elements.iter().zip(others).all(|(element, other)| element.is(other))
            }
            (Self::Object(members), Value::Object(others)) => {
                let same = |((name, value), (other, other_value)): (&(String, Self), (&String, &Value))| {
                    name == other && value.is(other_value)
                };
                members.len() == others.len() && members.iter().zip(others).all(same)
            }
            _ => false,
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    /// A value and the white space around it.
    fn value(&mut self) -> Option<Json> {
        self.skip_space();
        let value = match self.rest.chars().next()? {
            '{' => self.within(Self::object)?,
            '[' => self.within(Self::array)?,
            '"' => Json::Text(self.string()?),
            '-' | '0'..='9' => self.number()?,
            _ if self.take("null") => Json::Null,
            _ if self.take("true") => Json::Flag(true),
            _ if self.take("false") => Json::Flag(false),
            _ => return None,
        };
        self.skip_space();
        Some(value)
    }

    fn within(&mut self, read: impl FnOnce(&mut Self) -> Option<Json>) -> Option<Json> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = read(self)?;
        self.depth -= 1;
        Some(value)
    }

    fn object(&mut self) -> Option<Json> {
        let mut members: Vec<(String, Json)> = Vec::new();
        self.list("{", "}", |reader| {
            reader.skip_space();
            let name = reader.string()?;
            reader.skip_space();
            let value = if reader.take(":") { reader.value()? } else { return None };
            if members.iter().any(|(known, _)| *known == name) {
                return None;
            }
            members.push((name, value));
            Some(())
        })?;
        Some(Json::Object(members))
    }

    fn array(&mut self) -> Option<Json> {
        let mut elements = Vec::new();
        self.list("[", "]", |reader| {
            elements.push(reader.value()?);
            Some(())
        })?;
        Some(Json::Array(elements))
    }

    fn list(&mut self, open: &str, close: &str, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open);
        self.skip_space();
        if self.take(close) {
            return Some(());
        }
        loop {
            read(self)?;
            if self.take(close) {
                return Some(());
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.take("\"") {
            return None;
        }
        let mut text = String::new();
        loop {
            let character = self.next()?;
            match character {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                '\0'..='\u{1f}' => return None,
                character => text.push(character),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = self.unit()?;
                let both = if (0xd800..0xdc00).contains(&unit) {
                    let low = if self.take("\\u") { self.unit()? } else { return None };
                    vec![unit, low]
                } else {
                    vec![unit]
                };
                return char::decode_utf16(both).next()?.ok();
            }
            character @ ('"' | '\\' | '/') => character,
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self.rest.get(..4)?;
        self.rest = &self.rest[4..];
        let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| are_digits)
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.rest;
        self.take("-");
        if !self.take("0") {
            self.digits()?;
        }
        if self.take(".") {
            self.digits()?;
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            self.digits()?;
        }
        let written = &start[..start.len() - self.rest.len()];
        let number: f64 = written.parse().ok()?;
        number.is_finite().then(|| Json::Number(written.to_owned()))
    }

    fn digits(&mut self) -> Option<()> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let some = rest.len() < self.rest.len();
        self.rest = rest;
        some.then_some(())
    }

    fn take(&mut self, literal: &str) -> bool {
        let rest = self.rest.strip_prefix(literal);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next()?;
        self.rest = characters.as_str();
        Some(character)
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }
}
