//! The host's own cryptography: in Envoy the foreign function `verify_signature`, which runs BoringSSL.
//!
//! It knows RSA with PKCS#1 v1.5 padding, and ECDSA. Whether a host has it is asked by a call with a known answer.

use std::cell::RefCell;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};
use prost::Message;

use super::hostcalls;
use crate::crypto::{Alg, CryptoProvider, PublicKey};

/// The host as a provider.
#[derive(Default)]
pub struct HostCrypto {
    /// The room for what a check hands over.
    arguments: RefCell<Vec<u8>>,
}

/// The same for `crypto: host`: of the signatures that the host checks, none holds where it cannot tell, whoever else could.
pub struct HostOrNobody(pub HostCrypto);

/// Makes `message` the argument of `verify_signature`: hash function, public key, signature and text, which are the fields 1 to 4 of a
/// message, each copied once.
fn write_arguments(message: &mut Vec<u8>, fields: [&[u8]; 4]) -> Option<()> {
    /// Tag and length.
    const FRAME: usize = 1 + 5;
    /// `LEN` of the encoding of Protocol Buffers.
    const DELIMITED: u8 = 2;
    message.clear();
    message.reserve(fields.iter().map(|field| field.len() + FRAME).sum());
    for (number, field) in (1..).zip(fields) {
        message.push(number << 3 | DELIMITED);
        prost::encode_length_delimiter(field.len(), message).ok()?;
        message.extend_from_slice(field);
    }
    Some(())
}

/// Its answer.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(bool, tag = "1")]
    result: bool,
}

/// A signature that holds: the example of RFC 7515 appendix A.3.
mod known {
    pub const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    pub const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    pub const MESSAGE: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                               cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    pub const SIGNATURE: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
}

impl HostCrypto {
    /// The host's cryptography, if it has one that tells a good signature from a bad one. Only for hosts where the call of a
    /// function that is not there is no trap.
    pub fn probe() -> Option<Self> {
        let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let key = PublicKey::ec("P-256", &bytes(known::X)?, &bytes(known::Y)?)?.ok()?;
        let signature = bytes(known::SIGNATURE)?;
        let this = Self::default();
        let answer = |message: &str| this.verify(&key, Alg::Es256, message.as_bytes(), &signature);
        let holds = answer(known::MESSAGE) == Some(true) && answer("something else") == Some(false);
        holds.then_some(this)
    }
}

impl CryptoProvider for HostCrypto {
    fn verify(&self, key: &PublicKey, alg: Alg, message: &[u8], signature: &[u8]) -> Option<bool> {
        if !key.fits(alg) {
            return Some(false);
        }
        let hash_function = hash_function(alg)?;
        let Some(signature) = alg.der_signature(signature) else {
            return Some(false);
        };
        let mut arguments = self.arguments.take();
        write_arguments(&mut arguments, [hash_function.as_bytes(), key.spki()?, &signature, message])?;
        let answer = hostcalls::call_foreign("verify_signature", &arguments);
        self.arguments.replace(arguments);
        let answer = answer?;
        Some(Answer::decode(answer.as_slice()).ok()?.result)
    }
}

impl CryptoProvider for HostOrNobody {
    fn verify(&self, key: &PublicKey, alg: Alg, message: &[u8], signature: &[u8]) -> Option<bool> {
        hash_function(alg)?;
        Some(self.0.verify(key, alg, message, signature).unwrap_or(false))
    }
}

/// The host's name for the hash of an algorithm; `None` if the host does not know the algorithm.
fn hash_function(alg: Alg) -> Option<&'static str> {
    match alg {
        Alg::Rs256 | Alg::Es256 => Some("sha256"),
        Alg::Rs384 | Alg::Es384 => Some("sha384"),
        Alg::Rs512 | Alg::Es512 => Some("sha512"),
        _ => None,
    }
}
