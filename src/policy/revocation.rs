//! The list of revoked tokens: which entry denies which token.

use std::collections::{HashMap, HashSet};

use crate::jose::{numeric_date, Verified};
use crate::json::{self, Map, Value};
use crate::limits::{MAX_REVOCATIONS, MAX_REVOCATION_BYTES};
use crate::remote::Content;
use crate::time::UnixTime;

/// `{"revoked": [{"jti": "…"}, {"sub": "…", "before": 1700000000}, {"sid": "…"}, {"kid": "…"}]}`: every entry denies the tokens
/// that match all its members. Members are string claims, `kid` (the key), and `before` (issued before that time; a token
/// without `iat` counts as older).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RevocationList {
    /// The entries of a `jti` alone, which are most.
    token_ids: HashSet<String>,
    /// The others, by the name and the value of one of their members.
    by_member: HashMap<String, HashMap<String, Vec<Entry>>>,
    /// The entries of `before` alone.
    all_before: Option<UnixTime>,
    length: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    others: Vec<(String, String)>,
    before: Option<UnixTime>,
}

impl RevocationList {
    /// Whether an entry denies `token`.
    pub fn denies(&self, token: &Verified) -> bool {
        let claims = token.claims();
        let is_older = |before: UnixTime| claims.issued_at().is_none_or(|issued_at| issued_at < before);
        if claims.text("jti").is_some_and(|id| self.token_ids.contains(id)) || self.all_before.is_some_and(is_older) {
            return true;
        }
        let has = |(name, value): &(String, String)| members(token, name).any(|own| own == value);
        let matches = |entry: &Entry| entry.before.is_none_or(is_older) && entry.others.iter().all(has);
        self.by_member.iter().any(|(name, by_value)| {
            members(token, name).any(|own| by_value.get(own).is_some_and(|entries| entries.iter().any(matches)))
        })
    }

    fn add(&mut self, entry: &Map<String, Value>) -> Option<()> {
        let mut members = Vec::with_capacity(entry.len());
        let mut before = None;
        for (name, value) in entry {
            match (name.as_str(), value) {
                ("before", time) => before = Some(numeric_date(time)?),
                (_, Value::String(value)) => members.push((name.clone(), value.clone())),
                _ => return None,
            }
        }
        self.length = self.length.checked_add(1).filter(|&length| length <= MAX_REVOCATIONS)?;
        match (members.pop(), before) {
            (None, None) => return None,
            (None, Some(before)) => self.all_before = self.all_before.max(Some(before)),
            (Some((name, id)), None) if name == "jti" && members.is_empty() => {
                self.token_ids.insert(id);
            }
            (Some((name, value)), before) => {
                let by_value = self.by_member.entry(name).or_default();
                by_value.entry(value).or_default().push(Entry { others: members, before });
            }
        }
        Some(())
    }
}

/// What a token has under the name of a member: the names of its key, or a claim.
fn members<'a>(token: &'a Verified, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let is_key = name == "kid";
    let claim = if is_key { None } else { token.claims().text(name) };
    token.kids().filter(move |_| is_key).chain(claim)
}

impl Content for RevocationList {
    const NAME: &'static str = "revocation list";
    const MAX_BYTES: usize = MAX_REVOCATION_BYTES;

    fn parse(body: &[u8]) -> Result<Self, String> {
        let document = json::parse_object(body).ok_or("not a JSON object")?;
        let Some(Value::Array(entries)) = document.get("revoked") else {
            return Err("it has no array \"revoked\"".into());
        };
        if entries.len() > MAX_REVOCATIONS {
            return Err(format!("it has more than {MAX_REVOCATIONS} entries"));
        }
        let mut list = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            let added = entry.as_object().and_then(|entry| list.add(entry));
            added.ok_or_else(|| format!("revoked[{index}] is not an object of strings and a number \"before\""))?;
        }
        Ok(list)
    }

    fn length(&self) -> usize {
        self.length
    }

    fn summary(&self) -> String {
        format!("{} entries", self.length)
    }
}
