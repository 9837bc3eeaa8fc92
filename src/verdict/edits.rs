//! How an allowed request is changed before it goes on: first what is removed, then what is set, then what is added.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use smallvec::SmallVec;
use smol_str::{SmolStr, StrExt};

use super::{Caller, Published, Reason};

/// The name of a header field, in lower case (RFC 9110 section 5.1).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderName(SmolStr);

impl HeaderName {
    /// Accepts a `token` (RFC 9110 section 5.6.2) and turns it to lower case; pseudo-headers are no header fields.
    pub fn new(name: &str) -> Option<Self> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        (!name.is_empty() && name.bytes().all(is_token)).then(|| Self(name.to_ascii_lowercase_smolstr()))
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same without another copy, for edits and calls.
    pub fn shared(&self) -> SmolStr {
        self.0.clone()
    }

    /// Whether `name`, in lower case, is a [spelling](is_spelling) of it.
    pub fn is_spelt(&self, name: &[u8]) -> bool {
        is_spelling(&self.0, name)
    }
}

/// Whether `name` is a spelling of the header `own`, both in lower case: many frameworks read `x_user_id` as `x-user-id`, and what
/// makes variables of headers, as CGI and PHP do, reads `x.user.id` or `x~user~id` as that, too.
pub fn is_spelling(own: &str, name: &[u8]) -> bool {
    // No colon: that begins a pseudo-header, which is no other spelling of anything.
    let dash = |b: u8| if b.is_ascii_alphanumeric() || b == b':' { b } else { b'-' };
    let own = own.as_bytes();
    own.len() == name.len() && own.iter().copied().map(dash).eq(name.iter().copied().map(dash))
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The value of a field that is set.
#[derive(Clone)]
pub enum FieldValue {
    /// Ready from the configuration.
    Ready(SmolStr),
    /// Of this request.
    Own(Vec<u8>),
}

impl Deref for FieldValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Ready(text) => text.as_bytes(),
            Self::Own(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for FieldValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Own(bytes)
    }
}

impl PartialEq for FieldValue {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for FieldValue {}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Names and values of header fields.
pub type Fields = Vec<(SmolStr, FieldValue)>;

/// What to do with the headers of an allowed request: remove, set, add. Only headers that are there are listed for removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Names to remove, all values of each.
    pub remove: SmallVec<[SmolStr; 1]>,
    /// Names and values to set, replacing what is there; pseudo-headers (`:path`) included.
    pub set: Fields,
    /// Names and values to add beside what is there.
    pub add: Fields,
    /// What later filters and the access log can read of the token.
    pub state: State,
    /// Where they can read why it would have been refused.
    pub failed_status: Option<FailedStatus>,
    /// Whose token let it pass.
    pub caller: Caller,
    /// What the access log reads of the decision, where the configuration asks for that.
    pub published: Option<Published>,
    /// `clear_route_cache`: the route is to be chosen again, by the edited headers.
    pub clear_route_cache: bool,
}

/// Filter state: what `payload_in_metadata` and its like name, as JSON text, by the whole [name](state_name).
pub type State = SmallVec<[(SmolStr, SmolStr); 1]>;

/// What later filters and the access log are shown of a token, as JSON text; `None` for what the provider does not show. It is written
/// once, however often the token comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The payload.
    pub payload: Option<SmolStr>,
    /// The JOSE header.
    pub header: Option<SmolStr>,
}

impl Shown {
    /// What it takes in memory, in bytes.
    pub fn size(&self) -> usize {
        [&self.payload, &self.header].into_iter().flatten().map(|text| text.len()).sum()
    }
}

/// `failed_status_in_metadata`: filter state that says why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedStatus {
    /// Its whole [names](state_name), of all providers that were asked.
    pub names: Rc<[SmolStr]>,
    /// Why.
    pub reason: Reason,
}

impl FailedStatus {
    /// Whole names and texts.
    pub fn state(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.names.iter().map(|name| (name.as_str(), self.reason.failure()))
    }
}

/// The whole name of filter state that the configuration names.
pub fn state_name(name: &str) -> SmolStr {
    ["jwt_authn.", name].concat().into()
}

impl Edits {
    /// Removes `name`, once.
    pub fn remove(&mut self, name: SmolStr) {
        if !self.remove.contains(&name) {
            self.remove.push(name);
        }
    }

    /// Sets `name` to `value`; a later value replaces an earlier one.
    pub fn set(&mut self, name: SmolStr, value: impl Into<FieldValue>) {
        set_field(&mut self.set, name, value.into());
    }
}

/// Sets `name` to `value` among `fields`; a later value replaces an earlier one.
pub fn set_field(fields: &mut Fields, name: SmolStr, value: FieldValue) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => fields.push((name, value)),
    }
}

/// Whether `value` can be the value of a header field (RFC 9110 section 5.5): no control characters but the tab, and no white
/// space at its ends, which whoever reads it drops.
pub fn is_field_value(value: &[u8]) -> bool {
    value.trim_ascii() == value && value.iter().all(|&b| b == b'\t' || (b >= 0x20 && b != 0x7f))
}
