//! The head of a request: names in lower case, values as bytes, since nothing says that a client sends text.

use std::borrow::Cow;

/// The header fields of a request, pseudo-headers (`:method`, `:path`) among them, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    fields: Vec<(String, Vec<u8>)>,
    filter_state: Option<Vec<u8>>,
}

impl RequestHead {
    /// Takes the fields as the host hands them over; some hosts capitalise names.
    pub fn new(mut fields: Vec<(String, Vec<u8>)>) -> Self {
        for (name, _) in &mut fields {
            name.make_ascii_lowercase();
        }
        Self { fields, filter_state: None }
    }

    /// With the value of the filter state that `filter_state_rules` names.
    #[must_use]
    pub fn with_filter_state(self, filter_state: Option<Vec<u8>>) -> Self {
        Self { filter_state, ..self }
    }

    /// Every value of the field `name` (in lower case), in order.
    pub fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// The first value of the field `name`.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The value of the field `name`; several are joined by commas, as RFC 9110 section 5.3 allows.
    pub fn joined(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut values = self.values(name);
        let first = values.next()?;
        match values.next() {
            None => Some(Cow::Borrowed(first)),
            Some(second) => {
                let mut joined = first.to_vec();
                for value in std::iter::once(second).chain(values) {
                    joined.push(b',');
                    joined.extend_from_slice(value);
                }
                Some(Cow::Owned(joined))
            }
        }
    }

    /// Whether the request has the field `name`.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Every name, in order, repeated where the field is.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// `:path`, with its query.
    pub fn target(&self) -> &[u8] {
        self.value(":path").unwrap_or_default()
    }

    /// The value of the filter state that `filter_state_rules` names.
    pub fn filter_state(&self) -> Option<&[u8]> {
        self.filter_state.as_deref()
    }

    /// Whether this is a gRPC request, whose denials the host maps to a gRPC status.
    pub fn is_grpc(&self) -> bool {
        self.value("content-type").is_some_and(|value| value.starts_with(b"application/grpc"))
    }

    /// Whether this is a CORS preflight (Fetch standard): `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
    pub fn is_preflight(&self) -> bool {
        self.value(":method") == Some(b"OPTIONS") && self.has("origin") && self.has("access-control-request-method")
    }
}
