//! What the service behind learns: headers from claims, the payload, and no token unless it asked for one.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::{ClaimEncoding, ClaimHeader, Principal, Provider};
use crate::jose::Verified;
use crate::json::Value;
use crate::jwt_verify;
use crate::request::{self, Location, RequestHead};
use crate::verdict::{is_field_value, set_field, Edits, FieldValue, Fields, HeaderName, Reason};

/// The headers that the provider of `principal` sets; `payload` is what the one of `forward_payload_header` is to say.
///
/// # Errors
/// [`Reason::ClaimNotForwardable`] for a string with control characters, or with white space at its ends: a service must not read
/// half of a name.
pub fn forwarded(
    head: &RequestHead,
    principal: &Principal,
    provider: &Provider,
    payload: Vec<u8>,
) -> Result<Fields, Reason> {
    let mut fields = Fields::with_capacity(provider.output_headers().count());
    if let Some(header) = &provider.payload_header {
        let mut value = payload;
        if header.pad {
            value.resize(value.len().next_multiple_of(4), b'=');
        }
        set_field(&mut fields, header.name.shared(), value.into());
    }
    let checked = |value: Cow<'_, [u8]>| {
        is_field_value(&value).then(|| FieldValue::Own(value.into_owned())).ok_or(Reason::ClaimNotForwardable)
    };
    for header in &provider.claim_headers {
        if let Some(value) = header_value(principal.verified(), header) {
            set_field(&mut fields, header.name.shared(), checked(value)?);
        }
    }
    for header in &provider.text_headers {
        let value = match header.value.literal() {
            // The configuration was asked about those.
            Some(ready) => Some(FieldValue::Ready(ready.clone())),
            None => {
                let text = header.value.render(head, Some(principal));
                text.map(|text| checked(text.into_bytes().into())).transpose()?
            }
        };
        if let Some(value) = value {
            set_field(&mut fields, header.name.shared(), value);
        }
    }
    Ok(fields)
}

/// Removes every header that the gate may set, however the client spells it.
pub fn remove_output_headers(head: &RequestHead, output_headers: &[HeaderName], edits: &mut Edits) {
    for output in output_headers {
        let spellings = head.names().filter(|name| output.is_spelt(name));
        for name in spellings.filter_map(|name| std::str::from_utf8(name).ok()) {
            edits.remove(name.into());
        }
    }
}

/// Takes the tokens out and sets what the providers set. `asked` are the providers that looked for tokens, and the first of
/// `principals` is the caller: what its provider may set, nothing of another one's token stands in for. They forward their headers
/// once.
pub fn apply(
    head: &RequestHead,
    providers: &[Provider],
    asked: &[usize],
    principals: &mut [Principal],
    edits: &mut Edits,
) {
    strip(head, providers, asked, principals, edits);
    for place in 0..principals.len() {
        let Some((before, [principal, ..])) = principals.split_at_mut_checked(place) else { continue };
        let Some(provider) = providers.get(principal.provider()) else { continue };
        let mut fields = principal.take_forwarded();
        let others = || before.iter().filter_map(|other| providers.get(other.provider()));
        if place > 0 {
            let is_of_others = |name: &SmolStr| {
                let mut taken = others().flat_map(Provider::output_headers);
                taken.any(|taken| taken.is_spelt(name.as_bytes()))
            };
            fields.retain(|(name, _)| !is_of_others(name));
        }
        let (metadata, shown) = (&provider.metadata, principal.shown());
        for (name, text) in [(&metadata.payload, &shown.payload), (&metadata.header, &shown.header)] {
            let is_new = |name: &&SmolStr| !others().any(|other| other.metadata.is_written(name));
            if let Some((name, text)) = name.as_ref().filter(is_new).zip(text.as_ref()) {
                edits.state.push((name.clone(), text.clone()));
            }
        }
        edits.clear_route_cache |= provider.clear_route_cache && (!fields.is_empty() || metadata.payload.is_some());
        if edits.set.is_empty() {
            edits.set = fields;
        } else {
            edits.set.reserve(fields.len());
            fields.into_iter().for_each(|(name, value)| edits.set(name, value));
        }
    }
}

/// Takes the tokens out, but for those that are forwarded.
fn strip(head: &RequestHead, providers: &[Provider], asked: &[usize], principals: &[Principal], edits: &mut Edits) {
    let asked = asked.iter().filter_map(|&provider| providers.get(provider));
    let passed = || principals.iter().filter_map(|principal| providers.get(principal.provider()));

    // A token that one provider verified and forwards stays, even where another had looked for its own in the same place.
    let forwards = passed().any(|provider| provider.forward);
    let is_kept =
        |location: &Location| passed().any(|provider| provider.forward && provider.locations.contains(location));
    let stripped = |see: &mut dyn FnMut(&Location)| {
        for provider in asked.clone().filter(|provider| !provider.forward) {
            provider.locations.iter().filter(|&location| !(forwards && is_kept(location))).for_each(&mut *see);
        }
    };
    request::strip(head, &stripped, edits);
}

/// A claim as the value of a header: a string as it is, numbers and booleans as text, arrays and objects as JSON text; or as Envoy
/// writes all of these.
fn header_value<'v>(verified: &'v Verified, header: &ClaimHeader) -> Option<Cow<'v, [u8]>> {
    let claim = verified.claims().at(&header.claim)?;
    if header.encoding == ClaimEncoding::JwtAuthn {
        return jwt_verify::header_value(&claim.to_value()).map(Cow::Owned);
    }
    if let Some(text) = claim.as_str() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    match claim.to_value() {
        Value::Null => None,
        other => Some(Cow::Owned(other.to_string().into_bytes())),
    }
}
