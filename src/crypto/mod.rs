//! Signatures: the algorithms, the keys that check them, and who does the arithmetic.
//!
//! The core asks a [`CryptoProvider`] to check one signature, synchronously. [`Portable`] is pure Rust and works in every
//! host; a host that brings its own cryptography becomes another provider, and one that cannot answer leaves the question to
//! the next.

mod alg;
mod any_hash;
mod der;
mod encoded;
mod es256;
mod hmac_key;
mod key;
mod known;
mod modexp;
mod portable;
mod pss;
mod rsa_key;

pub use alg::Alg;
pub use any_hash::{ecdsa_holds, Hash};
pub use der::Spki;
pub use encoded::{pem_block, EncodingProblem, PemLabel};
pub use es256::Es256Key;
pub use hmac_key::HmacKey;
pub use key::{KeyProblem, PublicKey};
pub use modexp::Exponentiation;
pub use portable::Portable;
pub use rsa_key::RsaKey;

/// Checks signatures.
pub trait CryptoProvider {
    /// Whether `signature` over `message` holds for `key` under `alg`; `None` if this provider cannot tell, which is not an
    /// answer: the next provider is asked, and with none left the signature does not hold.
    ///
    /// A key whose type does not [fit](PublicKey::fits) `alg` yields `Some(false)`.
    fn verify(&self, key: &PublicKey, alg: Alg, message: &[u8], signature: &[u8]) -> Option<bool>;
}
