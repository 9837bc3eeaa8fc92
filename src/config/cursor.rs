//! Reading a JSON value by its path.
//!
//! None of it is inlined: each field is read through it, and the copies would be a good part of the module.

use super::error::suggestion;
use super::fields::{names_of, refusal};
use super::ConfigError;
use crate::json::{Map, Value};

/// A value and where it is.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    value: &'a Value,
    path: String,
}

/// An object whose members are all known.
pub(super) struct Object<'a> {
    members: Vec<(&'static str, Cursor<'a>)>,
    path: String,
}

impl<'a> Cursor<'a> {
    /// The whole configuration.
    pub fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// Where the value is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// An error at this place.
    #[inline(never)]
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        let path = if self.path.is_empty() { "configuration" } else { &self.path };
        ConfigError::new(path, problem)
    }

    #[inline(never)]
    fn expected(&self, what: &str) -> ConfigError {
        self.error(format!("expected {what}, found {}", kind(self.value)))
    }

    #[inline(never)]
    fn member(&self, name: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { value, path }
    }

    /// The value as an object of the kind that [`FIELDS`](super::FIELDS) calls `object`.
    #[inline(never)]
    pub fn object(&self, object: &str) -> Result<Object<'a>, ConfigError> {
        self.object_without(&[], object)
    }

    /// The same, where members of those names are taken and without effect.
    #[inline(never)]
    pub fn object_without(&self, ignored: &[&str], object: &str) -> Result<Object<'a>, ConfigError> {
        let map = self.map()?;
        let mut members: Vec<(&'static str, Cursor<'a>)> = Vec::new();
        for (name, value) in map {
            if ignored.iter().any(|known| known == name || camel_case(known) == *name) {
                continue;
            }
            let cursor = self.member(name, value);
            let known = names_of(object).find(|known| known == name || camel_case(known) == *name);
            if let Some(why) = refusal(object, name, camel_case) {
                return Err(cursor.error(format!("cannot be had here: {why}")));
            }
            let Some(known) = known else {
                return Err(cursor.error(format!("unknown field{}", suggestion(name, names_of(object)))));
            };
            if members.iter().any(|(seen, _)| *seen == known) {
                return Err(cursor.error(format!("\"{known}\" is given twice, in both spellings")));
            }
            if !value.is_null() {
                members.push((known, cursor));
            }
        }
        Ok(Object { members, path: self.path.clone() })
    }

    /// The members of an object whose names are the user's.
    #[inline(never)]
    pub fn entries(&self) -> Result<Vec<(&'a str, Cursor<'a>)>, ConfigError> {
        Ok(self.map()?.iter().map(|(name, value)| (name.as_str(), self.member(name, value))).collect())
    }

    #[inline(never)]
    fn map(&self) -> Result<&'a Map<String, Value>, ConfigError> {
        self.value.as_object().ok_or_else(|| self.expected("an object"))
    }

    /// The elements of an array that is not empty.
    #[inline(never)]
    pub fn elements(&self) -> Result<Vec<Cursor<'a>>, ConfigError> {
        let elements = self.any_elements()?;
        if elements.is_empty() {
            return Err(self.error("must not be empty"));
        }
        Ok(elements)
    }

    /// The elements of an array, which may be empty.
    #[inline(never)]
    pub fn any_elements(&self) -> Result<Vec<Cursor<'a>>, ConfigError> {
        let Value::Array(elements) = self.value else {
            return Err(self.expected("an array"));
        };
        let element = |(index, value)| Cursor { value, path: format!("{}[{index}]", self.path) };
        Ok(elements.iter().enumerate().map(element).collect())
    }

    /// A string that is not empty.
    #[inline(never)]
    pub fn text(&self) -> Result<&'a str, ConfigError> {
        match self.value {
            Value::String(text) if text.is_empty() => Err(self.error("must not be empty")),
            Value::String(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    /// A string, which may be empty.
    #[inline(never)]
    pub fn any_text(&self) -> Result<&'a str, ConfigError> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    /// An array of strings, none of them empty.
    #[inline(never)]
    pub fn texts(&self) -> Result<Vec<String>, ConfigError> {
        self.elements()?.iter().map(|element| element.text().map(str::to_owned)).collect()
    }

    /// `true` or `false`.
    #[inline(never)]
    pub fn flag(&self) -> Result<bool, ConfigError> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A whole number from 0; a host that keeps numbers as doubles may write `60.0`, and protobuf JSON writes 64 bits as a string.
    #[inline(never)]
    pub fn whole_number(&self) -> Result<u64, ConfigError> {
        let number = match self.value {
            Value::Number(number) => number.as_u64().or_else(|| {
                let float = number.as_f64()?;
                (float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float)).then_some(float as u64)
            }),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.expected("a whole number from 0"))
    }

    /// A whole number of either sign.
    #[inline(never)]
    pub fn signed_number(&self) -> Result<i64, ConfigError> {
        let number = match self.value {
            Value::Number(number) => number.as_i64().or_else(|| {
                let float =
                    number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0);
                float.map(|float| float as i64)
            }),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.expected("a whole number"))
    }

    /// A string, a number or a boolean.
    #[inline(never)]
    pub fn scalar(&self) -> Result<Value, ConfigError> {
        // In a `google.protobuf.Struct` numbers are doubles: the last digits of such a one are lost, and others would be the same.
        const FIRST_ROUNDED: f64 = 9_007_199_254_740_992.0;
        match self.value {
            Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|n| n.abs() >= FIRST_ROUNDED) => {
                Err(self.error("a number of 2^53 and more is exact only as a whole number in JSON text"))
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(self.value.clone()),
            _ => Err(self.expected("a string, a number or a boolean")),
        }
    }

    /// The value itself, where its shape is the user's.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Whether the value is an object.
    pub fn is_object(&self) -> bool {
        self.value.is_object()
    }
}

impl<'a> Object<'a> {
    /// An error at this object.
    #[inline(never)]
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(if self.path.is_empty() { "configuration" } else { &self.path }, problem)
    }

    /// The member of that name.
    #[inline(never)]
    pub fn get(&self, name: &str) -> Option<&Cursor<'a>> {
        self.members.iter().find(|(known, _)| *known == name).map(|(_, cursor)| cursor)
    }

    /// The member of that name, which must be there.
    #[inline(never)]
    pub fn required(&self, name: &str) -> Result<&Cursor<'a>, ConfigError> {
        self.get(name).ok_or_else(|| {
            let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
            ConfigError::new(path, "is required")
        })
    }

    /// The elements of the array of that name; none where it is absent or empty.
    #[inline(never)]
    pub fn list(&self, name: &str) -> Result<Vec<Cursor<'a>>, ConfigError> {
        self.get(name).map_or(Ok(Vec::new()), Cursor::any_elements)
    }

    /// The flag of that name.
    #[inline(never)]
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ConfigError> {
        self.get(name).map_or(Ok(default), Cursor::flag)
    }

    /// The one member that is there of `names`; an error if there are several.
    #[inline(never)]
    pub fn at_most_one(&self, names: &[&'static str]) -> Result<Option<(&'static str, &Cursor<'a>)>, ConfigError> {
        let mut there = names.iter().filter_map(|name| self.get(name).map(|cursor| (*name, cursor)));
        match (there.next(), there.next()) {
            (Some((one, _)), Some((other, cursor))) => {
                Err(cursor
                    .error(format!("cannot stand beside \"{one}\": choose one of both, \"{one}\" or \"{other}\"")))
            }
            (one, _) => Ok(one),
        }
    }

    /// The one member that must be there of `names`.
    #[inline(never)]
    pub fn exactly_one(&self, names: &[&'static str]) -> Result<(&'static str, &Cursor<'a>), ConfigError> {
        self.at_most_one(names)?.ok_or_else(|| self.error(format!("needs one of {}", names.join(", "))))
    }
}

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
