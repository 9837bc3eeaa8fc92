//! The compact serialization of a JWS (RFC 7515 section 7.1): three parts of strict base64url.

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

use crate::limits::MAX_TOKEN_BYTES;
use crate::verdict::Reason;

/// A token whose shape is right; nothing in it is trusted.
#[derive(Clone, Debug)]
pub struct CompactJws<'a> {
    /// What the signature covers: header and payload as they came, with the dot between them.
    pub(super) signing_input: &'a [u8],
    /// The JOSE header, decoded.
    pub(super) header: Vec<u8>,
    /// The payload, decoded; not read before the signature holds.
    pub(super) payload: Vec<u8>,
    /// The signature, decoded.
    pub(super) signature: Vec<u8>,
}

impl<'a> CompactJws<'a> {
    /// The JOSE header, decoded.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Splits and decodes `token`. Padding, white space, the other alphabet and bits beyond the last byte are refused: each
    /// token has one spelling.
    ///
    /// # Errors
    /// [`Reason::TokenTooLarge`], [`Reason::TokenMalformed`].
    pub fn parse(token: &'a [u8]) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TokenTooLarge);
        }
        let text = std::str::from_utf8(token).map_err(|_| Reason::TokenMalformed)?;
        let (signing_input, signature) = text.rsplit_once('.').ok_or(Reason::TokenMalformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Reason::TokenMalformed)?;
        let decode = |part: &str| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::TokenMalformed)?;
            if bytes.is_empty() {
                Err(Reason::TokenMalformed)
            } else {
                Ok(bytes)
            }
        };
        Ok(Self {
            signing_input: signing_input.as_bytes(),
            header: decode(header)?,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_parts_of_strict_base64url_are_a_token() {
        for (token, why) in [
            ("", "nothing"),
            ("e30.e30", "two parts"),
            ("e30.e30.e30.e30", "four parts"),
            ("e30.e30.", "no signature"),
            ("e30..e30", "no payload: detached content is not for bearer tokens"),
            (".e30.e30", "no header"),
            ("e30=.e30.e30", "padding"),
            ("e31.e30.e30", "bits beyond the last byte"),
            ("e30.e30.e3+", "the other alphabet"),
            ("e30.e30.e3/", "the other alphabet"),
            ("e30.e30.e 0", "white space"),
            ("e30.e30.e30\n", "a line feed at the end"),
            ("e30.e30.e", "a length that base64 cannot have"),
            ("e30.e30.\u{e9}30", "a letter beyond ASCII"),
        ] {
            assert_eq!(CompactJws::parse(token.as_bytes()).unwrap_err(), Reason::TokenMalformed, "{why}");
        }
        assert_eq!(CompactJws::parse(b"e30.e30.\xff").unwrap_err(), Reason::TokenMalformed);
        assert!(CompactJws::parse(b"e30.e30.e30").is_ok());
    }

    #[test]
    fn a_token_may_be_as_long_as_the_limit_and_no_longer() {
        let token = |length: usize| format!("e30.e30.{}", "A".repeat(length - 8));
        assert!(CompactJws::parse(token(MAX_TOKEN_BYTES).as_bytes()).is_ok());
        assert_eq!(CompactJws::parse(token(MAX_TOKEN_BYTES + 1).as_bytes()).unwrap_err(), Reason::TokenTooLarge);
    }
}
