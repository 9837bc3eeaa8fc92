//! What the claims of a token are, said once more, and tokens without signatures to hold the gate against it.

use std::rc::Rc;

use jwt_gate::crypto::{Alg, CryptoProvider, PublicKey};
use jwt_gate::jose::{self, CompactJws, JoseHeader, Verified};
use jwt_gate::keys::{Key, KeySet, Origin};
use jwt_gate::verdict::Reason;

use crate::Json;

/// A provider to which every signature holds, or none.
pub struct Signatures(pub bool);

impl CryptoProvider for Signatures {
    fn verify(&self, _: &PublicKey, _: Alg, _: &[u8], _: &[u8]) -> Option<bool> {
        Some(self.0)
    }
}

/// What the gate makes of a token of that `kid`, if its signature holds, or if it does not.
pub fn verify(jws: &CompactJws<'_>, kid: Option<&str>, signatures: bool) -> Result<Verified, Reason> {
    thread_local! {
        static KEY: Rc<Key> = {
            let set = format!(r#"{{"keys":[{{"kty":"oct","k":"{}"}}]}}"#, "A".repeat(43));
            let set = KeySet::parse(set.as_bytes(), Origin::Local).expect("a secret of 32 bytes");
            set.keys()[0].clone()
        };
    }
    let header = JoseHeader { alg: Alg::Hs256, kid: kid.map(str::to_owned), typ: None };
    KEY.with(|key| jose::verify(jws, &header, &[key], &[Box::new(Signatures(signatures))]))
}

/// The claims that the gate reads.
pub struct Claims {
    all: Json,
    /// In milliseconds.
    pub expires: Option<u64>,
    /// In milliseconds.
    pub not_before: Option<u64>,
    /// In milliseconds.
    pub issued_at: Option<u64>,
    /// One or several.
    pub audiences: Vec<String>,
}

impl Claims {
    /// Reads a payload: strict JSON, names are strings, dates are dates, and `aud` is one string or several.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let all = Json::object(payload)?;
        for name in ["iss", "sub", "jti"] {
            if let Some(claim) = all.get(name) {
                claim.text()?;
            }
        }
        let audiences = match all.get("aud") {
            None => Vec::new(),
            Some(Json::Text(one)) => vec![one.clone()],
            Some(several) => {
                let texts = several.elements()?.iter().map(|audience| audience.text().map(str::to_owned));
                texts.collect::<Option<_>>()?
            }
        };
        let claim = |name: &str| match all.get(name) {
            None => Some(None),
            Some(claim) => date(claim.number()?).map(Some),
        };
        let (expires, not_before, issued_at) = (claim("exp")?, claim("nbf")?, claim("iat")?);
        Some(Self { expires, not_before, issued_at, audiences, all })
    }

    /// All of them.
    pub fn all(&self) -> &Json {
        &self.all
    }

    /// One, if it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name)?.text()
    }
}

/// A date (RFC 7519 section 2) as it is written, in milliseconds: from 0 to 2^53 seconds.
pub fn date(written: &str) -> Option<u64> {
    const LIMIT: u64 = 1 << 53;
    if written.bytes().all(|b| b.is_ascii_digit()) {
        return written.parse().ok().filter(|&seconds: &u64| seconds <= LIMIT).map(|seconds| seconds * 1000);
    }
    let seconds: f64 = written.parse().ok()?;
    (seconds >= 0.0 && seconds <= LIMIT as f64).then_some((seconds * 1000.0) as u64)
}
