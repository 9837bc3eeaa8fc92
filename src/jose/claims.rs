//! The claims of a token (RFC 7519 section 4), typed: a claim of a wrong type is an error, never an absence.

use crate::json::{Entry, Map, Number, Packed, Value};
use crate::time::UnixTime;
use crate::verdict::Reason;

/// The claims of one token.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    all: Packed,
    exp: Option<UnixTime>,
    nbf: Option<UnixTime>,
    iat: Option<UnixTime>,
}

/// Where a claim is: the names from the outermost object inwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl Claims {
    /// Reads the payload of a token whose signature holds.
    ///
    /// # Errors
    /// [`Reason::ClaimsMalformed`] if it is no strict JSON object, or a registered claim has a wrong type.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Reason> {
        let all = Packed::parse(payload).ok_or(Reason::ClaimsMalformed)?;
        let is_text = |entry: Entry<'_>| entry.as_str().is_some();
        let are_text = ["iss", "sub", "jti"].into_iter().all(|name| all.get(name).is_none_or(is_text));
        let is_audience = |entry: Entry<'_>| match entry.elements() {
            Some(mut elements) => elements.all(is_text),
            None => is_text(entry),
        };
        if !are_text || !all.get("aud").is_none_or(is_audience) {
            return Err(Reason::ClaimsMalformed);
        }
        let date = |name: &str| match all.get(name) {
            None => Ok(None),
            Some(entry) => {
                let date = entry.as_number().and_then(|number| numeric_date(&number));
                date.map(Some).ok_or(Reason::ClaimsMalformed)
            }
        };
        let (exp, nbf, iat) = (date("exp")?, date("nbf")?, date("iat")?);
        Ok(Self { all, exp, nbf, iat })
    }

    /// `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `aud`, one or several; none if it is absent.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        let aud = self.all.get("aud");
        let several = aud.and_then(Entry::elements).into_iter().flatten().filter_map(Entry::as_str);
        aud.and_then(Entry::as_str).into_iter().chain(several)
    }

    /// `exp`.
    pub fn expires(&self) -> Option<UnixTime> {
        self.exp
    }

    /// `nbf`.
    pub fn not_before(&self) -> Option<UnixTime> {
        self.nbf
    }

    /// `iat`.
    pub fn issued_at(&self) -> Option<UnixTime> {
        self.iat
    }

    /// All of them.
    pub fn to_map(&self) -> Map<String, Value> {
        self.all.to_map()
    }

    /// Each of them, by its name.
    pub fn members(&self) -> impl Iterator<Item = (&str, Entry<'_>)> {
        self.all.members()
    }

    /// The claim of that name.
    pub fn get(&self, name: &str) -> Option<Entry<'_>> {
        self.all.get(name)
    }

    /// The claim of that name, if it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Entry::as_str)
    }

    /// The claim at `path`; `None` if it is absent, or something on the way to it is no object.
    pub fn at(&self, path: &ClaimPath) -> Option<Entry<'_>> {
        let (first, rest) = path.0.split_first()?;
        rest.iter().try_fold(self.all.get(first)?, |entry, name| entry.get(name))
    }

    /// What they take in memory beside themselves, in bytes.
    pub fn size(&self) -> usize {
        self.all.size()
    }
}

impl ClaimPath {
    /// The names from the outermost object inwards, each taken as it is; `None` if there is none or one is empty.
    pub fn new(names: Vec<String>) -> Option<Self> {
        (!names.is_empty() && names.iter().all(|name| !name.is_empty())).then_some(Self(names))
    }

    /// As [`dotted`](Self::dotted), with names that may be empty: Envoy looks for those, too.
    pub fn dotted_as_written(name: &str) -> Self {
        Self(name.split('.').map(str::to_owned).collect())
    }

    /// The names from the outermost object inwards.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// `a.b.c`: each dot leads one object further in.
    pub fn dotted(name: &str) -> Option<Self> {
        Self::new(name.split('.').map(str::to_owned).collect())
    }
}

/// A `NumericDate` (RFC 7519 section 2): seconds since the epoch, with or without a fraction. Negative ones and those beyond
/// 2^53, where a double no longer counts in ones, are none.
pub fn numeric_date(number: &Number) -> Option<UnixTime> {
    const LIMIT: u64 = 1 << 53;
    if let Some(secs) = number.as_u64() {
        return (secs <= LIMIT).then(|| UnixTime::from_secs(secs));
    }
    let secs = number.as_f64().filter(|secs| (0.0..=LIMIT as f64).contains(secs))?;
    Some(UnixTime::from_millis((secs * 1000.0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_of_a_wrong_type_is_an_error_and_not_an_absence() {
        for payload in [
            "",
            "null",
            "[]",
            "\"x\"",
            "{} {}",
            r#"{"exp":1,"exp":2}"#,
            r#"{"iss":1}"#,
            r#"{"iss":null}"#,
            r#"{"sub":{}}"#,
            r#"{"jti":[]}"#,
            r#"{"aud":1}"#,
            r#"{"aud":null}"#,
            r#"{"aud":["a",1]}"#,
            r#"{"exp":"1700000000"}"#,
            r#"{"exp":null}"#,
            r#"{"exp":true}"#,
            r#"{"exp":-1}"#,
            r#"{"exp":1e300}"#,
            r#"{"exp":18446744073709551615}"#,
            r#"{"nbf":[1]}"#,
            r#"{"iat":{}}"#,
        ] {
            assert_eq!(Claims::parse(payload.as_bytes()), Err(Reason::ClaimsMalformed), "{payload}");
        }
    }

    #[test]
    fn dates_may_have_a_fraction() {
        let claims = Claims::parse(br#"{"exp":1700000000.5,"nbf":0,"iat":1.7e9,"aud":["a","b"]}"#).unwrap();
        assert_eq!(claims.expires(), Some(UnixTime::from_millis(1_700_000_000_500)));
        assert_eq!(claims.not_before(), Some(UnixTime::from_secs(0)));
        assert_eq!(claims.issued_at(), Some(UnixTime::from_secs(1_700_000_000)));
        assert!(claims.audiences().eq(["a", "b"]));
    }

    #[test]
    fn a_path_leads_through_objects_only() {
        let claims = Claims::parse(br#"{"a":{"b":{"c":1}},"a.b":2,"l":[{"b":3}]}"#).unwrap();
        let at = |path: &str| claims.at(&ClaimPath::dotted(path).unwrap()).map(Entry::to_value);
        assert_eq!(at("a.b.c"), Some(1.into()));
        assert_eq!(at("l.b"), None);
        assert_eq!(at("l.0"), None);
        assert_eq!(at("a.x"), None);
        let literal = claims.at(&ClaimPath::new(vec!["a.b".into()]).unwrap());
        assert_eq!(literal.map(Entry::to_value), Some(2.into()));
        for path in ["", ".", "a.", ".a", "a..b"] {
            assert_eq!(ClaimPath::dotted(path), None, "{path:?}");
        }
    }
}
