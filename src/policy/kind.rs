//! Which kind of token a provider takes: what its header must say (`typ`), and the claims that its profile asks for.
//!
//! An issuer signs more than access tokens with one key: ID tokens, logout tokens, proofs. What tells them apart is `typ` (RFC 8725
//! section 3.11).

use crate::jose::Claims;

/// What a token must be, beyond its algorithm; by default anything.
#[derive(Clone, Debug, Default)]
pub struct Kind {
    /// `typ`: what the header's must be; unset, anything.
    pub types: Option<Vec<MediaType>>,
    /// The claims that must be there.
    pub claims: &'static [&'static str],
}

/// The claims that an access token must have (RFC 9068 section 2.2).
const OF_RFC_9068: &[&str] = &["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];

/// A media type as `typ` names it: `application/` may be left out, and upper and lower case are the same (RFC 7515 section 4.1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(String);

impl Kind {
    /// An access token (RFC 9068).
    pub fn access_token() -> Self {
        Self { types: Some(vec![MediaType::new("at+jwt")]), claims: OF_RFC_9068 }
    }

    /// Whether a header may have this `typ`.
    pub fn takes(&self, typ: Option<&str>) -> bool {
        let Some(types) = &self.types else { return true };
        typ.is_some_and(|typ| types.contains(&MediaType::new(typ)))
    }

    /// Whether each claim is there.
    pub fn is_whole(&self, claims: &Claims) -> bool {
        self.claims.iter().all(|name| match *name {
            // Of the registered ones, the types have been checked.
            "client_id" => claims.text(name).is_some(),
            name => claims.get(name).is_some(),
        })
    }
}

impl MediaType {
    /// The type of that name.
    pub fn new(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("application/") {
            // Left out before another slash, it would be another type.
            Some(subtype) if !subtype.contains('/') => Self(subtype.to_owned()),
            _ => Self(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_has_two_names_in_any_case() {
        let jwt = MediaType::new("at+jwt");
        for same in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert_eq!(MediaType::new(same), jwt, "{same}");
        }
        for other in ["jwt", "", "at+jwt ", "application/application/at+jwt", "text/at+jwt", "application/", "at+jwt/x"]
        {
            assert_ne!(MediaType::new(other), jwt, "{other}");
        }
    }
}
