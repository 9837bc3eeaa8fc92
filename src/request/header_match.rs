//! A condition on one header: `route.v3.HeaderMatcher`.

use std::ops::Range;

use super::{RequestHead, StringMatch};

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
    pub(super) fn matches(&self, head: &RequestHead) -> bool {
        let of_value = |test: &dyn Fn(&[u8]) -> bool| {
            let is_there = head.has(&self.name);
            let matches = head.values(&self.name).any(test) || (!is_there && self.missing_is_empty && test(b""));
            (is_there || self.missing_is_empty) && matches != self.invert
        };
        match &self.test {
            HeaderTest::Present(wanted) => ((head.has(&self.name) || self.missing_is_empty) == *wanted) != self.invert,
            HeaderTest::Value(matcher) => of_value(&|value| matcher.matches(value)),
            HeaderTest::Range(range) => of_value(&|value| {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.trim_ascii().parse().ok());
                number.is_some_and(|number| range.contains(&number))
            }),
        }
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
