//! What a caller may do: the scopes and claims that a rule asks for.

use super::template::text_of;
use super::{Expression, Principal, Template};
use crate::jose::{ClaimPath, Claims};
use crate::json::{Entry, Value};
use crate::request::RequestHead;

/// `authorize` of one rule. Everything in it must hold of one and the same token.
#[derive(Clone, Debug, Default)]
pub struct Authorize {
    /// `scopes`.
    pub scopes: Option<ScopeTest>,
    /// `claims`.
    pub claims: Vec<ClaimCondition>,
    /// `cel`.
    pub expression: Option<Expression>,
    /// `service`: that of this index is asked when all else holds.
    pub service: Option<usize>,
}

/// `scopes`.
#[derive(Clone, Debug)]
pub struct ScopeTest {
    scopes: Vec<String>,
    all: bool,
}

/// One of `claims`.
#[derive(Clone, Debug)]
pub struct ClaimCondition {
    /// The claim.
    pub claim: ClaimPath,
    /// What it must be.
    pub test: ClaimTest,
    /// `not`: it must not be that. A claim of another type than the test's passes neither way.
    pub not: bool,
}

/// What a claim is compared with.
#[derive(Clone, Debug)]
pub enum ClaimTest {
    /// `equals`.
    Equals(Wanted),
    /// `any_of`: it, or an element of it if it is an array, is one of these.
    AnyOf(Wanted),
    /// `contains`: it is an array with this element.
    Contains(Wanted),
    /// `prefix`: it is a string that begins with this.
    Prefix(Template),
    /// `present`: whether it is there and not null.
    Present(bool),
}

/// What a claim may be, one or several.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Strings, numbers and booleans.
    pub values: Vec<Value>,
    /// Texts with variables, which are compared with strings, and with whole numbers and booleans as texts.
    pub templates: Vec<Template>,
}

/// The same for one request.
struct Rendered<'w> {
    values: &'w [Value],
    texts: Vec<String>,
}

impl ScopeTest {
    /// `any_of`, or `all_of` them.
    pub fn new(scopes: Vec<String>, all: bool) -> Self {
        Self { scopes, all }
    }

    /// Whether the scopes of the token, in `scope` (RFC 8693 section 4.2) or `scp`, suffice.
    pub fn holds(&self, claims: &Claims) -> bool {
        let scopes = scopes(claims);
        let has = |scope: &String| scopes.contains(&scope.as_str());
        if self.all {
            self.scopes.iter().all(has)
        } else {
            self.scopes.iter().any(has)
        }
    }

    /// How a challenge names them (RFC 6750 section 3).
    pub fn challenge(&self) -> String {
        ["scope=\"", &self.scopes.join(" "), "\""].concat()
    }
}

/// `scope` is a string of words; where it is absent, `scp` is one, or an array of words.
fn scopes(claims: &Claims) -> Vec<&str> {
    let words = |text| str::split(text, ' ').filter(|word| !word.is_empty());
    match (claims.get("scope"), claims.get("scp")) {
        (Some(scope), _) => scope.as_str().into_iter().flat_map(words).collect(),
        (None, Some(scp)) => match scp.elements() {
            Some(elements) => elements.filter_map(Entry::as_str).collect(),
            None => scp.as_str().into_iter().flat_map(words).collect(),
        },
        (None, None) => Vec::new(),
    }
}

impl ClaimCondition {
    /// Whether the claim is what it must be.
    pub fn holds(&self, head: &RequestHead, caller: &Principal) -> bool {
        self.result(head, caller).is_some_and(|result| result != self.not)
    }

    /// `None` if the claim is of another type than the test's, and where a variable has no value: then it passes neither way.
    fn result(&self, head: &RequestHead, caller: &Principal) -> Option<bool> {
        let claim = caller.verified().claims().at(&self.claim).map(Entry::to_value);
        match &self.test {
            ClaimTest::Present(wanted) => Some(claim.is_some_and(|value| !value.is_null()) == *wanted),
            ClaimTest::Prefix(prefix) => {
                let prefix = prefix.text(head, Some(caller))?;
                claim.map_or(Some(false), |value| Some(value.as_str()?.starts_with(&*prefix)))
            }
            ClaimTest::Equals(wanted) => {
                let wanted = wanted.rendered(head, caller)?;
                claim.map_or(Some(false), |value| wanted.has(&value))
            }
            ClaimTest::AnyOf(wanted) => {
                let wanted = wanted.rendered(head, caller)?;
                match claim {
                    None => Some(false),
                    Some(Value::Array(values)) => Some(wanted.has_one_of(&values)),
                    Some(value) => wanted.has(&value),
                }
            }
            ClaimTest::Contains(wanted) => {
                let wanted = wanted.rendered(head, caller)?;
                claim.map_or(Some(false), |value| Some(wanted.has_one_of(value.as_array()?)))
            }
        }
    }
}

impl Wanted {
    fn rendered(&self, head: &RequestHead, caller: &Principal) -> Option<Rendered<'_>> {
        let texts = self.templates.iter().map(|template| template.render(head, Some(caller)));
        Some(Rendered { values: &self.values, texts: texts.collect::<Option<_>>()? })
    }
}

impl Rendered<'_> {
    /// Whether `value` is one of these; `None` if none of them is of its type.
    fn has(&self, value: &Value) -> Option<bool> {
        let among_values = self.values.iter().map(|wanted| same(value, wanted));
        let among_texts = self.texts.iter().map(|wanted| text_of(value).map(|text| text == **wanted));
        // `None` is less than any answer, and no is less than yes.
        among_values.chain(among_texts).max().flatten()
    }

    fn has_one_of(&self, values: &[Value]) -> bool {
        values.iter().any(|value| self.has(value) == Some(true))
    }
}

/// Whether two values are the same; `None` if they are not of one type.
fn same(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a == b),
        (Value::Bool(a), Value::Bool(b)) => Some(a == b),
        // 1 and 1.0 are one number in JSON, two in the parser.
        (Value::Number(a), Value::Number(b)) => Some(a == b || (a.is_f64() != b.is_f64() && a.as_f64() == b.as_f64())),
        _ => None,
    }
}
