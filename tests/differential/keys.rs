//! Keys and the key sets that publish them, whole and broken.

use base64::prelude::{Engine, BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
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
    /// An RSA key of less than 2048 bits, or of more than 8192.
    RsaSize,
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
        let (mut member, found) = any_key(random, remote);
        if random.chance(6) {
            respell(random, &mut member);
        } else {
            // Envoy does not take every exponent, nor a secret of no bytes.
            let is_refused = member["e"] == "EQ" || member["e"] == "AQAAAAE" || member["k"] == "";
            let is_taken = |found: &Signer| found.oddity.is_none() && !is_refused;
            let fits = |found: &Signer| member["alg"].is_null() || member["alg"] == found.alg;
            sound |= found.as_ref().is_some_and(|found| is_taken(found) && fits(found));
        }
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
    // What a set in place knows, a set from elsewhere does not: the one is trusted with it, the other is not.
    let secret = if remote { 11 } else { 1 };
    let (key, alg): (Key, &'static str) = match random.below(28) {
        0..=5 => (Key::rsa(), *random.pick(&["RS256", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])),
        6 | 7 => (Key::other_rsa(), *random.pick(&["RS256", "PS256"])),
        8 => (Key::short_rsa(), "RS256"),
        9..=13 => (Key::p256(1), "ES256"),
        14 => (Key::p256(2), "ES256"),
        15 | 16 => (Key::p384(1), "ES384"),
        17 => (Key::p521(1), "ES512"),
        18..=20 => (Key::ed25519(1), "EdDSA"),
        21 => (Key::odd_rsa(random.below(3)), *random.pick(&["RS256", "PS384"])),
        22 => (Key::tiny_rsa(), "RS256"),
        // It takes long to sign with them.
        23 if random.chance(20) => (Key::long_rsa(random.chance(50)), "RS256"),
        24 => (Key::hmac(&[secret + 1; 200][..*random.pick(&[1, 8, 31, 200])]), "HS256"),
        25 if !remote => (Key::hmac(&[]), "HS256"),
        _ => (Key::hmac(&[secret; 64]), *random.pick(&["HS256", "HS256", "HS384", "HS512"])),
    };
    if random.chance(2) {
        let signer = Signer { key: Key::ed25519(1), alg: "EdDSA", kid: None, oddity: Some(Oddity::SmallOrder) };
        return (small_order(), Some(signer));
    }
    let oddity = match alg {
        _ if key.jwk()["n"].as_str().is_some_and(|n| !(342..=1366).contains(&n.len())) => Some(Oddity::RsaSize),
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

/// Writes one of the numbers in a key otherwise, or others in its place.
fn respell(random: &mut Random, jwk: &mut Value) {
    let name = *random.pick(&["n", "e", "x", "y", "k"]);
    let Some(text) = jwk[name].as_str() else { return };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).expect("a key of this test");
    let zeros = |count: usize| encode(&[&vec![0; count][..], &bytes].concat());
    let spelt = match random.below(11) {
        0 => zeros(1),
        1 => zeros(2),
        2 => zeros(300),
        3 => BASE64_URL_SAFE.encode(&bytes),
        4 => BASE64_STANDARD.encode(&bytes),
        5 => BASE64_STANDARD_NO_PAD.encode(&bytes),
        6 => format!("{text}="),
        7 => format!("{} {}", &text[..text.len() / 2], &text[text.len() / 2..]),
        8 => format!("{text}\n"),
        // With bits that belong to no byte.
        9 => format!("{}B", &text[..text.len().saturating_sub(1)]),
        _ => encode(&bytes[..bytes.len().saturating_sub(1)]),
    };
    jwk[name] = spelt.into();
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
    let signer = |key: Key, kid: &str, oddity| Signer { key, alg: "RS256", kid: Some(kid.to_owned()), oddity };
    let mut set = json!({"k1": include_str!("../support/keys/rsa-2048.crt")});
    let mut signers = vec![signer(Key::rsa(), "k1", None)];
    if random.chance(30) {
        set["k3"] = include_str!("../support/keys/rsa-1024.certificate.pem").into();
        signers.push(signer(Key::short_rsa(), "k3", Some(Oddity::RsaSize)));
    }
    // Envoy refuses a configuration that holds a certificate it cannot read.
    if remote && random.chance(40) {
        let public = Key::rsa().public_pem();
        set["k2"] = (*random.pick(&[
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            include_str!("../support/keys/p256.certificate.pem"),
            &public,
            include_str!("../support/keys/rsa-2048.crt").trim_end(),
            "",
        ]))
        .into();
    }
    KeySet { text: set.to_string(), signers }
}
