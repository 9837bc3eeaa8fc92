//! Path templates (`envoy.path.match.uri_template.uri_template_matcher`), as the regular expression that they stand for.
//!
//! `/a/*/b` has one segment of any text, `/a/**` any number of them at the end, `{name}` is `*` and `{name=a/**}` what stands
//! behind the sign. A rule only asks whether a path matches; nothing reads the names.

use std::fmt::Write;

/// The characters of a segment: `pchar` of RFC 3986 appendix A.
const PCHAR: &str = r"a-zA-Z0-9\-._~%!$&'()*+,;=:@";

/// The most variables of one template, and the longest name of one: Envoy's limits.
const MAX_VARIABLES: usize = 5;
const MAX_NAME: usize = 16;

/// What is wrong with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateProblem {
    /// It does not begin with a slash.
    NoSlash,
    /// A character that no path segment holds, or an operator within a segment.
    Character,
    /// A brace without its other one, or `=` without a pattern.
    Variable,
    /// The name of a variable is no identifier of up to 16 characters, or occurs twice, or is the sixth.
    Name,
    /// An operator follows `**`.
    AfterTextGlob,
}

impl TemplateProblem {
    /// What to do about it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoSlash => "must begin with \"/\"",
            Self::Character => {
                "a segment is text, \"*\", \"**\" or \"{name}\", and text holds only characters of a path"
            }
            Self::Variable => "a variable is \"{name}\" or \"{name=pattern}\"",
            Self::Name => "at most 5 variables, each with a name of its own: letters, digits and \"_\", 16 at most",
            Self::AfterTextGlob => "nothing but text may follow \"**\"",
        }
    }
}

/// The regular expression for the whole path.
///
/// # Errors
/// The first thing wrong with it.
pub fn regex_of(template: &str) -> Result<String, TemplateProblem> {
    let mut rest = template.strip_prefix('/').ok_or(TemplateProblem::NoSlash)?;
    let mut regex = "/".to_owned();
    let mut seen = Seen::default();
    while !rest.is_empty() {
        rest = if let Some(variable) = rest.strip_prefix('{') {
            let (inner, rest) = variable.split_once('}').ok_or(TemplateProblem::Variable)?;
            regex.push_str(&seen.variable(inner)?);
            rest
        } else if let Some((operator, rest)) = operator(rest) {
            regex.push_str(&seen.operator(operator)?);
            rest
        } else {
            let (text, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            regex.push_str(&literal(text)?);
            rest
        };
        if let Some(next) = rest.strip_prefix('/') {
            regex.push('/');
            rest = next;
        } else if !rest.is_empty() {
            // What follows an operator without a slash is the end of the path.
            regex.push_str(&literal(rest)?);
            break;
        }
    }
    Ok(regex)
}

/// What stood to the left.
#[derive(Default)]
struct Seen<'t> {
    names: Vec<&'t str>,
    text_glob: bool,
}

impl<'t> Seen<'t> {
    fn variable(&mut self, inner: &'t str) -> Result<String, TemplateProblem> {
        let (name, pattern) = match inner.split_once('=') {
            Some((name, pattern)) => (name, pattern),
            None => (inner, "*"),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name || name.len() > MAX_NAME || self.names.contains(&name) || self.names.len() >= MAX_VARIABLES {
            return Err(TemplateProblem::Name);
        }
        self.names.push(name);
        let part = |part: &str| match operator(part) {
            Some((operator, "")) => self.operator(operator),
            _ => literal(part),
        };
        Ok(pattern.split('/').map(part).collect::<Result<Vec<String>, _>>()?.join("/"))
    }

    fn operator(&mut self, operator: Operator) -> Result<String, TemplateProblem> {
        if self.text_glob {
            return Err(TemplateProblem::AfterTextGlob);
        }
        Ok(match operator {
            Operator::PathGlob => format!("[{PCHAR}]+"),
            Operator::TextGlob => {
                self.text_glob = true;
                format!("[{PCHAR}/]*")
            }
        })
    }
}

#[derive(Clone, Copy)]
enum Operator {
    /// `*`: one segment.
    PathGlob,
    /// `**`: any number of segments.
    TextGlob,
}

/// The operator at the beginning, and what follows it.
fn operator(text: &str) -> Option<(Operator, &str)> {
    let text_glob = text.strip_prefix("**").map(|rest| (Operator::TextGlob, rest));
    text_glob.or_else(|| text.strip_prefix('*').map(|rest| (Operator::PathGlob, rest)))
}

fn literal(text: &str) -> Result<String, TemplateProblem> {
    let is_pchar = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()+,;=:@".contains(&b);
    if text.is_empty() || !text.bytes().all(is_pchar) {
        return Err(TemplateProblem::Character);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // Every character here may be written as its code, and none then means anything else.
        let _ =
            if c.is_ascii_alphanumeric() { write!(escaped, "{c}") } else { write!(escaped, "\\x{:02x}", u32::from(c)) };
    }
    Ok(escaped)
}

#[cfg(test)]
mod tests {
    use super::super::Regex;
    use super::*;

    #[test]
    fn a_template_matches_the_paths_that_it_describes() {
        for (template, path, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/b/", false),
            ("/a/b/", "/a/b/", true),
            ("/a/*", "/a/x", true),
            ("/a/*", "/a/", false),
            ("/a/*", "/a/x/y", false),
            ("/a/*/b", "/a/x/b", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/x/y", true),
            ("/a/**", "/a", false),
            ("/**.mpd", "/x/y.mpd", true),
            ("/**.mpd", "/x/y.mpdx", false),
            ("/*.mpd", "/y.mpd", true),
            ("/{id}", "/7", true),
            ("/{id}", "/7/8", false),
            ("/u/{id}/x", "/u/7/x", true),
            ("/{p=a/*}/x", "/a/7/x", true),
            ("/{p=a/*}/x", "/b/7/x", false),
            ("/{p=**}", "/a/b", true),
            ("/{p=**}.ts", "/a/b.ts", true),
            ("/a.b", "/axb", false),
            ("/a$(b)+", "/a$(b)+", true),
            ("/*", "/a=b*c", true),
            ("/*", "/a[b", false),
            ("/a=b/*", "/a=b/c", true),
        ] {
            let regex = Regex::new(&regex_of(template).unwrap()).unwrap();
            assert_eq!(regex.matches(path.as_bytes()), expected, "{template} {path}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        use TemplateProblem::{AfterTextGlob, Character, Name, NoSlash, Variable};
        for (template, problem) in [
            ("", NoSlash),
            ("a", NoSlash),
            ("//", Character),
            ("/a//b", Character),
            ("/a*b", Character),
            ("/a b", Character),
            ("/{", Variable),
            ("/{}", Name),
            ("/{1}", Name),
            ("/{a=}", Character),
            ("/{a}/{a}", Name),
            ("/{a}/{b}/{c}/{d}/{e}/{f}", Name),
            ("/{abcdefghijklmnopq}", Name),
            ("/**/*", AfterTextGlob),
            ("/**/{a}", AfterTextGlob),
            ("/{a=**}/**", AfterTextGlob),
            ("/*a/b", Character),
        ] {
            assert_eq!(regex_of(template), Err(problem), "{template}");
        }
        assert!(regex_of("/**/a").is_ok());
    }
}
