//! `issuers`: exact values of `iss`, and patterns of it that stand for the tenants of one provider.
//!
//! `https://login.example/{tenant}/v2.0` is the issuer of every tenant whose name is one segment of letters, digits, `.`, `_`, `~`
//! and `-`. A pattern says for itself whose tokens it takes: scheme, port and the end of the host are fixed. An issuer fits it in one
//! way at most, which is found in one pass.

/// One of `issuers`.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerPattern {
    variables: Vec<Variable>,
    /// What follows the last of them; the whole of an exact value.
    end: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Variable {
    name: String,
    /// What stands ahead of it, from the end of the piece of the variable before it.
    before: String,
    /// What ends its piece of the issuer: a dot in the host, a slash in the path.
    until: u8,
    /// What follows it in that piece.
    after: String,
}

/// The most variables of one pattern.
const MAX_VARIABLES: usize = 4;

/// The labels at the end of a host that are fixed, at least, where others are not.
const FIXED_LABELS: usize = 2;

const IN_THE_HOST: &str =
    "in the host, a variable is a whole label, ahead of two fixed ones at least: \"https://{tenant}.login.example\"";

impl IssuerPattern {
    /// Reads an exact value, or a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut pattern = Self { variables: Vec::new(), end: String::new() };
        if !has_one_of(text, b"{}") {
            pattern.end.push_str(text);
            return Ok(pattern);
        }
        let scheme = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme));
        let scheme = scheme.ok_or("a pattern begins with \"https://\" or \"http://\"")?;
        let rest = text.get(scheme.len()..).unwrap_or_default();
        if has_one_of(rest, b"?#@%") {
            return Err("a pattern holds no \"?\", \"#\", \"@\" and \"%\"");
        }
        pattern.end.push_str(scheme);
        let (host, mut path) = cut(rest, b'/');
        pattern.read_host(host)?;
        while let Some(rest) = path {
            let (segment, behind) = cut(rest, b'/');
            pattern.end.push('/');
            pattern.read_segment(segment)?;
            path = behind;
        }
        Ok(pattern)
    }

    /// The issuer, if it is an exact value.
    pub fn exact(&self) -> Option<&str> {
        self.variables.is_empty().then_some(self.end.as_str())
    }

    /// Whether the issuer of a token is such a one.
    pub fn fits(&self, issuer: &str) -> bool {
        self.read(issuer, |_, _| ()).is_some()
    }

    /// What the variable of that name stands for in the issuer of a token.
    pub fn value<'i>(&self, name: &str, issuer: &'i str) -> Option<&'i str> {
        let mut found = None;
        self.read(issuer, |variable, value| {
            if variable == name {
                found = Some(value);
            }
        })?;
        found
    }

    /// Sees what each variable stands for; `None` if it is another issuer.
    fn read<'i>(&self, issuer: &'i str, mut see: impl FnMut(&str, &'i str)) -> Option<()> {
        let mut rest = issuer;
        for variable in &self.variables {
            rest = rest.strip_prefix(variable.before.as_str())?;
            let (piece, _) = cut(rest, variable.until);
            let value = piece.strip_suffix(variable.after.as_str()).filter(|value| is_name_of_tenant(value))?;
            see(&variable.name, value);
            rest = rest.get(piece.len()..)?;
        }
        (rest == self.end).then_some(())
    }

    /// The names of its variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| variable.name.as_str())
    }

    fn read_host(&mut self, host: &str) -> Result<(), &'static str> {
        let mut rest = host;
        while let Some(label) = rest.strip_prefix('{') {
            let (name, behind) = cut(label, b'}');
            rest = behind.and_then(|behind| behind.strip_prefix('.')).ok_or(IN_THE_HOST)?;
            self.variable(name, b'.', "")?;
            self.end.push('.');
        }
        self.end.push_str(rest);
        let (mut fixed, mut labels) = (0, Some(rest));
        while let Some(rest) = labels {
            let (label, behind) = cut(rest, b'.');
            if label.is_empty() || label.starts_with(':') || has_one_of(label, b"{}") {
                return Err(IN_THE_HOST);
            }
            (fixed, labels) = (fixed + 1, behind);
        }
        if self.variables.is_empty() || fixed >= FIXED_LABELS {
            Ok(())
        } else {
            Err(IN_THE_HOST)
        }
    }

    fn read_segment(&mut self, segment: &str) -> Result<(), &'static str> {
        const BRACE: &str = "a brace without its other one";
        let (before, inner) = cut(segment, b'{');
        self.end.push_str(before);
        if has_one_of(before, b"}") {
            return Err(BRACE);
        }
        let Some(inner) = inner else { return Ok(()) };
        let (name, after) = cut(inner, b'}');
        let after = after.ok_or(BRACE)?;
        if has_one_of(after, b"{}") {
            return Err("a segment of the path holds one variable at most");
        }
        self.variable(name, b'/', after)
    }

    fn variable(&mut self, name: &str, until: u8, after: &str) -> Result<(), &'static str> {
        let is_name = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            return Err("the name of a variable is a letter, and then letters, digits and \"_\"");
        }
        if self.names().any(|known| known == name) {
            return Err("a variable is there twice");
        }
        if self.variables.len() >= MAX_VARIABLES {
            return Err("has more than 4 variables");
        }
        let before = std::mem::take(&mut self.end);
        self.variables.push(Variable { name: name.to_owned(), before, until, after: after.to_owned() });
        Ok(())
    }
}

/// What stands ahead of the first `at`, an ASCII character, and what behind it.
fn cut(text: &str, at: u8) -> (&str, Option<&str>) {
    let place = text.bytes().position(|b| b == at);
    let parts = place.and_then(|place| Some((text.get(..place)?, text.get(place + 1..)?)));
    parts.map_or((text, None), |(before, behind)| (before, Some(behind)))
}

fn has_one_of(text: &str, bytes: &[u8]) -> bool {
    text.bytes().any(|b| bytes.contains(&b))
}

/// One or more of the characters that are never encoded (RFC 3986 section 2.3), and no dot segment.
fn is_name_of_tenant(value: &str) -> bool {
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    !matches!(value, "" | "." | "..") && value.bytes().all(is_unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &str, issuer: &str) -> Option<Vec<(String, String)>> {
        let pattern = IssuerPattern::parse(pattern).unwrap();
        let mut found = Vec::new();
        let fits = pattern.read(issuer, |name, value| found.push((name.to_owned(), value.to_owned()))).is_some();
        assert_eq!(pattern.fits(issuer), fits);
        for name in pattern.names() {
            let value = found.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            assert_eq!(pattern.value(name, issuer), value.filter(|_| fits));
        }
        fits.then_some(found)
    }

    #[test]
    fn an_issuer_fits_a_pattern_in_one_way() {
        for (pattern, issuer, expected) in [
            ("https://a.example", "https://a.example", Some(&[][..])),
            ("https://a.example", "https://a.example/", None),
            ("anything at all", "anything at all", Some(&[])),
            ("https://a.example/{t}/v2.0", "https://a.example/acme/v2.0", Some(&[("t", "acme")])),
            ("https://a.example/{t}/v2.0", "https://a.example/a.b_c~d-9/v2.0", Some(&[("t", "a.b_c~d-9")])),
            ("https://a.example/{t}/v2.0", "https://a.example/.../v2.0", Some(&[("t", "...")])),
            ("https://a.example/{t}/v2.0", "https://a.example//v2.0", None),
            ("https://a.example/{t}/v2.0", "https://a.example/acme/v2.0/", None),
            ("https://a.example/{t}/v2.0", "https://a.example/acme/x/v2.0", None),
            ("https://a.example/{t}/v2.0", "https://a.example/acme/v2.0/acme/v2.0", None),
            ("https://a.example/{t}/v2.0", "http://a.example/acme/v2.0", None),
            ("https://a.example/{t}/v2.0", "https://a.example/./v2.0", None),
            ("https://a.example/{t}/v2.0", "https://a.example/../v2.0", None),
            ("https://a.example/{t}/v2.0", "https://a.example/a%2fb/v2.0", None),
            ("https://a.example/{t}/v2.0", "https://a.example/a:b/v2.0", None),
            ("https://a.example/{t}/v2.0", "https://a.example/a b/v2.0", None),
            ("https://a.example/{t}/v2.0", "https://a.example/ä/v2.0", None),
            ("https://a.example/{t}", "https://a.example/acme", Some(&[("t", "acme")])),
            ("https://a.example/{t}", "https://a.example/acme/", None),
            ("https://a.example/{t}", "https://a.example/acme?x", None),
            ("https://a.example/{t}", "https://a.example/acme#x", None),
            ("https://a.example/{t}", "https://a.example/", None),
            ("https://a.example/{t}/", "https://a.example/acme/", Some(&[("t", "acme")])),
            ("https://a.example/t-{t}.json", "https://a.example/t-x.json.json", Some(&[("t", "x.json")])),
            ("https://a.example/t-{t}.json", "https://a.example/t-.json", None),
            ("https://a.example/t-{t}.json", "https://a.example/x.json", None),
            ("https://a.example/{a}/x/{b}", "https://a.example/1/x/2", Some(&[("a", "1"), ("b", "2")])),
            ("https://a.example/{a}/{b}", "https://a.example/1/2", Some(&[("a", "1"), ("b", "2")])),
            ("https://{t}.login.example", "https://acme.login.example", Some(&[("t", "acme")])),
            ("https://{t}.login.example", "https://login.example", None),
            ("https://{t}.login.example", "https://a.b.login.example", None),
            ("https://{t}.login.example", "https://.login.example", None),
            ("https://{t}.login.example", "https://evil.example/.login.example", None),
            ("https://{t}.login.example", "https://evil.example#.login.example", None),
            ("https://{t}.login.example", "https://acme.login.example.evil.example", None),
            ("https://{t}.login.example", "https://acme.login.example:8443", None),
            ("https://{t}.login.example:8443/x", "https://acme.login.example:8443/x", Some(&[("t", "acme")])),
            (
                "https://{t}.{region}.login.example/{p}",
                "https://acme.eu.login.example/x",
                Some(&[("t", "acme"), ("region", "eu"), ("p", "x")]),
            ),
            ("http://keycloak:8080/realms/{realm}", "http://keycloak:8080/realms/shop", Some(&[("realm", "shop")])),
        ] {
            let expected = expected.map(|found| {
                let found = found.iter().map(|(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned()));
                found.collect::<Vec<_>>()
            });
            assert_eq!(captured(pattern, issuer), expected, "{pattern}, {issuer}");
        }
    }

    #[test]
    fn a_pattern_that_could_be_anybodys_is_refused() {
        for (pattern, problem) in [
            ("{x}", "begins with"),
            ("ftp://a.example/{x}", "begins with"),
            ("HTTPS://a.example/{x}", "begins with"),
            ("{x}://a.example", "begins with"),
            ("https://{x}", "in the host"),
            ("https://{x}/a", "in the host"),
            ("https://{x}.com", "in the host"),
            ("https://login.{x}", "in the host"),
            ("https://login.{x}.com", "in the host"),
            ("https://login{x}.example.com", "in the host"),
            ("https://{x}login.example.com", "in the host"),
            ("https://{a}{b}.login.example", "in the host"),
            ("https://{a}.login.{b}.example.com", "in the host"),
            ("https://a.example:{port}/x", "in the host"),
            ("https://{x}.example.", "in the host"),
            ("https://{x}..example.com", "in the host"),
            ("https://{x}.example.:80", "in the host"),
            ("https:///{x}", "in the host"),
            ("https://{x", "in the host"),
            ("https://a.example/{x}?y", "holds no"),
            ("https://a.example/?x={x}", "holds no"),
            ("https://user@{x}.login.example", "holds no"),
            ("https://a.example/%2f{x}", "holds no"),
            ("https://a.example/{a}{b}", "one variable"),
            ("https://a.example/{a}-{b}", "one variable"),
            ("https://a.example/{a}/{a}", "twice"),
            ("https://{a}.login.example/{a}", "twice"),
            ("https://a.example/{a}/{b}/{c}/{d}/{e}", "more than 4"),
            ("https://a.example/{}", "the name"),
            ("https://a.example/{1}", "the name"),
            ("https://a.example/{a.b}", "the name"),
            ("https://a.example/{a", "brace"),
            ("https://a.example/a}", "brace"),
            ("https://a.example/a}{b}", "brace"),
        ] {
            let error = IssuerPattern::parse(pattern).unwrap_err();
            assert!(error.contains(problem), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_long_issuer_is_read_once() {
        let pattern = IssuerPattern::parse("https://a.example/x{a}x/x{b}x/x{c}x").unwrap();
        let long = "x".repeat(16 * 1024);
        assert!(pattern.fits(&format!("https://a.example/{long}/{long}/{long}")));
        assert!(!pattern.fits(&format!("https://a.example/{long}")));
    }
}
