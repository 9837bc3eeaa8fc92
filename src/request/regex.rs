//! Regular expressions of rules: as they are written, in any case, and what every match begins with.

use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicodeRange, Hir, HirKind, Literal, Repetition,
};
use regex_syntax::{is_meta_character, ParserBuilder};

/// A regular expression that must match the whole string, in linear time; `\d`, `\w` and `\s` are ASCII, as in RE2.
#[derive(Clone, Debug)]
pub struct Regex {
    compiled: regex::bytes::Regex,
    start: Start,
    /// What the pattern begins with, as it is written: `/a/` of `/a/+`, too.
    written_start: Box<str>,
    ends_with_slash: bool,
}

/// What every match of an expression begins with, as far as that is literal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub literal: Box<[u8]>,
    /// Whether that is all of it.
    pub is_whole: bool,
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
        let build = |pattern: &str, unicode| {
            let mut builder = regex::bytes::RegexBuilder::new(pattern);
            // What is written out has some more groups.
            builder.unicode(unicode).nest_limit(if unicode { 1000 } else { 250 }).build()
        };
        build(pattern, false)?;
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
        let start = parsed.as_ref().map(Start::of).unwrap_or_default();
        let (written_start, ends_with_slash) = (written_start(pattern), pattern.ends_with('/'));
        // An expression that was read is written out with Unicode for what says nothing else.
        let in_any_case = parsed.as_ref().ok().filter(|_| ignore_case).map(|parsed| in_any_case(parsed).to_string());
        let (pattern, unicode) = in_any_case.as_deref().map_or((pattern, false), |pattern| (pattern, true));
        let compiled = build(&format!(r"\A(?:{pattern})\z"), unicode)?;
        Ok(Self { compiled, start, written_start, ends_with_slash })
    }

    pub(super) fn start(&self) -> &Start {
        &self.start
    }

    /// Whether the pattern begins with the whole of this path, or ends with a slash.
    pub(super) fn names_slash(&self, path: &[u8]) -> bool {
        self.ends_with_slash || self.written_start.as_bytes().starts_with(path)
    }

    /// Whether the whole of `value` matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        self.compiled.is_match(value)
    }
}

/// What a pattern begins with, as far as it stands for itself.
fn written_start(pattern: &str) -> Box<str> {
    // Of those with a meaning, these have it elsewhere.
    let is_literal = |letter: char| !is_meta_character(letter) || matches!(letter, '#' | '&' | '-' | '~');
    let mut letters = pattern.chars();
    let next = || match letters.next()? {
        '\\' => letters.next().filter(|&letter| is_meta_character(letter)),
        letter => Some(letter).filter(|&letter| is_literal(letter)),
    };
    std::iter::from_fn(next).collect()
}

/// The expression that matches whatever `expression` matches in some case. To have it compiled without regard to case is not the same:
/// there `[^a-z]` is what remains without letters of either case.
fn in_any_case(expression: &Hir) -> Hir {
    let class = |mut class: ClassBytes| {
        class.case_fold_simple();
        Hir::class(Class::Bytes(class))
    };
    let one = |expression: &Hir| Box::new(in_any_case(expression));
    match expression.kind() {
        HirKind::Literal(Literal(bytes)) => {
            let byte = |&byte: &u8| class(ClassBytes::new([ClassBytesRange::new(byte, byte)]));
            Hir::concat(bytes.iter().map(byte).collect())
        }
        HirKind::Class(Class::Bytes(bytes)) => class(bytes.clone()),
        HirKind::Class(Class::Unicode(characters)) => {
            let has = |letter: &char| characters.iter().any(|range| (range.start()..=range.end()).contains(letter));
            let letters = ('a'..='z').chain('A'..='Z').filter(has).map(|letter| match letter {
                'a'..='z' => letter.to_ascii_uppercase(),
                _ => letter.to_ascii_lowercase(),
            });
            let mut characters = characters.clone();
            letters.for_each(|letter| characters.push(ClassUnicodeRange::new(letter, letter)));
            Hir::class(Class::Unicode(characters))
        }
        HirKind::Repetition(repeated) => {
            // In a group: `(?:a+)?` would be written out as `a+?`, which is something else.
            let sub = Hir::capture(Capture { index: 1, name: None, sub: one(&repeated.sub) });
            Hir::repetition(Repetition { sub: Box::new(sub), ..repeated.clone() })
        }
        HirKind::Capture(captured) => Hir::capture(Capture { sub: one(&captured.sub), ..captured.clone() }),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(in_any_case).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(in_any_case).collect()),
        HirKind::Empty | HirKind::Look(_) => expression.clone(),
    }
}

impl Start {
    fn of(expression: &Hir) -> Self {
        let parts = match expression.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(expression),
        };
        // Assertions match nothing themselves.
        let mut parts = parts.iter().filter(|part| !matches!(part.kind(), HirKind::Look(_)));
        match parts.next().map(Hir::kind) {
            Some(HirKind::Literal(Literal(literal))) => {
                Self { literal: literal.clone(), is_whole: parts.next().is_none() }
            }
            _ => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_may_nest_as_deep_in_any_case_as_it_may_as_written() {
        let nested = |depth: usize| format!("{}{}/x", "(?:a(?:b|".repeat(depth), ")?)?".repeat(depth));
        let deepest = (1..300).take_while(|&depth| Regex::new(&nested(depth)).is_ok()).last().unwrap();
        assert!(deepest > 35, "{deepest}");
        assert!(Regex::ignoring_case(&nested(deepest)).unwrap().matches(b"/X"));
    }

    #[test]
    fn in_any_case_matches_what_some_spelling_of_upper_and_lower_case_matches() {
        let patterns = [
            "[^a]b",
            "[^A]*",
            "a[^bB]",
            "(?i)a[^b]",
            "(?-i)aB",
            "[a-b]+",
            "[^a-c]",
            "a|B{2}",
            "(?u)[^a]b?",
            r"[\x00-\x60]b",
            "(?:a+)?",
            "(?:A{2})?b",
            "(?:a{1,2}){2}",
            "(?:(?:aB)*)+",
            "(?:(?:a?)*)?b",
            "(?U)a+B?",
            r"\w[^\w]",
            "(?:a(?:b|C))?",
            ".b",
            "(?s).B",
            r"[^\xff]a",
            "^aB$",
            r"\bA\b",
        ];
        let letters = ["", "a", "A", "b", "B", "c", "C", "_", "\n"];
        let texts: Vec<String> =
            letters.iter().flat_map(|one| letters.iter().map(move |two| [*one, two].concat())).collect();
        for pattern in patterns {
            let (regex, any_case) = (Regex::new(pattern).unwrap(), Regex::ignoring_case(pattern).unwrap());
            for text in &texts {
                let same = |other: &&String| other.eq_ignore_ascii_case(text);
                let expected = texts.iter().filter(same).any(|other| regex.matches(other.as_bytes()));
                assert_eq!(any_case.matches(text.as_bytes()), expected, "{pattern} {text:?}");
            }
        }
    }
}
