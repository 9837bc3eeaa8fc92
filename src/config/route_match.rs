//! `match`: `route.v3.RouteMatch`, in every form that a filter can evaluate.

use super::cursor::{Cursor, Object};
use super::string_matcher::{read as string_match, safe_regex};
use super::values::Reading;
use super::ConfigError;
use crate::request::{
    is_plain_path, regex_of, HeaderMatch, HeaderTest, Match, ParameterName, PathMatch, QueryMatch, QueryTest, Regex,
    StringMatch, StringTest,
};
use crate::verdict::HeaderName;

const FORMS: &[&str] =
    &["prefix", "path", "path_separated_prefix", "safe_regex", "path_match_policy", "connect_matcher"];

/// Conditions that Envoy's filter takes and does not look at.
const IGNORED: &[&str] = &["runtime_fraction", "grpc", "tls_context", "dynamic_metadata", "filter_state", "cookies"];

/// Reads `match`.
pub(super) fn read(cursor: &Cursor<'_>, reading: Reading) -> Result<Match, ConfigError> {
    let ignored = if reading == Reading::JwtAuthn { IGNORED } else { &[] };
    let object = cursor.object_without(ignored, "match")?;
    let (form, value) = object.exactly_one(FORMS)?;
    let path = match form {
        "path" => PathMatch::Exact(path(value, reading)?),
        "safe_regex" => safe_regex(value, |pattern| whole_path(pattern, reading))?,
        "path_match_policy" => template(value, reading)?,
        "connect_matcher" => {
            value.object("empty")?;
            PathMatch::Connect
        }
        "prefix" if reading == Reading::JwtAuthn => PathMatch::Beginning(path(value, reading)?),
        // Envoy, which takes an empty `prefix` or `path`, refuses this one.
        "path_separated_prefix" => PathMatch::Prefix(value.text().and_then(|_| path(value, reading))?),
        _ => PathMatch::Prefix(path(value, reading)?),
    };
    let headers = list(&object, "headers", header_match)?;
    let query = list(&object, "query_parameters", query_match)?;
    Ok(Match { path, ignore_case: !object.flag("case_sensitive", true)?, headers, query })
}

fn list<T>(
    object: &Object<'_>,
    name: &str,
    read: impl Fn(&Cursor<'_>) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    object.list(name)?.iter().map(read).collect()
}

fn path(cursor: &Cursor<'_>, reading: Reading) -> Result<String, ConfigError> {
    if reading == Reading::JwtAuthn {
        return cursor.any_text().map(str::to_owned);
    }
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

fn whole_path(pattern: &str, reading: Reading) -> Result<PathMatch, regex::Error> {
    let regex = Regex::new(pattern)?;
    let any_case = match reading {
        Reading::Gate => Regex::ignoring_case(pattern)?,
        // Envoy does not look at `case_sensitive` here.
        Reading::JwtAuthn => regex.clone(),
    };
    Ok(PathMatch::SafeRegex { regex, any_case })
}

/// A `TypedExtensionConfig` of `envoy.path.match.uri_template.uri_template_matcher`.
fn template(cursor: &Cursor<'_>, reading: Reading) -> Result<PathMatch, ConfigError> {
    let policy = cursor.object("path_match_policy")?;
    policy.get("name").map(Cursor::text).transpose()?;
    let typed = policy.required("typed_config")?.object("uri_template_matcher")?;
    if let Some(kind) = typed.get("@type") {
        if !kind.text()?.ends_with("/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig") {
            return Err(kind.error("the one matcher of paths is UriTemplateMatchConfig"));
        }
    }
    let template = typed.required("path_template")?;
    let pattern = regex_of(template.text()?).map_err(|problem| template.error(problem.text()))?;
    whole_path(&pattern, reading).map_err(|error| template.error(format!("makes no regular expression: {error}")))
}

fn header_match(cursor: &Cursor<'_>) -> Result<HeaderMatch, ConfigError> {
    let object = cursor.object("header_matcher")?;
    let name_cursor = object.required("name")?;
    let name = name_cursor.text()?;
    let is_pseudo = matches!(name, ":method" | ":authority" | ":scheme" | ":path");
    let name =
        if is_pseudo { Some(name.to_owned()) } else { HeaderName::new(name).map(|name| name.as_str().to_owned()) };
    let mut name = name.ok_or_else(|| name_cursor.error("not the name of a header"))?;
    // Envoy keeps the one under the name of the other.
    if name == "host" {
        name = ":authority".to_owned();
    }
    Ok(HeaderMatch {
        name,
        test: header_test(&object)?,
        invert: object.flag("invert_match", false)?,
        missing_is_empty: object.flag("treat_missing_header_as_empty", false)?,
    })
}

fn header_test(object: &Object<'_>) -> Result<HeaderTest, ConfigError> {
    let form = object.at_most_one(&[
        "string_match",
        "present_match",
        "range_match",
        "exact_match",
        "prefix_match",
        "suffix_match",
        "contains_match",
        "safe_regex_match",
    ])?;
    let value = |test| HeaderTest::Value(StringMatch { test, ignore_case: false });
    Ok(match form {
        Some(("string_match", cursor)) => HeaderTest::Value(string_match(cursor)?),
        Some(("range_match", cursor)) => {
            let range = cursor.object("range_match")?;
            let bound = |name: &str| range.get(name).map_or(Ok(0), Cursor::signed_number);
            HeaderTest::Range(bound("start")?..bound("end")?)
        }
        // Envoy's older spellings of `string_match`.
        Some(("exact_match", cursor)) => value(StringTest::Exact(cursor.any_text()?.to_owned())),
        Some(("prefix_match", cursor)) => value(StringTest::Prefix(cursor.text()?.to_owned())),
        Some(("suffix_match", cursor)) => value(StringTest::Suffix(cursor.text()?.to_owned())),
        Some(("contains_match", cursor)) => value(StringTest::Contains(cursor.text()?.to_owned())),
        Some(("safe_regex_match", cursor)) => value(StringTest::SafeRegex(safe_regex(cursor, Regex::new)?)),
        Some((_, cursor)) => HeaderTest::Present(cursor.flag()?),
        // As in Envoy: a matcher that says nothing asks for the header to be there.
        None => HeaderTest::Present(true),
    })
}

fn query_match(cursor: &Cursor<'_>) -> Result<QueryMatch, ConfigError> {
    let object = cursor.object("query_parameter_matcher")?;
    let test = match object.at_most_one(&["string_match", "present_match"])? {
        Some(("string_match", value)) => QueryTest::Value(string_match(value)?),
        Some((_, value)) => QueryTest::Present(value.flag()?),
        None => QueryTest::Present(true),
    };
    Ok(QueryMatch { name: ParameterName::new(object.required("name")?.text()?), test })
}
