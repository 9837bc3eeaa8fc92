//! `responses`: how refusals are said, those of one rule or all of them.

use std::rc::Rc;

use super::cursor::{Cursor, Object};
use super::error::suggestion;
use super::values::header;
use super::ConfigError;
use crate::json;
use crate::policy::{Provider, Responses};
use crate::request::WayBack;
use crate::verdict::{is_field_value, Body, HeaderName, Part, Reason, Redirect, Response, Room, Text};

/// Headers that frame the answer, that the host makes of it, or that have a field of their own.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "grpc-message",
    "keep-alive",
    "location",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a text is filled with.
const PLACES: &[(&str, Part)] =
    &[("code", Part::Code), ("status", Part::Status), ("detail", Part::Detail), ("path", Part::Path)];

/// Reads the lists of the configuration and of its rules.
pub(super) fn read(root: &Object<'_>, providers: &[Provider], room: &Room) -> Result<Responses, ConfigError> {
    let mut of_rules = Vec::new();
    for element in root.list("rules")? {
        let rule = element.object("rule")?;
        of_rules.push(match rule.get("responses") {
            Some(cursor) if rule.flag("public", false)? => {
                return Err(cursor.error("cannot stand beside \"public: true\": nobody is refused there"));
            }
            Some(cursor) => list(cursor, room)?,
            None => Vec::new(),
        });
    }
    if of_rules.iter().all(Vec::is_empty) {
        of_rules = Vec::new();
    }
    let of_all = root.get("responses").map_or(Ok(Vec::new()), |cursor| list(cursor, room))?;
    let way_back = WayBack::without(providers.iter().flat_map(|provider| &provider.locations));
    Ok(Responses { of_rules, of_all, way_back })
}

/// The refusal of that code, which stands at the cursor.
pub(super) fn reason(code: &str, cursor: &Cursor<'_>) -> Result<Reason, ConfigError> {
    let codes = || Reason::ALL.iter().map(|reason| reason.code());
    let reason = Reason::ALL.iter().find(|reason| reason.code() == code);
    reason.copied().ok_or_else(|| cursor.error(format!("no code of a refusal{}", suggestion(code, codes()))))
}

/// The status of a refusal, which must look like one.
pub(super) fn status(cursor: &Cursor<'_>) -> Result<u16, ConfigError> {
    let status = u16::try_from(cursor.whole_number()?).ok().filter(|status| (400..600).contains(status));
    status.ok_or_else(|| cursor.error("must be from 400 to 599"))
}

fn list(cursor: &Cursor<'_>, room: &Room) -> Result<Vec<Rc<Response>>, ConfigError> {
    let mut responses: Vec<Rc<Response>> = Vec::new();
    for element in cursor.elements()? {
        let response = one(&element, room)?;
        let codes = if response.codes.is_empty() { Reason::ALL } else { response.codes.as_slice() };
        if codes.iter().all(|code| responses.iter().any(|earlier| earlier.is_for(*code))) {
            return Err(element.error("is never used: the entries before it are for all of its codes"));
        }
        responses.push(Rc::new(response));
    }
    Ok(responses)
}

fn one(element: &Cursor<'_>, room: &Room) -> Result<Response, ConfigError> {
    let object = element.object("response")?;
    if ["status", "body", "headers", "redirect"].iter().all(|name| object.get(name).is_none()) {
        return Err(element.error("needs one of status, body, headers, redirect"));
    }
    let mut response = Response::default();
    if let Some(cursor) = object.get("codes") {
        for code in cursor.elements()? {
            response.codes.push(reason(code.text()?, &code)?);
        }
    }
    if let Some(cursor) = object.get("status") {
        response.status = Some(status(cursor)?);
    }
    response.body = body(&object, room)?;
    for item in object.list("headers")? {
        response.headers.push(response_header(&item.object("response_header")?, room)?);
    }
    if let Some(cursor) = object.get("redirect") {
        response.redirect = Some(redirect(cursor, room)?);
    }
    Ok(response)
}

fn body(object: &Object<'_>, room: &Room) -> Result<Option<Body>, ConfigError> {
    let kind = object.get("content_type");
    let Some(cursor) = object.get("body") else {
        return kind.map_or(Ok(None), |kind| Err(kind.error("needs \"body\"")));
    };
    let text = text(cursor, room)?;
    let content_type = kind.map_or(Ok("text/plain; charset=utf-8"), field_value)?;
    if is_json(content_type) {
        let example = text.example();
        json::parse(example.as_bytes()).map_err(|_| cursor.error("is not the JSON that \"content_type\" says"))?;
    }
    Ok(Some(Body { content_type: content_type.into(), text }))
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.as_bytes().split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    let end = kind.get(kind.len().saturating_sub(5)..).unwrap_or_default();
    matches!(end, [b'/' | b'+', name @ ..] if name.eq_ignore_ascii_case(b"json"))
}

fn response_header(object: &Object<'_>, room: &Room) -> Result<(HeaderName, Text), ConfigError> {
    let (name, value) = (object.required("name")?, object.required("value")?);
    let known = header(name)?;
    if RESERVED_HEADERS.contains(&known.as_str()) {
        return Err(name.error("this header frames the answer or has a field of its own, and cannot be set"));
    }
    let given = field_value(value)?;
    let is_number = given.starts_with(|first| ('1'..='9').contains(&first));
    let is_failure = || is_number && given.parse().is_ok_and(|status: u8| status <= 16);
    if known.as_str() == "grpc-status" && !is_failure() {
        return Err(value.error("must be from 1 to 16"));
    }
    Ok((known, text(value, room)?))
}

fn redirect(cursor: &Cursor<'_>, room: &Room) -> Result<Redirect, ConfigError> {
    let object = cursor.object("redirect")?;
    let status = match object.get("status").map(|cursor| Ok((cursor, cursor.whole_number()?))).transpose()? {
        None | Some((_, 302)) => 302,
        Some((_, 303)) => 303,
        Some((_, 307)) => 307,
        Some((cursor, _)) => return Err(cursor.error("must be 302, 303 or 307")),
    };
    let cursor = object.required("location")?;
    let location = template(cursor, &["code", "path"], room)?;
    let address = cursor.text()?;
    let elsewhere = address.strip_prefix("https://").or(address.strip_prefix("http://"));
    let is_here = address.starts_with('/') && !address.starts_with("//");
    let is_address = is_here || elsewhere.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#']));
    if !is_address || !address.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(cursor.error("expected \"https://host/path\" or \"/path\""));
    }
    let mut in_query = false;
    for part in location.parts() {
        match part {
            Part::Literal(text) => in_query |= text.bytes().any(|b| b == b'?'),
            Part::Path if !in_query => {
                let problem = "{path} belongs behind a \"?\": elsewhere it would say where the redirect leads";
                return Err(cursor.error(problem));
            }
            _ => {}
        }
    }
    Ok(Redirect { status, location })
}

/// The value of a header, as it is written.
fn field_value<'a>(cursor: &Cursor<'a>) -> Result<&'a str, ConfigError> {
    let value = cursor.text()?;
    if is_field_value(value.as_bytes()) {
        Ok(value)
    } else {
        Err(cursor.error("holds characters that no header may hold"))
    }
}

fn text(cursor: &Cursor<'_>, room: &Room) -> Result<Text, ConfigError> {
    template(cursor, &["code", "status", "detail"], room)
}

/// A text with places of these names in braces. A brace that is meant is written twice.
fn template(cursor: &Cursor<'_>, names: &[&str], room: &Room) -> Result<Text, ConfigError> {
    let (mut parts, mut literal) = (Vec::new(), String::new());
    let mut rest = cursor.any_text()?;
    while let Some((before, brace, after)) = at_brace(rest) {
        literal.push_str(before);
        rest = match after.strip_prefix(brace) {
            Some(after) => {
                literal.push(brace);
                after
            }
            None => {
                let place = PLACES.iter().find_map(|(name, part)| {
                    let after = after.strip_prefix(name)?.strip_prefix('}')?;
                    (brace == '{' && names.contains(name)).then_some((part, after))
                });
                let Some((part, after)) = place else {
                    let names = names.join(", ");
                    return Err(
                        cursor.error(["braces hold one of ", &names, "; one that is meant is written twice"].concat())
                    );
                };
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                }
                parts.push(part.clone());
                after
            }
        };
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(Text::new(parts, room))
}

/// The text before the first brace, the brace, and what stands behind it.
fn at_brace(text: &str) -> Option<(&str, char, &str)> {
    let at = text.bytes().position(|b| matches!(b, b'{' | b'}'))?;
    Some((text.get(..at)?, char::from(*text.as_bytes().get(at)?), text.get(at + 1..)?))
}
