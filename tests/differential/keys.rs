//! Keys and the key sets that publish them, whole and broken.

use serde_json::{json, Value};

use crate::mint::{encode, Key};
use crate::random::Random;

/// A private key that signs, in the way in which a provider's key set may know it.
#[derive(Clone)]
pub struct Signer {
    pub key: Key,
    /// What it signs with.
    pub alg: &'static str,
    pub kid: Option<String>,
    /// How this key may be treated otherwise on purpose.
    pub oddity: Option<Oddity>,
}

/// What the gate refuses on purpose where the native filter does not. Each has an entry in [`crate::explained`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// An RSA key of 1024 bits.
    ShortRsa,
    /// A shared secret in a set that comes from a URL.
    RemoteSecret,
    /// An ECDSA signature that is longer or shorter than two coordinates.
    SignatureLength,
    /// An Ed25519 key of small order.
    SmallOrder,
}

/// A key set as it is served or written into a configuration, and who can sign for it.
pub struct KeySet {
    pub text: String,
    pub signers: Vec<Signer>,
}

const KIDS: [&str; 4] = ["k1", "k2", "key/3", ""];

/// A key set with a key that works, and with others that may not.
pub fn good(random: &mut Random, remote: bool) -> KeySet {
    if random.chance(4) {
        return certificates(random, remote);
    }
    let mut members = Vec::new();
    let mut signers = Vec::new();
    let mut sound = false;
    for _ in 0..=random.below(4) {
        let (member, found) = any_key(random, remote);
        sound |= found
            .as_ref()
            .is_some_and(|found| found.oddity.is_none() && (member["alg"].is_null() || member["alg"] == found.alg));
        members.push(member);
        signers.extend(found);
    }
    if random.chance(15) {
        members.push(broken_member(random));
    }
    if random.chance(10) {
        members.push(members[0].clone());
    }
    // Envoy refuses a local set without a key that it can use.
    if !sound {
        let (member, found) = plain_key(Key::p256(1), "ES256");
        members.push(member);
        signers.push(found);
    }
    random.shuffle(&mut members);
    KeySet { text: json!({ "keys": members }).to_string(), signers }
}

/// What an issuer may answer instead of a key set: status and body.
pub fn bad(random: &mut Random) -> (u16, String) {
    let (status, body) = *random.pick(&[
        (500, "{\"keys\":[]}"),
        (404, ""),
        (204, ""),
        (301, ""),
        (200, "not json"),
        (200, ""),
        (200, "[]"),
        (200, "{}"),
        (200, "{\"keys\":[]}"),
        (200, "{\"keys\":{}}"),
        (200, "{\"keys\":null}"),
        (200, "{\"keys\":[{}]}"),
        (200, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\"}]}"),
        (200, "{\"keys\":[{\"kty\":\"foo\"}]}"),
        (200, "{\"k1\":\"no certificate\"}"),
        (200, "{\"k1\":7}"),
    ]);
    (status, body.to_owned())
}

fn any_key(random: &mut Random, remote: bool) -> (Value, Option<Signer>) {
    let (key, alg): (Key, &'static str) = match random.below(24) {
        0..=5 => (Key::rsa(), *random.pick(&["RS256", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])),
        6 | 7 => (Key::other_rsa(), *random.pick(&["RS256", "PS256"])),
        8 => (Key::short_rsa(), "RS256"),
        9..=13 => (Key::p256(1), "ES256"),
        14 => (Key::p256(2), "ES256"),
        15 | 16 => (Key::p384(1), "ES384"),
        17 => (Key::p521(1), "ES512"),
        18..=20 => (Key::ed25519(1), "EdDSA"),
        _ => (Key::hmac(&[1; 64]), *random.pick(&["HS256", "HS256", "HS384", "HS512"])),
    };
    if random.chance(2) {
        let signer = Signer { key: Key::ed25519(1), alg: "EdDSA", kid: None, oddity: Some(Oddity::SmallOrder) };
        return (small_order(), Some(signer));
    }
    let oddity = match alg {
        _ if key.jwk()["n"].as_str().is_some_and(|n| n.len() < 256) => Some(Oddity::ShortRsa),
        "HS256" | "HS384" | "HS512" if remote => Some(Oddity::RemoteSecret),
        _ => None,
    };
    let mut jwk = key.jwk();
    let kid = random.chance(70).then(|| (*random.pick(&KIDS)).to_owned());
    if let Some(kid) = &kid {
        jwk["kid"] = kid.as_str().into();
    }
    let mut signs = true;
    if random.chance(45) {
        jwk["alg"] = alg.into();
    } else if random.chance(12) {
        // The algorithm of another key, or of none.
        jwk["alg"] = random
            .pick(&[
                json!("RS512"),
                json!("PS256"),
                json!("ES384"),
                json!("HS512"),
                json!("EdDSA"),
                json!("Ed25519"),
                json!("none"),
                json!("RS1"),
                json!(7),
                json!(""),
            ])
            .clone();
        signs = random.chance(50);
    }
    if random.chance(30) {
        jwk["use"] = (*random.pick(&["sig", "sig", "enc", "x"])).into();
    }
    if random.chance(12) {
        jwk["key_ops"] = random.pick(&[json!(["verify"]), json!(["sign"]), json!([]), json!("verify")]).clone();
    }
    (jwk, signs.then_some(Signer { key, alg, kid, oddity }))
}

fn plain_key(key: Key, alg: &'static str) -> (Value, Signer) {
    (key.jwk(), Signer { key, alg, kid: None, oddity: None })
}

/// The identity point, for which everyone can sign.
fn small_order() -> Value {
    let mut x = [0; 32];
    x[0] = 1;
    json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&x)})
}

fn broken_member(random: &mut Random) -> Value {
    let rsa = Key::rsa().jwk();
    let ec = Key::p256(1).jwk();
    let edwards = Key::ed25519(1).jwk();
    let with = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    match random.below(22) {
        0 => json!({}),
        1 => json!({"kty": 7}),
        2 => json!({"kty": "rsa", "n": rsa["n"], "e": rsa["e"]}),
        3 => with(&rsa, "n", Value::Null),
        4 => with(&rsa, "n", json!(7)),
        5 => with(&rsa, "e", json!("!")),
        6 => with(&rsa, "n", json!("")),
        7 => with(&rsa, "e", json!("AQ")),
        8 => with(&ec, "x", json!("AAAA")),
        9 => with(&ec, "y", ec["x"].clone()),
        10 => with(&ec, "crv", json!("P-384")),
        11 => with(&ec, "crv", json!("secp256k1")),
        12 => with(&ec, "x", json!("=")),
        13 => with(&ec, "crv", Value::Null),
        14 => with(&edwards, "x", json!("AAAA")),
        15 => with(&edwards, "crv", json!("Ed448")),
        16 => with(&edwards, "crv", Value::Null),
        17 => json!({"kty": "oct"}),
        18 => json!({"kty": "oct", "k": "a b"}),
        19 => json!({"kty": "oct", "k": ""}),
        20 => with(&ec, "kid", json!(7)),
        _ => json!("key"),
    }
}

/// The older form: certificates by their kid.
fn certificates(random: &mut Random, remote: bool) -> KeySet {
    let mut set = json!({"k1": include_str!("../support/keys/rsa-2048.crt")});
    // Envoy refuses a configuration that holds a certificate it cannot read.
    if remote && random.chance(30) {
        set["k2"] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into();
    }
    let signer = Signer { key: Key::rsa(), alg: "RS256", kid: Some("k1".to_owned()), oddity: None };
    KeySet { text: set.to_string(), signers: vec![signer] }
}
