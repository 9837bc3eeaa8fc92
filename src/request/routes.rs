//! Which rule a request falls under: the first that matches.
//!
//! [`Routes::find`] is for rules that must not be tricked: it refuses a request that another reader would see under another
//! rule. [`Routes::first`] is how Envoy reads the same rules.

use std::cell::{OnceCell, RefCell};

use super::header_match::{HeaderMatch, Readings};
use super::path::{may_have_others, other_spellings, split_path, without_query};
use super::query::Query;
use super::query_match::QueryMatch;
use super::regex::Regex;
use super::route_index::RouteIndex;
use super::RequestHead;
use crate::limits::MAX_AMBIGUOUS_PATH_BYTES;
use crate::verdict::Reason;

/// The matches of the rules, in their order.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    matches: Vec<Match>,
    index: RouteIndex,
    /// The room for [`Conditions::known`], of all rules, between two requests.
    known: RefCell<Vec<Known>>,
}

/// What is known of the conditions of a rule, once it was asked.
type Known = Option<Result<bool, Reason>>;

/// What one rule matches: `route.v3.RouteMatch`.
#[derive(Clone, Debug)]
pub struct Match {
    /// The path.
    pub path: PathMatch,
    /// `case_sensitive: false`.
    pub ignore_case: bool,
    /// Conditions on headers, all of which must hold.
    pub headers: Vec<HeaderMatch>,
    /// Conditions on the query, all of which must hold.
    pub query: Vec<QueryMatch>,
}

/// How a path, without its query, is matched.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// `path_separated_prefix`, and `prefix`: whole segments, so that `/api` matches `/api` and `/api/x`, never `/apix`.
    Prefix(String),
    /// `prefix` as Envoy reads it: any path that begins with these characters.
    Beginning(String),
    /// `path`: the whole path.
    Exact(String),
    /// `safe_regex` and `path_match_policy`: the whole path.
    SafeRegex {
        /// As written.
        regex: Regex,
        /// The same without regard to case.
        any_case: Regex,
    },
    /// `connect_matcher`: whatever the path, if the method is `CONNECT`.
    Connect,
}

impl Routes {
    /// Takes the matches of the rules in their order.
    pub fn new(matches: Vec<Match>) -> Self {
        let index = RouteIndex::new(matches.iter().map(|rule| &rule.path));
        Self { matches, index, known: RefCell::default() }
    }

    /// The index of the first rule that matches `head`; `None` if no rule does.
    ///
    /// # Errors
    /// [`Reason::PathAmbiguous`]: another spelling of the path, the query, the host or a header that rules look at, or other upper
    /// and lower case, would fall under another rule, or the path without its last slash under an earlier one; or the target is no path (but a whole URL or a bare host, RFC 9112 section 3.2), or holds `#` or a zero or is not
    /// UTF-8, or has too many spellings or is too long to try them, or too many parameters where a rule looks at one.
    pub fn find(&self, head: &RequestHead) -> Result<Option<usize>, Reason> {
        let (path, query) = split_path(head.target()).ok_or(Reason::PathAmbiguous)?;
        if !path.starts_with(b"/") && !matches!(head.target(), b"" | b"*") {
            return Err(Reason::PathAmbiguous);
        }
        let query = query.unwrap_or_default();
        if path.len() > MAX_AMBIGUOUS_PATH_BYTES && may_have_others(path) {
            return Err(Reason::PathAmbiguous);
        }
        let mut known = self.known.take();
        known.clear();
        let mut conditions = Conditions {
            head,
            query,
            read_query: OnceCell::new(),
            readings: Readings::default(),
            known,
            rules: self.matches.len(),
        };
        let rule = self.whatever_the_spelling(path, &mut conditions);
        self.known.replace(conditions.known);
        rule
    }

    fn whatever_the_spelling(&self, path: &[u8], conditions: &mut Conditions<'_>) -> Result<Option<usize>, Reason> {
        let rule = self.served(path, conditions)?;
        for spelling in other_spellings(path).ok_or(Reason::PathAmbiguous)? {
            if self.served(&spelling, conditions)? != rule {
                return Err(Reason::PathAmbiguous);
            }
        }
        Ok(rule)
    }

    /// The same for one spelling of the path. Many frameworks serve `/a/` as `/a`: a rule for `/a` is not passed over by a slash,
    /// unless the rule that matches says where it begins with that very slash.
    fn served(&self, path: &[u8], conditions: &mut Conditions<'_>) -> Result<Option<usize>, Reason> {
        let rule = self.only(path, conditions)?;
        if let Some(bare) = path.strip_suffix(b"/").filter(|bare| !bare.is_empty()) {
            let is_meant =
                rule.and_then(|rule| self.matches.get(rule)).is_some_and(|rule| rule.path.is_literally(path));
            let other = if is_meant { None } else { self.only(bare, conditions)? };
            if other.is_some_and(|other| rule.is_none_or(|rule| other < rule)) {
                return Err(Reason::PathAmbiguous);
            }
        }
        Ok(rule)
    }

    /// The index of the first rule that matches `head` as it is written: percent-encodings, dot segments and repeated parameters
    /// are read as Envoy reads them.
    pub fn first(&self, head: &RequestHead) -> Option<usize> {
        let (path, query) = without_query(head.target());
        let has_path = head.has(":path");
        let matches = |&index: &usize| {
            let rule = self.matches.get(index)?;
            // A request without a path, as `CONNECT` may be, has the empty one for the other forms.
            let holds = (has_path || !matches!(rule.path, PathMatch::SafeRegex { .. }))
                && rule.path.matches(path, rule.ignore_case, head)
                && rule.headers.iter().all(|header| header.matches(head))
                && rule.query.iter().all(|parameter| parameter.matches_first(query));
            holds.then_some(())
        };
        self.index.candidates(path).find(|index| matches(index).is_some())
    }

    fn only(&self, path: &[u8], conditions: &mut Conditions<'_>) -> Result<Option<usize>, Reason> {
        let head = conditions.head;
        for index in self.index.candidates(path) {
            let Some(rule) = self.matches.get(index).filter(|_| !conditions.fail(index)) else { continue };
            let as_written = rule.path.matches(path, rule.ignore_case, head);
            if !(as_written || rule.path.matches_but_for_case(path, head)) || !conditions.hold(index, rule)? {
                continue;
            }
            // A rule that matches but for the case: an upstream that ignores case would serve this path under it.
            return if as_written { Ok(Some(index)) } else { Err(Reason::PathAmbiguous) };
        }
        Ok(None)
    }
}

/// What rules ask of one request beside its path. A path has many spellings, and the rest is looked at once for all of them.
struct Conditions<'r> {
    head: &'r RequestHead,
    query: &'r [u8],
    read_query: OnceCell<Option<Query<'r>>>,
    readings: Readings,
    /// What is known of each rule, once one was asked: there may be many that the path does not tell apart.
    known: Vec<Known>,
    rules: usize,
}

impl Conditions<'_> {
    /// Whether it is known already that they do not hold.
    fn fail(&self, index: usize) -> bool {
        self.known.get(index) == Some(&Some(Ok(false)))
    }

    fn hold(&mut self, index: usize, rule: &Match) -> Result<bool, Reason> {
        if rule.headers.is_empty() && rule.query.is_empty() {
            return Ok(true);
        }
        if let Some(&Some(result)) = self.known.get(index) {
            return result;
        }
        let headers = rule.headers.iter().map(|header| header.matches_only(self.head, &self.readings));
        let query = || self.read_query.get_or_init(|| Query::new(self.query)).as_ref();
        let conditions = headers.chain(rule.query.iter().map(|parameter| parameter.matches_only(query())));
        let mut result = Ok(true);
        for condition in conditions {
            match condition {
                Ok(true) => {}
                // Then it makes no difference how anybody reads the rest.
                Ok(false) => {
                    result = Ok(false);
                    break;
                }
                Err(reason) => result = Err(reason),
            }
        }
        self.known.resize(self.rules, None);
        if let Some(known) = self.known.get_mut(index) {
            *known = Some(result);
        }
        result
    }
}

impl PathMatch {
    /// Whether it is `path` as it stands there, or begins with the whole of it; or it is a pattern that ends with a slash.
    fn is_literally(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(literal) | Self::Prefix(literal) | Self::Beginning(literal) => {
                literal.as_bytes().eq_ignore_ascii_case(path)
            }
            Self::SafeRegex { regex, .. } => regex.names_slash(path),
            Self::Connect => false,
        }
    }

    /// Whether it matches in upper or lower case, where it does not as written.
    fn matches_but_for_case(&self, path: &[u8], head: &RequestHead) -> bool {
        match self {
            Self::SafeRegex { any_case, .. } => any_case.matches(path),
            _ => self.matches(path, true, head),
        }
    }

    pub(super) fn matches(&self, path: &[u8], ignore_case: bool, head: &RequestHead) -> bool {
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
            Self::Beginning(prefix) => {
                path.get(..prefix.len()).is_some_and(|beginning| same(beginning, prefix.as_bytes()))
            }
            // What matches as written does in any case, too; a rule is not to hang by how that is compiled.
            Self::SafeRegex { regex, any_case } => regex.matches(path) || (ignore_case && any_case.matches(path)),
            Self::Connect => head.value(":method") == Some(b"CONNECT"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::header_match::HeaderTest;
    use super::super::StringMatch;
    use super::*;

    fn prefix(prefix: &str) -> Match {
        any(PathMatch::Prefix(prefix.into()))
    }

    fn any(path: PathMatch) -> Match {
        Match { path, ignore_case: false, headers: Vec::new(), query: Vec::new() }
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
    fn a_last_slash_passes_no_earlier_rule_over() {
        let exact = |path: &str| any(PathMatch::Exact(path.into()));
        let regex = |pattern: &str| {
            any(PathMatch::SafeRegex {
                regex: Regex::new(pattern).unwrap(),
                any_case: Regex::ignoring_case(pattern).unwrap(),
            })
        };
        let ambiguous = Err(Reason::PathAmbiguous);
        for (rules, path, found) in [
            (vec![exact("/a/b"), prefix("/a")], "/a/b", Ok(Some(0))),
            (vec![exact("/a/b"), prefix("/a")], "/a/b/", ambiguous),
            (vec![exact("/a/b"), prefix("/a")], "/A/B/", ambiguous),
            (vec![exact("/a/b"), prefix("/a")], "/a/b/.", ambiguous),
            (vec![exact("/a/b"), prefix("/a")], "/a/b//", ambiguous),
            (vec![exact("/a/b"), prefix("/a")], "/a/b/;x", ambiguous),
            (vec![exact("/a/b"), prefix("/a")], "/a/b/c/", Ok(Some(1))),
            (vec![exact("/a/b")], "/a/b/", ambiguous),
            (vec![regex("/a/[0-9]+"), prefix("/a")], "/a/7/", ambiguous),
            (vec![regex("/a/[0-9]+"), regex("/a/[0-9]+/")], "/a/7/", Ok(Some(1))),
            (vec![exact("/a"), regex("/a/.*")], "/a/", Ok(Some(1))),
            (vec![exact("/a/b"), regex("/a/.*")], "/a/b/", ambiguous),
            (vec![exact("/a.b"), regex(r"/a\.b/.*")], "/a.b/", Ok(Some(1))),
            (vec![exact("/a.b"), regex("/a.b/.*")], "/a.b/", ambiguous),
            (vec![exact("/a-b"), regex("/a-b/.*")], "/a-b/", Ok(Some(1))),
            (vec![exact("/a-b"), regex(r"/a\-b/.*")], "/a-b/", Ok(Some(1))),
            (vec![exact("/a"), regex("/a/+")], "/a/", Ok(Some(1))),
            (vec![exact("/a"), regex("(?:/a/.*)")], "/a/", ambiguous),
            // A later rule makes no difference: the first one that matches is what counts.
            (vec![prefix("/a"), exact("/a/b")], "/a/b/", Ok(Some(0))),
            // Who writes the slash means it: that is how a path and all below it are written without path_separated_prefix.
            (vec![exact("/a"), exact("/a/")], "/a/", Ok(Some(1))),
            (vec![exact("/a"), prefix("/a/")], "/a/", Ok(Some(1))),
            (vec![exact("/a"), prefix("/a/")], "/a/b/", Ok(Some(1))),
            (vec![prefix("/a"), prefix("/")], "/a/", Ok(Some(0))),
            (vec![exact("/")], "/", Ok(Some(0))),
        ] {
            assert_eq!(Routes::new(rules).find(&get(path)), found, "{path}");
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
    fn a_long_path_is_judged_only_if_it_can_be_read_in_one_way() {
        let routes = Routes::new(vec![prefix("/admin"), prefix("/")]);
        let long = |length: usize| "x".repeat(length);
        for (path, rule) in [
            (format!("/{}", long(60_000)), Ok(Some(1))),
            (format!("/admin/{}", long(60_000)), Ok(Some(0))),
            (format!("/%20{}", long(MAX_AMBIGUOUS_PATH_BYTES - 4)), Ok(Some(1))),
            (format!("/%20{}", long(MAX_AMBIGUOUS_PATH_BYTES - 3)), Err(Reason::PathAmbiguous)),
            (format!("/%20{}?{}", long(10), long(60_000)), Ok(Some(1))),
        ] {
            assert_eq!(routes.find(&get(&path)), rule, "{} bytes", path.len());
        }
    }

    #[test]
    fn headers_narrow_a_rule() {
        let method = |test: HeaderTest, invert| Match {
            headers: vec![HeaderMatch { name: ":method".into(), test, invert, missing_is_empty: false }],
            ..prefix("/")
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
    fn a_class_that_leaves_letters_out_still_matches_what_it_matches_as_written() {
        let regex = |pattern: &str| {
            any(PathMatch::SafeRegex {
                regex: Regex::new(pattern).unwrap(),
                any_case: Regex::ignoring_case(pattern).unwrap(),
            })
        };
        for (pattern, path, found) in [
            ("/[^a-z/]+", "/ADMIN", Ok(Some(0))),
            ("/[^a-z/]+", "/admin", Err(Reason::PathAmbiguous)),
            ("/[^a-z/]+", "/42", Ok(Some(0))),
            ("/[^A-Z]+", "/admin", Ok(Some(0))),
            ("/[^A-Z]+", "/ADMIN", Err(Reason::PathAmbiguous)),
            ("/[^a-z/]x", "/aX", Err(Reason::PathAmbiguous)),
            ("/(?i:[^a-z/])x", "/aX", Ok(Some(1))),
            ("/[^/]+[^a-z]", "/users-X", Ok(Some(0))),
            ("/[a-z]+", "/ADMIN", Err(Reason::PathAmbiguous)),
            ("/a(b|C){2}|/x", "/ABc", Err(Reason::PathAmbiguous)),
            ("/a(b|C){2}|/x", "/abd", Ok(Some(1))),
            ("(?u)/[^a-z/]+", "/admin", Err(Reason::PathAmbiguous)),
        ] {
            assert_eq!(Routes::new(vec![regex(pattern), prefix("/")]).find(&get(path)), found, "{pattern} {path}");
        }
    }

    #[test]
    fn a_regular_expression_matches_the_whole_path() {
        let rule = any(PathMatch::SafeRegex {
            regex: Regex::new("/a|/b/[0-9]+").unwrap(),
            any_case: Regex::ignoring_case("/a|/b/[0-9]+").unwrap(),
        });
        let routes = Routes::new(vec![rule]);
        for (path, found) in [("/a", Some(0)), ("/a/x", None), ("/b/12", Some(0)), ("/b/12x", None), ("/x/a", None)] {
            assert_eq!(routes.find(&get(path)), Ok(found), "{path}");
        }
        assert!(Regex::new("a)|(b").is_err());
    }
}
