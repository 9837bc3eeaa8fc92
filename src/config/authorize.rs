//! `authorize`.

use super::cursor::Cursor;
use super::source::Sources;
use super::template::{self, Own};
use super::values::claim;
use super::{service, ConfigError};
use crate::json::Value;
use crate::policy::{Authorize, ClaimCondition, ClaimTest, Expression, ScopeTest, Wanted};
use crate::request::ParameterName;
use crate::verdict::HeaderName;

/// Reads `authorize`.
pub(super) fn read(cursor: &Cursor<'_>, own: &Own<'_>, sources: &mut Sources<'_>) -> Result<Authorize, ConfigError> {
    let object = cursor.object("authorize")?;
    let scopes = object.get("scopes").map(scopes).transpose()?;
    let claims = match object.get("claims") {
        None => Vec::new(),
        Some(cursor) => cursor.elements()?.iter().map(|element| condition(element, own)).collect::<Result<_, _>>()?,
    };
    let expression = object.get("cel").map(|cursor| expression(cursor, own)).transpose()?;
    let service = object.get("service").map(|cursor| service::read(cursor, own, sources)).transpose()?;
    if scopes.is_none() && claims.is_empty() && expression.is_none() && service.is_none() {
        return Err(cursor.error("needs \"scopes\", \"claims\", \"cel\" or \"service\""));
    }
    Ok(Authorize { scopes, claims, expression, service })
}

fn scopes(cursor: &Cursor<'_>) -> Result<ScopeTest, ConfigError> {
    let object = cursor.object("scopes")?;
    let (form, list) = object.exactly_one(&["any_of", "all_of"])?;
    let scopes = list.texts()?;
    if !scopes.iter().all(|scope| is_scope(scope)) {
        return Err(list.error("a scope has characters that RFC 6749 does not allow; one scope per element"));
    }
    Ok(ScopeTest::new(scopes, form == "all_of"))
}

/// Whether it is a `scope-token` of RFC 6749 section 3.3: what a challenge can name.
pub(super) fn is_scope(scope: &str) -> bool {
    scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

fn condition(cursor: &Cursor<'_>, own: &Own<'_>) -> Result<ClaimCondition, ConfigError> {
    let object = cursor.object("claim_condition")?;
    let claim = claim(&object, "claim", "claim_path")?;
    let (form, value) = object.exactly_one(&["equals", "any_of", "contains", "prefix", "present"])?;
    let one = || wanted(std::slice::from_ref(value), own);
    let test = match form {
        "equals" => ClaimTest::Equals(one()?),
        "any_of" => ClaimTest::AnyOf(wanted(&value.elements()?, own)?),
        "contains" => ClaimTest::Contains(one()?),
        "prefix" => ClaimTest::Prefix(template::read(value, value.text()?, own)?),
        _ => ClaimTest::Present(value.flag()?),
    };
    Ok(ClaimCondition { claim, test, not: object.flag("not", false)? })
}

fn expression(cursor: &Cursor<'_>, own: &Own<'_>) -> Result<Expression, ConfigError> {
    let text = cursor.text()?;
    let expression = Expression::parse(text).map_err(|problem| cursor.error(problem))?;
    let located = |name: &str, problem: Option<String>| Some(Expression::located(text, name, problem?));
    let of_header = |name: &HeaderName| located(name.as_str(), template::problem_of_header(name, own));
    let of_parameter = |name: &ParameterName| located(name.as_str(), template::problem_of_parameter(name, own));
    let headers = expression.headers().iter().find_map(of_header);
    let parameters = || expression.parameters().iter().find_map(of_parameter);
    headers.or_else(parameters).map_or(Ok(()), |problem| Err(cursor.error(problem)))?;
    Ok(expression)
}

fn wanted(cursors: &[Cursor<'_>], own: &Own<'_>) -> Result<Wanted, ConfigError> {
    let mut wanted = Wanted::default();
    for cursor in cursors {
        match cursor.scalar()? {
            Value::String(text) => {
                let template = template::read(cursor, &text, own)?;
                match template.literal() {
                    Some(literal) => wanted.values.push(literal.as_str().into()),
                    None => wanted.templates.push(template),
                }
            }
            value => wanted.values.push(value),
        }
    }
    Ok(wanted)
}
