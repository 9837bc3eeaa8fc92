//! What became of a request: the answer, and in it what the service got.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::wire::Message;

/// Fields of an answer that are not the filters' doing: the time, and whether the connection goes on. It does not where the answer
/// came before the end of the request, which is a matter of how the bytes arrived.
const NOT_COMPARED: [&str; 2] = ["date", "connection"];

/// How the headers begin that show what the filter left for others.
pub const STATE: &str = "x-state-";

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// 0 where the connection was closed without an answer.
    pub status: u16,
    /// Values by name, in their order.
    pub headers: BTreeMap<String, Vec<String>>,
    pub body: Vec<u8>,
    /// What the service got, if it got anything.
    pub seen: Option<Value>,
}

impl Outcome {
    pub fn of(answer: &Message) -> Self {
        let mut headers = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in answer.fields.iter().filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str())) {
            let value = if name.starts_with(STATE) { as_struct(value) } else { value.clone() };
            headers.entry(name.clone()).or_default().push(value);
        }
        let mut seen: Option<Value> = match answer.value("x-seen") {
            Some("below") => serde_json::from_slice(&answer.body).ok(),
            Some(seen) => serde_json::from_str(seen).ok(),
            None => None,
        };
        let fields = seen.as_mut().and_then(|seen| seen["fields"].as_object_mut()).into_iter().flatten();
        for value in
            fields.filter(|(name, _)| name.starts_with(STATE)).filter_map(|(_, values)| values.as_array_mut()).flatten()
        {
            *value = as_struct(value.as_str().unwrap_or_default()).into();
        }
        Self { status: answer.status(), headers, body: answer.body.clone(), seen }
    }

    pub fn closed() -> Self {
        Self { status: 0, headers: BTreeMap::new(), body: Vec::new(), seen: None }
    }

    /// Whether the filter let the request through.
    pub fn is_allowed(&self) -> bool {
        self.seen.is_some()
    }

    /// One line for the summary, the same for all answers of one kind.
    pub fn kind(&self) -> String {
        match (&self.seen, self.status) {
            (Some(_), status) => format!("{status} from the service"),
            (None, 0) => "closed".to_owned(),
            (None, status) => format!("{status} {}", String::from_utf8_lossy(&self.body)),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  status {}", self.status)?;
        if let Some(seen) = &self.seen {
            writeln!(f, "  the service got: {}", seen["request"].as_str().unwrap_or_default())?;
            for (name, values) in seen["fields"].as_object().into_iter().flatten() {
                for value in values.as_array().into_iter().flatten() {
                    writeln!(f, "    {name}: {}", value.as_str().unwrap_or_default())?;
                }
            }
            return Ok(());
        }
        for (name, values) in &self.headers {
            for value in values {
                writeln!(f, "    {name}: {value}")?;
            }
        }
        writeln!(f, "    {:?}", String::from_utf8_lossy(&self.body))
    }
}

/// JSON text with what Envoy's `Struct` keeps of it: numbers are doubles, and members have no order. Each character is one byte.
fn as_struct(text: &str) -> String {
    let bytes: Vec<u8> = text.chars().filter_map(|c| u8::try_from(c).ok()).collect();
    serde_json::from_slice(&bytes).map_or_else(|_| text.to_owned(), |value: Value| doubles(value).to_string())
}

fn doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(elements) => elements.into_iter().map(doubles).collect(),
        Value::Object(members) => {
            let ordered: BTreeMap<_, _> = members.into_iter().map(|(name, value)| (name, doubles(value))).collect();
            ordered.into_iter().collect()
        }
        other => other,
    }
}
