//! `type.matcher.v3.StringMatcher` and `RegexMatcher`.

use super::cursor::Cursor;
use super::{re2, ConfigError};
use crate::request::{Regex, StringMatch, StringTest};

/// Reads a `StringMatcher`.
pub(super) fn read(cursor: &Cursor<'_>) -> Result<StringMatch, ConfigError> {
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

/// Reads a `RegexMatcher`.
pub(super) fn safe_regex<T>(
    cursor: &Cursor<'_>,
    compile: impl Fn(&str) -> Result<T, regex::Error>,
) -> Result<T, ConfigError> {
    let object = cursor.object("safe_regex")?;
    if let Some(cursor) = object.get("google_re2") {
        cursor.object("google_re2")?.get("max_program_size").map(Cursor::whole_number).transpose()?;
    }
    let pattern = object.required("regex")?;
    if let Some(problem) = re2::differs(pattern.text()?) {
        return Err(pattern.error(problem));
    }
    compile(pattern.text()?).map_err(|error| pattern.error(format!("not a regular expression: {error}")))
}
