//! The signature check, and the only ways to a [`Verified`].

use std::rc::{Rc, Weak};

use super::{Claims, CompactJws, JoseHeader};
use crate::crypto::{Alg, CryptoProvider};
use crate::json::{Entry, Value};
use crate::keys::{Key, KeySet, Selection};
use crate::verdict::{Reason, Shown};

/// A token that its issuer stands for. Nothing makes one but [`verify`], whose signature holds, and [`introspected`], which the
/// issuer itself says is active.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    claims: Claims,
    signed: Option<Signed>,
    shown: Shown,
}

/// By which key the signature holds; none, where the issuer was asked. A key that its issuer has withdrawn does not live on in the
/// tokens that are remembered.
#[derive(Clone, Debug)]
struct Signed {
    kid: Option<String>,
    /// That of the key itself, where it is another one.
    kid_of_key: Option<String>,
    alg: Alg,
    key: Weak<Key>,
}

impl PartialEq for Signed {
    fn eq(&self, other: &Self) -> bool {
        (&self.kid, &self.kid_of_key, self.alg) == (&other.kid, &other.kid_of_key, other.alg)
            && self.key.ptr_eq(&other.key)
    }
}

impl Verified {
    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The names of the key: the `kid` of the header, and that of the key itself.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        let signed = self.signed.iter();
        signed.flat_map(|signed| [&signed.kid, &signed.kid_of_key].into_iter().flatten().map(String::as_str))
    }

    /// Whether `set` would check the token with the key that verified it.
    pub fn still_holds(&self, set: &KeySet) -> bool {
        let Some(Signed { kid, alg, key, .. }) = &self.signed else {
            return false;
        };
        let Some(key) = key.upgrade() else {
            return false;
        };
        match set.select(kid.as_deref(), *alg) {
            Selection::Keys(keys) | Selection::Nameless(keys) => keys.contains(&&key),
            Selection::Unknown => false,
        }
    }

    /// What is shown of it.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// The same, of which that is shown.
    #[must_use]
    pub fn showing(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    /// What it takes in memory, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.claims.size() + self.kids().map(str::len).sum::<usize>() + self.shown.size()
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

    let claims = Claims::parse(&jws.payload)?;
    let (kid, kid_of_key) = (header.kid.clone(), key.kid().filter(|&kid| header.kid.as_ref() != Some(kid)).cloned());
    let signed = Signed { kid, kid_of_key, alg: header.alg, key: Rc::downgrade(key) };
    Ok(Verified { claims, signed: Some(signed), shown: Shown::default() })
}

/// Reads the answer of an issuer that was asked about a token (RFC 7662 section 2.2); `None` if that is not active.
///
/// # Errors
/// [`Reason::ClaimsMalformed`] if it is no such answer.
pub fn introspected(answer: &[u8]) -> Result<Option<Verified>, Reason> {
    let claims = Claims::parse(answer)?;
    match claims.get("active").map(Entry::to_value) {
        Some(Value::Bool(true)) => Ok(Some(Verified { claims, signed: None, shown: Shown::default() })),
        Some(Value::Bool(false)) => Ok(None),
        _ => Err(Reason::ClaimsMalformed),
    }
}
