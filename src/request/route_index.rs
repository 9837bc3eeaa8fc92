//! Finds the few rules that can match a path among many, without looking at each: by what each rule wants to stand at the
//! beginning of the path. Of a regular expression that is what every match begins with.

use std::borrow::Cow;
use std::collections::HashMap;
use std::{fmt, iter};

use super::regex::Start;
use super::routes::PathMatch;

/// So many rules are looked at one by one in less time than the index takes. Not regular expressions: each of those takes longer.
const FEW: usize = 8;

/// Where each rule is, by its literal path in lower case; what has none can always match.
#[derive(Clone, Default)]
pub(super) struct RouteIndex {
    by_path: HashMap<Vec<u8>, usize>,
    /// The first is of the rules without a literal.
    literals: Vec<Literal>,
    /// The lengths of the literals that can end anywhere in a path.
    by_character: Vec<usize>,
    /// The length of the longest path among them: what lies behind it in a request, however much, is not looked at.
    longest: usize,
}

/// The rules of one literal, in their order.
#[derive(Clone, Default)]
struct Literal {
    rules: Vec<usize>,
    /// The next shorter one that a path begins with that begins with this.
    shorter: Option<usize>,
}

const EVERYWHERE: usize = 0;

impl RouteIndex {
    /// Takes the paths of the rules in their order.
    pub fn new<'a>(paths: impl ExactSizeIterator<Item = &'a PathMatch>) -> Self {
        let mut index = Self { literals: vec![Literal::default()], ..Self::default() };
        let are_few = paths.len() <= FEW;
        for (rule, path) in paths.enumerate() {
            let literal = match path {
                PathMatch::Exact(_) | PathMatch::Prefix(_) | PathMatch::Beginning(_) if are_few => None,
                PathMatch::Exact(literal) | PathMatch::Prefix(literal) => Some(literal.as_bytes()),
                PathMatch::Beginning(literal) => {
                    if !index.by_character.contains(&literal.len()) {
                        index.by_character.push(literal.len());
                    }
                    Some(literal.as_bytes())
                }
                PathMatch::SafeRegex { regex, .. } => segments(regex.start()),
                PathMatch::Connect => None,
            };
            let place = literal.map_or(EVERYWHERE, |literal| index.place(literal));
            index.literals.get_mut(place).into_iter().for_each(|literal| literal.rules.push(rule));
        }
        let shorter: Vec<_> = index.by_path.iter().map(|(path, &place)| (place, index.ending_before(path))).collect();
        for (place, shorter) in shorter {
            index.literals.get_mut(place).into_iter().for_each(|literal| literal.shorter = Some(shorter));
        }
        index
    }

    fn place(&mut self, literal: &[u8]) -> usize {
        self.longest = self.longest.max(literal.len());
        *self.by_path.entry(literal.to_ascii_lowercase()).or_insert_with(|| {
            self.literals.push(Literal::default());
            self.literals.len() - 1
        })
    }

    /// The rules that can match `path` in any case, in their order: every rule that does match is among them.
    pub fn candidates(&self, path: &[u8]) -> impl Iterator<Item = usize> + use<'_> {
        let mut start = Cow::Borrowed(path.get(..self.longest).unwrap_or(path));
        if start.iter().any(u8::is_ascii_uppercase) {
            start.to_mut().make_ascii_lowercase();
        }
        // All the others that the path begins with are shorter, and the configuration has put them behind this one.
        let is_whole = start.len() == path.len();
        let whole = if is_whole || self.can_end(path, start.len()) { self.by_path.get(&*start) } else { None };
        let longest = whole.copied().unwrap_or_else(|| self.ending_before(&start));
        let mut from = 0;
        iter::from_fn(move || {
            let literals = iter::successors(self.literals.get(longest), |literal| self.literals.get(literal.shorter?));
            let next =
                |literal: &Literal| literal.rules.get(literal.rules.partition_point(|&rule| rule < from)).copied();
            let rule = literals.filter_map(next).min()?;
            from = rule + 1;
            Some(rule)
        })
    }

    /// The longest literal at the beginning of `path`, in lower case, that is not all of it.
    fn ending_before(&self, path: &[u8]) -> usize {
        let ends = (0..path.len()).rev().filter(|&end| self.can_end(path, end));
        let mut literals = ends.filter_map(|end| self.by_path.get(path.get(..end)?));
        literals.next().copied().unwrap_or(EVERYWHERE)
    }

    /// Whether a literal can end there, within `path`: a prefix does before a slash, or with it.
    fn can_end(&self, path: &[u8], at: usize) -> bool {
        path.get(at) == Some(&b'/')
            || at.checked_sub(1).and_then(|before| path.get(before)) == Some(&b'/')
            || self.by_character.contains(&at)
    }
}

/// The whole path, or whole segments at its beginning, a slash behind them; `None` if it begins with no slash.
fn segments(start: &Start) -> Option<&[u8]> {
    let literal = &*start.literal;
    if start.is_whole {
        return Some(literal);
    }
    let end = literal.iter().rposition(|&b| b == b'/').filter(|_| literal.starts_with(b"/"))?;
    literal.get(..end)
}

/// What it holds stands in the rules.
impl fmt::Debug for RouteIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteIndex")
    }
}

#[cfg(test)]
mod tests {
    use super::super::uri_template::regex_of;
    use super::super::Regex;
    use super::super::RequestHead;
    use super::*;

    /// Every string of up to `length` of these bytes after a slash.
    fn paths(bytes: &[u8], length: u32) -> Vec<String> {
        let of_length = |length: u32| {
            (0..bytes.len().pow(length)).map(move |number| {
                let digit = |place: u32| char::from(bytes[number / bytes.len().pow(place) % bytes.len()]);
                format!("/{}", (0..length).map(digit).collect::<String>())
            })
        };
        (0..=length).flat_map(of_length).collect()
    }

    #[test]
    fn every_rule_that_matches_is_a_candidate() {
        let literals: Vec<String> = paths(b"/aB", 4).into_iter().chain([String::new()]).collect();
        let mut rules: Vec<PathMatch> = literals.iter().cloned().map(PathMatch::Prefix).collect();
        rules.extend(literals.iter().cloned().map(PathMatch::Exact));
        rules.extend(
            literals.iter().filter(|literal| matches!(literal.len(), 0 | 3)).cloned().map(PathMatch::Beginning),
        );
        let patterns: Vec<String> = literals
            .iter()
            .filter(|literal| literal.len() < 4)
            .flat_map(|literal| {
                ["", "b?", "(?:/.*)?", "[ab]+", "|/b", "$"].map(|end| [literal, end].concat()).into_iter().chain([
                    ["(?i)", literal].concat(),
                    ["^", literal, "/(a|b)*"].concat(),
                    ["(", literal, ")"].concat(),
                    ["(?:", literal, "){1,2}"].concat(),
                    ["(?i:/A)", literal].concat(),
                ])
            })
            .chain([".*".to_owned()])
            .collect();
        rules.extend(patterns.iter().map(|pattern| PathMatch::SafeRegex {
            regex: Regex::new(pattern).unwrap(),
            any_case: Regex::ignoring_case(pattern).unwrap(),
        }));
        rules.insert(rules.len() / 2, PathMatch::Connect);
        let index = RouteIndex::new(rules.iter());
        for path in paths(b"/Ab", 6).into_iter().chain([String::new()]) {
            let candidates: Vec<usize> = index.candidates(path.as_bytes()).collect();
            let matching: Vec<usize> = (0..rules.len())
                .filter(|&rule| rules[rule].matches(path.as_bytes(), true, &RequestHead::default()))
                .collect();
            assert!(matching.iter().all(|rule| candidates.contains(rule)), "{path}: {matching:?}, {candidates:?}");
            assert!(candidates.is_sorted(), "{path}");
        }
    }
    #[test]
    fn few_others_are_candidates() {
        let regex = |pattern: String| PathMatch::SafeRegex {
            any_case: Regex::ignoring_case(&pattern).unwrap(),
            regex: Regex::new(&pattern).unwrap(),
        };
        type Form = fn(usize) -> String;
        let forms: [Form; 4] = [
            |n| format!("/s{n}/[0-9]+"),
            |n| format!("/api/s{n}/.*"),
            |n| regex_of(&format!("/s{n}/{{id}}")).unwrap(),
            |n| regex_of(&format!("/whole/s{n}")).unwrap(),
        ];
        let rules = forms.iter().flat_map(|form| (0..1000).map(|n| regex(form(n))));
        let literals = (0..1000).map(|n| PathMatch::Prefix(format!("/s{n}")));
        let rules: Vec<PathMatch> = rules.chain(literals).collect();
        let index = RouteIndex::new(rules.iter());
        for (path, candidates) in [
            ("/s7/42", &[7, 2007, 4007][..]),
            ("/S7/42", &[7, 2007, 4007]),
            ("/api/s7/x", &[1007]),
            ("/s7", &[7, 2007, 4007]),
            ("/whole/s7", &[3007]),
            ("/other", &[]),
        ] {
            assert_eq!(index.candidates(path.as_bytes()).collect::<Vec<_>>(), candidates, "{path}");
        }
    }
}
