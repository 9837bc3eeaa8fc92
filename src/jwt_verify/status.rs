//! What Envoy's JWT library says about a token or a key set: its statuses, by their numbers and sentences.
//!
//! Both are seen outside: the sentence is the body of the answer, and number and sentence stand in `failed_status_in_metadata`.
//! So numbers and sentences are the library's own, errors of grammar included.

use std::fmt;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// What became of a token or a key set.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Status { $($(#[$doc])* $name = $code,)* }

        impl Status {
            /// Every status, by number.
            pub const ALL: &'static [Status] = &[$(Status::$name,)*];

            /// The name in the library.
            pub const fn name(self) -> &'static str {
                match self { $(Status::$name => stringify!($name),)* }
            }

            /// The sentence.
            pub const fn text(self) -> &'static str {
                match self { $(Status::$name => $text,)* }
            }

            /// Number and sentence, as `failed_status_in_metadata` says them.
            pub const fn failure(self) -> &'static str {
                match self { $(Status::$name => concat!(r#"{"code":"#, $code, r#","message":""#, $text, r#""}"#),)* }
            }
        }
    };
}

statuses! {
    /// Nothing is wrong.
    Ok = 0, "OK";
    /// The request carries no token.
    JwtMissed = 1, "Jwt is missing";
    /// `nbf` has yet to come.
    JwtNotYetValid = 2, "Jwt not yet valid";
    /// `exp` has passed.
    JwtExpired = 3, "Jwt is expired";
    /// Not three parts.
    JwtBadFormat = 4, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    /// The header is no base64url.
    JwtHeaderParseErrorBadBase64 = 5, "Jwt header is an invalid Base64url encoded";
    /// The header is no JSON object, by the [lenient reader](super::json).
    JwtHeaderParseErrorBadJson = 6, "Jwt header is an invalid JSON";
    /// `alg` is absent or no string.
    JwtHeaderBadAlg = 7, "Jwt header [alg] field is required and must be a string";
    /// `alg` is unknown.
    JwtHeaderNotImplementedAlg = 8, "Jwt header [alg] is not supported";
    /// `kid` is no string.
    JwtHeaderBadKid = 9, "Jwt header [kid] field is not a string";
    /// The payload is no base64url.
    JwtPayloadParseErrorBadBase64 = 10, "Jwt payload is an invalid Base64url encoded";
    /// The payload is no JSON object, by the [lenient reader](super::json).
    JwtPayloadParseErrorBadJson = 11, "Jwt payload is an invalid JSON";
    /// `iss` is no string.
    JwtPayloadParseErrorIssNotString = 12, "Jwt payload [iss] field is not a string";
    /// `sub` is no string.
    JwtPayloadParseErrorSubNotString = 13, "Jwt payload [sub] field is not a string";
    /// `iat` is no number.
    JwtPayloadParseErrorIatNotInteger = 14, "Jwt payload [iat] field is not an integer";
    /// `iat` is negative, or 2^64 or more.
    JwtPayloadParseErrorIatOutOfRange = 15, "Jwt payload [iat] field is not a positive 64 bit integer";
    /// `nbf` is no number.
    JwtPayloadParseErrorNbfNotInteger = 16, "Jwt payload [nbf] field is not an integer";
    /// `nbf` is negative, or 2^64 or more.
    JwtPayloadParseErrorNbfOutOfRange = 17, "Jwt payload [nbf] field is not a positive 64 bit integer";
    /// `exp` is no number.
    JwtPayloadParseErrorExpNotInteger = 18, "Jwt payload [exp] field is not an integer";
    /// `exp` is negative, or 2^64 or more.
    JwtPayloadParseErrorExpOutOfRange = 19, "Jwt payload [exp] field is not a positive 64 bit integer";
    /// `jti` is no string.
    JwtPayloadParseErrorJtiNotString = 20, "Jwt payload [jti] field is not a string";
    /// `aud` is neither a string nor an array of strings.
    JwtPayloadParseErrorAudNotString = 21, "Jwt payload [aud] field is not a string or string list";
    /// The signature is no base64url.
    JwtSignatureParseErrorBadBase64 = 22, "Jwt signature is an invalid Base64url encoded";
    /// An Ed25519 signature that is not 64 bytes long.
    JwtEd25519SignatureWrongLength = 23, "Jwt ED25519 signature is wrong length";
    /// No provider is configured for `iss`.
    JwtUnknownIssuer = 24, "Jwt issuer is not configured";
    /// `aud` holds none of the audiences.
    JwtAudienceNotAllowed = 25, "Audiences in Jwt are not allowed";
    /// No key verifies the signature.
    JwtVerificationFail = 26, "Jwt verification fails";
    /// More tokens than one.
    JwtMultipleTokens = 27, "Found multiple Jwt tokens";
    /// The key set is no JSON object, by the [lenient reader](super::json).
    JwksParseError = 28, "Jwks is an invalid JSON";
    /// The key set has no `keys`, and is no map of certificates.
    JwksNoKeys = 29, "Jwks does not have [keys] field";
    /// `keys` is no array.
    JwksBadKeys = 30, "[keys] in Jwks is not an array";
    /// The key set has no key.
    JwksNoValidKeys = 31, "Jwks doesn't have any valid public key";
    /// No key has the token's `kid` and `alg`.
    JwksKidAlgMismatch = 32, "Jwks doesn't have key to match kid or alg from Jwt";
    /// `n` and `e` are no RSA key.
    JwksRsaParseError = 33, "Jwks RSA [n] or [e] field is missing or has a parse error";
    /// Never arises here: an allocation failed.
    JwksEcCreateKeyFail = 34, "Jwks EC create key fail";
    /// A coordinate is no base64url.
    JwksEcXorYBadBase64 = 35, "Jwks EC [x] or [y] field is an invalid Base64.";
    /// The coordinates are no point of the curve.
    JwksEcParseError = 36, "Jwks EC [x] and [y] fields have a parse error.";
    /// `k` is no base64url, or empty.
    JwksOctBadBase64 = 37, "Jwks Oct key is an invalid Base64";
    /// `x` of an Ed25519 key is no base64url.
    JwksOKPXBadBase64 = 38, "Jwks OKP [x] field is an invalid Base64.";
    /// `x` of an Ed25519 key is not 32 bytes long.
    JwksOKPXWrongLength = 39, "Jwks OKP [x] field is wrong length.";
    /// The key set could not be fetched.
    JwksFetchFail = 40, "Jwks remote fetch is failed";
    /// A key has no `kty`.
    JwksMissingKty = 41, "[kty] is missing in [keys]";
    /// `kty` is no string.
    JwksBadKty = 42, "[kty] is bad in [keys]";
    /// `kty` is unknown.
    JwksNotImplementedKty = 43, "[kty] is not supported in [keys]";
    /// `alg` of an RSA key is for another type.
    JwksRSAKeyBadAlg = 44, "[alg] is not started with [RS] or [PS] for an RSA key";
    /// An RSA key has no `n`.
    JwksRSAKeyMissingN = 45, "[n] field is missing for a RSA key";
    /// `n` is no string.
    JwksRSAKeyBadN = 46, "[n] field is not string for a RSA key";
    /// An RSA key has no `e`.
    JwksRSAKeyMissingE = 47, "[e] field is missing for a RSA key";
    /// `e` is no string.
    JwksRSAKeyBadE = 48, "[e] field is not string for a RSA key";
    /// `alg` of an EC key is for another type.
    JwksECKeyBadAlg = 49, "[alg] is not started with [ES] for an EC key";
    /// `crv` is no string.
    JwksECKeyBadCrv = 50, "[crv] field is not string for an EC key";
    /// The curve is unknown.
    JwksECKeyAlgOrCrvUnsupported = 51, "[crv] or [alg] field is not supported for an EC key";
    /// `alg` is for another curve than `crv`.
    JwksECKeyAlgNotCompatibleWithCrv = 52, "[crv] field specified is not compatible with [alg] for an EC key";
    /// An EC key has no `x`.
    JwksECKeyMissingX = 53, "[x] field is missing for an EC key";
    /// `x` is no string.
    JwksECKeyBadX = 54, "[x] field is not string for an EC key";
    /// An EC key has no `y`.
    JwksECKeyMissingY = 55, "[y] field is missing for an EC key";
    /// `y` is no string.
    JwksECKeyBadY = 56, "[y] field is not string for an EC key";
    /// `alg` of a secret is for another type.
    JwksHMACKeyBadAlg = 57, "[alg] does not start with [HS] for an HMAC key";
    /// A secret has no `k`.
    JwksHMACKeyMissingK = 58, "[k] field is missing for an HMAC key";
    /// `k` is no string.
    JwksHMACKeyBadK = 59, "[k] field is not string for an HMAC key";
    /// `alg` of an Ed25519 key is not `EdDSA`; `Ed25519` (RFC 9864) is not either.
    JwksOKPKeyBadAlg = 60, "[alg] is not [EdDSA] for an OKP key";
    /// An OKP key has no `crv`.
    JwksOKPKeyMissingCrv = 61, "[crv] field is missing for an OKP key";
    /// `crv` is no string.
    JwksOKPKeyBadCrv = 62, "[crv] field is not string for an OKP key";
    /// `crv` is not `Ed25519`.
    JwksOKPKeyCrvUnsupported = 63, "[crv] field is not supported for an OKP key";
    /// An OKP key has no `x`.
    JwksOKPKeyMissingX = 64, "[x] field is missing for an OKP key";
    /// `x` is no string.
    JwksOKPKeyBadX = 65, "[x] field is not string for an OKP key";
    /// Never arises here: an allocation failed.
    JwksX509BioWriteError = 66, "X509 parse pubkey internal fails: memory allocation";
    /// A certificate cannot be read.
    JwksX509ParseError = 67, "X509 parse pubkey fails";
    /// A certificate holds no RSA key.
    JwksX509GetPubkeyError = 68, "X509 parse pubkey internal fails: get pubkey";
    /// A PEM key is of an unknown type.
    JwksPemNotImplementedKty = 69, "PEM Key type is not supported";
    /// A PEM key cannot be read.
    JwksPemBadBase64 = 70, "PEM pubkey parse fails";
    /// Never arises here: the library failed to copy a key.
    JwksPemGetRawEd25519Error = 71, "PEM failed to get raw ED25519 key";
    /// Never arises here: an allocation failed.
    JwksBioAllocError = 72, "Failed to create BIO due to memory allocation failure";
}

impl Status {
    /// The number.
    pub const fn code(self) -> u32 {
        self as u32
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_library() {
        for (status, code) in [
            (Status::Ok, 0),
            (Status::JwtMissed, 1),
            (Status::JwtBadFormat, 4),
            (Status::JwtPayloadParseErrorAudNotString, 21),
            (Status::JwtEd25519SignatureWrongLength, 23),
            (Status::JwtVerificationFail, 26),
            (Status::JwksParseError, 28),
            (Status::JwksKidAlgMismatch, 32),
            (Status::JwksFetchFail, 40),
            (Status::JwksBioAllocError, 72),
        ] {
            assert_eq!(status.code(), code, "{status}");
        }
        assert_eq!(Status::ALL.len(), 73);
        assert!(Status::ALL.iter().zip(0..).all(|(status, code)| status.code() == code));
    }

    #[test]
    fn every_sentence_is_its_own() {
        let texts: HashSet<_> = Status::ALL.iter().map(|status| status.text()).collect();
        assert_eq!(texts.len(), Status::ALL.len());
    }

    #[test]
    fn a_failure_is_json_with_number_and_sentence() {
        for status in Status::ALL {
            let failure: serde_json::Value = serde_json::from_str(status.failure()).unwrap();
            assert_eq!(failure, serde_json::json!({"code": status.code(), "message": status.text()}));
        }
    }
}
