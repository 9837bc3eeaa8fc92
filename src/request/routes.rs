//! Which rule a request falls under: the first that matches. A prefix matches whole path segments.

use super::path::{other_spellings, split_path};
use super::route_index::RouteIndex;
use super::{RequestHead, StringMatch};
use crate::verdict::Reason;

/// The matches of the rules, in their order.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    matches: Vec<Match>,
    index: RouteIndex,
}

/// What one rule matches: `route.v3.RouteMatch`.
#[derive(Clone, Debug)]
pub struct Match {
    /// The path.
    pub path: PathMatch,
    /// Conditions on headers, all of which must hold.
    pub headers: Vec<HeaderMatch>,
}

/// How a path, without its query, is matched.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// `prefix` and `path_separated_prefix`: whole segments, so that `/api` matches `/api` and `/api/x`, never `/apix`.
    Prefix(String),
    /// `path`: the whole path.
    Exact(String),
    /// `safe_regex`: the whole path.
    SafeRegex {
        /// As written.
        regex: Regex,
        /// The same without regard to case.
        any_case: Regex,
    },
}

/// A condition on one header: `route.v3.HeaderMatcher`.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// In lower case; pseudo-headers (`:method`, `:authority`) included.
    pub name: String,
    /// What it must be.
    pub test: HeaderTest,
    /// `invert_match`: the test must fail. As in Envoy, an absent header fails every test of a value, inverted or not.
    pub invert: bool,
}

/// What a [`HeaderMatch`] tests.
#[derive(Clone, Debug)]
pub enum HeaderTest {
    /// `present_match`: whether the header is there.
    Present(bool),
    /// `string_match` on its value; several values are joined by commas.
    Value(StringMatch),
}

/// A regular expression that must match the whole string, in linear time; `\d`, `\w` and `\s` are ASCII, as in RE2.
#[derive(Clone, Debug)]
pub struct Regex(regex::bytes::Regex);

impl Routes {
    /// Takes the matches of the rules in their order.
    pub fn new(matches: Vec<Match>) -> Self {
        let index = RouteIndex::new(matches.iter().map(|rule| &rule.path));
        Self { matches, index }
    }

    /// The index of the first rule that matches `head`; `None` if no rule does.
    ///
    /// # Errors
    /// [`Reason::PathAmbiguous`]: another spelling of the path, or other upper and lower case, would fall under another
    /// rule, or the path holds `#` or is not UTF-8.
    pub fn find(&self, head: &RequestHead) -> Result<Option<usize>, Reason> {
        let (path, _) = split_path(head.target()).ok_or(Reason::PathAmbiguous)?;
        let rule = self.first(path, head)?;
        for spelling in other_spellings(path) {
            if self.first(&spelling, head)? != rule {
                return Err(Reason::PathAmbiguous);
            }
        }
        Ok(rule)
    }

    fn first(&self, path: &[u8], head: &RequestHead) -> Result<Option<usize>, Reason> {
        for index in self.index.candidates(path) {
            let Some(rule) = self.matches.get(index) else { continue };
            if rule.path.matches(path, true) && rule.headers.iter().all(|header| header.matches(head)) {
                // A rule that matches but for the case: an upstream that ignores case would serve this path under it.
                return if rule.path.matches(path, false) { Ok(Some(index)) } else { Err(Reason::PathAmbiguous) };
            }
        }
        Ok(None)
    }
}

impl PathMatch {
    pub(super) fn matches(&self, path: &[u8], ignore_case: bool) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            if ignore_case {
                a.eq_ignore_ascii_case(b)
            } else {
                a == b
            }
        };
        match self {
            Self::Exact(exact) => same(path, exact.as_bytes()),
            Self::Prefix(prefix) => {
                let Some((start, rest)) = path.split_at_checked(prefix.len()) else {
                    return false;
                };
                same(start, prefix.as_bytes()) && (prefix.ends_with('/') || rest.is_empty() || rest.starts_with(b"/"))
            }
            Self::SafeRegex { regex, any_case } => if ignore_case { any_case } else { regex }.matches(path),
        }
    }
}

impl HeaderMatch {
    fn matches(&self, head: &RequestHead) -> bool {
        match &self.test {
            HeaderTest::Present(present) => (head.has(&self.name) == *present) != self.invert,
            HeaderTest::Value(matcher) => {
                head.joined(&self.name).is_some_and(|value| matcher.matches(&value) != self.invert)
            }
        }
    }
}

impl Regex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// The pattern is no regular expression, or its program would be too large.
    pub fn new(pattern: &str) -> Result<Self, regex::Error> {
        Self::build(pattern, false)
    }

    /// Compiles `pattern` to match without regard to case.
    ///
    /// # Errors
    /// As for [`Regex::new`].
    pub fn ignoring_case(pattern: &str) -> Result<Self, regex::Error> {
        Self::build(pattern, true)
    }

    fn build(pattern: &str, ignore_case: bool) -> Result<Self, regex::Error> {
        // The pattern alone first: `a)|(b` must not become valid by the group around it.
        let build = |pattern: &str| {
            regex::bytes::RegexBuilder::new(pattern).unicode(false).case_insensitive(ignore_case).build()
        };
        build(pattern)?;
        build(&format!(r"\A(?:{pattern})\z")).map(Self)
    }

    /// Whether the whole of `value` matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        self.0.is_match(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(prefix: &str) -> Match {
        Match { path: PathMatch::Prefix(prefix.into()), headers: Vec::new() }
    }

    fn get(path: &str) -> RequestHead {
        RequestHead::new(vec![(":method".into(), b"GET".into()), (":path".into(), path.as_bytes().into())])
    }

    #[test]
    fn a_prefix_matches_whole_segments() {
        let routes = Routes::new(vec![prefix("/api"), prefix("/files/")]);
        for (path, rule) in [
            ("/api", Some(0)),
            ("/api/", Some(0)),
            ("/api/x?y=/files/", Some(0)),
            ("/apix", None),
            ("/ap", None),
            ("/files/x", Some(1)),
            ("/files", None),
            ("/", None),
        ] {
            assert_eq!(routes.find(&get(path)), Ok(rule), "{path}");
        }
    }

    #[test]
    fn the_first_match_wins() {
        let routes = Routes::new(vec![prefix("/a/b"), prefix("/a"), prefix("/")]);
        assert_eq!(routes.find(&get("/a/b/c")), Ok(Some(0)));
        assert_eq!(routes.find(&get("/a/c")), Ok(Some(1)));
        assert_eq!(routes.find(&get("/c")), Ok(Some(2)));
    }

    #[test]
    fn a_path_that_another_reader_sees_under_another_rule_is_refused() {
        let routes = Routes::new(vec![prefix("/admin"), prefix("/")]);
        for path in [
            "/x/../admin",
            "//admin",
            "/%61dmin",
            "/ADMIN",
            "/x/..;/admin",
            "/admin;x",
            "/admin/../x",
            "/x#",
            "/x\\..\\admin",
            "/x/%2e%2e/Admin",
        ] {
            assert_eq!(routes.find(&get(path)), Err(Reason::PathAmbiguous), "{path}");
        }
        for path in ["/x/../y", "/x//y", "/x%20y", "/X", "/admin/../admin/x", "/x?next=/../admin"] {
            assert!(routes.find(&get(path)).is_ok(), "{path}");
        }
    }

    #[test]
    fn headers_narrow_a_rule() {
        let method = |test: HeaderTest, invert| Match {
            path: PathMatch::Prefix("/".into()),
            headers: vec![HeaderMatch { name: ":method".into(), test, invert }],
        };
        let is = |value: &str| {
            let test = super::super::StringTest::Exact(value.into());
            HeaderTest::Value(StringMatch { test, ignore_case: false })
        };
        assert_eq!(Routes::new(vec![method(is("GET"), false)]).find(&get("/")), Ok(Some(0)));
        assert_eq!(Routes::new(vec![method(is("PUT"), false)]).find(&get("/")), Ok(None));
        assert_eq!(Routes::new(vec![method(is("PUT"), true)]).find(&get("/")), Ok(Some(0)));
        assert_eq!(Routes::new(vec![method(HeaderTest::Present(false), false)]).find(&get("/")), Ok(None));
    }

    #[test]
    fn a_regular_expression_matches_the_whole_path() {
        let rule = Match {
            path: PathMatch::SafeRegex {
                regex: Regex::new("/a|/b/[0-9]+").unwrap(),
                any_case: Regex::ignoring_case("/a|/b/[0-9]+").unwrap(),
            },
            headers: Vec::new(),
        };
        let routes = Routes::new(vec![rule]);
        for (path, found) in [("/a", Some(0)), ("/a/x", None), ("/b/12", Some(0)), ("/b/12x", None), ("/x/a", None)] {
            assert_eq!(routes.find(&get(path)), Ok(found), "{path}");
        }
        assert!(Regex::new("a)|(b").is_err());
    }
}
