//! What the claims of a token must say (RFC 7519 section 4.1). Nothing is remembered: the clock is asked on every request.

use super::Provider;
use crate::jose::Claims;
use crate::time::UnixTime;
use crate::verdict::Reason;

/// Checks `claims` against `provider`; `audiences` takes the place of the provider's own where a requirement says so.
///
/// # Errors
/// The first of issuer, audience, subject, profile, expiry, not-before, issued-at and lifetime that does not hold.
pub fn admit(claims: &Claims, provider: &Provider, audiences: Option<&[String]>, now: UnixTime) -> Result<(), Reason> {
    is_meant(claims, provider, audiences)?;
    is_timely(claims, provider, now)
}

/// Checks of the same what time does not change.
///
/// # Errors
/// The first of issuer, audience, subject and profile that does not hold.
pub fn is_meant(claims: &Claims, provider: &Provider, audiences: Option<&[String]>) -> Result<(), Reason> {
    let is_another = provider.issuer.is_some() && claims.issuer() != provider.issuer.as_deref();
    if is_another || !provider.takes_issuer(claims) {
        return Err(Reason::IssuerNotAllowed);
    }
    if let Some(audiences) = audiences.or(provider.audiences.as_deref()) {
        if !claims.audiences().any(|audience| audiences.iter().any(|allowed| allowed == audience)) {
            return Err(Reason::AudienceNotAllowed);
        }
    }
    if let Some(subjects) = &provider.subjects {
        if !claims.subject().is_some_and(|subject| subjects.matches(subject.as_bytes())) {
            return Err(Reason::SubjectNotAllowed);
        }
    }
    if !provider.kind.is_whole(claims) {
        return Err(Reason::ClaimMissing);
    }
    Ok(())
}

fn is_timely(claims: &Claims, provider: &Provider, now: UnixTime) -> Result<(), Reason> {
    let skew = provider.clock_skew;
    match claims.expires() {
        None if provider.require_expiration => return Err(Reason::ExpirationMissing),
        Some(expires) if now >= expires.plus(skew) => return Err(Reason::TokenExpired),
        _ => {}
    }
    if claims.not_before().is_some_and(|not_before| not_before > now.plus(skew)) {
        return Err(Reason::TokenNotYetValid);
    }
    if provider.check_issued_at && claims.issued_at().is_some_and(|issued_at| issued_at > now.plus(skew)) {
        return Err(Reason::IssuedInTheFuture);
    }
    if let Some(longest) = provider.max_lifetime {
        // As in jwt_authn: what is left, and a token without an end has no bound.
        if claims.expires().is_none_or(|expires| expires.since(now) >= longest) {
            return Err(Reason::LifetimeTooLong);
        }
    }
    Ok(())
}
