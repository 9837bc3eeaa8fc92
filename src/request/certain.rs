//! What a request says for certain: the parts of it that every reader behind the proxy takes for what the gate takes them for.
//!
//! Rules compare these with claims. What a client writes must not be its own name here and another one for the service, so a part
//! that could be read in several ways, or is there twice, has no value.

use percent_encoding::percent_decode;

use super::parameter::are_too_many;
use super::path::{may_have_others, other_spellings, split_path};
use super::{ParameterName, RequestHead};
use crate::limits::MAX_AMBIGUOUS_PATH_BYTES;
use crate::verdict::HeaderName;

/// `:method`, as it is written.
pub fn method(head: &RequestHead) -> Option<&str> {
    text(only(head, ":method")?)
}

/// The path without the query, each segment decoded once.
pub fn path(head: &RequestHead) -> Option<String> {
    in_every_reading(head, &|path| {
        let mut whole = String::new();
        for segment in path.strip_prefix(b"/")?.split(|&b| b == b'/') {
            whole.push('/');
            whole.push_str(&segment_of(segment)?);
        }
        Some(whole)
    })
}

/// The segment of the path of that number, from 0, decoded once: of `/users/42`, `42` is number 1.
pub fn segment(head: &RequestHead, number: usize) -> Option<String> {
    in_every_reading(head, &|path| segment_of(path.strip_prefix(b"/")?.split(|&b| b == b'/').nth(number)?))
        .filter(|segment| !segment.is_empty())
}

/// The host of `:authority`, without the port, in lower case.
pub fn host(head: &RequestHead) -> Option<String> {
    let authority = only(head, ":authority")?;
    if head.values("host").any(|other| other != authority) {
        return None;
    }
    let authority = std::str::from_utf8(authority).ok()?;
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(end);
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.'),
        // One that ends in a dot is the same host for some readers.
        None => !host.ends_with('.') && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    (is_host && !host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// The one value of a header. Some hosts join two values by a comma, and many frameworks read `x_tenant` as `x-tenant`.
pub fn header<'h>(head: &'h RequestHead, name: &HeaderName) -> Option<&'h str> {
    let spelt = head.names().filter(|spelt| name.is_spelt(spelt)).count();
    let value = text(head.value(name.as_str())?)?;
    (spelt == 1 && !value.contains(',') && value.trim_ascii() == value).then_some(value)
}

/// Whether the header is there, in whatever spelling.
pub fn has_header(head: &RequestHead, name: &HeaderName) -> bool {
    head.names().any(|spelt| name.is_spelt(spelt))
}

/// Whether some reader may see the parameter in the query.
pub fn has_parameter(head: &RequestHead, name: &ParameterName) -> bool {
    let target = split_path(head.target());
    target.is_none_or(|(_, query)| name.find(query.unwrap_or_default(), b"&;").next().is_some())
}

/// The one value of a parameter of the query, decoded once.
pub fn query(head: &RequestHead, name: &ParameterName) -> Option<String> {
    let (_, query) = split_path(head.target())?;
    let value = parameter(query?, name, b"&")?;
    // Some readers divide at `;`, too.
    (parameter(query?, name, b"&;")? == value).then_some(value)
}

fn only<'h>(head: &'h RequestHead, name: &str) -> Option<&'h [u8]> {
    let mut values = head.values(name);
    values.next().filter(|_| values.next().is_none())
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| !text.contains(char::is_control))
}

/// What `read` makes of the path, if it makes the same of every other spelling.
fn in_every_reading(head: &RequestHead, read: &dyn Fn(&[u8]) -> Option<String>) -> Option<String> {
    let (path, _) = split_path(head.target())?;
    if path.len() > MAX_AMBIGUOUS_PATH_BYTES && may_have_others(path) {
        return None;
    }
    let value = read(path)?;
    let others = other_spellings(path)?;
    others.iter().all(|other| read(other).as_ref() == Some(&value)).then_some(value)
}

/// A segment, decoded, that means no other place in the tree.
fn segment_of(encoded: &[u8]) -> Option<String> {
    let segment = String::from_utf8(percent_decode(encoded).collect()).ok()?;
    let misleads = |c: char| matches!(c, '/' | '\\') || c.is_control();
    (!matches!(&*segment, "." | "..") && !segment.contains(misleads)).then_some(segment)
}

/// The value of the one parameter that some reader could take for that, if there is no other.
fn parameter(query: &[u8], name: &ParameterName, dividers: &[u8]) -> Option<String> {
    if are_too_many(query) {
        return None;
    }
    let mut named = name.find(query, dividers);
    let (spelt, value) = named.next().filter(|_| named.next().is_none())?;
    let decoded: Vec<u8> = percent_decode(value).collect();
    // In a form `+` is a space; and some readers decode twice.
    let is_certain = !value.contains(&b'+') && percent_decode(&decoded).eq(decoded.iter().copied());
    if !is_certain || !name.is_written(spelt) {
        return None;
    }
    text(&decoded).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_QUERY_PARAMETERS;

    fn get(target: &str) -> RequestHead {
        head(&[(":path", target)])
    }

    fn head(fields: &[(&str, &str)]) -> RequestHead {
        RequestHead::new(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
    }

    #[test]
    fn a_segment_is_what_it_is_in_every_reading_of_the_path() {
        for (path, number, expected) in [
            ("/users/42", 0, Some("users")),
            ("/users/42", 1, Some("42")),
            ("/users/42", 2, None),
            ("/users/42/", 1, Some("42")),
            ("/users/42/", 2, None),
            ("/users/42?x=/43/44", 1, Some("42")),
            ("/users/a%20b", 1, Some("a b")),
            ("/users/a%2Db", 1, Some("a-b")),
            ("/users/100%25", 1, Some("100%")),
            ("/users/%zz", 1, Some("%zz")),
            ("/users/%C3%A4", 1, Some("ä")),
            ("/users/.hidden", 1, Some(".hidden")),
            ("/users/42/x//y", 1, Some("42")),
            ("/users/42/x;y", 1, Some("42")),
            ("/", 0, None),
            ("", 0, None),
            ("*", 0, None),
            ("users/42", 0, None),
            ("//users/42", 0, None),
            ("//users/42", 1, None),
            ("//users/42", 2, None),
            ("/users//42", 1, None),
            ("/users//42", 2, None),
            ("/users;x/42", 0, None),
            ("/users;x/42", 1, Some("42")),
            ("/users/42;y", 1, None),
            ("/users/42%3by", 1, None),
            ("/users/42%3fy", 1, None),
            ("/users/42%23y", 1, None),
            ("/users/42%00", 1, None),
            ("/users/42%0a", 1, None),
            ("/users/42%2f43", 1, None),
            ("/users/42%5c43", 1, None),
            ("/users/42\\43", 1, None),
            ("/users/42/../43", 1, None),
            ("/users/42/%2e%2e/43", 1, None),
            ("/users/42/..;/43", 1, None),
            ("/users/42%2f..%2f43", 1, None),
            ("/users/./42", 1, None),
            ("/users/..", 1, None),
            ("/users/%2e%2e", 1, None),
            ("/x/../users/42", 1, None),
            ("/users/4%2532", 1, None),
            ("/users/%ff", 1, None),
            ("/users/42#", 1, None),
        ] {
            assert_eq!(segment(&get(path), number).as_deref(), expected, "{number} of {path}");
        }
        let long = "x".repeat(MAX_AMBIGUOUS_PATH_BYTES);
        assert_eq!(segment(&get(&format!("/{long}/42")), 1).as_deref(), Some("42"));
        assert_eq!(segment(&get(&format!("/%20{long}/42")), 1), None);
        assert_eq!(segment(&get("/x//y/\\%2f//;a//y/../../;a/x\\%253f%3f"), 0), None);
    }

    #[test]
    fn a_path_is_whole_and_decoded_or_none() {
        for (path_, expected) in [
            ("/", Some("/")),
            ("/a/b", Some("/a/b")),
            ("/a/b/?c", Some("/a/b/")),
            ("/a%20b/%41", Some("/a b/A")),
            ("//a", None),
            ("/a//b", None),
            ("/a/../b", None),
            ("/a%2fb", None),
            ("/a;b", None),
            ("/a%2541", None),
            ("*", None),
            ("", None),
            ("http://a/b", None),
        ] {
            assert_eq!(path(&get(path_)).as_deref(), expected, "{path_}");
        }
        assert_eq!(path(&head(&[])), None);
    }

    #[test]
    fn a_host_is_without_its_port_and_in_lower_case() {
        for (authority, expected) in [
            ("api.example", Some("api.example")),
            ("API.Example:8443", Some("api.example")),
            ("[::1]:80", Some("[::1]")),
            ("[2001:DB8::1]", Some("[2001:db8::1]")),
            ("10.0.0.1:80", Some("10.0.0.1")),
            ("api.example:", Some("api.example")),
            ("api.example.", None),
            ("api.example:80:81", None),
            ("api.example:x", None),
            ("user@api.example", None),
            ("api.example/x", None),
            ("api.example, other", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[x]", None),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(host(&head(&[(":authority", authority)])).as_deref(), expected, "{authority}");
        }
        let twice = [(":authority", "a.example"), (":authority", "b.example")];
        assert_eq!(host(&head(&twice)), None);
        let both = |other: &'static str| head(&[(":authority", "a.example"), ("host", other)]);
        assert_eq!(host(&both("a.example")).as_deref(), Some("a.example"));
        assert_eq!(host(&both("b.example")), None);
        assert_eq!(host(&head(&[])), None);
    }

    #[test]
    fn a_header_has_one_value_in_one_spelling() {
        let name = HeaderName::new("x-tenant").unwrap();
        for (fields, expected) in [
            (&[("x-tenant", "a")][..], Some("a")),
            (&[("X-Tenant", "a b")], Some("a b")),
            (&[("x-tenant", "a"), ("x-tenant", "a")], None),
            (&[("x-tenant", "a"), ("x_tenant", "b")], None),
            (&[("x_tenant", "a")], None),
            (&[("x-tenant", "a, b")], None),
            (&[("x-tenant", "a,b")], None),
            (&[("x-tenant", " a")], None),
            (&[("x-tenant", "a\tb")], None),
            (&[("x-tenant", "")], Some("")),
            (&[("x-tenants", "a")], None),
        ] {
            assert_eq!(header(&head(fields), &name), expected, "{fields:?}");
        }
        let bytes = RequestHead::new(vec![("x-tenant".into(), vec![0xff])]);
        assert_eq!(header(&bytes, &name), None);
    }

    #[test]
    fn a_parameter_is_there_once_for_every_reader() {
        for (query_, expected) in [
            ("user=42", Some("42")),
            ("x=1&user=42&y", Some("42")),
            ("%75ser=%34%32", Some("42")),
            ("user=a%20b", Some("a b")),
            ("user=a%2Bb", Some("a+b")),
            ("user=a=b", Some("a=b")),
            ("x=a;b&user=42", Some("42")),
            ("users=1&user=42", Some("42")),
            ("user=42&user=42", None),
            ("user=42&user=43", None),
            ("user=42&%75ser=43", None),
            ("user=42&%2575ser=43", None),
            ("user=42&User=43", None),
            ("user=42&user[]=43", None),
            ("user=42&user%5Bx%5D=43", None),
            ("user=42&+user=43", None),
            ("user=42&user%00x=43", None),
            ("user=42;user=43", None),
            ("x=1;user=43&user=42", None),
            ("x=1;user=43", None),
            ("USER=42", None),
            ("user[]=42", None),
            ("user=a+b", None),
            ("user=4%2532", None),
            ("user=4%0a2", None),
            ("user=%ff", None),
            ("user=", Some("")),
            ("user", Some("")),
            ("x=user", None),
            ("", None),
        ] {
            let user = ParameterName::new("user");
            assert_eq!(query(&get(&format!("/?{query_}")), &user).as_deref(), expected, "{query_}");
        }
        let of = |target: &str, name: &str| query(&get(target), &ParameterName::new(name));
        assert_eq!(of("/?a_b=1&a.b=2", "a_b"), None);
        assert_eq!(of("/?a.b=2", "a.b").as_deref(), Some("2"));
        let behind = |others: usize| format!("/?{}user=42", "x&".repeat(others));
        assert_eq!(of(&behind(MAX_QUERY_PARAMETERS - 1), "user").as_deref(), Some("42"));
        assert_eq!(of(&behind(MAX_QUERY_PARAMETERS), "user"), None);
        assert_eq!(of("/user=42", "user"), None);
    }

    #[test]
    fn a_method_is_one_text() {
        assert_eq!(method(&head(&[(":method", "GET")])), Some("GET"));
        assert_eq!(method(&head(&[(":method", "get")])), Some("get"));
        assert_eq!(method(&head(&[(":method", "GET\n")])), None);
        assert_eq!(method(&head(&[(":method", "GET"), (":method", "PUT")])), None);
    }
}
