//! The list of counters and gauges; their names are API.

use crate::remote::Outcome;
use crate::verdict::Reason;

/// Requests that passed: with a token, on a public route, without a token where that is allowed, as a preflight.
pub const ALLOWED: [&str; 4] =
    ["jwt_gate_allowed", "jwt_gate_allowed_public", "jwt_gate_allowed_anonymous", "jwt_gate_allowed_preflight"];

/// Requests for the metadata of `protected_resource`.
pub const ANSWERED: &str = "jwt_gate_answered_metadata";

/// Fetches of key sets.
pub const JWKS_FETCH: [&str; 3] =
    ["jwt_gate_jwks_fetch_ok", "jwt_gate_jwks_fetch_not_modified", "jwt_gate_jwks_fetch_failed"];

/// Fetches of revocation lists.
pub const REVOCATION_FETCH: [&str; 3] =
    ["jwt_gate_revocation_fetch_ok", "jwt_gate_revocation_fetch_not_modified", "jwt_gate_revocation_fetch_failed"];

/// Of the key set of a provider: how many keys it has, and how many seconds ago its source last confirmed it.
pub const JWKS_GAUGES: [&str; 2] = ["jwt_gate_jwks_keys", "jwt_gate_jwks_age_seconds"];

/// The same of its revocation list.
pub const REVOCATION_GAUGES: [&str; 2] = ["jwt_gate_revocation_entries", "jwt_gate_revocation_age_seconds"];

/// The name of a gauge for one provider: its name follows, with an underscore for what no metric's name may hold.
pub fn of_provider(gauge: &str, provider: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("{gauge}_{}", provider.chars().map(plain).collect::<String>())
}

/// The name of a counter or gauge behind the prefix of its filter, if that has one.
pub fn full_name(stat_prefix: &str, name: &str) -> String {
    match stat_prefix.trim_end_matches('.') {
        "" => name.to_owned(),
        prefix => format!("{prefix}.{name}"),
    }
}

/// The counter in `names` for how a fetch ended.
pub const fn fetched(names: [&'static str; 3], outcome: Outcome) -> &'static str {
    let [ok, not_modified, failed] = names;
    match outcome {
        Outcome::Ok => ok,
        Outcome::NotModified => not_modified,
        Outcome::Failed => failed,
    }
}

/// The code of the reason that a counter counts.
pub fn denied(counter: &str) -> Option<&str> {
    counter.strip_prefix("jwt_gate_denied_")
}

/// Every counter, so that each can be there from the start, at zero.
pub fn all() -> impl Iterator<Item = &'static str> {
    let fixed = ALLOWED.into_iter().chain(JWKS_FETCH).chain(REVOCATION_FETCH);
    fixed.chain([ANSWERED]).chain(Reason::ALL.iter().map(|reason| reason.counter()))
}
