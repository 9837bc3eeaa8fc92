//! `providers`.

use std::rc::Rc;
use std::time::Duration;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

use super::cursor::{Cursor, Object};
use super::source::{source, source_at, uri, within, Pacing, Sources, DAY, HOUR, SECOND, TIMEOUTS, YEAR};
use super::token_outputs::{claim_headers, metadata, text_headers};
use super::values::{duration, header, one_of, output_header, Reading};
use super::{introspection, string_matcher, ConfigError};
use crate::crypto::Alg;
use crate::keys::{KeySet, Origin};
use crate::policy::{Introspection, IssuerPattern, Keys, Kind, MediaType, PayloadHeader, Provider, Revocation};
use crate::remote::{Address, Discovery, Source};
use crate::request::Location;

/// Reads all providers.
pub(super) fn all(root: &Object<'_>, sources: &mut Sources<'_>) -> Result<Vec<Provider>, ConfigError> {
    let providers = root.required("providers")?;
    let entries = providers.entries()?;
    if entries.is_empty() {
        return Err(providers.error("needs at least one provider"));
    }
    entries.into_iter().map(|(name, cursor)| one(name, &cursor, sources)).collect()
}

fn one(name: &str, cursor: &Cursor<'_>, sources: &mut Sources<'_>) -> Result<Provider, ConfigError> {
    let object = cursor.object("provider")?;
    let algorithms = algorithms(&object, object.get("local_jwks").is_some())?;
    let (keys, introspection) = keys(&object, &algorithms, sources)?;
    let revocation = object.get("revocation").map(|cursor| revocation(cursor, sources)).transpose()?;
    let pad = object.flag("pad_forward_payload_header", false)?;
    let issuers = issuers(&object)?;
    let text_headers = text_headers(&object, &issuers)?;
    Ok(Provider {
        name: name.to_owned(),
        issuer: object.get("issuer").map(Cursor::text).transpose()?.map(str::to_owned),
        issuers,
        audiences: audiences(&object)?,
        algorithms,
        kind: kind_of_token(&object)?,
        require_expiration: object.flag("require_expiration", true)?,
        check_issued_at: object.flag("check_issued_at", true)?,
        max_lifetime: object.get("max_lifetime").map(|cursor| duration(cursor, SECOND..=YEAR)).transpose()?,
        clock_skew: clock_skew(&object)?,
        keys,
        locations: locations(&object)?,
        forward: object.flag("forward", false)?,
        payload_header: match object.get("forward_payload_header") {
            Some(cursor) => Some(PayloadHeader { name: output_header(cursor)?, pad }),
            None => None,
        },
        claim_headers: claim_headers(&object, Reading::Gate)?,
        introspection,
        text_headers,
        revocation,
        subjects: object.get("subjects").map(string_matcher::read).transpose()?,
        clear_route_cache: object.flag("clear_route_cache", false)?,
        metadata: metadata(&object)?,
    })
}

/// Where a provider's keys are, and whether its issuer is asked about tokens.
fn keys(
    object: &Object<'_>,
    algorithms: &[Alg],
    sources: &mut Sources<'_>,
) -> Result<(Keys, Option<Introspection>), ConfigError> {
    let introspection = object.get("introspection");
    let form = match object.at_most_one(&["remote_jwks", "local_jwks", "discovery"])? {
        None if introspection.is_none() => {
            object.exactly_one(&["remote_jwks", "local_jwks", "discovery", "introspection"]).map(Some)?
        }
        form => form,
    };
    let keys = match form {
        Some(("local_jwks", cursor)) => local_jwks(cursor, algorithms, sources)?,
        Some((name, cursor)) => {
            let source = match name {
                "discovery" => discovery(cursor, object.get("issuer"))?,
                _ => remote_jwks(cursor)?,
            };
            Keys::Remote(sources.key_set(source))
        }
        None => Keys::None,
    };
    let introspection = introspection.map(|cursor| introspection::read(cursor, &keys, sources)).transpose()?;
    Ok((keys, introspection))
}

fn issuers(object: &Object<'_>) -> Result<Vec<Rc<IssuerPattern>>, ConfigError> {
    match object.at_most_one(&["issuer", "issuers"])? {
        Some(("issuers", cursor)) => {
            let mut patterns = Vec::new();
            for element in cursor.elements()? {
                let pattern = IssuerPattern::parse(element.text()?).map_err(|problem| element.error(problem))?;
                patterns.push(Rc::new(pattern));
            }
            Ok(patterns)
        }
        _ => Ok(Vec::new()),
    }
}

fn audiences(object: &Object<'_>) -> Result<Option<Vec<String>>, ConfigError> {
    let any = object.flag("allow_any_audience", false)?;
    match object.get("audiences") {
        Some(cursor) if any => Err(cursor.error("cannot stand beside \"allow_any_audience: true\"")),
        Some(cursor) => cursor.texts().map(Some),
        None if any => Ok(None),
        None => Err(object
            .error("needs \"audiences\", or \"allow_any_audience: true\" to take tokens that are meant for others")),
    }
}

fn algorithms(object: &Object<'_>, local: bool) -> Result<Vec<Alg>, ConfigError> {
    let Some(cursor) = object.get("algorithms") else {
        return Ok(Alg::ALL.iter().copied().filter(|alg| !alg.is_symmetric()).collect());
    };
    let names: Vec<&str> = Alg::ALL.iter().map(|alg| alg.name()).collect();
    let mut algorithms = Vec::new();
    for element in cursor.elements()? {
        let index = one_of(&element, "algorithm", &names)?;
        let alg = Alg::ALL.get(index).copied().ok_or_else(|| element.error("unknown algorithm"))?;
        if alg.is_symmetric() && !local {
            return Err(element.error("needs a shared secret, which only a local_jwks can hold"));
        }
        algorithms.push(alg);
    }
    Ok(algorithms)
}

/// What the header must say, and the claims that must be there.
fn kind_of_token(object: &Object<'_>) -> Result<Kind, ConfigError> {
    let typ = object.get("typ");
    let Some(profile) = object.get("profile") else {
        let types = typ.map(Cursor::texts).transpose()?;
        let types = types.map(|types| types.iter().map(|name| MediaType::new(name)).collect());
        return Ok(Kind { types, ..Kind::default() });
    };
    one_of(profile, "profile", &["rfc9068"])?;
    if let Some(typ) = typ {
        return Err(typ.error("cannot stand beside \"profile\", which says what it is"));
    }
    match object.get("require_expiration") {
        Some(cursor) if !object.flag("require_expiration", true)? => {
            Err(cursor.error("cannot be false beside \"profile\", which asks for \"exp\""))
        }
        _ => Ok(Kind::access_token()),
    }
}

fn clock_skew(object: &Object<'_>) -> Result<Duration, ConfigError> {
    let Some(cursor) = object.get("clock_skew_seconds") else {
        return Ok(Duration::from_secs(60));
    };
    let skew = Duration::from_secs(cursor.whole_number()?);
    if skew <= HOUR {
        Ok(skew)
    } else {
        Err(cursor.error("must be from 0 to 3600"))
    }
}

/// The document of `local_jwks`, and where it is.
pub(super) fn local_document<'a>(
    cursor: &Cursor<'a>,
    sources: &Sources<'_>,
) -> Result<(Cursor<'a>, Vec<u8>), ConfigError> {
    let object = cursor.object("local_jwks")?;
    let (name, text) = object.exactly_one(&["inline_string", "inline_bytes", "environment_variable"])?;
    let document = match name {
        "inline_bytes" => {
            // Protobuf JSON takes both alphabets, with padding and without.
            let bytes = text.text()?.trim_end_matches('=').replace('+', "-").replace('/', "_");
            BASE64_URL_SAFE_NO_PAD.decode(bytes).map_err(|_| text.error("not base64"))?
        }
        "inline_string" => text.text()?.as_bytes().to_vec(),
        _ => {
            let value = (sources.environment)(text.text()?);
            let missing = "is not set: vm_config.environment_variables of the wasm filter passes variables on";
            value.ok_or_else(|| text.error(missing))?.into_bytes()
        }
    };
    Ok((text.clone(), document))
}

fn local_jwks(cursor: &Cursor<'_>, algorithms: &[Alg], sources: &Sources<'_>) -> Result<Keys, ConfigError> {
    let (text, document) = local_document(cursor, sources)?;
    let set = KeySet::parse(&document, Origin::Local).map_err(|problem| text.error(problem.to_string()))?;
    if !set.keys().iter().any(|key| algorithms.iter().any(|&alg| key.allows(alg))) {
        return Err(text.error("none of its keys is for one of the provider's \"algorithms\""));
    }
    Ok(Keys::Local(Rc::new(set)))
}

fn remote_jwks(cursor: &Cursor<'_>) -> Result<Source, ConfigError> {
    let object = cursor.object("remote_jwks")?;
    source(cursor, &object, fetched_keys(&object)?)
}

/// Where the keys of `issuer` are is asked before each fetch.
fn discovery(cursor: &Cursor<'_>, issuer: Option<&Cursor<'_>>) -> Result<Source, ConfigError> {
    let object = cursor.object("discovery")?;
    let issuer = issuer.ok_or_else(|| cursor.error("needs the provider's \"issuer\", which has the keys"))?;
    let timeout = within(&object, "timeout", TIMEOUTS, Duration::from_secs(5))?;
    let cluster = object.required("cluster")?.text()?.to_owned();
    let jwks_cluster = object.get("jwks_cluster").map_or(Ok(cluster.as_str()), Cursor::text)?.to_owned();
    let issuer = uri(issuer)?.to_owned();
    let address = Address::Discovered(Discovery { issuer, cluster, timeout });
    source_at(cursor, &object, fetched_keys(&object)?, (address, jwks_cluster, timeout))
}

fn fetched_keys(object: &Object<'_>) -> Result<Pacing, ConfigError> {
    let lifetime = within(object, "cache_duration", SECOND..=DAY * 30, Duration::from_secs(600))?;
    let cooldown = within(object, "refetch_cooldown", SECOND..=DAY, Duration::from_secs(30))?;
    Ok(Pacing { lifetime, cooldown, max_stale: DAY.max(lifetime), reading: Reading::Gate })
}

fn revocation(cursor: &Cursor<'_>, sources: &mut Sources<'_>) -> Result<Revocation, ConfigError> {
    let object = cursor.object("revocation")?;
    let lifetime = within(&object, "refresh_interval", SECOND..=DAY, Duration::from_secs(10))?;
    let allow_when_unavailable = match object.get("on_unavailable") {
        None => false,
        Some(cursor) => one_of(cursor, "choice", &["deny", "allow"])? == 1,
    };
    let pacing = Pacing { lifetime, cooldown: lifetime, max_stale: DAY.max(lifetime), reading: Reading::Gate };
    let document = sources.revocations(source(cursor, &object, pacing)?);
    Ok(Revocation { document, allow_when_unavailable })
}

fn locations(object: &Object<'_>) -> Result<Vec<Location>, ConfigError> {
    let mut locations = Vec::new();
    if let Some(cursor) = object.get("from_headers") {
        for element in cursor.elements()? {
            let item = element.object("from_headers")?;
            let name = header(item.required("name")?)?;
            let prefix = item.get("value_prefix").map(Cursor::any_text).transpose()?.unwrap_or_default();
            let anywhere = item.flag("anywhere", false)?;
            let is_bearer = !anywhere && name.as_str() == "authorization" && prefix.eq_ignore_ascii_case("Bearer ");
            locations.push(if is_bearer {
                Location::Bearer
            } else {
                Location::Header { name, prefix: prefix.to_owned(), anywhere }
            });
        }
    }
    if let Some(cursor) = object.get("from_params") {
        locations.extend(cursor.texts()?.into_iter().map(Location::Param));
    }
    if let Some(cursor) = object.get("from_cookies") {
        locations.extend(cursor.texts()?.into_iter().map(Location::Cookie));
    }
    Ok(if locations.is_empty() { vec![Location::Bearer] } else { locations })
}
