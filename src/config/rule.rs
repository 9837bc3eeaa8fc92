//! `rules`.

use super::cursor::{Cursor, Object};
use super::{authorize, requirement, ConfigError};
use crate::policy::{Authorize, Provider, Rule};
use crate::request::{
    is_plain_path, HeaderMatch, HeaderTest, Match, PathMatch, Regex, Routes, StringMatch, StringTest,
};
use crate::verdict::HeaderName;

/// Reads all rules.
pub(super) fn all(root: &Object<'_>, providers: &[Provider]) -> Result<(Routes, Vec<Rule>), ConfigError> {
    let (mut matches, mut rules) = (Vec::new(), Vec::new());
    if let Some(cursor) = root.get("rules") {
        for element in cursor.elements()? {
            let object = element.object("rule")?;
            matches.push(request_match(object.required("match")?)?);
            rules.push(rule(&object, providers)?);
        }
    }
    Ok((Routes::new(matches), rules))
}

fn rule(object: &Object<'_>, providers: &[Provider]) -> Result<Rule, ConfigError> {
    let public = object.flag("public", false)?;
    match (public, object.get("requires"), object.get("authorize")) {
        (true, Some(cursor), _) => Err(cursor.error("cannot stand beside \"public: true\"")),
        (true, None, Some(cursor)) => {
            Err(cursor.error("cannot stand beside \"public: true\": nobody is authenticated there"))
        }
        (true, None, None) => Ok(Rule::Public),
        (false, None, _) => Err(object.error("needs \"requires\", or \"public: true\" to let everyone in")),
        (false, Some(requires), authorize) => {
            let requirement = requirement::read(requires, providers)?;
            let authorize = authorize.map_or(Ok(Authorize::default()), authorize::read)?;
            Ok(Rule::Protected(requirement, authorize))
        }
    }
}

fn request_match(cursor: &Cursor<'_>) -> Result<Match, ConfigError> {
    let object = cursor.object("match")?;
    let (form, value) = object.exactly_one(&["prefix", "path", "path_separated_prefix", "safe_regex"])?;
    let path = match form {
        "path" => PathMatch::Exact(path(value)?),
        "safe_regex" => safe_regex(value, |pattern| {
            Ok(PathMatch::SafeRegex { regex: Regex::new(pattern)?, any_case: Regex::ignoring_case(pattern)? })
        })?,
        _ => PathMatch::Prefix(path(value)?),
    };
    let headers = match object.get("headers") {
        None => Vec::new(),
        Some(cursor) => cursor.elements()?.iter().map(header_match).collect::<Result<_, _>>()?,
    };
    Ok(Match { path, headers })
}

fn path(cursor: &Cursor<'_>) -> Result<String, ConfigError> {
    let path = cursor.text()?;
    if !path.starts_with('/') {
        return Err(cursor.error("must begin with \"/\""));
    }
    if path.contains(['?', '#']) {
        return Err(cursor.error("a rule matches the path alone, without query and fragment"));
    }
    if !is_plain_path(path) {
        return Err(cursor.error("can be spelt in more than one way (\"//\", \"/.\", \"%\", \";\" or a backslash): every request for it would be refused"));
    }
    Ok(path.to_owned())
}

fn safe_regex<T>(cursor: &Cursor<'_>, compile: impl Fn(&str) -> Result<T, regex::Error>) -> Result<T, ConfigError> {
    let object = cursor.object("safe_regex")?;
    let pattern = object.required("regex")?;
    compile(pattern.text()?).map_err(|error| pattern.error(format!("not a regular expression: {error}")))
}

fn header_match(cursor: &Cursor<'_>) -> Result<HeaderMatch, ConfigError> {
    let object = cursor.object("header_matcher")?;
    let name_cursor = object.required("name")?;
    let name = name_cursor.text()?;
    let is_pseudo = matches!(name, ":method" | ":authority" | ":scheme" | ":path");
    let name =
        if is_pseudo { Some(name.to_owned()) } else { HeaderName::new(name).map(|name| name.as_str().to_owned()) };
    let name = name.ok_or_else(|| name_cursor.error("not the name of a header"))?;
    let test = match object.at_most_one(&["string_match", "present_match"])? {
        Some(("string_match", value)) => HeaderTest::Value(string_match(value)?),
        Some((_, value)) => HeaderTest::Present(value.flag()?),
        // As in Envoy: a matcher that says nothing asks for the header to be there.
        None => HeaderTest::Present(true),
    };
    Ok(HeaderMatch { name, test, invert: object.flag("invert_match", false)? })
}

fn string_match(cursor: &Cursor<'_>) -> Result<StringMatch, ConfigError> {
    let object = cursor.object("string_matcher")?;
    let (form, value) = object.exactly_one(&["exact", "prefix", "suffix", "contains", "safe_regex"])?;
    let test = match form {
        "exact" => StringTest::Exact(value.any_text()?.to_owned()),
        "prefix" => StringTest::Prefix(value.text()?.to_owned()),
        "suffix" => StringTest::Suffix(value.text()?.to_owned()),
        "contains" => StringTest::Contains(value.text()?.to_owned()),
        _ => StringTest::SafeRegex(safe_regex(value, Regex::new)?),
    };
    Ok(StringMatch { test, ignore_case: object.flag("ignore_case", false)? })
}
