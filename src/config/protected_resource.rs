//! `protected_resource`.

use super::authorize::is_scope;
use super::cursor::Cursor;
use super::ConfigError;
use crate::json::Value;
use crate::policy::{ProtectedResource, Provider};
use crate::request::Location;

/// What stands before the path of a resource where its metadata is (RFC 9728 section 3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A member of the document: its name, whether it is a list, and what each text in it must be.
type Member = (&'static str, bool, fn(&str) -> Result<(), &'static str>);

const MEMBERS: [Member; 8] = [
    ("resource", false, identifier),
    ("authorization_servers", true, identifier),
    ("bearer_methods_supported", true, method),
    ("scopes_supported", true, scope),
    ("resource_name", false, |_| Ok(())),
    ("resource_documentation", false, page),
    ("resource_policy_uri", false, page),
    ("resource_tos_uri", false, page),
];

/// Reads it; `providers` say whose tokens are taken, and where, as far as it does not.
pub(super) fn read(cursor: &Cursor<'_>, providers: &[Provider]) -> Result<ProtectedResource, ConfigError> {
    let object = cursor.object("protected_resource")?;
    let resource = object.required("resource")?;
    let mut document = String::new();
    for (name, is_list, check) in MEMBERS {
        let Some(member) = object.get(name) else {
            let defaults = match name {
                "authorization_servers" => issuers(providers),
                "bearer_methods_supported" => methods(providers),
                _ => continue,
            };
            if !defaults.is_empty() {
                push(&mut document, name, &defaults.into());
            } else if name == "authorization_servers" {
                let problem = "needs \"authorization_servers\": no provider has an \"issuer\" that is an address";
                return Err(cursor.error(problem));
            }
            continue;
        };
        let texts = if is_list { member.elements()? } else { vec![member.clone()] };
        for text in texts {
            check(text.text()?).map_err(|problem| text.error(problem))?;
        }
        push(&mut document, name, member.value());
    }
    document.push('}');
    let (origin, path) = split(resource.text()?);
    let path = [WELL_KNOWN, path].concat();
    let url = [origin, &path].concat();
    Ok(ProtectedResource::new(path, &url, document))
}

fn push(document: &mut String, name: &str, value: &Value) {
    let opening = if document.is_empty() { "{\"" } else { ",\"" };
    document.push_str(&[opening, name, "\":", &value.to_string()].concat());
}

/// Scheme and host, and the path behind them, if it is more than a slash.
fn split(url: &str) -> (&str, &str) {
    let mut slashes = url.bytes().enumerate().filter(|(_, b)| *b == b'/').map(|(at, _)| at);
    match slashes.nth(2).and_then(|at| url.split_at_checked(at)) {
        Some((origin, "/")) => (origin, ""),
        Some(parts) => parts,
        None => (url, ""),
    }
}

/// The issuers that a client can ask: an issuer may be any text.
fn issuers(providers: &[Provider]) -> Vec<Value> {
    let mut issuers: Vec<Value> = Vec::new();
    let of_provider = |provider: &'_ Provider| -> Vec<String> {
        let exact = provider.issuers.iter().filter_map(|pattern| pattern.exact());
        provider.issuer.as_deref().into_iter().chain(exact).map(str::to_owned).collect()
    };
    for issuer in providers.iter().flat_map(of_provider) {
        if is_url(&issuer) && !issuers.iter().any(|known| *known == issuer) {
            issuers.push(issuer.into());
        }
    }
    issuers
}

/// How a token is presented, in the words of RFC 6750 section 2; places of other kinds have no name there.
fn methods(providers: &[Provider]) -> Vec<Value> {
    let (mut header, mut query) = (false, false);
    for location in providers.iter().flat_map(|provider| &provider.locations) {
        match location {
            Location::Bearer => header = true,
            Location::Header { name, .. } => header |= name.as_str() == "authorization",
            Location::Param(name) => query |= name == "access_token",
            Location::Cookie(_) => {}
        }
    }
    let mut methods = Vec::new();
    methods.extend(header.then_some("header".into()));
    methods.extend(query.then_some("query".into()));
    methods
}

/// The address of a resource or an issuer (RFC 9728 section 1.2, RFC 8414 section 2). The RFCs ask for `https`; a resource under test,
/// or within a network of its own, has `http`, and which of both it is changes nothing here.
fn identifier(text: &str) -> Result<(), &'static str> {
    page(text)?;
    if text.bytes().any(|b| matches!(b, b'?' | b'#')) {
        return Err("must have no query and no fragment");
    }
    Ok(())
}

fn page(text: &str) -> Result<(), &'static str> {
    is_url(text).then_some(()).ok_or("expected \"https://host/path\"")
}

fn method(text: &str) -> Result<(), &'static str> {
    matches!(text, "header" | "query").then_some(()).ok_or("must be \"header\" or \"query\"")
}

fn scope(text: &str) -> Result<(), &'static str> {
    is_scope(text).then_some(()).ok_or("a scope has characters that RFC 6749 does not allow")
}

/// Whether it is an address of `https` or `http`, in the characters of one (RFC 3986): none of them ends a quoted string.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or(text.strip_prefix("http://")).unwrap_or_default();
    let is_of_url = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    !rest.is_empty() && !rest.starts_with(['/', '?', '#']) && rest.bytes().all(is_of_url)
}
