//! A condition on one header: `route.v3.HeaderMatcher`.

use std::cell::OnceCell;
use std::iter;
use std::ops::Range;

use super::path::{other_spellings, split_path};
use super::{RequestHead, StringMatch};
use crate::verdict::{is_spelling, Reason};

/// A condition on one header.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// In lower case; pseudo-headers (`:method`, `:authority`) included.
    pub name: String,
    /// What it must be.
    pub test: HeaderTest,
    /// `invert_match`: the test must fail. As in Envoy, an absent header fails every test of a value, inverted or not.
    pub invert: bool,
    /// `treat_missing_header_as_empty`: an absent header has the empty value.
    pub missing_is_empty: bool,
}

/// What a [`HeaderMatch`] tests.
#[derive(Clone, Debug)]
pub enum HeaderTest {
    /// `present_match`: whether the header is there.
    Present(bool),
    /// `string_match`: one of its values matches.
    Value(StringMatch),
    /// `range_match`: one of its values is a whole number within.
    Range(Range<i64>),
}

impl HeaderMatch {
    /// Whether it holds as Envoy looks at it.
    pub(super) fn matches(&self, head: &RequestHead) -> bool {
        self.holds(head.values(&self.name))
    }

    /// Whether it holds for every reader of a request that can be read so.
    ///
    /// # Errors
    /// [`Reason::PathAmbiguous`]: the header is there several times, or in another spelling too, and not all of its values would
    /// do; or it is `:authority`, and it matters whether somebody compares hosts in lower case, without the port, or without a dot
    /// at the end, as proxies and servers do when they look for a host; or it is `:path`, and its spelling or case matters.
    pub(super) fn matches_only(&self, head: &RequestHead, readings: &Readings) -> Result<bool, Reason> {
        let matches = self.matches(head);
        let is_alike = |value: &[u8]| self.holds(iter::once(value)) == matches;
        let is_certain = if self.name == ":authority" {
            readings.hosts(head).iter().all(|host| self.readings(host).into_iter().flatten().all(is_alike))
        } else if self.name == ":path" {
            readings.targets(head).iter().all(|target| self.is_meant_by_all(target.as_ref(), is_alike))
                && self.holds_as(head.values(&self.name), StringMatch::matches_in_any_case) == matches
        } else if self.name.starts_with(':') {
            true
        } else {
            head.fields().filter(|(name, _)| is_spelling(&self.name, name)).all(|(_, value)| is_alike(value))
        };
        is_certain.then_some(matches).ok_or(Reason::PathAmbiguous)
    }

    /// How else a host that the request names may be read. Where the rule asks for one with its port, that is what it means.
    fn readings<'h>(&self, host: &'h [u8]) -> [Option<&'h [u8]>; 3] {
        if !self.invert && self.holds(iter::once(host)) {
            return [Some(host), None, None];
        }
        let port = host.iter().rposition(|b| !b.is_ascii_digit()).filter(|&at| host.get(at) == Some(&b':'));
        let name = port.and_then(|at| host.get(..at)).unwrap_or(host);
        [Some(host), Some(name), name.strip_suffix(b".")]
    }

    /// Whether all other spellings of a path are alike, and without its last slash, where the rule does not mean that slash.
    fn is_meant_by_all(&self, target: Option<&Target>, is_alike: impl Fn(&[u8]) -> bool) -> bool {
        let Some(target) = target else { return false };
        let all_alike = |spellings: &[Vec<u8>]| spellings.iter().all(|spelling| is_alike(spelling));
        let is_meant = || !self.invert && self.holds(iter::once(target.as_written.as_slice()));
        all_alike(&target.others) && (target.bare.is_empty() || is_meant() || all_alike(&target.bare))
    }

    fn holds<'v>(&self, values: impl Iterator<Item = &'v [u8]> + Clone) -> bool {
        self.holds_as(values, StringMatch::matches)
    }

    fn holds_as<'v>(
        &self,
        mut values: impl Iterator<Item = &'v [u8]> + Clone,
        matches_value: fn(&StringMatch, &[u8]) -> bool,
    ) -> bool {
        let is_there = values.clone().next().is_some();
        let mut of_value = |test: &dyn Fn(&[u8]) -> bool| {
            let matches = values.any(test) || (!is_there && self.missing_is_empty && test(b""));
            (is_there || self.missing_is_empty) && matches != self.invert
        };
        match &self.test {
            HeaderTest::Present(wanted) => ((is_there || self.missing_is_empty) == *wanted) != self.invert,
            HeaderTest::Value(matcher) => of_value(&|value| matches_value(matcher, value)),
            HeaderTest::Range(range) => of_value(&|value| {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.trim_ascii().parse().ok());
                number.is_some_and(|number| range.contains(&number))
            }),
        }
    }
}

/// How a request may be read: found once a rule looks at it, however many do.
#[derive(Default)]
pub(super) struct Readings {
    hosts: OnceCell<Vec<Vec<u8>>>,
    targets: OnceCell<Vec<Option<Target>>>,
}

/// A path with its query.
struct Target {
    as_written: Vec<u8>,
    /// Its other spellings.
    others: Vec<Vec<u8>>,
    /// Those of all its spellings that have a last slash, without it.
    bare: Vec<Vec<u8>>,
}

impl Readings {
    /// The hosts that it names, in lower case.
    fn hosts(&self, head: &RequestHead) -> &[Vec<u8>] {
        self.hosts.get_or_init(|| {
            let hosts = head.values(":authority").chain(head.values("host"));
            hosts.map(<[u8]>::to_ascii_lowercase).collect()
        })
    }

    /// Its paths; `None` for one with more spellings than can be tried.
    fn targets(&self, head: &RequestHead) -> &[Option<Target>] {
        self.targets.get_or_init(|| head.values(":path").map(Target::new).collect())
    }
}

impl Target {
    fn new(as_written: &[u8]) -> Option<Self> {
        let (path, _) = split_path(as_written)?;
        let query = as_written.get(path.len()..)?;
        let others = other_spellings(path)?;
        let all = iter::once(path).chain(others.iter().map(Vec::as_slice));
        let bare = all.filter_map(|path| Some([path.strip_suffix(b"/")?, query].concat())).collect();
        let others = others.iter().map(|path| [path, query].concat()).collect();
        Some(Self { as_written: as_written.to_vec(), others, bare })
    }
}

#[cfg(test)]
mod tests {
    use super::super::StringTest;
    use super::*;

    fn matches(test: HeaderTest, invert: bool, missing_is_empty: bool, value: Option<&str>) -> bool {
        let fields = value.map(|value| ("x".to_owned(), value.as_bytes().to_vec()));
        let head = RequestHead::new(fields.into_iter().collect());
        HeaderMatch { name: "x".into(), test, invert, missing_is_empty }.matches(&head)
    }

    #[test]
    fn an_absent_header_has_no_value_unless_it_is_told_to_be_empty() {
        let empty = || HeaderTest::Value(StringMatch { test: StringTest::Exact(String::new()), ignore_case: false });
        for (test, invert, missing_is_empty, value, expected) in [
            (empty(), false, false, None, false),
            (empty(), true, false, None, false),
            (empty(), false, true, None, true),
            (empty(), true, true, None, false),
            (empty(), false, false, Some(""), true),
            (empty(), true, false, Some("a"), true),
            (HeaderTest::Present(true), false, false, None, false),
            (HeaderTest::Present(true), false, true, None, true),
            (HeaderTest::Present(false), false, false, None, true),
            (HeaderTest::Present(false), true, false, None, false),
        ] {
            let what = format!("{test:?}, inverted {invert}, empty {missing_is_empty}, {value:?}");
            assert_eq!(matches(test, invert, missing_is_empty, value), expected, "{what}");
        }
    }

    #[test]
    fn one_of_several_values_is_enough_and_no_value_is_what_inversion_asks_for() {
        let is =
            |value: &str| HeaderTest::Value(StringMatch { test: StringTest::Exact(value.into()), ignore_case: false });
        let head =
            RequestHead::new([("x", "a"), ("X", "b")].map(|(n, v)| (n.to_owned(), v.as_bytes().to_vec())).into());
        for (value, invert, expected) in [
            ("a", false, true),
            ("b", false, true),
            ("c", false, false),
            ("a,b", false, false),
            ("b", true, false),
            ("c", true, true),
        ] {
            let matcher = HeaderMatch { name: "x".into(), test: is(value), invert, missing_is_empty: false };
            assert_eq!(matcher.matches(&head), expected, "{value}, inverted: {invert}");
        }
    }

    #[test]
    fn a_header_that_readers_see_differently_is_no_ground_for_a_rule() {
        let is = |name: &str, value: &str, invert| {
            let test = HeaderTest::Value(StringMatch { test: StringTest::Exact(value.into()), ignore_case: false });
            HeaderMatch { name: name.into(), test, invert, missing_is_empty: false }
        };
        let there = |wanted| HeaderMatch {
            name: "x-mode".into(),
            test: HeaderTest::Present(wanted),
            invert: false,
            missing_is_empty: false,
        };
        let read = || is("x-mode", "read", false);
        let host = |value| is(":authority", value, false);
        let ambiguous = Err(Reason::PathAmbiguous);
        for (matcher, fields, expected) in [
            (read(), vec![("x-mode", "read")], Ok(true)),
            (read(), vec![("x-mode", "read"), ("x-mode", "read")], Ok(true)),
            (read(), vec![("x-mode", "write"), ("x-mode", "other")], Ok(false)),
            (read(), vec![("x-mode", "read"), ("x-mode", "write")], ambiguous),
            (read(), vec![("x-mode", "read"), ("x_mode", "write")], ambiguous),
            (read(), vec![("X.Mode", "read")], ambiguous),
            (read(), vec![("x_mode", "write")], Ok(false)),
            (read(), vec![], Ok(false)),
            (there(true), vec![("x_mode", "")], ambiguous),
            (there(false), vec![("x_mode", "")], ambiguous),
            (there(false), vec![("x-other", "")], Ok(true)),
            (is(":method", "GET", false), vec![(":method", "GET")], Ok(true)),
            (host("a.example"), vec![(":authority", "a.example")], Ok(true)),
            (host("a.example"), vec![(":authority", "b.example:1")], Ok(false)),
            (host("a.example"), vec![(":authority", "A.example")], ambiguous),
            (host("a.example"), vec![(":authority", "a.example:443")], ambiguous),
            (host("a.example"), vec![(":authority", "A.example.:443")], ambiguous),
            (host("a.example:443"), vec![(":authority", "a.example:443")], Ok(true)),
            (host("a.example:443"), vec![(":authority", "a.example")], Ok(false)),
            (host("a.example"), vec![(":authority", "b.example"), ("host", "a.example")], ambiguous),
            (host("[::1]"), vec![(":authority", "[::1]")], Ok(true)),
            (host("[::1]"), vec![(":authority", "[::1]:80")], ambiguous),
            (is(":authority", "a.example", true), vec![(":authority", "A.example")], ambiguous),
            (is(":path", "/a?x", false), vec![(":path", "/a?x")], Ok(true)),
            (is(":path", "/a?x", false), vec![(":path", "/b")], Ok(false)),
            (is(":path", "/a?x", false), vec![(":path", "//a?x")], ambiguous),
            (is(":path", "/a?x", false), vec![(":path", "/%61?x")], ambiguous),
            (is(":path", "/a?x", false), vec![(":path", "/b/../a?x")], ambiguous),
            (is(":path", "/a?x", false), vec![(":path", "/A?x")], ambiguous),
            (is(":path", "/a?x", true), vec![(":path", "/b/../a?x")], ambiguous),
            (is(":path", "/a?x", false), vec![(":path", "/a/?x")], ambiguous),
            (is(":path", "/a/?x", false), vec![(":path", "/a/?x")], Ok(true)),
            (is(":path", "/a", true), vec![(":path", "/a/")], ambiguous),
            (is(":authority", "a.example", true), vec![(":authority", "b.example:80")], Ok(true)),
        ] {
            let head = RequestHead::new(fields.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect());
            assert_eq!(matcher.matches_only(&head, &Readings::default()), expected, "{matcher:?} on {fields:?}");
        }
    }

    #[test]
    fn a_range_holds_its_start_and_not_its_end() {
        for (value, expected) in [
            (Some("-1"), false),
            (Some("0"), true),
            (Some("9"), true),
            (Some("10"), false),
            (Some("x"), false),
            (Some(""), false),
            (Some("99999999999999999999"), false),
            (None, false),
        ] {
            assert_eq!(matches(HeaderTest::Range(0..10), false, false, value), expected, "{value:?}");
        }
    }
}
