//! `introspection`.

use std::time::Duration;

use base64::prelude::{Engine, BASE64_STANDARD};

use super::cursor::Cursor;
use super::source::{endpoint, within, Sources, SECOND};
use super::values::one_of;
use super::ConfigError;
use crate::limits::MAX_CACHED_TOKENS;
use crate::policy::{form_encoded, Introspection, Keys, Protocol, Service};

/// How long an answer may be remembered.
pub(super) const TTLS: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

/// Reads `introspection` of a provider with those keys.
pub(super) fn read(cursor: &Cursor<'_>, keys: &Keys, sources: &mut Sources<'_>) -> Result<Introspection, ConfigError> {
    let object = cursor.object("introspection")?;
    let has_keys = !matches!(keys, Keys::None);
    let all = match object.get("tokens") {
        None => !has_keys,
        Some(cursor) => match one_of(cursor, "choice", &["opaque", "all"])? {
            0 if !has_keys => {
                return Err(cursor.error("cannot be \"opaque\" without keys: nobody would judge the others"))
            }
            choice => choice == 1,
        },
    };
    let variable = object.required("client_secret_env")?;
    let missing = "is not set: vm_config.environment_variables of the wasm filter passes variables on";
    let secret = (sources.environment)(variable.text()?).ok_or_else(|| variable.error(missing))?;
    // RFC 6749 section 2.3.1: both parts are encoded as in a form.
    let credentials = format!("{}:{}", form_encoded(object.required("client_id")?.text()?), form_encoded(&secret));
    let (mut ttl, mut negative_ttl, mut max_entries) = (SECOND * 60, SECOND * 10, 10_000);
    if let Some(cursor) = object.get("cache") {
        let cache = cursor.object("introspection_cache")?;
        ttl = within(&cache, "ttl", TTLS, ttl)?;
        negative_ttl = within(&cache, "negative_ttl", TTLS, negative_ttl)?;
        max_entries = entries(cache.get("max_entries"), max_entries)?;
    }
    let introspection = Introspection { service: sources.services.len(), all, ttl, negative_ttl };
    let protocol = Protocol::Introspection(introspection.clone());
    let fields = vec![
        ("content-type".into(), "application/x-www-form-urlencoded".into()),
        ("authorization".into(), format!("Basic {}", BASE64_STANDARD.encode(credentials)).into()),
    ];
    let envelope = endpoint(&object)?.envelope("POST", fields, &[]);
    sources.services.push(Service { envelope, protocol, max_entries });
    Ok(introspection)
}

/// `max_entries` of a cache of answers.
pub(super) fn entries(cursor: Option<&Cursor<'_>>, default: usize) -> Result<usize, ConfigError> {
    let Some(cursor) = cursor else {
        return Ok(default);
    };
    let number = usize::try_from(cursor.whole_number()?).ok().filter(|number| (1..=MAX_CACHED_TOKENS).contains(number));
    number.ok_or_else(|| cursor.error(format!("must be from 1 to {MAX_CACHED_TOKENS}")))
}
