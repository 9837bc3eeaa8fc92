//! Matching one string: `type.matcher.v3.StringMatcher`.

use super::Regex;

/// How a string is matched, and whether case counts.
#[derive(Clone, Debug)]
pub struct StringMatch {
    /// The test.
    pub test: StringTest,
    /// `ignore_case`: ASCII letters of either case are alike. Has no effect on a regular expression.
    pub ignore_case: bool,
}

/// One form of `StringMatcher`.
#[derive(Clone, Debug)]
pub enum StringTest {
    /// The whole string.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// Its end.
    Suffix(String),
    /// Any part of it.
    Contains(String),
    /// The whole string, by RE2-like syntax.
    SafeRegex(Regex),
}

impl StringMatch {
    /// Whether `value` matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        self.matches_in(value, self.ignore_case)
    }

    /// Whether `value` matches in whatever case, as far as that can have an effect.
    pub fn matches_in_any_case(&self, value: &[u8]) -> bool {
        self.matches_in(value, true)
    }

    fn matches_in(&self, value: &[u8], ignore_case: bool) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            if ignore_case {
                a.eq_ignore_ascii_case(b)
            } else {
                a == b
            }
        };
        match &self.test {
            StringTest::Exact(exact) => same(value, exact.as_bytes()),
            StringTest::Prefix(prefix) => value.get(..prefix.len()).is_some_and(|start| same(start, prefix.as_bytes())),
            StringTest::Suffix(suffix) => value
                .len()
                .checked_sub(suffix.len())
                .and_then(|start| value.get(start..))
                .is_some_and(|end| same(end, suffix.as_bytes())),
            StringTest::Contains(part) => value.windows(part.len().max(1)).any(|window| same(window, part.as_bytes())),
            StringTest::SafeRegex(regex) => regex.matches(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_matches_what_it_says() {
        use StringTest::{Contains, Exact, Prefix, SafeRegex, Suffix};
        for (test, ignore_case, value, expected) in [
            (Exact("GET".into()), false, "GET", true),
            (Exact("GET".into()), false, "get", false),
            (Exact("GET".into()), true, "get", true),
            (Prefix("ab".into()), false, "abc", true),
            (Prefix("ab".into()), false, "a", false),
            (Suffix("bc".into()), true, "aBC", true),
            (Suffix("bc".into()), false, "c", false),
            (Contains("b".into()), false, "abc", true),
            (Contains("B".into()), false, "abc", false),
            (Contains("b".into()), false, "", false),
            (SafeRegex(Regex::new("a|b+").unwrap()), false, "bbb", true),
            (SafeRegex(Regex::new("a|b+").unwrap()), false, "bbbc", false),
        ] {
            let matcher = StringMatch { test, ignore_case };
            assert_eq!(matcher.matches(value.as_bytes()), expected, "{matcher:?} on {value}");
        }
    }
}
