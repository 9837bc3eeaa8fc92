//! `authorize.service`.

use std::time::Duration;

use super::cursor::{Cursor, Object};
use super::introspection::{entries, TTLS};
use super::source::{endpoint, Sources};
use super::template::{self, Own};
use super::values::{duration, one_of, output_header};
use super::ConfigError;
use crate::json::Value;
use crate::policy::{AuthorizationService, JsonPart, JsonTemplate, Protocol, Provider, Service, ServiceForm, Template};
use crate::redact::Redacted;
use crate::verdict::HeaderName;

/// All claims, as an object.
const CLAIMS: &str = "{claims}";

const CONTENT_TYPE: &str = "content-type";

const PROBLEM_OF_SECRET: &str =
    "holds braces that are no variable which can be had here (not shown, as the value may be a secret); \
                                 a brace that is meant is written twice";

/// What goes with one protocol alone.
const FORMS: [(&str, &[&str]); 3] = [
    ("authzen", &["subject", "action", "resource", "context"]),
    ("opa", &["input"]),
    ("http", &["method", "response_headers"]),
];

/// Reads `service`; its index.
pub(super) fn read(cursor: &Cursor<'_>, own: &Own<'_>, sources: &mut Sources<'_>) -> Result<usize, ConfigError> {
    let object = cursor.object("service")?;
    let names = FORMS.map(|(name, _)| name);
    let protocol = one_of(object.required("protocol")?, "protocol", &names)?;
    for (name, fields) in FORMS.iter().filter(|(name, _)| names.get(protocol) != Some(name)) {
        if let Some(cursor) = fields.iter().find_map(|field| object.get(field)) {
            return Err(cursor.error(format!("goes with \"protocol: {name}\" alone")));
        }
    }
    let mut method = "POST";
    let form = match protocol {
        0 => ServiceForm::AuthZen(JsonTemplate::new(&evaluation(&object, own)?)),
        1 => {
            let input = [("method", "{method}"), ("path", "{path}"), ("claims", "{claims}")];
            let input = part(&object, "input", &input, own)?;
            ServiceForm::Opa(JsonTemplate::new(&JsonPart::Object(vec![("input".to_owned(), input)])))
        }
        _ => {
            method = object.get("method").map_or(Ok("GET"), Cursor::text)?;
            if HeaderName::new(method).is_none() {
                return Err(object.error("\"method\" is no method"));
            }
            let names = object.list("response_headers")?;
            let response_headers = names.iter().map(|name| response_header(name, own)).collect::<Result<_, _>>()?;
            ServiceForm::Http { response_headers }
        }
    };
    let (mut ttl, mut max_entries) = (Duration::ZERO, 1);
    if let Some(cursor) = object.get("cache") {
        let cache = cursor.object("service_cache")?;
        ttl = duration(cache.required("ttl")?, TTLS)?;
        max_entries = entries(cache.get("max_entries"), 10_000)?;
    }
    let allow_on_error =
        object.get("on_error").map_or(Ok(0), |cursor| one_of(cursor, "choice", &["deny", "allow"]))? == 1;
    let (mut fixed, mut headers) = (Vec::new(), Vec::new());
    for (name, value) in request_headers(&object, own)? {
        match value.0.literal() {
            Some(literal) => fixed.push((name.shared(), literal.clone())),
            None => headers.push((name, value)),
        }
    }
    let own_names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let is_typed = own_names.contains(&CONTENT_TYPE) || fixed.iter().any(|(name, _)| name == CONTENT_TYPE);
    if !is_typed && !matches!(form, ServiceForm::Http { .. }) {
        fixed.push((CONTENT_TYPE.into(), "application/json".into()));
    }
    let envelope = endpoint(&object)?.envelope(method, fixed, &own_names);
    let service = AuthorizationService { form, headers, allow_on_error, ttl };
    let protocol = Protocol::Authorization(Box::new(service));
    sources.services.push(Service { envelope, protocol, max_entries });
    Ok(sources.services.len() - 1)
}

fn response_header(cursor: &Cursor<'_>, own: &Own<'_>) -> Result<HeaderName, ConfigError> {
    let header = output_header(cursor)?;
    let mut of_providers = own.providers.iter().flat_map(Provider::output_headers);
    if of_providers.any(|known| known.is_spelt(header.as_str().as_bytes())) {
        return Err(cursor.error("is a header that a provider sets: two answers cannot stand in one place"));
    }
    Ok(header)
}

/// `response_headers` of the services of all rules.
pub(super) fn all_response_headers(root: &Object<'_>) -> Result<Vec<HeaderName>, ConfigError> {
    let mut names = Vec::new();
    for rule in root.list("rules")? {
        let Some(authorize) = rule.object("rule")?.get("authorize").cloned() else { continue };
        let Some(service) = authorize.object("authorize")?.get("service").cloned() else { continue };
        for name in service.object("service")?.list("response_headers")? {
            names.push(output_header(&name)?);
        }
    }
    Ok(names)
}

fn request_headers(object: &Object<'_>, own: &Own<'_>) -> Result<Vec<(HeaderName, Redacted<Template>)>, ConfigError> {
    let one = |element: &Cursor<'_>| {
        let item = element.object("request_header")?;
        let value = item.required("value")?;
        // The value may be a secret, so what is wrong with it is not quoted from it.
        let template = template::read(value, value.text()?, own).map_err(|_| value.error(PROBLEM_OF_SECRET))?;
        if !template.can_be_field_value() {
            return Err(value.error("holds characters that no header may hold"));
        }
        Ok((output_header(item.required("name")?)?, Redacted(template)))
    };
    object.list("request_headers")?.iter().map(one).collect()
}

/// The request of the AuthZEN Authorization API 1.0, section 5.
fn evaluation(object: &Object<'_>, own: &Own<'_>) -> Result<JsonPart, ConfigError> {
    let subject = [("type", "user"), ("id", "{claims.sub}"), ("properties", "{claims}")];
    let mut members = vec![
        ("subject".to_owned(), part(object, "subject", &subject, own)?),
        ("action".to_owned(), part(object, "action", &[("name", "{method}")], own)?),
        ("resource".to_owned(), part(object, "resource", &[("type", "http"), ("id", "{path}")], own)?),
    ];
    if object.get("context").is_some() {
        members.push(("context".to_owned(), part(object, "context", &[], own)?));
    }
    Ok(JsonPart::Object(members))
}

/// What stands in the configuration under that name, or else these texts.
fn part(object: &Object<'_>, name: &str, default: &[(&str, &str)], own: &Own<'_>) -> Result<JsonPart, ConfigError> {
    let Some(cursor) = object.get(name) else {
        let member = |(name, text): &(&str, &str)| {
            let template = Template::parse(text).map_err(|problem| object.error(problem));
            Ok(((*name).to_owned(), if *text == CLAIMS { JsonPart::Claims } else { JsonPart::Text(template?) }))
        };
        return default.iter().map(member).collect::<Result<_, _>>().map(JsonPart::Object);
    };
    if cursor.is_object() {
        json(cursor, own)
    } else {
        Err(cursor.error("expected an object"))
    }
}

fn json(cursor: &Cursor<'_>, own: &Own<'_>) -> Result<JsonPart, ConfigError> {
    Ok(match cursor.value() {
        Value::String(text) if text == CLAIMS => JsonPart::Claims,
        Value::String(text) => JsonPart::Text(template::read(cursor, text, own)?),
        Value::Array(_) => {
            let elements = cursor.any_elements()?;
            let elements = elements.iter().map(|element| json(element, own));
            JsonPart::Array(elements.collect::<Result<_, _>>()?)
        }
        Value::Object(_) => {
            let member = |(name, value): (&str, Cursor<'_>)| Ok((name.to_owned(), json(&value, own)?));
            JsonPart::Object(cursor.entries()?.into_iter().map(member).collect::<Result<_, ConfigError>>()?)
        }
        fixed => JsonPart::Fixed(fixed.clone()),
    })
}
