//! `authorize`.

use super::cursor::Cursor;
use super::values::claim;
use super::ConfigError;
use crate::policy::{Authorize, ClaimCondition, ClaimTest, ScopeTest};

/// Reads `authorize`.
pub(super) fn read(cursor: &Cursor<'_>) -> Result<Authorize, ConfigError> {
    let object = cursor.object("authorize")?;
    let scopes = object.get("scopes").map(scopes).transpose()?;
    let claims = match object.get("claims") {
        None => Vec::new(),
        Some(cursor) => cursor.elements()?.iter().map(condition).collect::<Result<_, _>>()?,
    };
    if scopes.is_none() && claims.is_empty() {
        return Err(cursor.error("needs \"scopes\" or \"claims\""));
    }
    Ok(Authorize { scopes, claims })
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

fn condition(cursor: &Cursor<'_>) -> Result<ClaimCondition, ConfigError> {
    let object = cursor.object("claim_condition")?;
    let claim = claim(&object, "claim", "claim_path")?;
    let (form, value) = object.exactly_one(&["equals", "any_of", "contains", "prefix", "present"])?;
    let test = match form {
        "equals" => ClaimTest::Equals(value.scalar()?),
        "any_of" => ClaimTest::AnyOf(value.elements()?.iter().map(Cursor::scalar).collect::<Result<_, _>>()?),
        "contains" => ClaimTest::Contains(value.scalar()?),
        "prefix" => ClaimTest::Prefix(value.text()?.to_owned()),
        _ => ClaimTest::Present(value.flag()?),
    };
    Ok(ClaimCondition { claim, test, not: object.flag("not", false)? })
}
