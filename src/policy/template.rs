//! Texts with variables: `{path.1}` stands for the second segment of the path, `{claims.sub}` for a claim of the token.
//!
//! A variable has one value or none: see [`certain`] for what a request says. Nobody passes by a variable without a value: the
//! text as a whole is none then. What is read here once costs a request only where it has variables.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::Principal;
use crate::jose::ClaimPath;
use crate::json::{Number, Value};
use crate::request::{certain, ParameterName, RequestHead};
use crate::verdict::{is_field_value, HeaderName};

/// A text in which `{name}` is a variable, and `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(SmolStr),
    Variable(Variable),
}

/// What stands in braces.
#[derive(Clone, Debug, PartialEq)]
pub enum Variable {
    /// `{method}`.
    Method,
    /// `{path}`: without the query, decoded.
    Path,
    /// `{path.N}`: its segment of that number, from 0, decoded.
    Segment(usize),
    /// `{host}`: of the authority, in lower case.
    Host,
    /// `{header.NAME}`.
    Header(HeaderName),
    /// `{query.NAME}`, decoded.
    Query(ParameterName),
    /// `{claims.NAME}`: a string, a whole number or a boolean; a dot leads into an object.
    Claim(ClaimPath),
    /// `{issuer.NAME}`: what a variable of `issuers` stands for in the token's.
    Issuer(String),
}

/// How the variables begin.
const KNOWN: &[&str] = &["method", "path", "host", "header", "query", "claims", "issuer"];

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, found)) = rest.find(['{', '}']).and_then(|at| rest.split_at_checked(at)) {
            literal.push_str(before);
            rest = if let Some(after) = found.strip_prefix("{{") {
                literal.push('{');
                after
            } else if let Some(after) = found.strip_prefix("}}") {
                literal.push('}');
                after
            } else {
                let variable = found.strip_prefix('{').and_then(|inner| inner.split_once('}'));
                let (name, after) =
                    variable.ok_or("a brace without its other one; \"{{\" and \"}}\" stand for themselves")?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal).into()));
                }
                parts.push(Part::Variable(Variable::parse(name).map_err(|problem| located(name, problem))?));
                after
            };
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self(parts))
    }

    /// The whole text, where it has no variable.
    pub fn literal(&self) -> Option<&SmolStr> {
        match self.0.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Its variables.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(variable) => Some(variable),
        })
    }

    /// Whether there are values of its variables with which it can be the value of a header field.
    pub fn can_be_field_value(&self) -> bool {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Variable(_) => "x",
        });
        is_field_value(parts.collect::<String>().as_bytes())
    }

    /// The text for one request of one caller; `None` where a variable has no value, as those of a token where nobody is known.
    pub fn render(&self, head: &RequestHead, caller: Option<&Principal>) -> Option<String> {
        self.text(head, caller).map(Cow::into_owned)
    }

    /// The same, and nothing new for a text without variables.
    pub fn text(&self, head: &RequestHead, caller: Option<&Principal>) -> Option<Cow<'_, str>> {
        if let Some(literal) = self.literal() {
            return Some(Cow::Borrowed(literal));
        }
        const USUAL: usize = 32;
        let room = self.0.iter().map(|part| match part {
            Part::Text(literal) => literal.len(),
            Part::Variable(_) => USUAL,
        });
        let mut text = String::with_capacity(room.sum());
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(variable) => text.push_str(&variable.value(head, caller)?),
            }
        }
        Some(Cow::Owned(text))
    }
}

impl Variable {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (kind, name) = text.split_once('.').unwrap_or((text, ""));
        let has_name = kind.len() < text.len();
        let is_number = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        match kind {
            "method" if !has_name => Ok(Self::Method),
            "path" if !has_name => Ok(Self::Path),
            "host" if !has_name => Ok(Self::Host),
            "path" => {
                let number = if is_number { name.parse().ok() } else { None };
                number.map(Self::Segment).ok_or("a segment of the path is a number from 0")
            }
            "header" | "query" | "claims" | "issuer" if name.is_empty() => Err("needs a name behind a dot"),
            "header" => HeaderName::new(name).map(Self::Header).ok_or("not the name of a header"),
            "query" => Ok(Self::Query(ParameterName::new(name))),
            "issuer" => Ok(Self::Issuer(name.to_owned())),
            "claims" => ClaimPath::dotted(name).map(Self::Claim).ok_or("a name between two dots is empty"),
            _ => Err(UNKNOWN),
        }
    }

    fn value<'a>(&self, head: &'a RequestHead, caller: Option<&'a Principal>) -> Option<Cow<'a, str>> {
        let value = match self {
            Self::Method => Cow::Borrowed(certain::method(head)?),
            Self::Path => Cow::Owned(certain::path(head)?),
            Self::Segment(number) => Cow::Owned(certain::segment(head, *number)?),
            Self::Host => Cow::Owned(certain::host(head)?),
            Self::Header(name) => Cow::Borrowed(certain::header(head, name)?),
            Self::Query(name) => Cow::Owned(certain::query(head, name)?),
            Self::Issuer(name) => Cow::Borrowed(caller?.issuer_variable(name)?),
            Self::Claim(path) => {
                let claim = caller?.verified().claims().at(path)?;
                match claim.as_str() {
                    Some(text) => Cow::Borrowed(text),
                    None => Cow::Owned(text_of(&claim.to_value())?.into_owned()),
                }
            }
        };
        Some(value).filter(|value| !value.is_empty())
    }
}

/// A string, a whole number or a boolean as text.
pub(super) fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Number(number) => whole(number).map(Cow::Owned),
        _ => None,
    }
}

/// A whole number in digits; `4.2e1` is one, too. Beyond 2^53 a double no longer counts in ones.
fn whole(number: &Number) -> Option<String> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    if let Some(large) = number.as_u64() {
        return Some(large.to_string());
    }
    let is_whole = |float: &f64| float.fract() == 0.0 && float.abs() <= LIMIT;
    let whole = number.as_i64().or_else(|| number.as_f64().filter(is_whole).map(|float| float as i64))?;
    Some(whole.to_string())
}

const UNKNOWN: &str = "unknown variable";

#[cold]
fn located(name: &str, problem: &str) -> String {
    let kind = name.split('.').next().unwrap_or_default();
    let is_near = |known: &&&str| problem == UNKNOWN && strsim::damerau_levenshtein(kind, known) <= 2;
    let near = KNOWN.iter().find(is_near).map(|known| format!("; did you mean \"{known}\"?"));
    format!("\"{{{name}}}\": {problem}{}", near.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestHead {
        let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        RequestHead::new(vec![
            field(":method", "GET"),
            field(":authority", "API.example:8443"),
            field(":path", "/users/a%20b?x=%31&y"),
            field("x-tenant", "acme"),
        ])
    }

    #[test]
    fn variables_stand_for_what_the_request_says() {
        for (text, expected) in [
            ("", Some("")),
            ("plain", Some("plain")),
            ("{{path}}", Some("{path}")),
            ("{{{path.0}}}", Some("{users}")),
            ("{method} {host}{path}", Some("GET api.example/users/a b")),
            ("{path.0}/{path.1}", Some("users/a b")),
            ("{path.2}", None),
            ("{header.X-Tenant}:{query.x}", Some("acme:1")),
            ("{header.x-other}", None),
            ("{query.y}", None),
            ("{query.z}", None),
            ("{claims.sub}", None),
            ("{issuer.tenant}", None),
            ("a{claims.sub}b", None),
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.render(&request(), None).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_text_without_variables_is_itself() {
        assert_eq!(Template::parse("a{{b").unwrap().literal().map(SmolStr::as_str), Some("a{b"));
        assert_eq!(Template::parse("").unwrap().literal().map(SmolStr::as_str), Some(""));
        assert_eq!(Template::parse("{path}").unwrap().literal(), None);
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_reason() {
        let brace = "a brace without its other one; \"{{\" and \"}}\" stand for themselves";
        for (text, problem) in [
            ("{", brace),
            ("}", brace),
            ("a}b", brace),
            ("{path", brace),
            ("{{path}", brace),
            ("{}", "\"{}\": unknown variable"),
            ("{pth.1}", "\"{pth.1}\": unknown variable; did you mean \"path\"?"),
            ("{claim.sub}", "\"{claim.sub}\": unknown variable; did you mean \"claims\"?"),
            ("{headers.x}", "\"{headers.x}\": unknown variable; did you mean \"header\"?"),
            ("{Method}", "\"{Method}\": unknown variable; did you mean \"method\"?"),
            ("{method.x}", "\"{method.x}\": unknown variable; did you mean \"method\"?"),
            ("{tenant}", "\"{tenant}\": unknown variable"),
            ("{path.}", "\"{path.}\": a segment of the path is a number from 0"),
            ("{path.+1}", "\"{path.+1}\": a segment of the path is a number from 0"),
            (
                "{path.99999999999999999999}",
                "\"{path.99999999999999999999}\": a segment of the path is a number from 0",
            ),
            ("{header}", "\"{header}\": needs a name behind a dot"),
            ("{query.}", "\"{query.}\": needs a name behind a dot"),
            ("{header.:path}", "\"{header.:path}\": not the name of a header"),
            ("{claims.a..b}", "\"{claims.a..b}\": a name between two dots is empty"),
        ] {
            assert_eq!(Template::parse(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn whole_numbers_and_booleans_have_a_text() {
        for (json, expected) in [
            ("42", Some("42")),
            ("-1", Some("-1")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("4.2e1", Some("42")),
            ("-0.0", Some("0")),
            ("1.5", None),
            ("1e300", None),
            ("true", Some("true")),
            ("\"a\"", Some("a")),
            ("null", None),
            ("[1]", None),
            ("{}", None),
        ] {
            let value = crate::json::parse(json.as_bytes()).unwrap();
            assert_eq!(text_of(&value).as_deref(), expected, "{json}");
        }
    }
}
