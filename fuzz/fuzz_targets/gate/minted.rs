//! Tokens, and what there is to know about each.

use serde_json::json;

use crate::configurations::SECRET_ISSUER;
use crate::mint::{Key, Token, AUDIENCE, ISSUER};

/// A token, and what there is to know about it.
#[derive(Clone)]
pub struct Minted {
    pub key: usize,
    pub text: String,
    /// In seconds; none where the token has none, or one that is no date.
    pub expires: Option<u64>,
    pub not_before: u64,
    pub issued_at: u64,
    /// Audience, issuer and types are those that the provider asks for.
    pub claims_hold: bool,
    /// Only the lenient reader takes it.
    pub without_expiration: bool,
    pub has_scope: bool,
    pub of_secret: bool,
    pub jti: &'static str,
    pub changed: Changed,
}

/// Whether a token is still the one that was signed.
#[derive(Clone, Copy, PartialEq)]
pub enum Changed {
    No,
    /// In bits that the lenient reader of base64 does not look at.
    Perhaps,
    Yes,
}

impl Minted {
    /// Mints it at `now`, in seconds. Of the choices the first is the key's number.
    pub fn new(signer: &Key, choices: [usize; 8], now: u64) -> Self {
        let [key, exp, nbf, iat, aud, iss, jti, scope] = choices;
        let later = |seconds: i64| now.saturating_add_signed(seconds);
        let mut token = Token::at(signer, now);
        let expires =
            [Some(300), Some(5), Some(-30), Some(-59), Some(-61), Some(-3600), None, None][exp % 8].map(later);
        token = match expires {
            Some(expires) => token.claim("exp", expires),
            None if exp % 8 == 6 => token.without("exp"),
            None => token.claim("exp", later(300).to_string()),
        };
        let not_before = later([0, 59, 61, 3600][nbf % 4]);
        let issued_at = later([0, 59, 61, 3600][iat % 4]);
        let audiences =
            [json!(AUDIENCE), json!(["other", AUDIENCE]), json!("other"), json!([]), json!(5), json!("API")];
        let issuers = [ISSUER, SECRET_ISSUER, "https://issuer.example/", ""];
        let jti = ["t1", "t2"][jti % 2];
        let scope = ["read", "write", "read write", "WRITE"][scope % 4];
        token = token.claim("nbf", not_before).claim("iat", issued_at).claim("iss", issuers[iss % 4]);
        token = token.claim("aud", audiences[aud % 6].clone()).claim("jti", jti).claim("scope", scope);
        let of_secret = iss % 4 == 1;
        Self {
            key,
            text: token.mint(),
            expires,
            not_before,
            issued_at,
            claims_hold: aud % 6 < 2 && iss % 4 < 2,
            without_expiration: exp % 8 == 6,
            has_scope: scope.split(' ').any(|scope| scope == "write"),
            of_secret,
            jti,
            changed: Changed::No,
        }
    }

    /// Changes one character.
    pub fn change(&mut self, digit: usize) {
        let mut text = self.text.clone().into_bytes();
        let at = text.len() * (digit % 32) / 32;
        // What stands at the end, with bits that belong to no byte.
        let at = if digit % 32 == 31 { text.len() - 1 } else { at };
        let with = b"AQgw.-_="[digit / 32 % 8];
        if text[at] != with {
            text[at] = with;
            let spare = at == text.len() - 1;
            self.changed = if spare && self.changed != Changed::Yes { Changed::Perhaps } else { Changed::Yes };
            self.text = String::from_utf8(text).expect("it is ASCII");
        }
    }
}
