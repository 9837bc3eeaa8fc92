//! Keys of every algorithm, their public JWKs, and tokens signed with them. One helper mints every token of the tests.
//!
//! Signing is done here by the RustCrypto crates directly: the gate only checks.

#![allow(dead_code)] // Each test binary uses its part.

use std::sync::{Arc, LazyLock};

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};
use jwt_compact::alg::{Hs256, Hs256Key, Hs384, Hs384Key, Hs512, Hs512Key};
use jwt_compact::{Algorithm, AlgorithmSignature};
use rsa::pkcs8::DecodePrivateKey;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use serde_json::{json, Map, Value};
use sha2::{Sha256, Sha384, Sha512};

/// The time at which the tests' clock starts, in seconds: 2027-01-15T08:00:00Z.
pub const NOW: u64 = 1_800_000_000;

/// `iss` of a token, unless it says otherwise.
pub const ISSUER: &str = "https://issuer.example";

/// `aud` of a token, unless it says otherwise.
pub const AUDIENCE: &str = "api";

/// Every algorithm that the gate knows, with a key that can sign it.
pub const ALGORITHMS: [&str; 14] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "HS256",
    "HS384", "HS512",
];

/// A key that signs.
#[derive(Clone)]
pub struct Key {
    kid: Option<String>,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Rsa(Arc<rsa::PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    Hmac(Vec<u8>),
}

impl Key {
    /// RSA with 2048 bits.
    pub fn rsa() -> Self {
        static KEY: LazyLock<Arc<rsa::PrivateKey>> = LazyLock::new(|| read_rsa(include_str!("keys/rsa-2048.pem")));
        Self { kid: None, secret: Secret::Rsa(KEY.clone()) }
    }

    /// Another one.
    pub fn other_rsa() -> Self {
        static KEY: LazyLock<Arc<rsa::PrivateKey>> =
            LazyLock::new(|| read_rsa(include_str!("keys/rsa-2048-other.pem")));
        Self { kid: None, secret: Secret::Rsa(KEY.clone()) }
    }

    /// RSA with 1024 bits, too short to be trusted.
    pub fn short_rsa() -> Self {
        Self { kid: None, secret: Secret::Rsa(read_rsa(include_str!("keys/rsa-1024.pem"))) }
    }

    /// RSA with 512 bits.
    pub fn tiny_rsa() -> Self {
        Self { kid: None, secret: Secret::Rsa(read_rsa(include_str!("keys/rsa-512.pem"))) }
    }

    /// RSA with other exponents than 65537: 3, 17, and one of 33 bits.
    pub fn odd_rsa(which: usize) -> Self {
        static KEYS: LazyLock<[Arc<rsa::PrivateKey>; 3]> = LazyLock::new(|| {
            [
                read_rsa(include_str!("keys/rsa-2049-e3.pem")),
                read_rsa(include_str!("keys/rsa-3072-e17.pem")),
                read_rsa(include_str!("keys/rsa-4096-e4294967297.pem")),
            ]
        });
        Self { kid: None, secret: Secret::Rsa(KEYS[which % 3].clone()) }
    }

    /// RSA with 8192 bits, or with 8200.
    pub fn long_rsa(too_long: bool) -> Self {
        static KEYS: LazyLock<[Arc<rsa::PrivateKey>; 2]> = LazyLock::new(|| {
            [read_rsa(include_str!("keys/rsa-8192.pem")), read_rsa(include_str!("keys/rsa-8200.pem"))]
        });
        Self { kid: None, secret: Secret::Rsa(KEYS[usize::from(too_long)].clone()) }
    }

    /// P-256; each `seed` is another key.
    pub fn p256(seed: u8) -> Self {
        let key = p256::ecdsa::SigningKey::from_slice(&[seed; 32]).expect("a scalar");
        Self { kid: None, secret: Secret::P256(key) }
    }

    /// P-384.
    pub fn p384(seed: u8) -> Self {
        let key = p384::ecdsa::SigningKey::from_slice(&[seed; 48]).expect("a scalar");
        Self { kid: None, secret: Secret::P384(key) }
    }

    /// P-521.
    pub fn p521(seed: u8) -> Self {
        let mut scalar = [seed; 66];
        scalar[0] = 0;
        Self { kid: None, secret: Secret::P521(p521::ecdsa::SigningKey::from_slice(&scalar).expect("a scalar")) }
    }

    /// Ed25519.
    pub fn ed25519(seed: u8) -> Self {
        Self { kid: None, secret: Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])) }
    }

    /// A shared secret.
    pub fn hmac(secret: &[u8]) -> Self {
        Self { kid: None, secret: Secret::Hmac(secret.to_vec()) }
    }

    /// A key for `alg`: the first or the second one of its type.
    pub fn of(alg: &str, second: bool) -> Self {
        let seed = if second { 2 } else { 1 };
        match alg.get(..2) {
            Some("RS" | "PS") if second => Self::other_rsa(),
            Some("RS" | "PS") => Self::rsa(),
            Some("HS") => Self::hmac(&[seed; 64]),
            _ => match alg {
                "ES256" => Self::p256(seed),
                "ES384" => Self::p384(seed),
                "ES512" => Self::p521(seed),
                _ => Self::ed25519(seed),
            },
        }
    }

    /// The same key by a name.
    pub fn named(mut self, kid: &str) -> Self {
        self.kid = Some(kid.to_owned());
        self
    }

    /// The algorithm that it signs with unless told otherwise.
    pub fn alg(&self) -> &'static str {
        match &self.secret {
            Secret::Rsa(_) => "RS256",
            Secret::P256(_) => "ES256",
            Secret::P384(_) => "ES384",
            Secret::P521(_) => "ES512",
            Secret::Ed25519(_) => "EdDSA",
            Secret::Hmac(_) => "HS256",
        }
    }

    /// Whether it can sign RS256 and nothing else.
    pub fn is_tiny(&self) -> bool {
        matches!(&self.secret, Secret::Rsa(key) if key.size() < 128)
    }

    /// What is published of it; all of it for a shared secret.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.secret {
            Secret::Rsa(key) => {
                json!({"kty": "RSA", "n": encode(&key.n().as_ref().to_be_bytes()), "e": encode(&without_zeros(&key.e().to_be_bytes()))})
            }
            Secret::P256(key) => ec("P-256", key.verifying_key().to_sec1_point(false).as_bytes()),
            Secret::P384(key) => ec("P-384", key.verifying_key().to_sec1_point(false).as_bytes()),
            Secret::P521(key) => ec("P-521", key.verifying_key().to_sec1_point(false).as_bytes()),
            Secret::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.verifying_key().as_bytes())})
            }
            Secret::Hmac(secret) => json!({"kty": "oct", "k": encode(secret)}),
        };
        if let Some(kid) = &self.kid {
            jwk["kid"] = kid.as_str().into();
        }
        jwk
    }

    /// The JWK with its private part.
    pub fn private_jwk(&self) -> Value {
        let mut jwk = self.jwk();
        let d = match &self.secret {
            Secret::Rsa(key) => encode(&key.d().to_be_bytes()),
            Secret::P256(key) => encode(&key.to_bytes()),
            Secret::P384(key) => encode(&key.to_bytes()),
            Secret::P521(key) => encode(&key.to_bytes()),
            Secret::Ed25519(key) => encode(&key.to_bytes()),
            Secret::Hmac(_) => return jwk,
        };
        jwk["d"] = d.into();
        jwk
    }

    /// The public key in PEM, as attackers use it for a secret; RSA alone.
    pub fn public_pem(&self) -> String {
        use rsa::pkcs8::EncodePublicKey;
        match &self.secret {
            Secret::Rsa(key) => key.as_public_key().to_public_key_pem(rsa::pkcs8::LineEnding::LF).expect("a key"),
            _ => String::new(),
        }
    }

    /// Signs `message`.
    pub fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        match (&self.secret, alg) {
            (Secret::Rsa(key), "RS256") => pkcs1::<Sha256>(key, message),
            (Secret::Rsa(key), "RS384") => pkcs1::<Sha384>(key, message),
            (Secret::Rsa(key), "RS512") => pkcs1::<Sha512>(key, message),
            (Secret::Rsa(key), "PS256") => pss::<Sha256>(key, message),
            (Secret::Rsa(key), "PS384") => pss::<Sha384>(key, message),
            (Secret::Rsa(key), "PS512") => pss::<Sha512>(key, message),
            (Secret::P256(key), _) => Signer::<p256::ecdsa::Signature>::sign(key, message).to_bytes().to_vec(),
            (Secret::P384(key), _) => Signer::<p384::ecdsa::Signature>::sign(key, message).to_bytes().to_vec(),
            (Secret::P521(key), _) => Signer::<p521::ecdsa::Signature>::sign(key, message).to_bytes().to_vec(),
            (Secret::Ed25519(key), _) => Signer::<ed25519_dalek::Signature>::sign(key, message).to_bytes().to_vec(),
            (Secret::Hmac(secret), "HS256") => Hs256.sign(&Hs256Key::new(secret), message).as_bytes().into_owned(),
            (Secret::Hmac(secret), "HS384") => Hs384.sign(&Hs384Key::new(secret), message).as_bytes().into_owned(),
            (Secret::Hmac(secret), "HS512") => Hs512.sign(&Hs512Key::new(secret), message).as_bytes().into_owned(),
            (_, alg) => panic!("this key cannot sign {alg}"),
        }
    }
}

/// A key set of `jwks`, as JSON text.
pub fn key_set(jwks: impl IntoIterator<Item = Value>) -> String {
    json!({"keys": jwks.into_iter().collect::<Vec<_>>()}).to_string()
}

/// Signs any bytes for header and payload.
pub fn sign_compact(key: &Key, alg: &str, header: &[u8], payload: &[u8]) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = key.sign(alg, input.as_bytes());
    format!("{input}.{}", encode(&signature))
}

/// Base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A token in the making: by default one of [`ISSUER`] for [`AUDIENCE`] and `sub` "alice", good for five minutes.
#[derive(Clone)]
pub struct Token {
    key: Key,
    alg: String,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    now: u64,
}

impl Token {
    /// A token at [`NOW`].
    pub fn new(key: &Key) -> Self {
        Self::at(key, NOW)
    }

    /// A token whose `iat` is `now`, in seconds.
    pub fn at(key: &Key, now: u64) -> Self {
        let mut header = Map::new();
        header.insert("alg".into(), key.alg().into());
        header.insert("typ".into(), "JWT".into());
        if let Some(kid) = &key.kid {
            header.insert("kid".into(), kid.as_str().into());
        }
        let token = Self { key: key.clone(), alg: key.alg().to_owned(), header, claims: Map::new(), now };
        token.claim("iss", ISSUER).claim("aud", AUDIENCE).claim("sub", "alice").claim("iat", now).expires_in(300)
    }

    /// Signs with `alg`, and says so.
    pub fn alg(mut self, alg: &str) -> Self {
        self.alg = alg.to_owned();
        self.header("alg", alg)
    }

    /// Names a key, whichever signs.
    pub fn kid(self, kid: &str) -> Self {
        self.header("kid", kid)
    }

    /// Sets a member of the header, whatever is signed with.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a member of the header.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.shift_remove(name);
        self
    }

    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.shift_remove(name);
        self
    }

    /// `exp`, in seconds from now.
    pub fn expires_in(self, seconds: i64) -> Self {
        let expires = self.now.saturating_add_signed(seconds);
        self.claim("exp", expires)
    }

    /// The payload, as JSON text.
    pub fn payload(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// The token in compact form.
    pub fn mint(&self) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        sign_compact(&self.key, &self.alg, header.as_bytes(), self.payload().as_bytes())
    }

    /// All of it but the signature, with the dot before that.
    pub fn unsigned(&self) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        format!("{}.{}.", encode(header.as_bytes()), encode(self.payload().as_bytes()))
    }

    /// The value of `Authorization`.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.mint())
    }
}

fn read_rsa(pem: &str) -> Arc<rsa::PrivateKey> {
    Arc::new(rsa::PrivateKey::from_pkcs8_pem(pem).expect("a key of the tests"))
}

fn pkcs1<H: sha2::Digest + sha2::digest::const_oid::AssociatedOid>(key: &rsa::PrivateKey, message: &[u8]) -> Vec<u8> {
    rsa::pkcs1v15::SigningKey::<H>::new(key.clone()).sign(message).to_vec()
}

fn pss<H: sha2::Digest + sha2::digest::FixedOutputReset>(key: &rsa::PrivateKey, message: &[u8]) -> Vec<u8> {
    rsa::pss::SigningKey::<H>::new(key.clone()).sign(message).to_vec()
}

fn ec(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
}

fn without_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|&b| b == 0).collect()
}
