//! A condition on one parameter of the query: `route.v3.QueryParameterMatcher`.

use percent_encoding::percent_decode;

use super::StringMatch;
use crate::verdict::Reason;

/// A condition on one parameter.
#[derive(Clone, Debug)]
pub struct QueryMatch {
    /// Its name.
    pub name: String,
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
        let value = params(query).find(|(name, _)| *name == self.name.as_bytes()).map(|(_, value)| value);
        self.holds(value)
    }

    /// Whether the parameter matches, names and values decoded.
    ///
    /// # Errors
    /// [`Reason::PathAmbiguous`]: it occurs several times, and not all of them would match, so that it would matter which one the
    /// service reads; or it would matter whether the service takes `+` for a space, as in a form.
    pub fn matches_only(&self, query: &[u8]) -> Result<bool, Reason> {
        let matches = self.matches_all(query)?;
        if query.contains(&b'+') {
            let spaced: Vec<u8> = query.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
            if self.matches_all(&spaced)? != matches {
                return Err(Reason::PathAmbiguous);
            }
        }
        Ok(matches)
    }

    fn matches_all(&self, query: &[u8]) -> Result<bool, Reason> {
        let named = params(query).filter(|(name, _)| percent_decode(name).eq(self.name.bytes()));
        let results: Vec<bool> =
            named.map(|(_, value)| self.holds(Some(&percent_decode(value).collect::<Vec<u8>>()))).collect();
        match results.first() {
            None => Ok(self.holds(None)),
            Some(first) if results.iter().all(|result| result == first) => Ok(*first),
            Some(_) => Err(Reason::PathAmbiguous),
        }
    }

    fn holds(&self, value: Option<&[u8]>) -> bool {
        match &self.test {
            QueryTest::Present(wanted) => value.is_some() == *wanted,
            QueryTest::Value(matcher) => value.is_some_and(|value| matcher.matches(value)),
        }
    }
}

/// Names and values; a parameter without `=` has the empty one.
fn params(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&b| b == b'&').map(|param| match param.iter().position(|&b| b == b'=') {
        Some(at) => (param.get(..at).unwrap_or_default(), param.get(at + 1..).unwrap_or_default()),
        None => (param, &[][..]),
    })
}

#[cfg(test)]
mod tests {
    use super::super::StringTest;
    use super::*;

    fn is(value: &str) -> QueryMatch {
        let test = StringMatch { test: StringTest::Exact(value.into()), ignore_case: false };
        QueryMatch { name: "a".into(), test: QueryTest::Value(test) }
    }

    fn present(wanted: bool) -> QueryMatch {
        QueryMatch { name: "a".into(), test: QueryTest::Present(wanted) }
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
            (is("1"), "+a=1", Ok(false)),
            (present(true), "a=1+2", Ok(true)),
            (QueryMatch { name: "a b".into(), ..present(false) }, "a+b", Err(Reason::PathAmbiguous)),
            (is(""), "a", Ok(true)),
            (present(true), "a", Ok(true)),
            (present(false), "b=a", Ok(true)),
            (present(false), "%61", Ok(false)),
        ] {
            assert_eq!(matcher.matches_only(query.as_bytes()), expected, "{query}");
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
