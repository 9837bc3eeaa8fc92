//! Which rule a path falls under, whoever reads it.
//!
//! * Whatever a server, a framework or another proxy makes of a path, alone or two of them in a row, with regard to case or
//!   without: it falls under the rule that the gate applied. So a path never falls under a public rule that its normal form does
//!   not fall under; where that cannot be had, the gate refuses the path.
//! * A plain path is not refused: it falls under the first rule that matches it. Where it ends in a slash, it is where an earlier
//!   rule matches it without.
//! * As Envoy reads the rules, a path falls under the first that matches it as it is written, whatever the index over them says.
//!
//! An input has a rule in each line (`prefix`, `path`, `beginning`, `regex`, `template`, each of them in capitals without regard
//! to case), and targets after `>`.

#![no_main]

use jwt_gate::request::{is_plain_path, regex_of, Match, PathMatch, Regex, RequestHead, Routes};
use jwt_gate::verdict::Reason;
use jwt_gate_fuzz::{lines, readings, word, MOST_BYTES};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (mut rules, mut targets) = (Vec::new(), Vec::new());
    for line in lines(input) {
        let (kind, rest) = word(line);
        if kind == b">" {
            targets.push(rest);
        } else if rules.len() < 8 {
            rules.extend(std::str::from_utf8(rest).ok().and_then(|text| rule(kind, text)));
        }
    }
    let routes = Routes::new(rules.clone());
    for target in targets.into_iter().take(4) {
        check(&routes, &rules, target);
    }
});

fn rule(kind: &[u8], text: &str) -> Option<Match> {
    let ignore_case = kind.first()?.is_ascii_uppercase();
    let is_plain = text.starts_with('/') && !text.contains(['?', '#']) && is_plain_path(text);
    // A repetition can make a program of megabytes, which is the operator's to write.
    let regex = |pattern: &str| {
        let short = pattern.len() < 40 && !pattern.contains('{');
        let (regex, any_case) = (Regex::new(pattern).ok()?, Regex::ignoring_case(pattern).ok()?);
        short.then_some(PathMatch::SafeRegex { regex, any_case })
    };
    let path = match kind.to_ascii_lowercase().as_slice() {
        b"prefix" if is_plain => PathMatch::Prefix(text.to_owned()),
        b"path" if is_plain => PathMatch::Exact(text.to_owned()),
        b"beginning" => PathMatch::Beginning(text.to_owned()),
        b"regex" => regex(text)?,
        b"template" => {
            let pattern = regex_of(text).ok()?;
            PathMatch::SafeRegex { regex: Regex::new(&pattern).ok()?, any_case: Regex::ignoring_case(&pattern).ok()? }
        }
        _ => return None,
    };
    Some(Match { path, ignore_case, headers: Vec::new(), query: Vec::new() })
}

fn check(routes: &Routes, rules: &[Match], target: &[u8]) {
    let head = RequestHead::new(vec![(":method".into(), b"GET".into()), (":path".into(), target.to_vec())]);
    let found = routes.find(&head);

    let end = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
    let path = &target[..end];
    assert_eq!(routes.first(&head), first(rules, path, false));

    // What the configuration takes for own semantics.
    if rules.iter().any(|rule| matches!(rule.path, PathMatch::Beginning(_))) {
        return;
    }
    match found {
        Ok(rule) => {
            assert!(!target.contains(&b'#') && std::str::from_utf8(target).is_ok());
            if path.len() <= MOST_BYTES {
                for reading in readings(path) {
                    let read = String::from_utf8_lossy(&reading);
                    assert_eq!(first(rules, &reading, false), rule, "read as {read}");
                    assert_eq!(first(rules, &reading, true), rule, "read as {read} without regard to case");
                    let bare =
                        reading.strip_suffix(b"/").filter(|bare| !bare.is_empty() && !is_meant(rules, rule, &reading));
                    let earlier = bare.and_then(|bare| first(rules, bare, true));
                    assert!(
                        earlier.is_none() || rule.is_some_and(|rule| earlier >= Some(rule)),
                        "{read} without its slash"
                    );
                }
            }
        }
        Err(reason) => {
            assert_eq!(reason, Reason::PathAmbiguous);
            let is_plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'/' || *b == b'-';
            let is_plain =
                target.starts_with(b"/") && target.iter().all(is_plain) && !target.windows(2).any(|pair| pair == b"//");
            let ends_open = path.ends_with(b"/");
            assert!(!is_plain || ends_open || first(rules, path, false) != first(rules, path, true));
        }
    }
}

/// Whether the rule says where it begins with that very slash.
fn is_meant(rules: &[Match], rule: Option<usize>, path: &[u8]) -> bool {
    match rule.map(|rule| &rules[rule].path) {
        Some(PathMatch::Exact(literal) | PathMatch::Prefix(literal)) => literal.as_bytes().eq_ignore_ascii_case(path),
        // Which patterns name it is a matter of their text.
        Some(PathMatch::SafeRegex { .. }) => true,
        _ => false,
    }
}

/// The first rule that matches `path`.
fn first(rules: &[Match], path: &[u8], ignore_case: bool) -> Option<usize> {
    rules.iter().position(|rule| {
        let folded =
            |text: &[u8]| if rule.ignore_case || ignore_case { text.to_ascii_lowercase() } else { text.to_vec() };
        let path_as_compared = folded(path);
        match &rule.path {
            PathMatch::Exact(exact) => path_as_compared == folded(exact.as_bytes()),
            PathMatch::Beginning(beginning) => path_as_compared.starts_with(&folded(beginning.as_bytes())),
            PathMatch::Prefix(prefix) => {
                let prefix = folded(prefix.trim_end_matches('/').as_bytes());
                let has_slash = matches!(&rule.path, PathMatch::Prefix(prefix) if prefix.ends_with('/'));
                match path_as_compared.strip_prefix(prefix.as_slice()) {
                    Some(rest) => rest.starts_with(b"/") || (rest.is_empty() && !has_slash),
                    None => false,
                }
            }
            PathMatch::SafeRegex { regex, any_case } => {
                if rule.ignore_case || ignore_case { any_case } else { regex }.matches(path)
            }
            PathMatch::Connect => false,
        }
    })
}
