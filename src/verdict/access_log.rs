//! `access_log`: what the filter state says of a decision, for the host's access log.

use percent_encoding::{utf8_percent_encode, AsciiSet, CONTROLS};
use smol_str::{SmolStr, ToSmolStr};

use crate::limits::MAX_LOGGED_CHARACTERS;

/// What is published, of [`FIELDS`](Self::FIELDS); nothing, unless the configuration asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessLog([bool; 5]);

/// Whose token decided. Of the token itself only what the access log asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The index of the provider; `None` where no provider had a say, or several said the same.
    pub provider: Option<usize>,
    /// `sub` of a token that was verified.
    pub sub: Option<String>,
    /// `kid` of such a token.
    pub kid: Option<String>,
}

/// What is published about one decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    log: AccessLog,
    outcome: &'static str,
    code: Option<&'static str>,
    provider: Option<SmolStr>,
}

/// What could end a line of a log, or a field of one, and what begins an encoded byte.
const SPECIAL: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\\').add(b'%');

impl AccessLog {
    /// The names of what can be published.
    pub const FIELDS: [&'static str; 5] = ["outcome", "code", "provider", "sub", "kid"];

    /// The whole names of the same in the filter state.
    pub const NAMES: [&'static str; 5] =
        ["jwt_gate.outcome", "jwt_gate.code", "jwt_gate.provider", "jwt_gate.sub", "jwt_gate.kid"];

    /// Publishes the field of that place, too.
    pub fn publish(&mut self, field: usize) {
        if let Some(field) = self.0.get_mut(field) {
            *field = true;
        }
    }

    /// Whether anything is published.
    pub fn is_on(self) -> bool {
        self != Self::default()
    }

    /// Whether that takes something of the token.
    pub fn names_caller(self) -> bool {
        let [.., sub, kid] = self.0;
        sub || kid
    }

    /// The caller, as far as it is published. `sub` and `kid` are those of a token that was verified.
    pub fn caller(self, provider: Option<usize>, sub: Option<&str>, kid: Option<&str>) -> Caller {
        let [.., sub_is_wanted, kid_is_wanted] = self.0;
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Caller { provider, sub: owned(sub.filter(|_| sub_is_wanted)), kid: owned(kid.filter(|_| kid_is_wanted)) }
    }

    /// What is published about a decision, if anything is; `provider` is the [`plain`] name of the caller's.
    pub fn published(
        self,
        outcome: &'static str,
        code: Option<&'static str>,
        provider: Option<&SmolStr>,
    ) -> Option<Published> {
        self.is_on().then(|| Published { log: self, outcome, code, provider: provider.cloned() })
    }
}

impl Published {
    /// Whole names and values in the filter state; `caller` is that of the decision.
    pub fn state<'p>(&'p self, caller: &'p Caller) -> impl Iterator<Item = (&'static str, SmolStr)> + use<'p> {
        let wanted = AccessLog::NAMES.into_iter().zip(self.log.0).enumerate().filter(|(_, (_, is_wanted))| *is_wanted);
        wanted.filter_map(|(place, (name, _))| Some((name, self.field(place, caller)?)))
    }

    /// The field of that place.
    #[inline(never)]
    fn field(&self, place: usize, caller: &Caller) -> Option<SmolStr> {
        match place {
            0 => Some(SmolStr::new_static(self.outcome)),
            1 => self.code.map(SmolStr::new_static),
            2 => self.provider.clone(),
            3 => caller.sub.as_deref().map(plain),
            _ => caller.kid.as_deref().map(plain),
        }
    }
}

/// Text that no log can take for more than one field of one line: printable ASCII, everything else percent-encoded, and not too much
/// of it.
pub fn plain(text: &str) -> SmolStr {
    let end = text.char_indices().nth(MAX_LOGGED_CHARACTERS).map_or(text.len(), |(at, _)| at);
    utf8_percent_encode(text.get(..end).unwrap_or_default(), SPECIAL).to_smolstr()
}

#[cfg(test)]
mod tests {
    use super::super::Reason;
    use super::*;

    #[test]
    fn no_text_ends_a_line_or_a_field_and_each_can_be_read_back() {
        for (text, expected) in [
            ("auth0|42", "auth0|42"),
            ("ada@example.com", "ada@example.com"),
            ("a\nb\r\tc", "a%0Ab%0D%09c"),
            ("a b\"c\\d%0A", "a%20b%22c%5Cd%250A"),
            ("Zo\u{eb}\u{2028}\u{202e}\u{7f}", "Zo%C3%AB%E2%80%A8%E2%80%AE%7F"),
        ] {
            assert_eq!(plain(text), expected);
            assert_eq!(percent_encoding::percent_decode_str(expected).decode_utf8().unwrap(), text);
        }
        assert_eq!(plain(&"x".repeat(MAX_LOGGED_CHARACTERS + 1)), "x".repeat(MAX_LOGGED_CHARACTERS));
        assert_eq!(plain(&"\u{eb}".repeat(1000)), "%C3%AB".repeat(MAX_LOGGED_CHARACTERS));
    }

    #[test]
    fn no_outcome_and_no_code_needs_encoding_and_every_field_has_its_name() {
        for &reason in Reason::ALL {
            assert_eq!(plain(reason.code()), reason.code());
        }
        for (field, name) in AccessLog::FIELDS.into_iter().zip(AccessLog::NAMES) {
            assert_eq!(name, ["jwt_gate.", field].concat());
        }
    }

    #[test]
    fn nothing_of_a_token_is_kept_that_is_not_published() {
        let mut log = AccessLog::default();
        log.publish(2);
        let caller = log.caller(Some(0), Some("alice"), Some("k1"));
        assert_eq!(caller, Caller { provider: Some(0), ..Caller::default() });
        let main = SmolStr::new("main");
        let published = log.published("allowed", None, Some(&main)).unwrap();
        assert_eq!(published.state(&caller).collect::<Vec<_>>(), [("jwt_gate.provider", main.clone())]);
        log.publish(3);
        assert_eq!(log.caller(None, Some(""), None), Caller::default());
    }
}
