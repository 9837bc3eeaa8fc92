//! Where the tokens of a request are, and how they are taken out before the request goes on.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{split_path, RequestHead};
use crate::limits;
use crate::verdict::{Edits, HeaderName, Reason};

/// One place where a provider looks for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `Authorization: Bearer` (RFC 6750 section 2.1): the scheme in any case, one space, one token, nothing after it.
    Bearer,
    /// `from_headers`: every value of the header that begins with the prefix; the rest is the token. A prefix that ends in a
    /// space is an authentication scheme and matches in any case (RFC 9110 section 11.1).
    Header {
        /// The header.
        name: HeaderName,
        /// `value_prefix`.
        prefix: String,
        /// `anywhere`: the prefix may be anywhere in the value, as Envoy finds it.
        anywhere: bool,
    },
    /// `from_params`: a parameter of the query, percent-decoded.
    Param(String),
    /// `from_cookies`: a cookie, without the double quotes that RFC 6265 section 4.1.1 allows around its value.
    Cookie(String),
}

/// What was found; one, mostly.
pub type Tokens<'a> = SmallVec<[Cow<'a, [u8]>; 1]>;

/// The tokens at `locations`, in their order; none means that the request carries no token there. What is found need not look
/// like a token: the shape is checked with the rest.
///
/// # Errors
/// [`Reason::MultipleTokens`] for two `Authorization` values or too many tokens; [`Reason::TokenMalformed`] for `Bearer` with
/// nothing, or not a space, after it.
pub fn tokens<'a>(head: &'a RequestHead, locations: &[Location]) -> Result<Tokens<'a>, Reason> {
    let mut found = Tokens::new();
    for location in locations {
        match location {
            Location::Bearer => found.extend(bearer(head)?.map(Cow::Borrowed)),
            Location::Header { name, prefix, anywhere } => {
                let values = head.values(name.as_str()).filter_map(|value| token_of(value, prefix, *anywhere));
                found.extend(values.map(Cow::Borrowed));
            }
            Location::Param(name) => {
                let query = split_path(head.target()).and_then(|(_, query)| query).unwrap_or_default();
                let values = params(query).filter(|param| param.is_named(name)).map(|param| param.decoded_value());
                found.extend(values);
            }
            Location::Cookie(name) => {
                let values = cookies(head).filter(|cookie| cookie.name == name.as_bytes()).map(|cookie| cookie.value());
                found.extend(values.map(Cow::Borrowed));
            }
        }
        if found.len() > limits::MAX_TOKENS_PER_REQUEST {
            return Err(Reason::MultipleTokens);
        }
    }
    Ok(found)
}

/// Shows locations, one after the other.
pub type Locations<'l> = dyn Fn(&mut dyn FnMut(&Location)) + 'l;

fn any(locations: &Locations<'_>, is_one: impl Fn(&Location) -> bool) -> bool {
    let mut found = false;
    locations(&mut |location| found = found || is_one(location));
    found
}

/// Takes whatever is at `locations` out of the request: header, query parameter and cookie alike.
pub fn strip(head: &RequestHead, locations: &Locations<'_>, edits: &mut Edits) {
    locations(&mut |location| match location {
        Location::Bearer => {
            if matches!(bearer(head), Ok(Some(_)) | Err(_)) {
                edits.remove(SmolStr::new_static("authorization"));
            }
        }
        Location::Header { name, prefix, anywhere } => {
            if head.values(name.as_str()).any(|value| token_of(value, prefix, *anywhere).is_some()) {
                edits.remove(name.shared());
            }
        }
        Location::Param(_) | Location::Cookie(_) => {}
    });
    if any(locations, |location| matches!(location, Location::Param(_))) {
        strip_params(head, locations, edits);
    }
    // What is gone as a whole must not come back in part.
    if any(locations, |location| matches!(location, Location::Cookie(_)))
        && !edits.remove.iter().any(|name| name == "cookie")
    {
        strip_cookies(head, locations, edits);
    }
}

fn strip_params(head: &RequestHead, locations: &Locations<'_>, edits: &mut Edits) {
    if let Some((path, Some(query))) = split_path(head.target()) {
        let is_token = |param: &Param<'_>| {
            any(locations, |location| matches!(location, Location::Param(name) if param.is_named(name)))
        };
        if params(query).any(|param| is_token(&param)) {
            let kept: Vec<&[u8]> = params(query).filter(|param| !is_token(param)).map(|param| param.whole).collect();
            let mut target = path.to_vec();
            if !kept.is_empty() {
                target.push(b'?');
                target.extend_from_slice(&kept.join(&b'&'));
            }
            edits.set(SmolStr::new_static(":path"), target);
        }
    }
}

fn strip_cookies(head: &RequestHead, locations: &Locations<'_>, edits: &mut Edits) {
    let is_token = |cookie: &Cookie<'_>| {
        any(locations, |location| matches!(location, Location::Cookie(name) if cookie.name == name.as_bytes()))
    };
    if cookies(head).any(|cookie| is_token(&cookie)) {
        let kept: Vec<&[u8]> = cookies(head).filter(|cookie| !is_token(cookie)).map(|cookie| cookie.whole).collect();
        let kept = kept.join(&b"; "[..]);
        // What is left may begin with the prefix of a token in the header as a whole.
        let is_one = any(locations, |location| match location {
            Location::Header { name, prefix, anywhere } if name.as_str() == "cookie" => {
                token_of(&kept, prefix, *anywhere).is_some()
            }
            _ => false,
        });
        if kept.is_empty() || is_one {
            edits.remove(SmolStr::new_static("cookie"));
        } else {
            edits.set(SmolStr::new_static("cookie"), kept);
        }
    }
}

/// The token of `Authorization: Bearer`, `None` without one or with another scheme.
fn bearer(head: &RequestHead) -> Result<Option<&[u8]>, Reason> {
    let mut values = head.values("authorization");
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Reason::MultipleTokens);
    }
    let mut parts = value.splitn(2, |&b| b == b' ' || b == b'\t');
    let scheme = parts.next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        // Some hosts join repeated headers: a second value hides behind a comma.
        let joined = value.split(|&b| b == b',').skip(1).any(|part| {
            let part = part.trim_ascii_start();
            part.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer"))
        });
        return if joined { Err(Reason::MultipleTokens) } else { Ok(None) };
    }
    let token = parts.next().unwrap_or_default();
    // Its bytes are judged once, with the rest of its shape.
    if value.get(scheme.len()) == Some(&b' ') && !token.is_empty() {
        Ok(Some(token))
    } else {
        Err(Reason::TokenMalformed)
    }
}

fn token_of<'a>(value: &'a [u8], prefix: &str, anywhere: bool) -> Option<&'a [u8]> {
    if anywhere {
        behind_prefix(value, prefix)
    } else {
        without_prefix(value, prefix)
    }
}

/// What stands behind the prefix, which may be anywhere in the value, from the first character of a token on; the whole value where
/// there is none.
pub fn behind_prefix<'v>(value: &'v [u8], prefix: &str) -> Option<&'v [u8]> {
    if prefix.is_empty() {
        return Some(value);
    }
    let at = value.windows(prefix.len()).position(|window| window == prefix.as_bytes())?;
    let rest = value.get(at + prefix.len()..)?;
    let is_of_token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let start = rest.iter().position(is_of_token);
    Some(start.and_then(|start| rest.get(start..)).unwrap_or(value))
}

fn without_prefix<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    let same =
        if prefix.ends_with(' ') { start.eq_ignore_ascii_case(prefix.as_bytes()) } else { start == prefix.as_bytes() };
    same.then_some(rest)
}

struct Param<'a> {
    whole: &'a [u8],
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Param<'a> {
    fn is_named(&self, name: &str) -> bool {
        percent_decode(self.name).eq(name.bytes())
    }

    fn decoded_value(&self) -> Cow<'a, [u8]> {
        percent_decode(self.value).into()
    }
}

fn params(query: &[u8]) -> impl Iterator<Item = Param<'_>> {
    query.split(|&b| b == b'&').map(|whole| {
        let mut parts = whole.splitn(2, |&b| b == b'=');
        Param { whole, name: parts.next().unwrap_or_default(), value: parts.next().unwrap_or_default() }
    })
}

struct Cookie<'a> {
    whole: &'a [u8],
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Cookie<'a> {
    fn value(&self) -> &'a [u8] {
        match self.value {
            [b'"', inner @ .., b'"'] => inner,
            value => value,
        }
    }
}

fn cookies(head: &RequestHead) -> impl Iterator<Item = Cookie<'_>> {
    head.values("cookie").flat_map(|value| value.split(|&b| b == b';')).filter_map(|whole| {
        let whole = whole.trim_ascii();
        let mut parts = whole.splitn(2, |&b| b == b'=');
        let (name, value) = (parts.next()?, parts.next()?);
        Some(Cookie { whole, name: name.trim_ascii_end(), value: value.trim_ascii_start() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> RequestHead {
        RequestHead::new(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
    }

    fn found(fields: &[(&str, &str)], location: Location) -> Result<Vec<String>, Reason> {
        let head = head(fields);
        let tokens = tokens(&head, &[location])?;
        Ok(tokens.iter().map(|token| String::from_utf8_lossy(token).into_owned()).collect())
    }

    #[test]
    fn authorization_holds_one_bearer_token_or_none() {
        for (value, expected) in [
            ("Bearer a.b.c", Ok(vec!["a.b.c"])),
            ("bearer a.b.c", Ok(vec!["a.b.c"])),
            ("BEARER a.b.c", Ok(vec!["a.b.c"])),
            ("Bearer\ta.b.c", Err(Reason::TokenMalformed)),
            // What is no token in itself is found, and refused for its shape.
            ("Bearer  a.b.c", Ok(vec![" a.b.c"])),
            ("Bearer a.b.c d", Ok(vec!["a.b.c d"])),
            ("Bearer a.b.c=", Ok(vec!["a.b.c="])),
            ("Bearer \"a.b.c\"", Ok(vec!["\"a.b.c\""])),
            ("Bearer a.b.c, Bearer d.e.f", Ok(vec!["a.b.c, Bearer d.e.f"])),
            ("Bearer a.b.c,d.e.f", Ok(vec!["a.b.c,d.e.f"])),
            ("Bearer", Err(Reason::TokenMalformed)),
            ("Bearer ", Err(Reason::TokenMalformed)),
            ("Basic eDp5, Bearer a.b.c", Err(Reason::MultipleTokens)),
            ("Basic eDp5,bearer a.b.c", Err(Reason::MultipleTokens)),
            ("Basic eDp5", Ok(vec![])),
            ("Digest username=\"x\", realm=\"y\"", Ok(vec![])),
            ("XBearer a.b.c", Ok(vec![])),
            ("Bearera.b.c", Ok(vec![])),
            ("", Ok(vec![])),
        ] {
            let expected = expected.map(|tokens| tokens.into_iter().map(str::to_owned).collect());
            assert_eq!(found(&[("authorization", value)], Location::Bearer), expected, "{value:?}");
        }
        let twice = [("authorization", "Bearer a.b.c"), ("Authorization", "Basic eDp5")];
        assert_eq!(found(&twice, Location::Bearer), Err(Reason::MultipleTokens));
    }

    #[test]
    fn a_header_yields_every_value_that_begins_with_the_prefix() {
        let header = |prefix: &str| Location::Header {
            name: HeaderName::new("X-Token").unwrap(),
            prefix: prefix.into(),
            anywhere: false,
        };
        let fields = [("x-token", "JWT a"), ("X-Token", "jwt b"), ("x-token", "c")];
        assert_eq!(found(&fields, header("JWT ")).unwrap(), ["a", "b"]);
        assert_eq!(found(&fields, header("")).unwrap(), ["JWT a", "jwt b", "c"]);
        assert_eq!(found(&fields, header("J")).unwrap(), ["WT a"]);
    }

    #[test]
    fn a_prefix_is_found_anywhere_and_what_follows_it_is_the_token() {
        for (value, prefix, expected) in [
            ("Bearer a.b.c", "Bearer ", Some("a.b.c")),
            ("XBearer a.b.c", "Bearer ", Some("a.b.c")),
            ("Basic x, Bearer a.b.c", "Bearer ", Some("a.b.c")),
            ("Bearer  ,\"a.b.c\"", "Bearer ", Some("a.b.c\"")),
            ("Bearer a.b.c d", "Bearer ", Some("a.b.c d")),
            ("bearer a.b.c", "Bearer ", None),
            ("Bearer \"\"", "Bearer ", Some("Bearer \"\"")),
            (" a ", "", Some(" a ")),
        ] {
            let found = behind_prefix(value.as_bytes(), prefix).map(String::from_utf8_lossy);
            assert_eq!(found.as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn a_parameter_is_found_however_it_is_spelt() {
        let param = || Location::Param("access_token".into());
        for (path, expected) in [
            ("/?access_token=a.b", vec!["a.b"]),
            ("/?x=1&access_token=a&access_token=b", vec!["a", "b"]),
            ("/?access%5Ftoken=a%2Eb", vec!["a.b"]),
            ("/?xaccess_token=a", vec![]),
            ("/access_token=a", vec![]),
            ("/?access_token", vec![""]),
        ] {
            assert_eq!(found(&[(":path", path)], param()).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name() {
        let cookie = || Location::Cookie("token".into());
        for (value, expected) in [
            ("token=a.b", vec!["a.b"]),
            ("x=1; token=\"a.b\"; y=2", vec!["a.b"]),
            ("xtoken=a; Token=b", vec![]),
            ("token=a;token=b", vec!["a", "b"]),
            ("token", vec![]),
        ] {
            assert_eq!(found(&[("cookie", value)], cookie()).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn more_tokens_than_one_request_may_carry_are_refused() {
        let path = format!("/?{}", "t=a&".repeat(limits::MAX_TOKENS_PER_REQUEST + 1));
        assert_eq!(found(&[(":path", &path)], Location::Param("t".into())), Err(Reason::MultipleTokens));
    }

    #[test]
    fn taking_a_cookie_out_leaves_no_token_of_the_whole_header_behind() {
        let header =
            Location::Header { name: HeaderName::new("cookie").unwrap(), prefix: "jwt".into(), anywhere: false };
        let mut edits = Edits::default();
        let locations = [header, Location::Cookie("c".into())];
        strip(&head(&[("cookie", "c=x; jwt a.b.c=")]), &|see| locations.iter().for_each(see), &mut edits);
        assert!(edits.set.is_empty());
        assert_eq!(edits.remove.to_vec(), ["cookie"]);
    }

    #[test]
    fn tokens_are_taken_out_and_the_rest_stays_as_it_is() {
        let locations = [
            Location::Bearer,
            Location::Header { name: HeaderName::new("x-token").unwrap(), prefix: String::new(), anywhere: false },
            Location::Param("t".into()),
            Location::Cookie("c".into()),
        ];
        for (fields, removed, set) in [
            (vec![("authorization", "Bearer a")], vec!["authorization"], vec![]),
            (vec![("authorization", "Basic a")], vec![], vec![]),
            (vec![("x-token", "a"), ("x-token", "b")], vec!["x-token"], vec![]),
            (vec![(":path", "/p?a=%20&t=x&b&%74=y")], vec![], vec![(":path", "/p?a=%20&b")]),
            (vec![(":path", "/p?t=x")], vec![], vec![(":path", "/p")]),
            (vec![(":path", "/p?u=t")], vec![], vec![]),
            (vec![("cookie", "a=1; c=x"), ("cookie", "b=2")], vec![], vec![("cookie", "a=1; b=2")]),
            (vec![("cookie", "c=x")], vec!["cookie"], vec![]),
        ] {
            let mut edits = Edits::default();
            strip(&head(&fields), &|see| locations.iter().for_each(see), &mut edits);
            let set: Vec<_> = set.into_iter().map(|(n, v)| (n.into(), v.as_bytes().to_vec().into())).collect();
            let remove = removed.into_iter().map(SmolStr::from).collect();
            assert_eq!(edits, Edits { remove, set, ..Edits::default() }, "{fields:?}");
        }
    }
}
