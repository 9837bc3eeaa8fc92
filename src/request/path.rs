//! The path of a request, and the other ways in which something behind the proxy may read it.
//!
//! A rule sees the path that the upstream will get. What the upstream makes of it is its own business: one resolves dot
//! segments, one decodes `%2f`, one cuts `;parameters` off, one takes `//host` for a host, one compares without regard to case.
//! So a path that could be spelt otherwise is matched in every spelling, and where two spellings fall under different rules the
//! request is refused: the gate does not guess.

use crate::limits::MAX_PATH_READINGS;

/// Splits `:path` at the first `?`. `None` for a target that no rule can judge: it holds `#` or a zero, or is no UTF-8.
pub fn split_path(target: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if target.iter().any(|b| matches!(b, b'#' | b'\0')) || std::str::from_utf8(target).is_err() {
        return None;
    }
    let mut parts = target.splitn(2, |&b| b == b'?');
    Some((parts.next()?, parts.next()))
}

/// Splits `:path` as Envoy does: at the first `?`, and without the fragment that some clients send. The path ends at the first of
/// either.
pub fn without_query(target: &[u8]) -> (&[u8], &[u8]) {
    let end = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
    let query = target.iter().position(|&b| b == b'?').and_then(|at| target.get(at + 1..));
    (target.get(..end).unwrap_or_default(), query.unwrap_or_default())
}

/// Whether `path` has one spelling only.
pub fn is_plain_path(path: &str) -> bool {
    other_spellings(path.as_bytes()).is_some_and(|others| others.is_empty())
}

/// Whether `path` holds anything that can be read in more than one way: at no great cost, however long it is.
pub fn may_have_others(path: &[u8]) -> bool {
    let suspicious = |pair: &[u8]| matches!(pair, [b'%' | b'\\' | b';', _] | [b'/', b'/' | b'.' | b'\\']);
    path.windows(2).any(suspicious) || matches!(path.last(), Some(b'%' | b'\\' | b';'))
}

/// The other spellings of `path`, each once, none for a plain one; `None` if there are more than can be tried.
///
/// Servers, frameworks and other proxies each take some of these steps, in any order, and after one reader comes another. Some
/// resolve dot segments before they decode, and then `a%2fb/..` is gone as a whole; some decode dots alone (the URL standard), or
/// all but what divides segments, or that alone. So each step is tried on whatever another one yields.
pub fn other_spellings(path: &[u8]) -> Option<Vec<Vec<u8>>> {
    if !may_have_others(path) {
        return Some(Vec::new());
    }
    type Step = fn(&[u8]) -> Vec<u8>;
    const STEPS: [Step; 10] = [
        |path| decoded(path, |_| true),
        |path| decoded(path, |byte| byte == b'.'),
        |path| decoded(path, |byte| !matches!(byte, b'/' | b'\\')),
        |path| decoded(path, |byte| matches!(byte, b'/' | b'\\')),
        without_rest,
        slashed,
        without_authority,
        without_parameters,
        without_empty_segments,
        without_dot_segments,
    ];
    let mut readings = vec![path.to_vec()];
    let mut next = 0;
    while let Some(reading) = readings.get(next).cloned() {
        for other in STEPS.iter().map(|step| step(&reading)) {
            if !readings.contains(&other) {
                readings.push(other);
            }
        }
        if readings.len() > MAX_PATH_READINGS {
            return None;
        }
        next += 1;
    }
    Some(readings.split_off(1))
}

/// The path with those of its encoded bytes decoded that are `wanted`.
fn decoded(path: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        let byte = if *first == b'%' { after.get(..2).and_then(byte_of) } else { None };
        match byte.filter(|&byte| wanted(byte)) {
            Some(byte) => {
                decoded.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

/// The byte that two hexadecimal digits stand for.
fn byte_of(digits: &[u8]) -> Option<u8> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    digits.iter().try_fold(0, |number, next| Some(number << 4 | digit(next)?)).and_then(|byte| u8::try_from(byte).ok())
}

/// What one sees who looks for a query or a fragment once it is decoded, or for the end of a string.
fn without_rest(path: &[u8]) -> Vec<u8> {
    path.iter().copied().take_while(|b| !matches!(b, b'?' | b'#' | b'\0')).collect()
}

/// The path of `//authority/path` (RFC 3986 section 4.2): parsers of URLs see a host behind two slashes, and behind more of them.
fn without_authority(path: &[u8]) -> Vec<u8> {
    if !path.starts_with(b"//") {
        return path.to_vec();
    }
    let authority = path.iter().position(|&b| b != b'/').and_then(|at| path.get(at..)).unwrap_or_default();
    let rest = authority.iter().position(|&b| b == b'/').and_then(|at| authority.get(at..));
    rest.unwrap_or(b"/").to_vec()
}

fn slashed(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&b| if b == b'\\' { b'/' } else { b }).collect()
}

/// Each segment without what follows its first `;` (path parameters, RFC 3986 section 3.3).
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let mut bare = Vec::with_capacity(path.len());
    let mut in_parameter = false;
    for &b in path {
        match b {
            b'/' => in_parameter = false,
            b';' => in_parameter = true,
            _ => {}
        }
        if !in_parameter {
            bare.push(b);
        }
    }
    bare
}

/// Each run of slashes as one.
fn without_empty_segments(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|b, before| (*b, *before) == (b'/', b'/'));
    merged
}

/// Dot segments resolved as RFC 3986 section 5.2.4 says; an empty segment is one like any other.
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let Some(rest) = path.strip_prefix(b"/") else {
        return path.to_vec();
    };
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_open = false;
    for segment in rest.split(|&b| b == b'/') {
        ends_open = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let mut resolved = Vec::with_capacity(path.len());
    for segment in &kept {
        resolved.push(b'/');
        resolved.extend_from_slice(segment);
    }
    if ends_open || kept.is_empty() {
        resolved.push(b'/');
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(path: &str) -> Vec<String> {
        other_spellings(path.as_bytes()).unwrap().iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()
    }

    #[test]
    fn a_plain_path_has_no_other_spelling() {
        for path in ["/", "/a", "/a/b-c_d~e.f", "/a/b/", "/orders/1.2.3", "*", ""] {
            assert_eq!(spellings(path), [""; 0], "{path}");
        }
    }

    #[test]
    fn every_trick_is_read_as_what_it_may_become() {
        for (path, becomes) in [
            ("/open/../closed", "/closed"),
            ("/open/./../closed", "/closed"),
            ("/open//../../closed", "/closed"),
            ("/open/%2e%2e/closed", "/closed"),
            ("/open/%252e%252e/closed", "/closed"),
            ("/open%2f..%2fclosed", "/closed"),
            ("/open/..%5cclosed", "/closed"),
            ("/open\\..\\closed", "/closed"),
            ("/open/..;/closed", "/closed"),
            ("/open/..;x=y/closed", "/closed"),
            ("/closed;x=y", "/closed"),
            ("//closed", "/closed"),
            ("/./closed", "/closed"),
            ("/%63losed", "/closed"),
            ("/closed/.", "/closed/"),
            ("/closed/x/..", "/closed/"),
            ("/../../closed", "/closed"),
            ("/\\closed", "/closed"),
            ("/open/a%2fb/../%2e%2e/closed", "/closed"),
            ("/closed/x%2f%2e%2e/../y", "/closed/x/y"),
            ("//x/closed", "/closed"),
            ("///x/closed", "/closed"),
            ("/\\x/closed", "/closed"),
            ("//x/y/../closed", "/closed"),
            ("/x/..//y/closed", "/closed"),
            ("//x", "/"),
            ("/closed%3fx", "/closed"),
            ("/closed%2523x", "/closed"),
            ("/closed%00x", "/closed"),
        ] {
            assert!(spellings(path).contains(&becomes.to_owned()), "{path}: {:?}", spellings(path));
        }
    }

    #[test]
    fn a_path_with_more_readings_than_are_tried_has_none_that_counts() {
        assert_eq!(other_spellings(b"/x//y/\\%2f//;a//y/../../;a/x\\%253f%3f"), None);
        let tricks = "/x/..%2f..;/y";
        assert!(spellings(tricks).len() > 5, "{:?}", spellings(tricks));
    }

    #[test]
    fn a_target_that_no_rule_can_judge_is_none() {
        assert_eq!(split_path(b"/a#b"), None);
        assert_eq!(split_path(b"/a\0b"), None);
        assert_eq!(split_path(b"/a\xff"), None);
        assert_eq!(split_path(b"/a?b?c"), Some((&b"/a"[..], Some(&b"b?c"[..]))));
    }
}
