//! Where tokens are looked for, and how they are taken out.
//!
//! * What is found stands in the request, at one of the places that were asked for, and is all of what stands there: header,
//!   query parameter and cookie, each read by a second reader.
//! * `Authorization` yields a token for one value, which is `Bearer` in any case, one space and the token (RFC 6750 section 2.1).
//! * Several places yield what each of them yields, or too much.
//! * Once taken out, no token is found again, and everything else is as it was.
//!
//! An input has a place or a field of the request in each line: `bearer`, `header NAME PREFIX`, `anywhere NAME PREFIX`,
//! `param NAME`, `cookie NAME`; everything else is `NAME: VALUE`.

#![no_main]

use jwt_gate::limits::MAX_TOKENS_PER_REQUEST;
use jwt_gate::request::{behind_prefix, strip, tokens, Location, RequestHead};
use jwt_gate::verdict::{Edits, HeaderName, Reason};
use jwt_gate_fuzz::{lines, word};
use libfuzzer_sys::fuzz_target;

type Fields = Vec<(String, Vec<u8>)>;

fuzz_target!(|input: &[u8]| {
    let (mut locations, mut fields) = (Vec::new(), Fields::new());
    for line in lines(input) {
        match location(line) {
            Some(location) => locations.push(location),
            None => fields.extend(field(line)),
        }
    }
    let head = RequestHead::new(fields.clone());

    let mut all = Ok(Vec::new());
    for location in &locations {
        let found = tokens(&head, std::slice::from_ref(location));
        let found = found.map(|tokens| tokens.into_iter().map(|token| token.into_owned()).collect::<Vec<_>>());
        let expected = expected(&fields, location);
        if expected.as_ref().is_ok_and(|expected| expected.len() > MAX_TOKENS_PER_REQUEST) {
            assert_eq!(found, Err(Reason::MultipleTokens));
        } else {
            assert_eq!(found, expected, "{location:?}");
        }
        all = all.and_then(|mut all: Vec<Vec<u8>>| {
            all.extend(found?);
            if all.len() > MAX_TOKENS_PER_REQUEST {
                Err(Reason::MultipleTokens)
            } else {
                Ok(all)
            }
        });
    }
    let found = tokens(&head, &locations);
    assert_eq!(found.map(|tokens| tokens.into_iter().map(|token| token.into_owned()).collect()), all);

    check_strip(&fields, &locations);
});

/// What must be gone is gone, and what must stay stays.
fn check_strip(fields: &Fields, locations: &[Location]) {
    let mut edits = Edits::default();
    strip(&RequestHead::new(fields.clone()), &|see| locations.iter().for_each(see), &mut edits);
    assert_eq!((edits.add.len(), edits.state.len(), edits.clear_route_cache), (0, 0, false));
    let left = edited(fields, &edits);
    let head = RequestHead::new(left.clone());
    let found = tokens(&head, locations);
    // A path that no rule can judge yields nothing, and stays as it is.
    assert_eq!(found.map(|tokens| tokens.len()), Ok(0), "{left:?}");

    let may_change = |name: &str| {
        locations.iter().any(|location| match location {
            Location::Bearer => name == "authorization",
            Location::Header { name: known, .. } => name == known.as_str(),
            Location::Param(_) => name == ":path",
            Location::Cookie(_) => name == "cookie",
        })
    };
    let others = |fields: &Fields| -> Fields { fields.iter().filter(|(name, _)| !may_change(name)).cloned().collect() };
    assert_eq!(others(&left), others(fields));
    // Of the query and of the cookies, what is left is what was not asked for, in its order.
    for (name, split) in [(":path", b'&'), ("cookie", b';')] {
        let parts = |fields: &Fields| -> Vec<Vec<u8>> {
            let values = fields.iter().filter(|(known, _)| known == name);
            let parts =
                values.flat_map(|(_, value)| value.split(move |&b| b == split || (name == ":path" && b == b'?')));
            parts.map(|part| part.trim_ascii().to_vec()).collect()
        };
        let (before, after) = (parts(fields), parts(&left));
        let mut rest = before.iter();
        assert!(after.iter().all(|part| rest.any(|known| known == part)), "{before:?} became {after:?}");
    }
}

fn location(line: &[u8]) -> Option<Location> {
    let (kind, rest) = word(std::str::from_utf8(line).ok()?.as_bytes());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let header = |anywhere| {
        let (name, prefix) = word(rest);
        Some(Location::Header { name: HeaderName::new(&text(name))?, prefix: text(prefix), anywhere })
    };
    match kind {
        b"bearer" => Some(Location::Bearer),
        b"header" => header(false),
        b"anywhere" => header(true),
        b"param" if !rest.is_empty() => Some(Location::Param(text(rest))),
        b"cookie" if !rest.is_empty() => Some(Location::Cookie(text(rest))),
        _ => None,
    }
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let at = line.windows(2).position(|pair| pair == b": ")?;
    let name = String::from_utf8_lossy(&line[..at]).to_ascii_lowercase();
    // The target has one value in every request.
    Some((name, line[at + 2..].to_vec()))
}

/// What stands at a place.
fn expected(fields: &Fields, location: &Location) -> Result<Vec<Vec<u8>>, Reason> {
    let values = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_slice()).collect()
    };
    Ok(match location {
        Location::Bearer => return bearer(&values("authorization")),
        Location::Header { name, prefix, anywhere: true } => values(name.as_str())
            .into_iter()
            .filter_map(|value| behind_prefix(value, prefix))
            .map(<[u8]>::to_vec)
            .collect(),
        Location::Header { name, prefix, anywhere: false } => {
            let is_scheme = prefix.ends_with(' ');
            let token = |value: &[u8]| {
                let start = value.get(..prefix.len())?;
                let same =
                    if is_scheme { start.eq_ignore_ascii_case(prefix.as_bytes()) } else { start == prefix.as_bytes() };
                same.then(|| value[prefix.len()..].to_vec())
            };
            values(name.as_str()).into_iter().filter_map(token).collect()
        }
        Location::Param(name) => params(values(":path").first().copied().unwrap_or_default(), name.as_bytes()),
        Location::Cookie(name) => {
            values("cookie").into_iter().flat_map(|value| cookies(value, name.as_bytes())).collect()
        }
    })
}

fn bearer(values: &[&[u8]]) -> Result<Vec<Vec<u8>>, Reason> {
    let value = match values {
        [] => return Ok(Vec::new()),
        [value] => String::from_utf8_lossy(value).to_ascii_lowercase(),
        _ => return Err(Reason::MultipleTokens),
    };
    if value.starts_with("bearer ") && value.len() > 7 {
        return Ok(vec![values[0][7..].to_vec()]);
    }
    if matches!(value.as_str(), "bearer" | "bearer ") || value.starts_with("bearer\t") {
        return Err(Reason::TokenMalformed);
    }
    let has_second = value.split(',').skip(1).any(|part| part.trim_ascii_start().starts_with("bearer"));
    if has_second {
        Err(Reason::MultipleTokens)
    } else {
        Ok(Vec::new())
    }
}

fn params(target: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
    let Some(at) = target.iter().position(|&b| b == b'?') else { return Vec::new() };
    if target.iter().any(|b| matches!(b, b'#' | 0)) || std::str::from_utf8(target).is_err() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for param in target[at + 1..].split(|&b| b == b'&') {
        let end = param.iter().position(|&b| b == b'=').unwrap_or(param.len());
        if decoded(&param[..end]) == name {
            found.push(decoded(param.get(end + 1..).unwrap_or_default()));
        }
    }
    found
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let encoded = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(encoded.unwrap_or(byte));
        at += if encoded.is_some() { 3 } else { 1 };
    }
    decoded
}

fn cookies(value: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for cookie in value.split(|&b| b == b';') {
        let Some(at) = cookie.iter().position(|&b| b == b'=') else { continue };
        let (known, value) = (cookie[..at].trim_ascii(), cookie[at + 1..].trim_ascii());
        if known == name {
            let quoted = value.len() >= 2 && value.starts_with(b"\"") && value.ends_with(b"\"");
            found.push(if quoted { value[1..value.len() - 1].to_vec() } else { value.to_vec() });
        }
    }
    found
}

/// The fields after the edits: what is removed, then what is set.
fn edited(fields: &Fields, edits: &Edits) -> Fields {
    let mut left: Fields =
        fields.iter().filter(|(name, _)| !edits.remove.iter().any(|removed| removed == name)).cloned().collect();
    for (name, value) in &edits.set {
        let at = left.iter().position(|(known, _)| known == name).unwrap_or(left.len());
        left.retain(|(known, _)| known != name);
        left.insert(at, (name.to_string(), value.to_vec()));
    }
    left
}
