//! Texts with variables.

use std::rc::Rc;

use super::cursor::Cursor;
use super::ConfigError;
use crate::policy::{IssuerPattern, Provider, Template, Variable};
use crate::request::{Location, ParameterName};
use crate::verdict::HeaderName;

/// What rules cannot speak of, since it is the gate's own: what providers find tokens in, and what they and services set.
pub(super) struct Own<'c> {
    pub providers: &'c [Provider],
    /// `response_headers` of all services.
    pub response_headers: Vec<HeaderName>,
}

/// Reads the `value` of a header that is set from a token of a provider with these `issuers`: it speaks of the token alone, since what
/// a client writes is no identity.
pub(super) fn of_token(cursor: &Cursor<'_>, issuers: &[Rc<IssuerPattern>]) -> Result<Template, ConfigError> {
    read_with(cursor, cursor.text()?, &|variable| match variable {
        Variable::Claim(_) => None,
        Variable::Issuer(name) if has_variable(issuers, name) => None,
        Variable::Issuer(name) => Some(unknown_issuer(name)),
        _ => Some("holds no variables but \"{claims.NAME}\" and \"{issuer.NAME}\"".to_owned()),
    })
}

/// Reads `text`, which stands at `cursor`. What the gate itself takes out of a request or writes into it is no part of one that can
/// be asked for.
pub(super) fn read(cursor: &Cursor<'_>, text: &str, own: &Own<'_>) -> Result<Template, ConfigError> {
    read_with(cursor, text, &|variable| match variable {
        Variable::Header(name) => problem_of_header(name, own),
        Variable::Query(name) => problem_of_parameter(name, own),
        Variable::Issuer(name) if !own.providers.iter().any(|provider| has_variable(&provider.issuers, name)) => {
            Some(unknown_issuer(name))
        }
        _ => None,
    })
}

/// Why a rule cannot ask for the header.
pub(super) fn problem_of_header(name: &HeaderName, own: &Own<'_>) -> Option<String> {
    let is_own = |provider: &Provider| {
        provider.output_headers().any(|header| name.is_spelt(header.as_str().as_bytes()))
            || provider.locations.iter().any(|location| holds_tokens(location, name))
    };
    let text = || format!("\"{}\" is a header that the gate sets, or finds tokens in", name.as_str());
    let of_service = || own.response_headers.iter().any(|header| name.is_spelt(header.as_str().as_bytes()));
    (own.providers.iter().any(is_own) || of_service()).then(text)
}

/// Why a rule cannot ask for the parameter of the query.
pub(super) fn problem_of_parameter(name: &ParameterName, own: &Own<'_>) -> Option<String> {
    let is_own = |location: &Location| matches!(location, Location::Param(known) if known == name.as_str());
    let text = || format!("\"{}\" is a parameter that the gate finds tokens in", name.as_str());
    own.providers.iter().any(|provider| provider.locations.iter().any(is_own)).then(text)
}

fn read_with(
    cursor: &Cursor<'_>,
    text: &str,
    problem: &dyn Fn(&Variable) -> Option<String>,
) -> Result<Template, ConfigError> {
    let template = Template::parse(text).map_err(|problem| cursor.error(problem))?;
    let found = template.variables().find_map(problem);
    found.map_or(Ok(template), |problem| Err(cursor.error(problem)))
}

pub(super) fn holds_tokens(location: &Location, name: &HeaderName) -> bool {
    match location {
        Location::Bearer => name.is_spelt(b"authorization"),
        Location::Header { name: header, .. } => name.is_spelt(header.as_str().as_bytes()),
        Location::Cookie(_) => name.is_spelt(b"cookie"),
        Location::Param(_) => false,
    }
}

fn has_variable(issuers: &[Rc<IssuerPattern>], name: &str) -> bool {
    issuers.iter().any(|pattern| pattern.names().any(|known| known == name))
}

fn unknown_issuer(name: &str) -> String {
    format!("\"{{issuer.{name}}}\": no pattern of \"issuers\" has a variable of that name")
}
