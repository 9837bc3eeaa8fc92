//! The signature check, and the only way to a [`Verified`].

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

use super::{Claims, CompactJws, JoseHeader};
use crate::crypto::CryptoProvider;
use crate::keys::Key;
use crate::verdict::Reason;

/// A token whose signature holds. Nothing but [`verify`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    claims: Claims,
    payload: String,
    kids: Vec<String>,
}

impl Verified {
    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The payload as it came: base64url without padding.
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// The names of the key: the `kid` of the header, and that of the key itself if it has another.
    pub fn kids(&self) -> &[String] {
        &self.kids
    }
}

/// Checks the signature of `jws` with each of `keys` until one holds, then reads the claims. `providers` are asked in their
/// order.
///
/// # Errors
/// [`Reason::SignatureInvalid`] if no key fits, [`Reason::ClaimsMalformed`] if the signature holds over something else than
/// claims.
pub fn verify(
    jws: &CompactJws<'_>,
    header: &JoseHeader,
    keys: &[&Key],
    providers: &[Box<dyn CryptoProvider>],
) -> Result<Verified, Reason> {
    let holds = |key: &Key| {
        key.allows(header.alg)
            && providers
                .iter()
                .find_map(|provider| provider.verify(key.public(), header.alg, jws.signing_input, &jws.signature))
                .unwrap_or(false)
    };
    let key = keys.iter().find(|key| holds(key)).ok_or(Reason::SignatureInvalid)?;

    let payload = BASE64_URL_SAFE_NO_PAD.decode(jws.payload).map_err(|_| Reason::TokenMalformed)?;
    let mut kids: Vec<String> = header.kid.iter().chain(key.kid()).cloned().collect();
    kids.dedup();
    Ok(Verified { claims: Claims::parse(&payload)?, payload: jws.payload.to_owned(), kids })
}
