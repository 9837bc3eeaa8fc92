//! The signature check, and the only way to a [`Verified`].

use std::rc::Rc;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

use super::{Claims, CompactJws, JoseHeader};
use crate::crypto::{Alg, CryptoProvider};
use crate::keys::{Key, KeySet, Selection};
use crate::verdict::Reason;

/// A token whose signature holds. Nothing but [`verify`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    claims: Claims,
    kid: Option<String>,
    alg: Alg,
    key: Rc<Key>,
    size: usize,
}

impl Verified {
    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The names of the key: the `kid` of the header, and that of the key itself.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.kid.as_deref().into_iter().chain(self.key.kid().map(String::as_str))
    }

    /// Whether `set` would check the token with the key that verified it.
    pub fn still_holds(&self, set: &KeySet) -> bool {
        match set.select(self.kid.as_deref(), self.alg) {
            Selection::Keys(keys) | Selection::Nameless(keys) => keys.contains(&&self.key),
            Selection::Unknown => false,
        }
    }

    /// What it takes in memory, in bytes: roughly, by the length of its claims.
    pub fn size(&self) -> usize {
        self.size
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
    keys: &[&Rc<Key>],
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
    // Parsed, a text of many small strings takes some three times its length.
    let size = size_of::<Verified>() + 3 * payload.len();
    let claims = Claims::parse(&payload)?;
    Ok(Verified { claims, kid: header.kid.clone(), alg: header.alg, key: Rc::clone(key), size })
}
