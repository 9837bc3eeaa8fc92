//! The list of counters; their names are API.

use crate::remote::Outcome;
use crate::verdict::Reason;

/// Requests that passed: with a token, on a public route, without a token where that is allowed, as a preflight.
pub const ALLOWED: [&str; 4] =
    ["jwt_gate_allowed", "jwt_gate_allowed_public", "jwt_gate_allowed_anonymous", "jwt_gate_allowed_preflight"];

/// Fetches of key sets.
pub const JWKS_FETCH: [&str; 3] =
    ["jwt_gate_jwks_fetch_ok", "jwt_gate_jwks_fetch_not_modified", "jwt_gate_jwks_fetch_failed"];

/// Fetches of revocation lists.
pub const REVOCATION_FETCH: [&str; 3] =
    ["jwt_gate_revocation_fetch_ok", "jwt_gate_revocation_fetch_not_modified", "jwt_gate_revocation_fetch_failed"];

/// The counter in `names` for how a fetch ended.
pub const fn fetched(names: [&'static str; 3], outcome: Outcome) -> &'static str {
    let [ok, not_modified, failed] = names;
    match outcome {
        Outcome::Ok => ok,
        Outcome::NotModified => not_modified,
        Outcome::Failed => failed,
    }
}

/// Every counter, so that each can be there from the start, at zero.
pub fn all() -> impl Iterator<Item = &'static str> {
    let fixed = ALLOWED.into_iter().chain(JWKS_FETCH).chain(REVOCATION_FETCH);
    fixed.chain(Reason::ALL.iter().map(|reason| reason.counter()))
}
