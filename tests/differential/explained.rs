//! Differences that are meant. Each has a reason and holds for as few requests as can be told apart; every other difference is an
//! error, of the gate or of this test.

use std::collections::BTreeMap;

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::Value;

use crate::configurations::Configuration;
use crate::keys::Oddity;
use crate::outcome::Outcome;
use crate::requests::{Request, FORMS};
use crate::stage::{is_fetched_on_demand, Side};

/// A difference that is meant.
pub struct Explanation {
    pub name: &'static str,
    pub reason: &'static str,
    holds: fn(&Case, &mut Ask) -> bool,
}

/// Tells what a side makes of a request now.
type Ask<'a> = dyn FnMut(Side, &Request) -> Outcome + 'a;

/// Two outcomes that differ.
struct Case<'a> {
    configuration: &'a Configuration,
    request: &'a Request,
    native: &'a Outcome,
    gate: &'a Outcome,
}

/// All of them.
pub const EXPLAINED: [Explanation; 6] = [
    Explanation {
        name: "RSA under 2048 or over 8192 bits",
        reason: "RFC 7518, 3.3 and 3.5: a shorter key must not be used; a longer one costs more than any check should",
        holds: |case, ask| case.has_void_signatures(Oddity::RsaSize, ask) || case.lacks_key(Oddity::RsaSize),
    },
    Explanation {
        name: "shared secret in a remote set",
        reason: "whoever can read the set could sign",
        holds: |case, ask| case.has_void_signatures(Oddity::RemoteSecret, ask) || case.lacks_key(Oddity::RemoteSecret),
    },
    Explanation {
        name: "ECDSA signature of another length",
        reason: "RFC 7518, 3.4: exactly two coordinates; else one token has many spellings",
        holds: |case, ask| case.has_void_signatures(Oddity::SignatureLength, ask),
    },
    Explanation {
        name: "Ed25519 key of small order",
        reason: "everyone can sign for it",
        holds: |case, ask| case.has_void_signatures(Oddity::SmallOrder, ask) || case.lacks_key(Oddity::SmallOrder),
    },
    Explanation {
        name: "order of an object's members",
        reason: "Envoy forwards an object as base64 of JSON whose members have another order each time",
        holds: |case, _| case.native.with_ordered_objects() == case.gate.with_ordered_objects(),
    },
    Explanation {
        name: "requirements that race for keys",
        reason: "while Envoy waits for keys it tries the next of `requires_any`: one request has several outcomes, of which this is one",
        holds: |case, ask| case.is_what_envoy_does_at_times(ask),
    },
];

/// How often Envoy is asked for what it does at times.
const REPEATS: usize = 8;

/// What is said where no key fits.
const NO_KEY: [&str; 3] = [
    "Jwt verification fails",
    "Jwks doesn't have key to match kid or alg from Jwt",
    "Jwks doesn't have any valid public key",
];

/// The explanation of a difference, if there is one.
pub fn explain(
    configuration: &Configuration,
    request: &Request,
    (native, gate): (&Outcome, &Outcome),
    mut ask: impl FnMut(Side, &Request) -> Outcome,
) -> Option<&'static Explanation> {
    let case = Case { configuration, request, native, gate };
    EXPLAINED.iter().find(|explanation| (explanation.holds)(&case, &mut ask))
}

impl Case<'_> {
    /// Whether a token is of that kind, and the gate does exactly what the native filter does with the same request when the
    /// signatures of all such tokens are void.
    fn has_void_signatures(&self, oddity: Oddity, ask: &mut Ask) -> bool {
        if !self.request.tokens.iter().any(|token| self.request.oddities(token).contains(&oddity)) {
            return false;
        }
        let void = ask(Side::Native, &self.request.without_odd_signatures());
        let both_lack_a_key = says_no_key(&void) && says_no_key(self.gate);
        // Written in one of the forms, the void token may look as it would in another.
        let gate = ordered(self.gate.seen.clone());
        let seen = FORMS.iter().map(|form| restored(&void, self.request, form));
        let same_seen = std::iter::once(restored_in_turn(&void, self.request)).chain(seen).any(|seen| seen == gate);
        same_seen
            && void.status == self.gate.status
            && (void.seen.is_some() || void.body == self.gate.body || both_lack_a_key)
    }

    /// Whether Envoy fetches keys on demand, and does the same with the same request when it is asked again.
    fn is_what_envoy_does_at_times(&self, ask: &mut Ask) -> bool {
        let mut providers = self.configuration.json["providers"].as_object().into_iter().flatten();
        providers.any(|(_, provider)| is_fetched_on_demand(provider)) && {
            let gate = self.gate.with_ordered_objects();
            (0..REPEATS).any(|_| ask(Side::Native, self.request).with_ordered_objects() == gate)
        }
    }

    /// Whether both refuse, and differ only in whether no key of the set fits, or none verified.
    fn lacks_key(&self, oddity: Oddity) -> bool {
        let mut signers = self.configuration.providers.iter().flat_map(|provider| &provider.signers);
        signers.any(|signer| signer.oddity == Some(oddity)) && says_no_key(self.native) && says_no_key(self.gate)
    }
}

impl Outcome {
    /// The same, with headers that are base64 of JSON written in one way.
    fn with_ordered_objects(&self) -> Self {
        let seen = ordered(self.seen.clone());
        let body = if seen.is_some() { Vec::new() } else { self.body.clone() };
        let headers = if seen.is_some() { BTreeMap::new() } else { self.headers.clone() };
        Self { status: self.status, headers, body, seen }
    }
}

/// What the service got, with headers that are base64 of JSON as that JSON: objects are equal whatever the order of their members.
fn ordered(mut seen: Option<Value>) -> Option<Value> {
    let fields = seen.as_mut().and_then(|seen| seen["fields"].as_object_mut());
    for value in fields.into_iter().flatten().filter_map(|(_, values)| values.as_array_mut()).flatten() {
        let json = value.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
        if let Some(json) = json.and_then(|json| serde_json::from_slice::<Value>(&json).ok()) {
            *value = json;
        }
    }
    seen
}

/// What the service got, with the tokens that the request had, all of them written in that form.
fn restored(void: &Outcome, request: &Request, form: &fn(&str) -> String) -> Option<Value> {
    let odd = request.tokens.iter().filter(|token| !request.oddities(token).is_empty());
    let text = void.seen.as_ref()?.to_string();
    let written = |token: &str| in_json(&form(token));
    let text = odd.fold(text, |text, token| text.replace(&written(&token.unsigned), &written(&token.text)));
    ordered(serde_json::from_str(&text).ok())
}

/// The same, each written in the first form in which it is found.
fn restored_in_turn(void: &Outcome, request: &Request) -> Option<Value> {
    let mut text = void.seen.as_ref()?.to_string();
    for token in request.tokens.iter().filter(|token| !request.oddities(token).is_empty()) {
        text = FORMS
            .iter()
            .fold(text, |text, form| text.replace(&in_json(&form(&token.unsigned)), &in_json(&form(&token.text))));
    }
    ordered(serde_json::from_str(&text).ok())
}

/// As it stands within a string: white space of a token is escaped there.
fn in_json(text: &str) -> String {
    let text: String = text.bytes().map(char::from).collect();
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn says_no_key(outcome: &Outcome) -> bool {
    NO_KEY.iter().any(|text| outcome.body == text.as_bytes())
}
