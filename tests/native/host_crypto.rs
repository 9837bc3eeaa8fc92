//! Who checks a signature where the host has cryptography of its own, and what holds when that fails.

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};
use jwt_gate::crypto::{Alg, CryptoProvider};
use jwt_gate::keys::{self, Origin};

use crate::mint::{Key, Token};

#[allow(dead_code)]
#[path = "../../src/host/crypto.rs"]
mod adapter;

/// What the room of the host has in the gate.
mod hostcalls {
    /// A host whose every call fails.
    pub fn call_foreign(_: &str, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// What the provider says of a good signature.
fn says(provider: &dyn CryptoProvider, key: &Key, alg: &str) -> Option<bool> {
    let token = Token::new(key).alg(alg).mint();
    let (message, signature) = token.rsplit_once('.').expect("a token");
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let key = keys::Key::parse(&key.jwk(), Origin::Local).expect("a key");
    provider.verify(key.public(), Alg::from_name(alg).expect("known"), message.as_bytes(), &signature)
}

#[test]
fn a_host_that_cannot_tell_leaves_the_question_open_and_alone_it_says_no() {
    let alone = adapter::HostOrNobody(adapter::HostCrypto::default());
    for alg in ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"] {
        let key = Key::of(alg, false);
        assert_eq!(says(&adapter::HostCrypto::default(), &key, alg), None, "{alg}: the module is asked next");
        assert_eq!(says(&alone, &key, alg), Some(false), "{alg}");
    }
    // What hosts do not know is the module's own in any case.
    for alg in ["PS256", "PS384", "PS512", "EdDSA"] {
        assert_eq!(says(&alone, &Key::of(alg, false), alg), None, "{alg}");
    }
}

#[test]
fn what_the_host_is_handed_is_written_into_the_same_room_for_each_check() {
    let (host, key) = (adapter::HostCrypto::default(), Key::rsa());
    let public = keys::Key::parse(&key.jwk(), Origin::Local).expect("a key");
    let signature = key.sign("RS256", b"x");
    let check = || assert_eq!(host.verify(public.public(), Alg::Rs256, &[b'x'; 1000], &signature), None);
    check();
    assert_eq!(allocation_counter::measure(check).count_total, 0);
}
