//! Lists of revoked tokens: a token is denied exactly where an entry matches all that it says.
//!
//! * A list is taken where a second reader of strict JSON takes it: a list that is not understood as a whole is none, so that no
//!   entry is ever skipped.
//! * It denies a token exactly where one of its entries does, each compared member by member.
//! * It holds no more entries than the document.
//!
//! An input has the `kid` of a token in its first line, its claims in the second, and the list in the rest.

#![no_main]

use jwt_gate::jose::CompactJws;
use jwt_gate::policy::RevocationList;
use jwt_gate::remote::Content;
use jwt_gate_fuzz::{date, encode, verify, Claims, Json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |&b| b == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (kid, payload, document) = (String::from_utf8_lossy(part()).into_owned(), part(), part());

    let list = <RevocationList as Content>::parse(document);
    let entries = entries(document);
    assert_eq!(list.is_ok(), entries.is_some(), "{list:?}");
    let (Ok(list), Some(entries)) = (list, entries) else { return };
    assert_eq!(list.length(), entries.len());

    let kid = Some(kid).filter(|kid| !kid.is_empty());
    let token = format!("e30.{}.e30", encode(payload));
    let verified = CompactJws::parse(token.as_bytes()).and_then(|jws| verify(&jws, kid.as_deref(), true));
    if let (Ok(verified), Some(claims)) = (verified, Claims::parse(payload)) {
        let denied = entries.iter().any(|entry| matches(entry, &claims, kid.as_deref()));
        assert_eq!(list.denies(&verified), denied);
    }
});

/// The entries of a list; `None` if one of them cannot be read.
fn entries(document: &[u8]) -> Option<Vec<Json>> {
    let document = Json::object(document)?;
    let entries = document.get("revoked")?.elements()?;
    let is_entry = |entry: &Json| {
        let is_readable = |(name, value): &(String, Json)| match name.as_str() {
            "before" => value.number().and_then(date).is_some(),
            _ => value.text().is_some(),
        };
        !entry.members().is_empty() && entry.members().iter().all(is_readable)
    };
    entries.iter().all(is_entry).then(|| entries.to_vec())
}

/// Whether the token is all that the entry says.
fn matches(entry: &Json, claims: &Claims, kid: Option<&str>) -> bool {
    entry.members().iter().all(|(name, value)| match (name.as_str(), value) {
        ("before", Json::Number(before)) => {
            // One that does not say when it was issued counts as older.
            claims.issued_at.is_none_or(|issued_at| Some(issued_at) < date(before))
        }
        ("kid", Json::Text(value)) => kid == Some(value),
        (name, Json::Text(value)) => claims.text(name) == Some(value),
        _ => false,
    })
}
