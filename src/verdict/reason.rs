//! Why a request is denied: a closed list, each with its code, status, challenge and sentence, in one table.

/// What `WWW-Authenticate` says (RFC 6750 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// No challenge: other credentials would not help.
    None,
    /// The scheme alone: the request held no token (RFC 6750 section 3.1, last paragraph).
    Bare,
    /// `error="invalid_request"`: the request carries credentials in a way that must not be.
    InvalidRequest,
    /// `error="invalid_token"`.
    InvalidToken,
    /// `error="insufficient_scope"`, with the scopes needed where scopes are what is missing.
    InsufficientScope,
}

/// The phrase of a status, which is the title of its problem document.
macro_rules! phrase {
    (400) => {
        "Bad Request"
    };
    (401) => {
        "Unauthorized"
    };
    (403) => {
        "Forbidden"
    };
    (503) => {
        "Service Unavailable"
    };
}

macro_rules! challenge_text {
    (None, $detail:literal) => {
        None
    };
    (Bare, $detail:literal) => {
        Some("Bearer")
    };
    (InvalidRequest, $detail:literal) => {
        challenge_text!("invalid_request", $detail)
    };
    (InvalidToken, $detail:literal) => {
        challenge_text!("invalid_token", $detail)
    };
    (InsufficientScope, $detail:literal) => {
        challenge_text!("insufficient_scope", $detail)
    };
    ($error:literal, $detail:literal) => {
        Some(concat!("Bearer error=\"", $error, "\", error_description=\"", $detail, "\""))
    };
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $status:tt, $challenge:ident, $detail:literal;)*) => {
        /// Why a request is denied. Holds nothing of the request, so nothing of the request can reach an answer or a log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The stable name: in bodies, logs and metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Reason::$name => $status,)* }
            }

            /// The challenge that goes with the status.
            pub const fn challenge(self) -> Challenge {
                match self { $(Reason::$name => Challenge::$challenge,)* }
            }

            /// The fixed sentence for people.
            pub const fn detail(self) -> &'static str {
                match self { $(Reason::$name => $detail,)* }
            }

            /// The value of `WWW-Authenticate`, but for what the configuration adds.
            pub const fn challenge_text(self) -> Option<&'static str> {
                match self { $(Reason::$name => challenge_text!($challenge, $detail),)* }
            }

            /// The problem document (RFC 9457) of an answer with the reason's own status.
            pub const fn problem(self) -> &'static str {
                match self {
                    $(Reason::$name => concat!(
                        r#"{"type":"about:blank","title":""#, phrase!($status), r#"","status":"#, $status,
                        r#","code":""#, $code, r#"","detail":""#, $detail, r#""}"#,
                    ),)*
                }
            }

            /// What `failed_status_in_metadata` says.
            pub const fn failure(self) -> &'static str {
                match self {
                    $(Reason::$name => concat!(r#"{"code":""#, $code, r#"","message":""#, $detail, r#""}"#),)*
                }
            }

            /// What the access log reads as `%RESPONSE_CODE_DETAILS%`.
            pub const fn code_details(self) -> &'static str {
                match self { $(Reason::$name => concat!("jwt_gate_denied{", $code, "}"),)* }
            }
        }
    };
}

// Ordered by how far the check of a token came: where several providers refuse the same request, the reason furthest down
// tells most.
reasons! {
    /// No token where one is required.
    TokenMissing, "token_missing", 401, Bare, "The request carries no token.";
    /// Two `Authorization` values, joined by commas or not, two good tokens of one provider, or more tokens than one request may carry.
    MultipleTokens, "multiple_tokens", 400, InvalidRequest, "The request carries more than one credential.";
    /// Another spelling of the path, or of what else rules look at, would match another rule; or there are too many of them.
    PathAmbiguous, "path_ambiguous", 400, None, "The path can be read in more than one way.";
    /// A token over [`MAX_TOKEN_BYTES`](crate::limits::MAX_TOKEN_BYTES).
    TokenTooLarge, "token_too_large", 401, InvalidToken, "The token is too large.";
    /// Not `Bearer` and one token, or not three parts of strict base64url (RFC 7515 section 7.1).
    TokenMalformed, "token_malformed", 401, InvalidToken, "The token is not a signed JWT in compact form.";
    /// The JOSE header is no strict JSON object, a member has a wrong type, or it uses an extension (`crit`, `b64`).
    HeaderMalformed, "header_malformed", 401, InvalidToken, "The token's header is malformed or asks for an unknown extension.";
    /// `alg` is unknown, `none`, or not in the provider's `algorithms`.
    AlgorithmNotAllowed, "algorithm_not_allowed", 401, InvalidToken, "The token's algorithm is not allowed.";
    /// `typ` is none of the provider's.
    TypeNotAllowed, "type_not_allowed", 401, InvalidToken, "The token is of another type.";
    /// No key of the set fits the token's `kid` and `alg`.
    KeyUnknown, "key_unknown", 401, InvalidToken, "The token is signed with an unknown key.";
    /// No key set has been fetched yet, it is older than `max_stale`, or, in hosts that hold no requests, a newer one is on its way.
    KeysUnavailable, "keys_unavailable", 503, None, "The issuer's keys are not available.";
    /// The issuer was asked about the token, and did not answer.
    IntrospectionUnavailable, "introspection_unavailable", 503, None, "The issuer cannot be asked about the token.";
    /// The signature does not hold.
    SignatureInvalid, "signature_invalid", 401, InvalidToken, "The token's signature is not valid.";
    /// The issuer says that the token is not active (RFC 7662 section 2.2).
    TokenInactive, "token_inactive", 401, InvalidToken, "The token is not active.";
    /// The payload is no strict JSON object, or a claim has a wrong type (RFC 7519 section 4.1).
    ClaimsMalformed, "claims_malformed", 401, InvalidToken, "The token's claims are malformed.";
    /// `iss` is not the provider's.
    IssuerNotAllowed, "issuer_not_allowed", 401, InvalidToken, "The token comes from another issuer.";
    /// `aud` holds none of the audiences.
    AudienceNotAllowed, "audience_not_allowed", 401, InvalidToken, "The token is meant for another audience.";
    /// `sub` is not one of the provider's `subjects`.
    SubjectNotAllowed, "subject_not_allowed", 401, InvalidToken, "The token speaks of another subject.";
    /// A claim that the provider's `profile` asks for is absent.
    ClaimMissing, "claim_missing", 401, InvalidToken, "The token lacks a claim that tokens of its kind have.";
    /// No `exp` where one is required.
    ExpirationMissing, "expiration_missing", 401, InvalidToken, "The token never expires.";
    /// `exp` has passed.
    TokenExpired, "token_expired", 401, InvalidToken, "The token has expired.";
    /// `nbf` has yet to come.
    TokenNotYetValid, "token_not_yet_valid", 401, InvalidToken, "The token is not valid yet.";
    /// `iat` has yet to come.
    IssuedInTheFuture, "issued_in_the_future", 401, InvalidToken, "The token was issued in the future.";
    /// The token lives on for longer than `max_lifetime`.
    LifetimeTooLong, "lifetime_too_long", 401, InvalidToken, "The token lives for too long.";
    /// An entry of the revocation list matches.
    TokenRevoked, "token_revoked", 401, InvalidToken, "The token has been revoked.";
    /// No revocation list, and `on_unavailable` is `deny`.
    RevocationUnavailable, "revocation_unavailable", 503, None, "The list of revoked tokens is not available.";
    /// A claim that goes into a header holds characters that no header may hold.
    ClaimNotForwardable, "claim_not_forwardable", 401, InvalidToken, "A claim of the token cannot be forwarded.";
    /// The rule asks for scopes that the token lacks.
    ScopeInsufficient, "scope_insufficient", 403, InsufficientScope, "The token lacks a scope that this route requires.";
    /// The rule asks for claims that the token lacks, or its `cel` is not true.
    ClaimInsufficient, "claim_insufficient", 403, InsufficientScope, "The token lacks a claim that this route requires.";
    /// The authorization service says no.
    AuthorizationDenied, "authorization_denied", 403, InsufficientScope, "The caller is not allowed to do this.";
    /// The authorization service does not answer, and `on_error` is `deny`.
    AuthorizationUnavailable, "authorization_unavailable", 503, None, "The authorization service is not available.";
    /// Too many requests wait for an answer, or this one for too many answers.
    Overloaded, "overloaded", 503, None, "Too many requests are waiting.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_its_own() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
    }

    /// JSON escapes quotes, backslashes and control characters, and so does a challenge (RFC 6750 section 3). A header takes text
    /// without control characters.
    #[test]
    fn no_code_and_no_sentence_needs_an_escape_in_json_a_challenge_or_a_header() {
        for reason in Reason::ALL {
            for text in [reason.code(), reason.detail()] {
                let is_plain = |b: u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
                assert!(text.bytes().all(is_plain) && text.trim() == text && !text.is_empty(), "{text:?}");
            }
        }
    }

    #[test]
    fn a_failure_is_json_with_code_and_sentence() {
        for reason in Reason::ALL {
            let failure: serde_json::Value = serde_json::from_str(reason.failure()).unwrap();
            assert_eq!(failure, serde_json::json!({"code": reason.code(), "message": reason.detail()}));
        }
    }

    #[test]
    fn a_challenge_comes_with_the_status_that_rfc_6750_gives_it() {
        for reason in Reason::ALL {
            let expected = match (reason.status(), reason) {
                (401, Reason::TokenMissing) => Challenge::Bare,
                (401, _) => Challenge::InvalidToken,
                (400, Reason::MultipleTokens) => Challenge::InvalidRequest,
                (403, _) => Challenge::InsufficientScope,
                // That of the path is no error of a token, and the others are none of the client's.
                (400, Reason::PathAmbiguous) | (503, _) => Challenge::None,
                (status, _) => panic!("{status} has no place here"),
            };
            assert_eq!(reason.challenge(), expected, "{}", reason.code());
        }
    }
}
