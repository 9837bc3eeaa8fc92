//! The head of a request: names in lower case, values as bytes, since nothing says that a client sends text.

use std::cell::OnceCell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// Asks the host for the value of the filter state that `filter_state_rules` names: that of the request whose callback it is.
pub type AskFilterState = Rc<dyn Fn() -> Option<Vec<u8>>>;

/// The header fields of a request, pseudo-headers (`:method`, `:path`) among them, in the order of arrival. They stay in the one
/// piece in which hosts hand them over: two allocations for each would take more time than all else that a known token needs.
#[derive(Clone, Default)]
pub struct RequestHead {
    map: Vec<u8>,
    fields: Vec<Field>,
    filter_state: Option<FilterState>,
}

/// What the host says, once it was asked.
#[derive(Clone)]
struct FilterState {
    ask: AskFilterState,
    value: OnceCell<Option<Vec<u8>>>,
}

/// Where a field is in the map.
#[derive(Clone)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl RequestHead {
    /// Takes the fields as a proxy-wasm host serializes them: their number, the length of each name and each value, as `u32` with
    /// the lowest byte first; then every name and value with a zero behind it. Some hosts capitalise names. `None` if it is no such
    /// map.
    pub fn from_map(mut map: Vec<u8>) -> Option<Self> {
        let number = |at: usize| {
            let bytes = map.get(at..at.checked_add(4)?)?;
            usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
        };
        let lengths = number(0)?.checked_mul(8)?.checked_add(4)?;
        let mut fields = Vec::with_capacity(map.get(4..lengths)?.len() / 8);
        let mut end = lengths;
        for at in (4..lengths).step_by(8) {
            let name = end..end.checked_add(number(at)?)?;
            let start = name.end.checked_add(1)?;
            let value = start..start.checked_add(number(at + 4)?)?;
            end = value.end.checked_add(1)?;
            fields.push(Field { name, value });
        }
        map.get(..end)?;
        for field in &fields {
            map.get_mut(field.name.clone())?.make_ascii_lowercase();
        }
        Some(Self { map, fields, filter_state: None })
    }

    /// Takes the fields one by one.
    pub fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        let mut map = Vec::new();
        let mut push = |part: &[u8]| {
            let start = map.len();
            map.extend_from_slice(part);
            start..map.len()
        };
        let field = |(name, value): &(String, Vec<u8>)| Field {
            name: push(name.to_ascii_lowercase().as_bytes()),
            value: push(value),
        };
        let fields = fields.iter().map(field).collect();
        Self { map, fields, filter_state: None }
    }

    /// With the filter state that `filter_state_rules` names.
    #[must_use]
    pub fn with_filter_state(self, ask: Option<AskFilterState>) -> Self {
        let filter_state = ask.map(|ask| FilterState { ask, value: OnceCell::new() });
        Self { filter_state, ..self }
    }

    /// Every value of the field `name` (in lower case), in order.
    pub fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        let named = self.fields.iter().filter(move |field| self.part(&field.name) == name.as_bytes());
        named.map(|field| self.part(&field.value))
    }

    /// The first value of the field `name`.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// Whether the request has the field `name`.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Every name, in order, repeated where the field is.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().map(|field| self.part(&field.name))
    }

    /// Every field, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.part(&field.name), self.part(&field.value)))
    }

    /// `:path`, with its query.
    pub fn target(&self) -> &[u8] {
        self.value(":path").unwrap_or_default()
    }

    /// The value of the filter state that `filter_state_rules` names. The host is asked for it the first time, which must be in a
    /// callback of this request: most are decided without it, since a rule matches.
    pub fn filter_state(&self) -> Option<&[u8]> {
        let FilterState { ask, value } = self.filter_state.as_ref()?;
        value.get_or_init(|| ask()).as_deref()
    }

    /// Whether this is a gRPC request, whose denials the host maps to a gRPC status.
    pub fn is_grpc(&self) -> bool {
        self.value("content-type").is_some_and(|value| value.starts_with(b"application/grpc"))
    }

    /// Whether this is a CORS preflight (Fetch standard): `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
    pub fn is_preflight(&self) -> bool {
        self.value(":method") == Some(b"OPTIONS") && self.has("origin") && self.has("access-control-request-method")
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.map.get(range.clone()).unwrap_or_default()
    }
}

/// What a client sends is nobody's to log.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestHead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
        let number = |length: usize| (length as u32).to_le_bytes();
        let mut map = number(fields.len()).to_vec();
        map.extend(fields.iter().flat_map(|(name, value)| [number(name.len()), number(value.len())].concat()));
        map.extend(fields.iter().flat_map(|(name, value)| [name, &[0][..], value, &[0]].concat()));
        map
    }

    #[test]
    fn a_map_yields_its_fields_in_order() {
        let fields: [(&[u8], &[u8]); 5] =
            [(b":path", b"/"), (b"X-A", b"1"), (b"x-\xff", b"\xff\0"), (b"x-a", b""), (b"", b"no name")];
        let head = RequestHead::from_map(map(&fields)).unwrap();
        assert_eq!(head.target(), b"/");
        assert_eq!(head.values("x-a").collect::<Vec<_>>(), [&b"1"[..], b""]);
        assert_eq!(head.names().collect::<Vec<_>>(), [&b":path"[..], b"x-a", b"x-\xff", b"x-a", b""]);
        assert_eq!(RequestHead::from_map(map(&[])).unwrap().names().count(), 0);
    }

    #[test]
    fn what_is_no_whole_map_is_none() {
        let whole = map(&[(b":path", b"/"), (b"x-a", b"1")]);
        for length in 0..whole.len() {
            assert!(RequestHead::from_map(whole[..length].to_vec()).is_none(), "{length}");
        }
        for at in (0..20).step_by(4) {
            for number in [u32::MAX, u32::MAX / 8, 1 << 29, 100] {
                let mut lying = whole.clone();
                lying[at..at + 4].copy_from_slice(&number.to_le_bytes());
                assert!(RequestHead::from_map(lying).is_none(), "{number} at {at}");
            }
        }
    }
}
