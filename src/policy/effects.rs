//! What the service behind learns: headers from claims, the payload, and no token unless it asked for one.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::{ClaimEncoding, ClaimHeader, Principal, Provider};
use crate::jose::Verified;
use crate::json::Value;
use crate::jwt_verify;
use crate::request::{self, Location, RequestHead};
use crate::verdict::{is_field_value, Edits, FieldValue, HeaderName, Reason};

/// Whether every claim that goes into a header can.
///
/// # Errors
/// [`Reason::ClaimNotForwardable`] for a string with control characters, or with white space at its ends: a service must not read
/// half of a name.
pub fn check_forwardable(head: &RequestHead, principal: &Principal, provider: &Provider) -> Result<(), Reason> {
    let mut claims = provider.claim_headers.iter().filter_map(|header| header_value(principal.verified(), header));
    // The configuration was asked about those without variables.
    let texts = provider.text_headers.iter().filter(|header| header.value.literal().is_none());
    let mut texts = texts.filter_map(|header| header.value.text(head, Some(principal)));
    if claims.all(|value| is_field_value(&value)) && texts.all(|text| is_field_value(text.as_bytes())) {
        Ok(())
    } else {
        Err(Reason::ClaimNotForwardable)
    }
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
/// `principals` is the caller: what its provider may set, nothing of another one's token stands in for.
pub fn apply(head: &RequestHead, providers: &[Provider], asked: &[usize], principals: &[Principal], edits: &mut Edits) {
    let asked = asked.iter().filter_map(|&provider| providers.get(provider));
    let passed = || principals.iter().filter_map(|principal| Some((providers.get(principal.provider())?, principal)));

    // A token that one provider verified and forwards stays, even where another had looked for its own in the same place.
    let forwards = passed().any(|(provider, _)| provider.forward);
    let is_kept = |location: &Location| {
        let forwards = |provider: &Provider| provider.forward && provider.locations.contains(location);
        principals.iter().any(|principal| providers.get(principal.provider()).is_some_and(forwards))
    };
    let stripped = |see: &mut dyn FnMut(&Location)| {
        for provider in asked.clone().filter(|provider| !provider.forward) {
            provider.locations.iter().filter(|&location| !(forwards && is_kept(location))).for_each(&mut *see);
        }
    };
    request::strip(head, &stripped, edits);

    for (place, (provider, principal)) in passed().enumerate() {
        let of_others = || passed().take(place).flat_map(|(other, _)| other.output_headers());
        let is_free = |name: &HeaderName| !of_others().any(|taken| taken.is_spelt(name.as_str().as_bytes()));
        let verified = principal.verified();
        let edited = edits.set.len();
        edits.set.reserve(provider.output_headers().count());
        if let Some(header) = provider.payload_header.as_ref().filter(|header| is_free(&header.name)) {
            let mut value = principal.payload().to_vec();
            if header.pad {
                value.resize(value.len().next_multiple_of(4), b'=');
            }
            edits.set(header.name.shared(), value);
        }
        for header in provider.claim_headers.iter().filter(|header| is_free(&header.name)) {
            if let Some(value) = header_value(verified, header) {
                edits.set(header.name.shared(), value.into_owned());
            }
        }
        for header in provider.text_headers.iter().filter(|header| is_free(&header.name)) {
            let ready = header.value.literal().cloned().map(FieldValue::Ready);
            let own = || header.value.render(head, Some(principal)).map(|text| text.into_bytes().into());
            if let Some(value) = ready.or_else(own) {
                edits.set(header.name.shared(), value);
            }
        }
        let metadata = &provider.metadata;
        let is_new = |name: &&SmolStr| !passed().take(place).any(|(other, _)| other.metadata.is_written(name));
        let shown = principal.shown();
        for (name, text) in [(&metadata.payload, &shown.payload), (&metadata.header, &shown.header)] {
            let new = name.as_ref().filter(is_new).zip(text.as_ref());
            edits.state.extend(new.map(|(name, text)| (name.clone(), text.clone())));
        }
        edits.clear_route_cache |=
            provider.clear_route_cache && (edits.set.len() > edited || metadata.payload.is_some());
    }
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
