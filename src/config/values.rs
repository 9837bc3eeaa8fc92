//! Values that occur in several places: durations, paths, names of claims and headers.

use std::time::Duration;

use super::cursor::{Cursor, Object};
use super::error::suggestion;
use super::ConfigError;
use crate::jose::ClaimPath;
use crate::verdict::HeaderName;

/// Headers that frame the message or address it; a value of ours there would change what the request is.
const RESERVED_HEADERS: &[&str] =
    &["connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Whose reading of the fields holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The gate's own, closed by default.
    Gate,
    /// Envoy's: `semantics: jwt_authn`.
    JwtAuthn,
}

/// A duration within `range`: `"600s"`, `"0.5s"` (protobuf JSON), `"250ms"`, `"10m"`, `"1h"`, or `{seconds, nanos}`.
pub(super) fn duration(
    cursor: &Cursor<'_>,
    range: std::ops::RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    let duration = if cursor.is_object() {
        let object = cursor.object("duration")?;
        let part = |name: &str| object.get(name).map_or(Ok(0), Cursor::whole_number);
        let (seconds, nanos) = (part("seconds")?, part("nanos")?);
        u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000).map(|nanos| Duration::new(seconds, nanos))
    } else {
        parse_duration(cursor.text()?)
    };
    let duration = duration
        .ok_or_else(|| cursor.error("expected a duration like \"600s\", \"0.5s\", \"250ms\", \"10m\" or \"1h\""))?;
    if range.contains(&duration) {
        Ok(duration)
    } else {
        Err(cursor.error(format!("must be from {:?} to {:?}", range.start(), range.end())))
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let nanos_per_unit: u64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let whole_nanos = whole.parse::<u64>().ok()?.checked_mul(nanos_per_unit)?;
    let fraction_nanos = u128::from(fraction.parse::<u64>().ok()?) * u128::from(nanos_per_unit) / u128::from(scale);
    Some(Duration::from_nanos(whole_nanos.checked_add(u64::try_from(fraction_nanos).ok()?)?))
}

/// The name of a header that the gate sets.
pub(super) fn output_header(cursor: &Cursor<'_>) -> Result<HeaderName, ConfigError> {
    let name = header(cursor)?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err(cursor.error("this header frames or addresses the request and cannot be set"));
    }
    Ok(name)
}

/// The name of a header.
pub(super) fn header(cursor: &Cursor<'_>) -> Result<HeaderName, ConfigError> {
    HeaderName::new(cursor.text()?).ok_or_else(|| cursor.error("not the name of a header"))
}

/// A claim by `dotted` or by `path`, one of which must be there; an empty name beside a path is an absence, as in every message.
pub(super) fn claim(object: &Object<'_>, dotted: &'static str, path: &'static str) -> Result<ClaimPath, ConfigError> {
    let (name, cursor) = match (object.get(dotted), object.get(path)) {
        (Some(name), Some(cursor)) if name.any_text() == Ok("") => (path, cursor),
        _ => object.exactly_one(&[dotted, path])?,
    };
    let segment = |element: &Cursor<'_>| {
        // Envoy's messages wrap each name.
        let name = if element.is_object() {
            element.object("path_segment")?.required("key")?.text()?
        } else {
            element.text()?
        };
        Ok(name.to_owned())
    };
    let claim = if name == dotted {
        ClaimPath::dotted(cursor.text()?)
    } else {
        ClaimPath::new(cursor.elements()?.iter().map(segment).collect::<Result<_, _>>()?)
    };
    claim.ok_or_else(|| cursor.error("a name between two dots is empty"))
}

/// The index of `name` among `known`.
pub(super) fn one_of(cursor: &Cursor<'_>, what: &str, known: &[&str]) -> Result<usize, ConfigError> {
    let name = cursor.text()?;
    known
        .iter()
        .position(|known| *known == name)
        .ok_or_else(|| cursor.error(format!("unknown {what}{}", suggestion(name, known.iter().copied()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly_or_not_at_all() {
        for (text, millis) in [
            ("600s", Some(600_000)),
            ("0.5s", Some(500)),
            ("1.001s", Some(1001)),
            ("250ms", Some(250)),
            ("10m", Some(600_000)),
            ("1.5h", Some(5_400_000)),
            ("0s", Some(0)),
            ("600", None),
            ("s", None),
            ("-1s", None),
            ("+1s", None),
            ("1 s", None),
            ("1e3s", None),
            (".5s", None),
            ("5.s", None),
            ("1d", None),
            ("1s ", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text:?}");
        }
    }
}
