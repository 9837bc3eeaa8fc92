//! The list of counters, gauges and histograms; their names are API.
//!
//! What an index of Prometheus is to make labels of stands at the end of a name, and whatever comes twice there is divided by a dot,
//! which no part holds: so a regular expression can take the parts apart.

use crate::remote::Outcome;
use crate::verdict::Reason;

/// A counter. Requests count one or two of these, so it is a small value and no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Requests that passed with a token.
    Allowed,
    /// On a public route.
    AllowedPublic,
    /// Without a token where that is allowed.
    AllowedAnonymous,
    /// As a preflight.
    AllowedPreflight,
    /// In a dry run, though they would have been refused.
    AllowedUnenforced,
    /// Requests for the metadata of `protected_resource`, which the gate answered.
    AnsweredMetadata,
    /// Requests that were refused.
    Denied(Reason),
    /// Requests that passed in a dry run, by why they would have been refused.
    Unenforced(Reason),
    /// Requests that passed with a token of the provider of that index.
    ProviderAllowed(usize),
    /// Requests that were refused for what that provider said.
    ProviderDenied(usize, Reason),
    /// Fetches of the key set of that provider.
    ProviderJwksFetch(usize, Outcome),
    /// Fetches of its revocation list.
    ProviderRevocationFetch(usize, Outcome),
    /// Fetches of key sets.
    JwksFetch(Outcome),
    /// Fetches of revocation lists.
    RevocationFetch(Outcome),
    /// Questions about tokens that were answered, and that were not.
    Introspection(bool),
    /// Questions to authorization services that were answered, and that were not.
    Authorization(bool),
    /// Requests, by what a shadow would have decided.
    Shadow(Comparison),
    /// Requests that passed, by why the shadow would have refused them.
    ShadowDenies(Reason),
}

/// What became of a request, beside what the shadow would have made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same: it passes, or is refused for the same reason.
    Same,
    /// It is refused, and would have passed.
    WouldAllow,
    /// It passes, and would have been refused.
    WouldDeny,
    /// It is refused, and would have been for another reason.
    OtherReason,
    /// It would have waited.
    Undecided,
}

/// How long something took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Histogram {
    /// A fetch of a key set.
    JwksFetch,
    /// A fetch of a revocation list.
    RevocationFetch,
    /// A question about a token.
    Introspection,
    /// A question to an authorization service.
    Authorization,
}

impl Counter {
    /// Those that are there from the start, at zero: of every configuration, of a dry run, of a shadow.
    pub fn all(has_dry_run: bool, has_shadow: bool) -> Vec<Self> {
        let mut all = vec![
            Self::Allowed,
            Self::AllowedPublic,
            Self::AllowedAnonymous,
            Self::AllowedPreflight,
            Self::AnsweredMetadata,
        ];
        for outcome in Outcome::ALL {
            all.extend([Self::JwksFetch(outcome), Self::RevocationFetch(outcome)]);
        }
        for is_answered in [true, false] {
            all.extend([Self::Introspection(is_answered), Self::Authorization(is_answered)]);
        }
        if has_dry_run {
            all.push(Self::AllowedUnenforced);
        }
        if has_shadow {
            all.extend(Comparison::ALL.map(Self::Shadow));
        }
        for &reason in Reason::ALL {
            all.push(Self::Denied(reason));
            if has_dry_run {
                all.push(Self::Unenforced(reason));
            }
            if has_shadow {
                all.push(Self::ShadowDenies(reason));
            }
        }
        all
    }

    /// Its place in a table of all counters, those of the providers last.
    pub const fn index(self) -> usize {
        const REASONS: usize = Reason::ALL.len();
        const FETCHES: usize = 6;
        const QUESTIONS: usize = FETCHES + 2 * Outcome::ALL.len();
        const SHADOW: usize = QUESTIONS + 4;
        const DENIED: usize = SHADOW + Comparison::ALL.len();
        const PROVIDERS: usize = DENIED + 3 * REASONS;
        // Of one provider.
        const OUTCOMES: usize = Outcome::ALL.len();
        const JWKS: usize = 1 + REASONS;
        const REVOCATION: usize = JWKS + OUTCOMES;
        const EACH: usize = REVOCATION + OUTCOMES;
        match self {
            Self::Allowed => 0,
            Self::AllowedPublic => 1,
            Self::AllowedAnonymous => 2,
            Self::AllowedPreflight => 3,
            Self::AllowedUnenforced => 4,
            Self::AnsweredMetadata => 5,
            Self::JwksFetch(outcome) => FETCHES + outcome as usize,
            Self::RevocationFetch(outcome) => FETCHES + Outcome::ALL.len() + outcome as usize,
            Self::Introspection(is_answered) => QUESTIONS + is_answered as usize,
            Self::Authorization(is_answered) => QUESTIONS + 2 + is_answered as usize,
            Self::Shadow(comparison) => SHADOW + comparison as usize,
            Self::Denied(reason) => DENIED + reason as usize,
            Self::Unenforced(reason) => DENIED + REASONS + reason as usize,
            Self::ShadowDenies(reason) => DENIED + 2 * REASONS + reason as usize,
            Self::ProviderAllowed(provider) => PROVIDERS + provider * EACH,
            Self::ProviderDenied(provider, reason) => PROVIDERS + provider * EACH + 1 + reason as usize,
            Self::ProviderJwksFetch(provider, outcome) => PROVIDERS + provider * EACH + JWKS + outcome as usize,
            Self::ProviderRevocationFetch(provider, outcome) => {
                PROVIDERS + provider * EACH + REVOCATION + outcome as usize
            }
        }
    }

    /// The provider that it belongs to.
    pub fn provider(self) -> Option<usize> {
        match self {
            Self::ProviderAllowed(provider)
            | Self::ProviderDenied(provider, _)
            | Self::ProviderJwksFetch(provider, _)
            | Self::ProviderRevocationFetch(provider, _) => Some(provider),
            _ => None,
        }
    }

    /// Its name; `provider` is the [plain name](plain_name) of that of [`provider`](Self::provider).
    pub fn name(self, provider: &str) -> String {
        let (family, part) = match self {
            Self::Allowed => ("allowed", ""),
            Self::AllowedPublic => ("allowed_public", ""),
            Self::AllowedAnonymous => ("allowed_anonymous", ""),
            Self::AllowedPreflight => ("allowed_preflight", ""),
            Self::AllowedUnenforced => ("allowed_unenforced", ""),
            Self::AnsweredMetadata => ("answered_metadata", ""),
            Self::Denied(reason) => ("denied_", reason.code()),
            Self::Unenforced(reason) => ("unenforced_", reason.code()),
            Self::ProviderAllowed(_) => return of_provider("jwt_gate_provider_allowed", provider),
            Self::ProviderDenied(_, reason) => {
                return [&of_provider("jwt_gate_provider_denied", provider), ".", reason.code()].concat()
            }
            Self::ProviderJwksFetch(_, outcome) => {
                return of_provider(&["jwt_gate_provider_jwks_fetch_", outcome.code()].concat(), provider)
            }
            Self::ProviderRevocationFetch(_, outcome) => {
                return of_provider(&["jwt_gate_provider_revocation_fetch_", outcome.code()].concat(), provider)
            }
            Self::JwksFetch(outcome) => ("jwks_fetch_", outcome.code()),
            Self::RevocationFetch(outcome) => ("revocation_fetch_", outcome.code()),
            Self::Introspection(is_answered) => ("introspection_", answered(is_answered)),
            Self::Authorization(is_answered) => ("authorization_", answered(is_answered)),
            Self::Shadow(comparison) => ("shadow_", comparison.code()),
            Self::ShadowDenies(reason) => ("shadow_denies_", reason.code()),
        };
        ["jwt_gate_", family, part].concat()
    }

    /// What the log says when it has been counted: in words, and the code.
    pub fn said(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Denied(reason) => Some(("denied", reason.code())),
            Self::Unenforced(reason) => Some(("not enforced, would be denied", reason.code())),
            Self::ShadowDenies(reason) => Some(("the shadow would deny", reason.code())),
            _ => None,
        }
    }
}

const fn answered(is_answered: bool) -> &'static str {
    if is_answered {
        "ok"
    } else {
        "failed"
    }
}

impl Comparison {
    const ALL: [Self; 5] = [Self::Same, Self::WouldAllow, Self::WouldDeny, Self::OtherReason, Self::Undecided];

    const fn code(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::WouldAllow => "would_allow",
            Self::WouldDeny => "would_deny",
            Self::OtherReason => "other_reason",
            Self::Undecided => "undecided",
        }
    }
}

impl Histogram {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JwksFetch => "jwt_gate_jwks_fetch_milliseconds",
            Self::RevocationFetch => "jwt_gate_revocation_fetch_milliseconds",
            Self::Introspection => "jwt_gate_introspection_milliseconds",
            Self::Authorization => "jwt_gate_authorization_milliseconds",
        }
    }
}

/// Of the key set of a provider: how many keys it has, and how many seconds ago its source last confirmed it.
pub const JWKS_GAUGES: [&str; 2] = ["jwt_gate_jwks_keys", "jwt_gate_jwks_age_seconds"];

/// The same of its revocation list.
pub const REVOCATION_GAUGES: [&str; 2] = ["jwt_gate_revocation_entries", "jwt_gate_revocation_age_seconds"];

/// The name of a gauge or counter for one provider, whose [plain name](plain_name) follows.
pub fn of_provider(name: &str, provider: &str) -> String {
    [name, "_", provider].concat()
}

/// The name of a provider with an underscore for what no metric's name may hold.
pub fn plain_name(provider: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    provider.chars().map(plain).collect()
}

/// The name of a metric behind the prefix of its filter, if that has one.
pub fn full_name(stat_prefix: &str, name: &str) -> String {
    match stat_prefix.trim_end_matches('.') {
        "" => name.to_owned(),
        prefix => format!("{prefix}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_counter_has_a_place_and_a_name_of_its_own() {
        let mut counters = Counter::all(true, true);
        for provider in 0..3 {
            counters.push(Counter::ProviderAllowed(provider));
            counters.extend(Reason::ALL.iter().map(|&reason| Counter::ProviderDenied(provider, reason)));
            counters.extend(Outcome::ALL.map(|outcome| Counter::ProviderJwksFetch(provider, outcome)));
            counters.extend(Outcome::ALL.map(|outcome| Counter::ProviderRevocationFetch(provider, outcome)));
        }
        let indices: BTreeSet<usize> = counters.iter().map(|counter| counter.index()).collect();
        assert_eq!(indices, (0..counters.len()).collect());
        let name = |counter: &Counter| counter.name(&format!("p{}", counter.provider().unwrap_or_default()));
        assert_eq!(counters.iter().map(name).collect::<BTreeSet<_>>().len(), counters.len());
    }
}
