//! What a caller may do: the scopes and claims that a rule asks for.

use crate::jose::{ClaimPath, Claims};
use crate::json::{Entry, Value};

/// `authorize` of one rule. Everything in it must hold of one and the same token.
#[derive(Clone, Debug, Default)]
pub struct Authorize {
    /// `scopes`.
    pub scopes: Option<ScopeTest>,
    /// `claims`.
    pub claims: Vec<ClaimCondition>,
}

/// `scopes`.
#[derive(Clone, Debug)]
pub enum ScopeTest {
    /// At least one of these.
    AnyOf(Vec<String>),
    /// All of these.
    AllOf(Vec<String>),
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

/// What a claim is compared with. Values are strings, numbers and booleans.
#[derive(Clone, Debug)]
pub enum ClaimTest {
    /// `equals`.
    Equals(Value),
    /// `any_of`: it, or an element of it if it is an array, is one of these.
    AnyOf(Vec<Value>),
    /// `contains`: it is an array with this element.
    Contains(Value),
    /// `prefix`: it is a string that begins with this.
    Prefix(String),
    /// `present`: whether it is there and not null.
    Present(bool),
}

impl ScopeTest {
    /// Whether the scopes of the token, in `scope` (RFC 8693 section 4.2) or `scp`, suffice.
    pub fn holds(&self, claims: &Claims) -> bool {
        let scopes = scopes(claims);
        let has = |scope: &String| scopes.contains(&scope.as_str());
        match self {
            Self::AnyOf(wanted) => wanted.iter().any(has),
            Self::AllOf(wanted) => wanted.iter().all(has),
        }
    }

    /// The scopes that the rule names.
    pub fn scopes(&self) -> &[String] {
        match self {
            Self::AnyOf(scopes) | Self::AllOf(scopes) => scopes,
        }
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
    pub fn holds(&self, claims: &Claims) -> bool {
        let claim = claims.at(&self.claim).map(Entry::to_value);
        let result = match (&self.test, claim.as_ref()) {
            (ClaimTest::Present(wanted), claim) => Some(claim.is_some_and(|value| !value.is_null()) == *wanted),
            (_, None) => Some(false),
            (ClaimTest::Equals(wanted), Some(value)) => same(value, wanted),
            (ClaimTest::AnyOf(wanted), Some(Value::Array(values))) => {
                Some(values.iter().any(|value| wanted.iter().any(|wanted| same(value, wanted) == Some(true))))
            }
            (ClaimTest::AnyOf(wanted), Some(value)) => {
                let results: Vec<Option<bool>> = wanted.iter().map(|wanted| same(value, wanted)).collect();
                if results.contains(&Some(true)) {
                    Some(true)
                } else {
                    results.contains(&Some(false)).then_some(false)
                }
            }
            (ClaimTest::Contains(wanted), Some(Value::Array(values))) => {
                Some(values.iter().any(|value| same(value, wanted) == Some(true)))
            }
            (ClaimTest::Prefix(prefix), Some(Value::String(value))) => Some(value.starts_with(prefix)),
            (ClaimTest::Contains(_) | ClaimTest::Prefix(_), Some(_)) => None,
        };
        result.is_some_and(|result| result != self.not)
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
