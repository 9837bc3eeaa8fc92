//! Keys in the encodings of X.509: a `SubjectPublicKeyInfo` or a certificate (RFC 5280 sections 4.1.2.7 and 4.1), in PEM
//! (RFC 7468).
//!
//! Of a certificate the key is taken and nothing else is asked, neither its dates nor its signature: who configures a
//! certificate as a key trusts the key. Text with more than one block is refused: of a chain, the keys of the authorities would
//! become keys of tokens.

use std::fmt;

use base64::prelude::{Engine, BASE64_STANDARD};
use rsa::pkcs1::RsaPublicKeyRef;
use rsa::pkcs8::der::asn1::{AnyRef, ObjectIdentifier};
use rsa::pkcs8::der::{Decode, Reader, SliceReader, Tag, Tagged};
use rsa::pkcs8::spki::SubjectPublicKeyInfoRef;

use super::{KeyProblem, PublicKey};

/// Why no key can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodingProblem {
    /// It is not one PEM block of a public key or a certificate, or what the block holds is malformed.
    Malformed,
    /// The key is of an unknown type, or on an unknown curve.
    UnknownType,
    /// Its numbers are no sound key.
    Unsound(KeyProblem),
}

/// What a PEM block says that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemLabel {
    /// `PUBLIC KEY`.
    PublicKey,
    /// `CERTIFICATE`.
    Certificate,
}

impl PublicKey {
    /// The key of a text with one PEM block, whichever of the two it is.
    ///
    /// # Errors
    /// Why there is none.
    pub fn from_pem(text: &str) -> Result<Self, EncodingProblem> {
        match pem_block(text).ok_or(EncodingProblem::Malformed)? {
            (PemLabel::PublicKey, der) => Self::from_spki(&der),
            (PemLabel::Certificate, der) => Self::from_certificate(&der),
        }
    }

    /// The key of a `SubjectPublicKeyInfo` in DER. Points must be uncompressed.
    ///
    /// # Errors
    /// Why there is none.
    pub fn from_spki(der: &[u8]) -> Result<Self, EncodingProblem> {
        Self::of_spki(SubjectPublicKeyInfoRef::from_der(der).map_err(|_| EncodingProblem::Malformed)?)
    }

    /// The key of a certificate in DER.
    ///
    /// # Errors
    /// Why there is none.
    pub fn from_certificate(der: &[u8]) -> Result<Self, EncodingProblem> {
        Self::of_spki(spki_of_certificate(der).ok_or(EncodingProblem::Malformed)?)
    }

    fn of_spki(spki: SubjectPublicKeyInfoRef<'_>) -> Result<Self, EncodingProblem> {
        const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
        const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
        const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
        let bytes = spki.subject_public_key.as_bytes().ok_or(EncodingProblem::Malformed)?;
        match spki.algorithm.oid {
            RSA => {
                let key = RsaPublicKeyRef::from_der(bytes).map_err(|_| EncodingProblem::Malformed)?;
                Self::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
            }
            EC => {
                let curve = spki.algorithm.parameters_oid().map_err(|_| EncodingProblem::Malformed)?;
                let curve = curve_name(curve).ok_or(EncodingProblem::UnknownType)?;
                let point = bytes.strip_prefix(&[4]).filter(|point| point.len() % 2 == 0);
                let (x, y) = point.and_then(|point| point.split_at_checked(point.len() / 2)).unwrap_or_default();
                Self::ec(curve, x, y).ok_or(EncodingProblem::UnknownType)?
            }
            ED25519 => Self::ed25519(bytes),
            _ => return Err(EncodingProblem::UnknownType),
        }
        .map_err(EncodingProblem::Unsound)
    }
}

/// The name in `crv` (RFC 7518 section 6.2.1.1).
fn curve_name(curve: ObjectIdentifier) -> Option<&'static str> {
    const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
    const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
    match curve {
        P256 => Some("P-256"),
        P384 => Some("P-384"),
        P521 => Some("P-521"),
        _ => None,
    }
}

/// The one PEM block of a text. As RFC 7468 section 2 advises readers, text around it and white space within are ignored.
pub fn pem_block(text: &str) -> Option<(PemLabel, Vec<u8>)> {
    let (_, block) = text.split_once("-----BEGIN ")?;
    let (label, block) = block.split_once("-----")?;
    let label = match label {
        "PUBLIC KEY" => PemLabel::PublicKey,
        "CERTIFICATE" => PemLabel::Certificate,
        _ => return None,
    };
    let (body, end) = block.split_once("-----END ")?;
    let end = end.strip_prefix(label.name())?.strip_prefix("-----")?;
    if end.contains("-----BEGIN ") {
        return None;
    }
    let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    Some((label, BASE64_STANDARD.decode(body).ok()?))
}

impl PemLabel {
    fn name(self) -> &'static str {
        match self {
            Self::PublicKey => "PUBLIC KEY",
            Self::Certificate => "CERTIFICATE",
        }
    }
}

/// The seventh field of what is signed; the first, the version, may be absent.
fn spki_of_certificate(certificate: &[u8]) -> Option<SubjectPublicKeyInfoRef<'_>> {
    let mut certificate = SliceReader::new(fields(AnyRef::from_der(certificate).ok()?)?).ok()?;
    let mut signed = SliceReader::new(fields(certificate.decode().ok()?)?).ok()?;
    const VERSION: u8 = 0xa0;
    let before_key = if signed.peek_byte() == Some(VERSION) { 6 } else { 5 };
    for _ in 0..before_key {
        signed.decode::<AnyRef<'_>>().ok()?;
    }
    signed.decode().ok()
}

/// What is in a sequence.
fn fields(sequence: AnyRef<'_>) -> Option<&[u8]> {
    (sequence.tag() == Tag::Sequence).then(|| sequence.value())
}

impl fmt::Display for EncodingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is not one PEM block of a public key or a certificate"),
            Self::UnknownType => f.write_str("its type or curve is unknown"),
            Self::Unsound(problem) => problem.fmt(f),
        }
    }
}
