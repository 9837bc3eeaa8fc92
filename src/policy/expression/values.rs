//! Claims and request as the values of an expression. Texts and names are borrowed, and nothing is prepared that the expression does not ask
//! for.

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use std::collections::HashMap;

use super::check::Uses;
use crate::jose::Claims;
use crate::json::{Entry, Value};
use crate::request::{certain, RequestHead};

type Boxed<'v> = Box<dyn Val + 'v>;
type Members<'v> = HashMap<CelMapKey<'v>, Boxed<'v>>;

/// So many bytes of text count like a value.
const TEXT: usize = 64;

/// `claims` and `request`.
pub struct Variables<'v> {
    claims: Members<'v>,
    request: Members<'v>,
    size: u64,
}

impl<'v> Variables<'v> {
    /// What is asked for; `None` where the request says one of these things in a way that could be read as another.
    pub fn new(uses: &'v Uses, head: &'v RequestHead, claims: &'v Claims) -> Option<Self> {
        let mut variables = Self { claims: Members::new(), request: Members::new(), size: 0 };
        variables.add_claims(uses, claims);
        variables.add_request(uses, head)?;
        Some(variables)
    }

    /// How many values they are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// By their names.
    pub fn into_values(self) -> [(&'static str, Boxed<'v>); 2] {
        [("claims", map(self.claims)), ("request", map(self.request))]
    }

    fn add_claims(&mut self, uses: &'v Uses, claims: &'v Claims) {
        if uses.all_claims {
            for (name, entry) in claims.members() {
                let value = self.value(entry);
                self.claims.insert(name.into(), value);
            }
            return;
        }
        for name in &uses.claims {
            if let Some(entry) = claims.get(name) {
                let value = self.value(entry);
                self.claims.insert(name.as_str().into(), value);
            }
        }
    }

    fn add_request(&mut self, uses: &'v Uses, head: &'v RequestHead) -> Option<()> {
        if uses.method {
            let method = self.text(certain::method(head)?);
            self.request.insert("method".into(), method);
        }
        if uses.path {
            let path = self.owned(certain::path(head)?);
            self.request.insert("path".into(), path);
        }
        if uses.host {
            let host = self.owned(certain::host(head)?);
            self.request.insert("host".into(), host);
        }
        let (mut headers, mut query) = (Members::new(), Members::new());
        for name in &uses.headers {
            if certain::has_header(head, name) {
                headers.insert(name.as_str().into(), self.text(certain::header(head, name)?));
            }
        }
        for name in &uses.parameters {
            if certain::has_parameter(head, name) {
                query.insert(name.as_str().into(), self.owned(certain::query(head, name)?));
            }
        }
        self.request.insert("headers".into(), map(headers));
        self.request.insert("query".into(), map(query));
        Some(())
    }

    fn value(&mut self, entry: Entry<'v>) -> Boxed<'v> {
        if let Some(text) = entry.as_str() {
            return self.text(text);
        }
        self.count(0);
        if let Some(elements) = entry.elements() {
            return Box::new(CelList::from(elements.map(|element| self.value(element)).collect::<Vec<_>>()));
        }
        if let Some(members) = entry.members() {
            return map(members.map(|(name, member)| (name.into(), self.value(member))).collect());
        }
        if let Some(number) = entry.as_number() {
            return match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Box::new(CelInt::from(number)),
                (None, Some(number)) => Box::new(CelUInt::from(number)),
                (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
            };
        }
        match entry.to_value() {
            Value::Bool(flag) => Box::new(CelBool::from(flag)),
            _ => Box::new(CelNull),
        }
    }

    fn text(&mut self, text: &'v str) -> Boxed<'v> {
        self.count(text.len());
        Box::new(CelString::from(text))
    }

    fn owned(&mut self, text: String) -> Boxed<'v> {
        self.count(text.len());
        Box::new(CelString::from(text))
    }

    fn count(&mut self, bytes: usize) {
        self.size += 1 + (bytes / TEXT) as u64;
    }
}

fn map(members: Members<'_>) -> Boxed<'_> {
    Box::new(CelMap::from(members))
}
