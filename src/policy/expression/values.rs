//! Claims and request as the values of an expression. Texts and names are borrowed, and nothing is prepared that the expression does not ask
//! for.

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
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
    claims: CelMap<'v>,
    request: CelMap<'v>,
    size: u64,
}

impl<'v> Variables<'v> {
    /// What is asked for; `None` where the request says one of these things in a way that could be read as another.
    pub fn new(uses: &'v Uses, head: &'v RequestHead, claims: &'v Claims) -> Option<Self> {
        let (claims_map, request_map) = (CelMap::from(Members::new()), CelMap::from(Members::new()));
        let mut variables = Self { claims: claims_map, request: request_map, size: 0 };
        variables.claims = variables.of_claims(uses, claims).into();
        variables.request = variables.of_request(uses, head)?.into();
        Some(variables)
    }

    /// How many values they are.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn of_claims(&mut self, uses: &'v Uses, claims: &'v Claims) -> Members<'v> {
        if uses.all_claims {
            return claims.members().map(|(name, entry)| (name.into(), self.value(entry))).collect();
        }
        let named = uses.claims.iter().filter_map(|name| Some((name, claims.get(name)?)));
        named.map(|(name, entry)| (name.as_str().into(), self.value(entry))).collect()
    }

    fn of_request(&mut self, uses: &'v Uses, head: &'v RequestHead) -> Option<Members<'v>> {
        let mut request = Members::new();
        if uses.method {
            request.insert("method".into(), self.text(certain::method(head)?));
        }
        if uses.path {
            request.insert("path".into(), self.owned(certain::path(head)?));
        }
        if uses.host {
            request.insert("host".into(), self.owned(certain::host(head)?));
        }
        if !uses.headers.is_empty() {
            let mut headers = Members::new();
            for name in &uses.headers {
                if certain::has_header(head, name) {
                    headers.insert(name.as_str().into(), self.text(certain::header(head, name)?));
                }
            }
            request.insert("headers".into(), map(headers));
        }
        if !uses.parameters.is_empty() {
            let mut query = Members::new();
            for name in &uses.parameters {
                if certain::has_parameter(head, name) {
                    query.insert(name.as_str().into(), self.owned(certain::query(head, name)?));
                }
            }
            request.insert("query".into(), map(query));
        }
        Some(request)
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

/// An expression asks for them by name, where they are.
impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "claims" => Some(CowVal::Borrowed(&self.claims)),
            "request" => Some(CowVal::Borrowed(&self.request)),
            _ => None,
        }
    }
}

fn map(members: Members<'_>) -> Boxed<'_> {
    Box::new(CelMap::from(members))
}
