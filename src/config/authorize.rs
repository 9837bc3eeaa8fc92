//! `authorize`.

use super::cursor::Cursor;
use super::provider::Sources;
use super::values::claim;
use super::{service, template, ConfigError};
use crate::json::Value;
use crate::policy::{Authorize, ClaimCondition, ClaimTest, Provider, ScopeTest, Wanted};

/// Reads `authorize`.
pub(super) fn read(
    cursor: &Cursor<'_>,
    providers: &[Provider],
    sources: &mut Sources<'_>,
) -> Result<Authorize, ConfigError> {
    let object = cursor.object("authorize")?;
    let scopes = object.get("scopes").map(scopes).transpose()?;
    let claims = match object.get("claims") {
        None => Vec::new(),
        Some(cursor) => {
            cursor.elements()?.iter().map(|element| condition(element, providers)).collect::<Result<_, _>>()?
        }
    };
    let service = object.get("service").map(|cursor| service::read(cursor, providers, sources)).transpose()?;
    if scopes.is_none() && claims.is_empty() && service.is_none() {
        return Err(cursor.error("needs \"scopes\", \"claims\" or \"service\""));
    }
    Ok(Authorize { scopes, claims, service })
}

fn scopes(cursor: &Cursor<'_>) -> Result<ScopeTest, ConfigError> {
    let object = cursor.object("scopes")?;
    let (form, list) = object.exactly_one(&["any_of", "all_of"])?;
    let scopes = list.texts()?;
    if !scopes.iter().all(|scope| is_scope(scope)) {
        return Err(list.error("a scope has characters that RFC 6749 does not allow; one scope per element"));
    }
    Ok(if form == "any_of" { ScopeTest::AnyOf(scopes) } else { ScopeTest::AllOf(scopes) })
}

/// Whether it is a `scope-token` of RFC 6749 section 3.3: what a challenge can name.
pub(super) fn is_scope(scope: &str) -> bool {
    scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

fn condition(cursor: &Cursor<'_>, providers: &[Provider]) -> Result<ClaimCondition, ConfigError> {
    let object = cursor.object("claim_condition")?;
    let claim = claim(&object, "claim", "claim_path")?;
    let (form, value) = object.exactly_one(&["equals", "any_of", "contains", "prefix", "present"])?;
    let one = || wanted(std::slice::from_ref(value), providers);
    let test = match form {
        "equals" => ClaimTest::Equals(one()?),
        "any_of" => ClaimTest::AnyOf(wanted(&value.elements()?, providers)?),
        "contains" => ClaimTest::Contains(one()?),
        "prefix" => ClaimTest::Prefix(template::read(value, value.text()?, providers)?),
        _ => ClaimTest::Present(value.flag()?),
    };
    Ok(ClaimCondition { claim, test, not: object.flag("not", false)? })
}

fn wanted(cursors: &[Cursor<'_>], providers: &[Provider]) -> Result<Wanted, ConfigError> {
    let mut wanted = Wanted::default();
    for cursor in cursors {
        match cursor.scalar()? {
            Value::String(text) => {
                let template = template::read(cursor, &text, providers)?;
                match template.literal() {
                    Some(literal) => wanted.values.push(literal.into()),
                    None => wanted.templates.push(template),
                }
            }
            value => wanted.values.push(value),
        }
    }
    Ok(wanted)
}
