//! One configuration in several spellings, which both filters must read alike.

use serde_json::{json, Map, Value};

use crate::random::Random;

/// How a configuration is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spelling {
    /// The names of fields in `lowerCamelCase`.
    camel: bool,
    /// To the gate: durations as `{seconds, nanos}`, which Envoy's own reader does not take.
    parts: bool,
    /// To the gate: with the type of Envoy's message.
    typed: bool,
    /// To the gate: as a `Struct`, and not as text.
    structure: bool,
}

/// Where a name belongs to whoever configures, and is no field.
const MAPS: [&str; 2] = ["providers", "requirement_map"];

/// Of type `Duration`.
const DURATIONS: [&str; 6] =
    ["timeout", "cache_duration", "failed_refetch_duration", "base_interval", "max_interval", "max_lifetime"];

/// The type of Envoy's message.
pub const TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";

impl Spelling {
    pub fn any(random: &mut Random) -> Self {
        Self {
            camel: random.chance(30),
            parts: random.chance(30),
            typed: random.chance(20),
            structure: random.chance(30),
        }
    }

    /// For Envoy's own filter.
    pub fn message(self, configuration: &Value) -> Value {
        if self.camel {
            camel(configuration, "")
        } else {
            configuration.clone()
        }
    }

    /// For the gate, in the message that the wasm filter hands over.
    pub fn gate(self, configuration: &Value, is_jwt_authn: bool) -> Value {
        let mut configuration = configuration.clone();
        if self.parts {
            in_parts(&mut configuration);
        }
        let mut configuration = self.message(&configuration);
        if is_jwt_authn {
            configuration["semantics"] = "jwt_authn".into();
            if self.typed {
                configuration["@type"] = TYPE.into();
            }
        }
        if self.structure {
            return json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": configuration});
        }
        json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string()})
    }
}

/// The same with the fields of the message `parent`, and of all below it, in `lowerCamelCase`.
fn camel(value: &Value, parent: &str) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(|element| camel(element, parent)).collect(),
        Value::Object(members) => {
            let is_map = MAPS.contains(&parent) || parent == "filter_state_rules.requires";
            let renamed = members.iter().map(|(name, value)| {
                if is_map {
                    return (name.clone(), camel(value, ""));
                }
                let path = if parent == "filter_state_rules" { &format!("{parent}.{name}") } else { name };
                (camel_name(name), camel(value, path))
            });
            Value::Object(renamed.collect::<Map<_, _>>())
        }
        _ => value.clone(),
    }
}

fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let (initial, rest) = word.split_at(1);
        camel + &initial.to_uppercase() + rest
    })
}

fn in_parts(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(in_parts),
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().and_then(|text| text.strip_suffix('s')) {
                    Some(seconds) if DURATIONS.contains(&name.as_str()) => *value = parts(seconds),
                    _ => in_parts(value),
                }
            }
        }
        _ => {}
    }
}

fn parts(seconds: &str) -> Value {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let number = |text: &str| text.parse::<u32>().expect("a duration of this test");
    let nanos = number(&format!("{fraction:0<9}"));
    match nanos {
        0 => json!({"seconds": number(whole)}),
        nanos => json!({"seconds": number(whole), "nanos": nanos}),
    }
}
