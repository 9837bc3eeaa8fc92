//! What becomes of a token that verified: headers, and values of the filter state.

use std::rc::Rc;

use super::cursor::{Cursor, Object};
use super::values::{claim, one_of, output_header, Reading};
use super::{template, ConfigError};
use crate::jose::ClaimPath;
use crate::policy::{ClaimEncoding, ClaimHeader, IssuerPattern, Metadata, TextHeader};
use crate::verdict::state_name;

/// Reads those of `claim_to_headers` with a `value`.
pub(super) fn text_headers(object: &Object<'_>, issuers: &[Rc<IssuerPattern>]) -> Result<Vec<TextHeader>, ConfigError> {
    let mut headers = Vec::new();
    for element in object.list("claim_to_headers")? {
        let item = element.object("claim_to_headers")?;
        let Some(value) = item.get("value") else { continue };
        for other in ["claim_name", "claim_path", "encoding"] {
            item.at_most_one(&["value", other])?;
        }
        let name = output_header(item.required("header_name")?)?;
        let template = template::of_token(value, issuers)?;
        if !template.can_be_field_value() {
            return Err(value.error("holds characters that no header may hold"));
        }
        headers.push(TextHeader { name, value: template });
    }
    Ok(headers)
}

/// Reads the other `claim_to_headers`.
pub(super) fn claim_headers(object: &Object<'_>, reading: Reading) -> Result<Vec<ClaimHeader>, ConfigError> {
    let one = |element: &Cursor<'_>| {
        let item = element.object("claim_to_headers")?;
        if item.get("value").is_some() {
            return Ok(None);
        }
        let name = output_header(item.required("header_name")?)?;
        let claim = match item.get("claim_name") {
            Some(cursor) if reading == Reading::JwtAuthn && item.get("claim_path").is_none() => {
                ClaimPath::dotted_as_written(cursor.text()?)
            }
            _ => claim(&item, "claim_name", "claim_path")?,
        };
        let encoding = match item.get("encoding") {
            None => ClaimEncoding::Json,
            Some(cursor) if one_of(cursor, "choice", &["json", "jwt_authn"])? == 0 => ClaimEncoding::Json,
            Some(_) => ClaimEncoding::JwtAuthn,
        };
        Ok(Some(ClaimHeader { name, claim, encoding }))
    };
    let mut headers = Vec::new();
    for element in object.list("claim_to_headers")? {
        headers.extend(one(&element)?);
    }
    Ok(headers)
}

/// Reads `payload_in_metadata` and its like.
pub(super) fn metadata(object: &Object<'_>) -> Result<Metadata, ConfigError> {
    let name = |field: &str| {
        let name = object.get(field).map(Cursor::any_text).transpose()?;
        Ok(name.filter(|name| !name.is_empty()).map(state_name))
    };
    let space_delimited_claims = match object.get("normalize_payload_in_metadata") {
        None => Vec::new(),
        Some(cursor) => {
            let claims = cursor.object("normalize_payload_in_metadata")?.list("space_delimited_claims")?;
            claims.iter().map(|claim| claim.text().map(str::to_owned)).collect::<Result<_, _>>()?
        }
    };
    Ok(Metadata {
        payload: name("payload_in_metadata")?,
        header: name("header_in_metadata")?,
        failed_status: name("failed_status_in_metadata")?,
        space_delimited_claims,
    })
}
