//! Texts with variables.

use super::cursor::Cursor;
use super::ConfigError;
use crate::policy::{IssuerPattern, Provider, Template, Variable};
use crate::request::Location;
use crate::verdict::HeaderName;

/// Reads the `value` of a header that is set from a token of a provider with these `issuers`: it speaks of the token alone, since what
/// a client writes is no identity.
pub(super) fn of_token(cursor: &Cursor<'_>, issuers: &[IssuerPattern]) -> Result<Template, ConfigError> {
    let template = Template::parse(cursor.text()?).map_err(|problem| cursor.error(problem))?;
    for variable in template.variables() {
        match variable {
            Variable::Claim(_) => {}
            Variable::Issuer(name) => check_issuer(cursor, name, issuers.iter())?,
            _ => return Err(cursor.error("holds no variables but \"{claims.NAME}\" and \"{issuer.NAME}\"")),
        }
    }
    Ok(template)
}

/// Reads `text`, which stands at `cursor`. What the gate itself takes out of a request or writes into it is no part of one that can
/// be asked for.
pub(super) fn read(cursor: &Cursor<'_>, text: &str, providers: &[Provider]) -> Result<Template, ConfigError> {
    let template = Template::parse(text).map_err(|problem| cursor.error(problem))?;
    for variable in template.variables() {
        match variable {
            Variable::Header(name) if providers.iter().any(|provider| is_own_header(name, provider)) => {
                let problem = "is a header that the gate sets, or finds tokens in";
                return Err(cursor.error(format!("\"{{header.{}}}\": {problem}", name.as_str())));
            }
            Variable::Query(name) if providers.iter().any(|provider| is_own_parameter(name, provider)) => {
                return Err(cursor.error(format!("\"{{query.{name}}}\": is a parameter that the gate finds tokens in")));
            }
            Variable::Issuer(name) => {
                check_issuer(cursor, name, providers.iter().flat_map(|provider| &provider.issuers))?;
            }
            _ => {}
        }
    }
    Ok(template)
}

fn check_issuer<'p>(
    cursor: &Cursor<'_>,
    name: &str,
    mut issuers: impl Iterator<Item = &'p IssuerPattern>,
) -> Result<(), ConfigError> {
    if issuers.any(|pattern| pattern.names().any(|known| known == name)) {
        return Ok(());
    }
    Err(cursor.error(format!("\"{{issuer.{name}}}\": no pattern of \"issuers\" has a variable of that name")))
}

fn is_own_header(name: &HeaderName, provider: &Provider) -> bool {
    let holds_tokens = |location: &Location| match location {
        Location::Bearer => name.is_spelt(b"authorization"),
        Location::Header { name: header, .. } => name.is_spelt(header.as_str().as_bytes()),
        Location::Cookie(_) => name.is_spelt(b"cookie"),
        Location::Param(_) => false,
    };
    provider.output_headers().any(|header| name.is_spelt(header.as_str().as_bytes()))
        || provider.locations.iter().any(holds_tokens)
}

fn is_own_parameter(name: &str, provider: &Provider) -> bool {
    provider.locations.iter().any(|location| matches!(location, Location::Param(own) if own == name))
}
