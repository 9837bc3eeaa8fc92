//! What a request asked for, as one value of a query: a page of another place can lead back to it by that.

use percent_encoding::{percent_encode, AsciiSet, NON_ALPHANUMERIC};

use super::{split_path, strip, Location, RequestHead};
use crate::limits::MAX_WAY_BACK_BYTES;
use crate::verdict::Edits;

/// All but what is the same in every reading of a URL (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a token is to be looked for that nobody looks for here (RFC 6750 section 2.3).
const ACCESS_TOKEN: &str = "access_token";

/// What of a request does not go elsewhere: the parameters in which there may be tokens.
#[derive(Clone, Debug)]
pub struct WayBack(Vec<Location>);

impl WayBack {
    /// Of the parameters at `locations`, where tokens are looked for.
    pub fn without<'l>(locations: impl Iterator<Item = &'l Location>) -> Self {
        let params = locations.filter(|location| matches!(location, Location::Param(_))).cloned();
        Self(params.chain([Location::Param(ACCESS_TOKEN.to_owned())]).collect())
    }

    /// The path with its query, percent-encoded, without those parameters. `/` in place of what is too long, or of what another reader
    /// might take for the address of another place.
    pub fn of(&self, head: &RequestHead) -> String {
        let mut edits = Edits::default();
        strip(head, &|see| self.0.iter().for_each(see), &mut edits);
        let target = edits.set.first().map_or(head.target(), |(_, target)| target);
        // In a target that cannot be split no parameter is found.
        let is_path = is_plain(target) && split_path(head.target()).is_some();
        percent_encode(if is_path { target } else { b"/" }, ENCODED).to_string()
    }
}

/// Whether it is a path on this host for everyone: browsers take `//` and `/\` for the beginning of another one.
fn is_plain(target: &[u8]) -> bool {
    target.starts_with(b"/")
        && !matches!(target.get(1), Some(b'/' | b'\\'))
        && target.len() <= MAX_WAY_BACK_BYTES
        && target.iter().all(|&byte| byte > b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(target: &[u8]) -> String {
        let head = RequestHead::new(vec![(":path".to_owned(), target.to_vec())]);
        WayBack::without([Location::Bearer, Location::Param("t".to_owned())].iter()).of(&head)
    }

    #[test]
    fn the_path_comes_with_its_query_and_nothing_of_it_but_plain_letters_is_left() {
        for (target, expected) in [
            ("/", "%2F"),
            ("/a-b_c.d~E9", "%2Fa-b_c.d~E9"),
            ("/a?b=c&d=%20", "%2Fa%3Fb%3Dc%26d%3D%2520"),
            ("/'\"<>{}|^`", "%2F%27%22%3C%3E%7B%7D%7C%5E%60"),
            ("/é", "%2F%C3%A9"),
            ("/a//b", "%2Fa%2F%2Fb"),
        ] {
            assert_eq!(back(target.as_bytes()), expected, "{target}");
        }
    }

    #[test]
    fn no_token_goes_elsewhere() {
        for (target, expected) in [
            ("/a?t=x", "%2Fa"),
            ("/a?b&t=x&%74=y&c", "%2Fa%3Fb%26c"),
            ("/a?access_token=x&access%5Ftoken=y&c", "%2Fa%3Fc"),
            ("/a?u=t", "%2Fa%3Fu%3Dt"),
        ] {
            assert_eq!(back(target.as_bytes()), expected, "{target}");
        }
    }

    #[test]
    fn what_may_be_another_place_or_is_no_path_leads_to_the_root() {
        let long = format!("/{}", "a".repeat(MAX_WAY_BACK_BYTES));
        for target in [
            &b"//elsewhere.example"[..],
            b"/\\elsewhere.example",
            b"\\\\elsewhere.example",
            b"https://elsewhere.example",
            b"elsewhere.example",
            b".elsewhere.example",
            b"@elsewhere.example",
            b"*",
            b"",
            b"/\t/elsewhere.example",
            b"/a b",
            b"/a\r\nset-cookie: a=b",
            b"/a\0",
            b"/a\x7f",
            b"/a#b?t=x",
            b"/a?t=x#",
            b"/\xff?t=x",
            long.as_bytes(),
        ] {
            assert_eq!(back(target), "%2F", "{}", String::from_utf8_lossy(target));
        }
        assert_eq!(back(&long.as_bytes()[..MAX_WAY_BACK_BYTES]).len(), MAX_WAY_BACK_BYTES + 2);
    }
}
