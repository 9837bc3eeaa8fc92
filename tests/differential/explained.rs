//! Differences that are meant. Each has a reason and holds for as few requests as can be told apart; every other difference is an
//! error, of the gate or of this test.

use serde_json::Value;

use crate::configurations::Configuration;
use crate::keys::Oddity;
use crate::outcome::Outcome;
use crate::requests::Request;

/// A difference that is meant.
pub struct Explanation {
    pub name: &'static str,
    pub reason: &'static str,
    oddity: Oddity,
    /// What the gate may say instead of "Jwt verification fails": to it, the key is not in the set.
    without_the_key: bool,
}

/// All of them.
pub const EXPLAINED: [Explanation; 4] = [
    Explanation {
        name: "RSA under 2048 bits",
        reason: "RFC 7518, 3.3 and 3.5: such a key must not be used",
        oddity: Oddity::ShortRsa,
        without_the_key: true,
    },
    Explanation {
        name: "shared secret in a remote set",
        reason: "whoever can read the set could sign",
        oddity: Oddity::RemoteSecret,
        without_the_key: true,
    },
    Explanation {
        name: "ECDSA signature of another length",
        reason: "RFC 7518, 3.4: exactly two coordinates; else one token has many spellings",
        oddity: Oddity::SignatureLength,
        without_the_key: false,
    },
    Explanation {
        name: "Ed25519 key of small order",
        reason: "everyone can sign for it",
        oddity: Oddity::SmallOrder,
        without_the_key: true,
    },
];

/// What is said where no key fits.
const NO_KEY: [&str; 3] = [
    "Jwt verification fails",
    "Jwks doesn't have key to match kid or alg from Jwt",
    "Jwks doesn't have any valid public key",
];

/// The explanation of a difference, if there is one. `ask_native` tells what the native filter makes of another request.
///
/// There are two ways to one. A token of the request is of that kind, and the gate does exactly what the native filter does with
/// the same request when the signatures of these tokens are void. Or the configuration has a key of that kind, both refuse, and
/// they disagree only about whether no key fits, or none of them verified.
pub fn explain(
    configuration: &Configuration,
    request: &Request,
    (native, gate): (&Outcome, &Outcome),
    mut ask_native: impl FnMut(&Request) -> Outcome,
) -> Option<&'static Explanation> {
    EXPLAINED.iter().find(|explanation| {
        let Explanation { oddity, without_the_key, .. } = explanation;
        let mut signers = configuration.providers.iter().flat_map(|provider| &provider.signers);
        let no_key = |other: &Outcome| *without_the_key && says_no_key(other) && says_no_key(gate);
        if signers.any(|signer| signer.oddity == Some(*oddity)) && no_key(native) {
            return true;
        }
        if !request.tokens.iter().any(|token| token.oddities.contains(oddity)) {
            return false;
        }
        let void = ask_native(&request.without_odd_signatures(*oddity));
        let seen = restored(&void, request);
        seen == gate.seen && void.status == gate.status && (seen.is_some() || void.body == gate.body || no_key(&void))
    })
}

/// What the service got, with the tokens that the request had.
fn restored(void: &Outcome, request: &Request) -> Option<Value> {
    let mut text = void.seen.as_ref()?.to_string();
    for token in request.tokens.iter().filter(|token| !token.oddities.is_empty()) {
        text = text.replace(&token.unsigned, &token.text);
    }
    serde_json::from_str(&text).ok()
}

fn says_no_key(outcome: &Outcome) -> bool {
    NO_KEY.iter().any(|text| outcome.body == text.as_bytes())
}
