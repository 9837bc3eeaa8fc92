//! A JSON object kept small: all its text in one piece, and a list of nodes that say what stands where.
//!
//! The claims of a token as a tree of maps and strings take three times their text and dozens of allocations; thousands of tokens
//! are remembered, and each is read more often than it is parsed. What is asked for is found in place, or built on demand.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Map, Number, Value};
use crate::order::{self, Numbered};

/// A JSON object, as strict as [`parse`](super::parse) reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    text: Box<str>,
    /// In the order of the document: a node, then what is in it.
    nodes: Box<[Node]>,
    numbers: Box<[Number]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    /// Of a member of an object; empty elsewhere.
    name: Span,
    kind: Kind,
}

/// A part of the text. Tokens are shorter than 2^16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Span {
    start: u16,
    end: u16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Null,
    Bool(bool),
    /// The number of that place.
    Number(u16),
    String(Span),
    /// Up to the node of that number.
    Array(u16),
    Object(u16),
}

/// A value in a packed object.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    packed: &'a Packed,
    at: usize,
}

impl Packed {
    /// Reads one JSON object that fills `text`; `None` for anything else, and for one of 2^16 bytes or more.
    pub fn parse(text: &[u8]) -> Option<Self> {
        u16::try_from(text.len()).ok()?;
        let (text_so_far, nodes) = (String::with_capacity(text.len()), Vec::with_capacity(24));
        let mut builder = Builder { text: text_so_far, nodes, numbers: Vec::with_capacity(4) };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        Slot { builder: &mut builder, name: Span::default() }.deserialize(&mut deserializer).ok()?;
        deserializer.end().ok()?;
        let Builder { text, nodes, numbers } = builder;
        let packed = Self { text: text.into(), nodes: nodes.into_boxed_slice(), numbers: numbers.into_boxed_slice() };
        matches!(packed.nodes.first()?.kind, Kind::Object(_)).then_some(packed)
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<Entry<'_>> {
        Entry { packed: self, at: 0 }.get(name)
    }

    /// Each member, by its name.
    pub fn members(&self) -> impl Iterator<Item = (&str, Entry<'_>)> {
        Entry { packed: self, at: 0 }.members().into_iter().flatten()
    }

    /// The whole object.
    pub fn to_map(&self) -> Map<String, Value> {
        match (Entry { packed: self, at: 0 }).to_value() {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// What it takes in memory beside itself, in bytes.
    pub fn size(&self) -> usize {
        self.text.len() + size_of_val(&*self.nodes) + size_of_val(&*self.numbers)
    }

    fn span(&self, span: Span) -> &str {
        self.text.get(usize::from(span.start)..usize::from(span.end)).unwrap_or_default()
    }

    fn kind(&self, at: usize) -> Kind {
        self.nodes.get(at).map_or(Kind::Null, |node| node.kind)
    }

    /// The node after the one at `at` and everything in it.
    fn after(&self, at: usize) -> usize {
        match self.kind(at) {
            Kind::Array(end) | Kind::Object(end) => usize::from(end),
            _ => at + 1,
        }
    }

    /// The nodes right below the one at `at`.
    fn children(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.after(at);
        let within = move |&child: &usize| child < end;
        std::iter::successors(Some(at + 1).filter(within), move |&child| Some(self.after(child)).filter(within))
    }
}

impl<'a> Entry<'a> {
    /// The member of that name, if this is an object.
    pub fn get(self, name: &str) -> Option<Entry<'a>> {
        let Kind::Object(_) = self.kind() else { return None };
        let named = |at: &usize| self.packed.nodes.get(*at).is_some_and(|node| self.packed.span(node.name) == name);
        let at = self.packed.children(self.at).find(named)?;
        Some(Entry { at, ..self })
    }

    /// The string, if this is one.
    pub fn as_str(self) -> Option<&'a str> {
        match self.kind() {
            Kind::String(span) => Some(self.packed.span(span)),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_number(self) -> Option<Number> {
        match self.kind() {
            Kind::Number(place) => self.packed.numbers.get(usize::from(place)).cloned(),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    pub fn elements(self) -> Option<impl Iterator<Item = Entry<'a>>> {
        let Kind::Array(_) = self.kind() else { return None };
        Some(self.packed.children(self.at).map(move |at| Entry { at, ..self }))
    }

    /// The members by their names, if this is an object.
    pub fn members(self) -> Option<impl Iterator<Item = (&'a str, Entry<'a>)>> {
        let Kind::Object(_) = self.kind() else { return None };
        let name = |at: usize| self.packed.nodes.get(at).map(|node| self.packed.span(node.name)).unwrap_or_default();
        Some(self.packed.children(self.at).map(move |at| (name(at), Entry { at, ..self })))
    }

    /// The whole value.
    pub fn to_value(self) -> Value {
        let children = || self.packed.children(self.at).map(|at| Entry { at, ..self });
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(flag),
            Kind::Number(_) => self.as_number().map_or(Value::Null, Value::Number),
            Kind::String(span) => Value::String(self.packed.span(span).to_owned()),
            Kind::Array(_) => Value::Array(children().map(Entry::to_value).collect()),
            Kind::Object(_) => {
                let name = |entry: Entry<'_>| self.packed.nodes.get(entry.at).map(|node| self.packed.span(node.name));
                let member = |entry: Entry<'a>| (name(entry).unwrap_or_default().to_owned(), entry.to_value());
                Value::Object(children().map(member).collect::<Map<_, _>>())
            }
        }
    }

    fn kind(self) -> Kind {
        self.packed.kind(self.at)
    }
}

struct Builder {
    text: String,
    nodes: Vec<Node>,
    numbers: Vec<Number>,
}

impl Builder {
    fn write(&mut self, text: &str) -> Option<Span> {
        let start = u16::try_from(self.text.len()).ok()?;
        self.text.push_str(text);
        Some(Span { start, end: u16::try_from(self.text.len()).ok()? })
    }

    fn next(&self) -> Option<u16> {
        u16::try_from(self.nodes.len()).ok()
    }

    fn read(&self, span: Span) -> &str {
        self.text.get(usize::from(span.start)..usize::from(span.end)).unwrap_or_default()
    }
}

/// Where the next value goes.
struct Slot<'b> {
    builder: &'b mut Builder,
    name: Span,
}

impl Slot<'_> {
    fn put<E: Error>(self, kind: Option<Kind>) -> Result<(), E> {
        let kind = kind.ok_or_else(too_long)?;
        self.builder.nodes.push(Node { name: self.name, kind });
        Ok(())
    }

    fn number<E: Error>(self, number: impl Into<Number>) -> Result<(), E> {
        let place = u16::try_from(self.builder.numbers.len()).ok();
        self.builder.numbers.push(number.into());
        self.put(place.map(Kind::Number))
    }
}

fn too_long<E: Error>() -> E {
    E::custom("the text is too long")
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slot<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(Some(Kind::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.put(Some(Kind::Bool(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a number"))?;
        self.number(number)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let span = self.builder.write(value);
        self.put(span.map(Kind::String))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let at = self.builder.nodes.len();
        self.builder.nodes.push(Node { name: self.name, kind: Kind::Array(0) });
        while seq.next_element_seed(Slot { builder: &mut *self.builder, name: Span::default() })?.is_some() {}
        let end = self.builder.next().ok_or_else(too_long)?;
        if let Some(node) = self.builder.nodes.get_mut(at) {
            node.kind = Kind::Array(end);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let at = self.builder.nodes.len();
        self.builder.nodes.push(Node { name: self.name, kind: Kind::Object(0) });
        let mut names: Vec<Span> = Vec::with_capacity(16);
        while let Some(name) = map.next_key_seed(Name(&mut *self.builder))? {
            names.push(name);
            map.next_value_seed(Slot { builder: &mut *self.builder, name })?;
        }
        let builder = &*self.builder;
        // Sorted, since anyone may send an object of thousands of members.
        let mut names: Vec<Numbered<'_>> = names.into_iter().map(|name| (builder.read(name).as_bytes(), 0)).collect();
        order::sort(&mut names);
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(A::Error::custom("an object has two members of the same name"));
        }
        let end = self.builder.next().ok_or_else(too_long)?;
        if let Some(node) = self.builder.nodes.get_mut(at) {
            node.kind = Kind::Object(end);
        }
        Ok(())
    }
}

/// The name of a member, written to the text.
struct Name<'b>(&'b mut Builder);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Span, E> {
        self.0.write(name).ok_or_else(too_long)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
            ".{0,12}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[a-c.]{0,2}", value(), 0..8)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_as_it_was(value in object()) {
            let text = value.to_string();
            let packed = Packed::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(Entry { packed: &packed, at: 0 }.to_value(), value.clone());
            for (name, member) in value.as_object().unwrap() {
                let entry = packed.get(name).unwrap();
                prop_assert_eq!(&entry.to_value(), member);
                prop_assert_eq!(entry.as_str(), member.as_str());
                prop_assert_eq!(entry.as_number(), member.as_number().cloned());
                let elements = entry.elements().map(|elements| elements.map(Entry::to_value).collect::<Vec<_>>());
                prop_assert_eq!(elements.as_ref(), member.as_array());
                for (inner, expected) in member.as_object().into_iter().flatten() {
                    prop_assert_eq!(&entry.get(inner).unwrap().to_value(), expected);
                }
            }
            prop_assert!(packed.get("no such name").is_none());
        }

        #[test]
        fn exactly_the_objects_that_strict_json_reads_can_be_packed(
            text in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                object().prop_map(|value| value.to_string().into_bytes()),
                (object(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, at, byte)| {
                    let mut text = value.to_string().into_bytes();
                    let at = at.index(text.len());
                    text[at] = byte;
                    text
                }),
                r#"\{("[ab]":([0-9]{1,3}|"x"|\{"c":1,"[cd]":2\}),){1,3}"[ab]":1\}"#.prop_map(String::into_bytes),
            ],
        ) {
            let expected = json::parse_object(&text).map(Value::Object);
            let packed = Packed::parse(&text);
            prop_assert_eq!(packed.as_ref().map(|packed| Entry { packed, at: 0 }.to_value()), expected);
        }
    }

    #[test]
    fn of_many_members_none_occurs_twice() {
        let member = |name: usize| format!("\"{name:x}\":1");
        let object = |members: &[String]| format!("{{{}}}", members.join(","));
        let mut members: Vec<String> = (0..6_500).map(member).collect();
        let text = object(&members);
        assert!(Packed::parse(text.as_bytes()).is_some());
        for (first, second) in [(0, 1), (0, 6_499), (3_000, 3_001), (6_498, 6_499)] {
            let name = std::mem::replace(&mut members[second], member(first));
            assert!(Packed::parse(object(&members).as_bytes()).is_none(), "{first} and {second}");
            members[second] = name;
        }
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_none() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(Packed::parse(deep.as_bytes()).is_none());
        assert!(Packed::parse(format!("{{\"a\":\"{}\"}}", "x".repeat(65_536)).as_bytes()).is_none());
    }
}
