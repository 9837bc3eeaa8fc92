//! A condition on one parameter of the query: `route.v3.QueryParameterMatcher`.

use super::parameter::divided;
use super::query::Query;
use super::{ParameterName, StringMatch};
use crate::verdict::Reason;

/// A condition on one parameter.
#[derive(Clone, Debug)]
pub struct QueryMatch {
    /// Its name.
    pub name: ParameterName,
    /// What it must be.
    pub test: QueryTest,
}

/// What a [`QueryMatch`] tests.
#[derive(Clone, Debug)]
pub enum QueryTest {
    /// `present_match`: whether the parameter is there.
    Present(bool),
    /// `string_match`.
    Value(StringMatch),
}

impl QueryMatch {
    /// Whether the first parameter of that name matches, names and values taken as they are written, as Envoy does.
    pub fn matches_first(&self, query: &[u8]) -> bool {
        let mut parameters = query.split(|&b| b == b'&').map(divided);
        self.holds(parameters.find(|(name, _)| *name == self.name.as_str().as_bytes()).map(|(_, value)| value))
    }

    /// Whether the parameter matches, names and values decoded.
    ///
    /// # Errors
    /// [`Reason::PathAmbiguous`]: it would matter how the service reads the query. The parameter occurs several times, or in another
    /// spelling of its name, and not all of the values would do; or it matters whether somebody takes `+` for a space, as in a form,
    /// divides at `;`, too, or decodes twice. Or there are more parameters than all of them read.
    pub(super) fn matches_only(&self, query: Option<&Query>) -> Result<bool, Reason> {
        let query = query.ok_or(Reason::PathAmbiguous)?;
        let matches = self.holds(query.value(&self.name));
        let is_certain = query.all_like(&self.name, |value| self.holds(Some(value)) == matches);
        is_certain.then_some(matches).ok_or(Reason::PathAmbiguous)
    }

    fn holds(&self, value: Option<&[u8]>) -> bool {
        match &self.test {
            QueryTest::Present(wanted) => value.is_some() == *wanted,
            QueryTest::Value(matcher) => value.is_some_and(|value| matcher.matches(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::StringTest;
    use super::*;
    use crate::limits::MAX_QUERY_PARAMETERS;

    fn is(value: &str) -> QueryMatch {
        let test = StringMatch { test: StringTest::Exact(value.into()), ignore_case: false };
        QueryMatch { name: ParameterName::new("a"), test: QueryTest::Value(test) }
    }

    fn present(wanted: bool) -> QueryMatch {
        QueryMatch { name: ParameterName::new("a"), test: QueryTest::Present(wanted) }
    }

    #[test]
    fn a_parameter_that_could_be_read_in_two_ways_is_refused() {
        for (matcher, query, expected) in [
            (is("1"), "a=1", Ok(true)),
            (is("1"), "x=2&a=1", Ok(true)),
            (is("1"), "a=2", Ok(false)),
            (is("1"), "", Ok(false)),
            (is("1"), "%61=%31", Ok(true)),
            (is("1"), "a=1&a=1", Ok(true)),
            (is("1"), "a=1&a=2", Err(Reason::PathAmbiguous)),
            (is("1"), "a=1&%61=2", Err(Reason::PathAmbiguous)),
            // One decodes a form, in which `+` is a space; another leaves it.
            (is("1 2"), "a=1+2", Err(Reason::PathAmbiguous)),
            (is("1+2"), "a=1+2", Err(Reason::PathAmbiguous)),
            (is("1 2"), "a=1%202", Ok(true)),
            (is("1+2"), "a=1%2B2", Ok(true)),
            (is("1"), "a=1+2", Ok(false)),
            (is("1"), "a=1&b=1+2", Ok(true)),
            (is("1"), "+a=1", Err(Reason::PathAmbiguous)),
            // Others divide at `;`, look at no case, take brackets for more of the same, or decode twice.
            (is("1"), "a=1&x;a=2", Err(Reason::PathAmbiguous)),
            (is("1"), "a=1;x", Err(Reason::PathAmbiguous)),
            (is("1"), "x=1;a=1", Err(Reason::PathAmbiguous)),
            (is("1"), "a=1&A=2", Err(Reason::PathAmbiguous)),
            (is("1"), "a=1&a[]=2", Err(Reason::PathAmbiguous)),
            (is("1"), "a=1&a%5Bx%5D=1", Ok(true)),
            (is("1"), "a=1&%2561=2", Err(Reason::PathAmbiguous)),
            (is("1"), "a=%2531", Err(Reason::PathAmbiguous)),
            (is("1"), "A=2", Ok(false)),
            (is("1"), "A=1", Err(Reason::PathAmbiguous)),
            (present(false), "A", Err(Reason::PathAmbiguous)),
            (present(true), "a&A", Ok(true)),
            (QueryMatch { name: ParameterName::new("f[a]"), ..is("1") }, "f[a]=1&f[b]=2&f%5Bc%5D=3", Ok(true)),
            (
                QueryMatch { name: ParameterName::new("f[a]"), ..is("1") },
                "f[a]=1&F%5BA%5D=2",
                Err(Reason::PathAmbiguous),
            ),
            (QueryMatch { name: ParameterName::new("f[a]"), ..is("1") }, "f[a]=1&f[]=2", Err(Reason::PathAmbiguous)),
            (QueryMatch { name: ParameterName::new("f[a]"), ..is("1") }, "f[a]=1&f=2", Err(Reason::PathAmbiguous)),
            (present(true), "a=1+2", Ok(true)),
            (QueryMatch { name: ParameterName::new("a b"), ..present(false) }, "a+b", Err(Reason::PathAmbiguous)),
            (is(""), "a", Ok(true)),
            (present(true), "a", Ok(true)),
            (present(false), "b=a", Ok(true)),
            (present(false), "%61", Ok(false)),
            (is("0009"), "p%61ge=1+2;x%20y&%61=%30009&a=%30009", Ok(true)),
        ] {
            assert_eq!(matcher.matches_only(Query::new(query.as_bytes()).as_ref()), expected, "{query}");
        }
    }

    #[test]
    fn a_parameter_that_some_would_not_read_any_more_is_no_ground_for_a_rule() {
        let behind = |others: usize, divider: &str| ["x"].repeat(others).join(divider) + divider + "a=1";
        let matches = |query: &str| is("1").matches_only(Query::new(query.as_bytes()).as_ref());
        for divider in ["&", ";&"] {
            let others = (MAX_QUERY_PARAMETERS - 1) / divider.len();
            assert_eq!(matches(&behind(others, divider)), Ok(true), "{divider}");
            assert_eq!(matches(&behind(others + 1, divider)), Err(Reason::PathAmbiguous), "{divider}");
        }
    }

    #[test]
    fn as_written_only_the_first_parameter_of_that_spelling_counts() {
        for (matcher, query, expected) in [
            (is("1"), "a=1&a=2", true),
            (is("1"), "a=2&a=1", false),
            (is("1"), "a=%31", false),
            (present(false), "%61", true),
        ] {
            assert_eq!(matcher.matches_first(query.as_bytes()), expected, "{query}");
        }
    }
}
