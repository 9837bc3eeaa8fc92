//! `token_cache`, `jwt_cache_config` and `crypto`: how tokens are checked.

use super::cursor::Object;
use super::values::{one_of, Reading};
use super::ConfigError;
use crate::cache::CacheLimits;
use crate::limits::{MAX_CACHED_TOKENS, MAX_TOKEN_BYTES};

/// Who does the arithmetic of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crypto {
    /// The host where it can, this module elsewhere.
    Auto,
    /// The host; a configuration for one that cannot is refused.
    Host,
    /// This module.
    Portable,
}

/// Reads `crypto`.
pub(super) fn crypto(root: &Object<'_>) -> Result<Crypto, ConfigError> {
    let choice =
        root.get("crypto").map(|cursor| one_of(cursor, "choice", &["auto", "host", "portable"])).transpose()?;
    Ok(match choice {
        Some(1) => Crypto::Host,
        Some(2) => Crypto::Portable,
        _ => Crypto::Auto,
    })
}

/// Reads `token_cache`, and whatever `jwt_cache_config` of a provider asks for beyond it: as much of it as there can be, where the
/// configuration is Envoy's. A cache that `token_cache` switches off stays off.
pub(super) fn cache(root: &Object<'_>, reading: Reading) -> Result<CacheLimits, ConfigError> {
    let mut limits = CacheLimits { max_entries: 10_000, max_token_size: 4096 };
    if let Some(cursor) = root.get("token_cache") {
        let object = cursor.object("token_cache")?;
        limits.max_entries = number(&object, "max_entries", MAX_CACHED_TOKENS, limits.max_entries)?;
        limits.max_token_size = number(&object, "max_token_size", MAX_TOKEN_BYTES, limits.max_token_size)?;
    }
    let is_off = limits.max_entries == 0;
    let Some(providers) = root.get("providers") else {
        return Ok(limits);
    };
    for (_, provider) in providers.entries()? {
        if let Some(cursor) = provider.object("provider")?.get("jwt_cache_config") {
            let object = cursor.object("jwt_cache_config")?;
            let most = |most| if reading == Reading::JwtAuthn { u32::MAX as usize } else { most };
            let entries = number(&object, "jwt_cache_size", most(MAX_CACHED_TOKENS), 0)?;
            let size = number(&object, "jwt_max_token_size", most(MAX_TOKEN_BYTES), 0)?;
            if !is_off {
                limits.max_entries = limits.max_entries.max(entries).min(MAX_CACHED_TOKENS);
            }
            limits.max_token_size = limits.max_token_size.max(size).min(MAX_TOKEN_BYTES);
        }
    }
    Ok(limits)
}

fn number(object: &Object<'_>, name: &str, most: usize, default: usize) -> Result<usize, ConfigError> {
    let Some(cursor) = object.get(name) else {
        return Ok(default);
    };
    let number = cursor.whole_number()?;
    let number = usize::try_from(number).ok().filter(|number| *number <= most);
    number.ok_or_else(|| cursor.error(format!("must be from 0 to {most}")))
}
