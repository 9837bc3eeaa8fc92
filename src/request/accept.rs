//! `Accept` (RFC 9110 section 12.5.1): whether a person's browser asks for a page.

use super::RequestHead;

/// Whether a browser asks for a page: by `GET` or `HEAD`, with an `Accept` that names `text/html`. A program names what it reads, or
/// `*/*`, or nothing.
pub fn asks_for_page(head: &RequestHead) -> bool {
    matches!(head.value(":method"), Some(b"GET" | b"HEAD"))
        && !head.is_grpc()
        && head.values("accept").any(|value| split(value, b',').any(is_html))
}

/// Whether it is the range `text/html`, and one that is wanted.
fn is_html(element: &[u8]) -> bool {
    let mut parts = split(element, b';').map(<[u8]>::trim_ascii);
    parts.next().is_some_and(|range| range.eq_ignore_ascii_case(b"text/html")) && parts.all(is_wanted)
}

/// Whether a parameter leaves its range wanted: it is no weight, or one above zero (RFC 9110 section 12.4.2).
fn is_wanted(parameter: &[u8]) -> bool {
    let [b'q' | b'Q', b'=', weight @ ..] = parameter else {
        return true;
    };
    match weight {
        [b'1'] => true,
        [b'1', b'.', zeros @ ..] => zeros.len() <= 3 && zeros.iter().all(|&digit| digit == b'0'),
        [b'0', b'.', digits @ ..] => {
            digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) && digits.iter().any(|&digit| digit != b'0')
        }
        _ => false,
    }
}

/// The parts between dividers; one within a quoted string (RFC 9110 section 5.6.4) divides nothing.
fn split(value: &[u8], divider: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    value.split(move |&byte| {
        let divides = byte == divider && !is_quoted;
        if is_escaped {
            is_escaped = false;
        } else if byte == b'"' {
            is_quoted = !is_quoted;
        } else {
            is_escaped = is_quoted && byte == b'\\';
        }
        divides
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(method: &str, fields: &[(&str, &str)]) -> bool {
        let fields = [&[(":method", method)], fields].concat();
        let field = |(name, value): (&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
        asks_for_page(&RequestHead::new(fields.into_iter().map(field).collect()))
    }

    #[test]
    fn a_browser_names_html_with_a_weight_above_zero() {
        for (accept, expected) in [
            ("text/html", true),
            ("TEXT/Html", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json , text/html", true),
            ("text/html;level=1", true),
            ("text/html ; charset=\"a;q=0\" ; q=0.001", true),
            ("text/html;q=1", true),
            ("text/html;q=1.", true),
            ("text/html;q=1.000", true),
            ("text/html;Q=0.5", true),
            ("text/plain;x=\"\\\",\", text/html", true),
            ("text/html;q=0, text/html;level=2", true),
            (",, text/html ,", true),
            ("text/html;q=0", false),
            ("text/html;q=0.", false),
            ("text/html; q=0.000", false),
            ("text/html;q=0.0001", false),
            ("text/html;q=1.001", false),
            ("text/html;q=2", false),
            ("text/html;q=", false),
            ("text/html;q=x", false),
            ("text/html;q=-1", false),
            ("text/html;q=1;q=0", false),
            ("*/*", false),
            ("text/*", false),
            ("text/htmlx", false),
            ("xtext/html", false),
            ("application/json", false),
            ("text/plain;x=\"text/html\"", false),
            ("text/plain;x=\",text/html,\"", false),
            ("\"text/html\"", false),
            ("", false),
        ] {
            assert_eq!(asks("GET", &[("accept", accept)]), expected, "{accept}");
        }
    }

    #[test]
    fn every_accept_counts_and_only_of_requests_for_a_page() {
        let html = ("accept", "text/html");
        assert!(asks("HEAD", &[html]));
        assert!(asks("GET", &[("accept", "application/json"), html]));
        for method in ["POST", "PUT", "OPTIONS", "get", ""] {
            assert!(!asks(method, &[html]), "{method:?}");
        }
        assert!(!asks("GET", &[]));
        assert!(!asks("GET", &[html, ("content-type", "application/grpc")]));
    }
}
