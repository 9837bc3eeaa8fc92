//! Finds the few rules that can match a path among many, without looking at each: by what each rule wants to stand at the
//! beginning of the path.

use std::borrow::Cow;
use std::collections::HashMap;
use std::{fmt, iter};

use super::routes::PathMatch;

/// Where each rule is, by its literal path in lower case; what has no literal path stands aside and can always match.
#[derive(Clone, Default)]
pub(super) struct RouteIndex {
    by_path: HashMap<Vec<u8>, Vec<usize>>,
    everywhere: Vec<usize>,
    /// The lengths of the literals that can end anywhere in a path.
    by_character: Vec<usize>,
    /// The length of the longest path among them: what lies behind it in a request, however much, is not looked at.
    longest: usize,
}

impl RouteIndex {
    /// Takes the paths of the rules in their order.
    pub fn new<'a>(paths: impl Iterator<Item = &'a PathMatch>) -> Self {
        let mut index = Self::default();
        for (rule, path) in paths.enumerate() {
            match path {
                PathMatch::Exact(literal) | PathMatch::Prefix(literal) | PathMatch::Beginning(literal) => {
                    if matches!(path, PathMatch::Beginning(_)) && !index.by_character.contains(&literal.len()) {
                        index.by_character.push(literal.len());
                    }
                    index.longest = index.longest.max(literal.len());
                    index.by_path.entry(literal.to_ascii_lowercase().into_bytes()).or_default().push(rule);
                }
                PathMatch::SafeRegex { .. } | PathMatch::Connect => index.everywhere.push(rule),
            }
        }
        index
    }

    /// The rules that can match `path` in any case, in their order: every rule that does match is among them.
    pub fn candidates(&self, path: &[u8]) -> impl Iterator<Item = usize> + use<'_> {
        let mut start = Cow::Borrowed(path.get(..self.longest).unwrap_or(path));
        if start.iter().any(u8::is_ascii_uppercase) {
            start.to_mut().make_ascii_lowercase();
        }
        let mut found: Vec<usize> = Vec::new();
        // A prefix ends before a slash, or with it, or is the whole path.
        let ends = |at: usize| {
            at == path.len()
                || path.get(at) == Some(&b'/')
                || at.checked_sub(1).and_then(|before| path.get(before)) == Some(&b'/')
                || self.by_character.contains(&at)
        };
        for end in (0..=start.len()).filter(|&end| ends(end)) {
            found.extend(start.get(..end).and_then(|literal| self.by_path.get(literal)).into_iter().flatten());
        }
        found.sort_unstable();
        merged(found.into_iter(), self.everywhere.iter().copied())
    }
}

/// Both, which are sorted, as one.
fn merged(one: impl Iterator<Item = usize>, other: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if first > second => other.next(),
        (None, _) => other.next(),
        _ => one.next(),
    })
}

/// What it holds stands in the rules.
impl fmt::Debug for RouteIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteIndex")
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::Regex;
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
    fn every_rule_that_matches_is_a_candidate_and_candidates_are_few() {
        let literals: Vec<String> = paths(b"/aB", 4).into_iter().chain([String::new()]).collect();
        let mut rules: Vec<PathMatch> = literals.iter().cloned().map(PathMatch::Prefix).collect();
        rules.extend(literals.iter().cloned().map(PathMatch::Exact));
        rules.extend(
            literals.iter().filter(|literal| matches!(literal.len(), 0 | 3)).cloned().map(PathMatch::Beginning),
        );
        let any = || Regex::new(".*").unwrap();
        rules.push(PathMatch::SafeRegex { regex: any(), any_case: any() });
        rules.insert(rules.len() / 2, PathMatch::Connect);
        let index = RouteIndex::new(rules.iter());
        for path in paths(b"/Ab", 6).into_iter().chain([String::new()]) {
            let candidates: Vec<usize> = index.candidates(path.as_bytes()).collect();
            let matching: Vec<usize> = (0..rules.len())
                .filter(|&rule| rules[rule].matches(path.as_bytes(), true, &RequestHead::default()))
                .collect();
            assert!(matching.iter().all(|rule| candidates.contains(rule)), "{path}: {matching:?}, {candidates:?}");
            assert!(candidates.is_sorted(), "{path}");
            assert!(candidates.len() <= matching.len() * 2 + 5, "{path}: {} for {}", candidates.len(), matching.len());
        }
    }
}
