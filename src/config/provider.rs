//! `providers`.

use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

use super::cursor::{Cursor, Object};
use super::values::{claim, duration, header, one_of, output_header, Reading};
use super::{introspection, string_matcher, template, ConfigError};
use crate::crypto::Alg;
use crate::jose::ClaimPath;
use crate::keys::{KeySet, Origin};
use crate::policy::{
    ClaimEncoding, ClaimHeader, Introspection, IssuerPattern, Keys, Kind, MediaType, Metadata, PayloadHeader, Provider,
    Revocation, Service, TextHeader,
};
use crate::redact::Redacted;
use crate::remote::{is_address, Address, Discovery, Endpoint, Pace, Retries, Source};
use crate::request::Location;
use crate::verdict::{is_field_value, HeaderName};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Whatever a duration can be.
pub(super) const ANY_DURATION: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(100 * 365 * 24 * 3600);

/// How long a fetch may take.
pub(super) const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

/// What the providers fetch, and where they find variables of the environment.
pub(super) struct Sources<'e> {
    pub key_sets: Vec<Source>,
    pub jwt_key_sets: Vec<Source>,
    pub revocations: Vec<Source>,
    pub services: Vec<Service>,
    pub environment: &'e dyn Fn(&str) -> Option<String>,
    /// Whether it is a shadow that is read, which shares what it can.
    pub is_shadow: bool,
}

impl Sources<'_> {
    /// The index of a key set.
    pub fn key_set(&mut self, source: Source) -> usize {
        add(&mut self.key_sets, source, self.is_shadow)
    }

    /// The index of a key set as `semantics: jwt_authn` reads it.
    pub fn jwt_key_set(&mut self, source: Source) -> usize {
        add(&mut self.jwt_key_sets, source, self.is_shadow)
    }

    /// The index of a revocation list.
    pub fn revocations(&mut self, source: Source) -> usize {
        add(&mut self.revocations, source, self.is_shadow)
    }
}

fn add(list: &mut Vec<Source>, source: Source, shares: bool) -> usize {
    let known = list.iter().position(|known| shares && known.same_as(&source));
    known.unwrap_or_else(|| {
        list.push(source);
        list.len() - 1
    })
}

/// How long what is fetched lives.
pub(super) struct Pacing {
    pub lifetime: Duration,
    pub cooldown: Duration,
    /// Unless `max_stale` says otherwise.
    pub max_stale: Duration,
    /// Whose bounds hold: Envoy has shorter pauses than the gate, and knows no longest duration.
    pub reading: Reading,
}

/// Reads all providers.
pub(super) fn all(root: &Object<'_>, sources: &mut Sources<'_>) -> Result<Vec<Provider>, ConfigError> {
    let providers = root.required("providers")?;
    let entries = providers.entries()?;
    if entries.is_empty() {
        return Err(providers.error("needs at least one provider"));
    }
    entries.into_iter().map(|(name, cursor)| one(name, &cursor, sources)).collect()
}

fn one(name: &str, cursor: &Cursor<'_>, sources: &mut Sources<'_>) -> Result<Provider, ConfigError> {
    let object = cursor.object("provider")?;
    let algorithms = algorithms(&object, object.get("local_jwks").is_some())?;
    let (keys, introspection) = keys(&object, &algorithms, sources)?;
    let revocation = object.get("revocation").map(|cursor| revocation(cursor, sources)).transpose()?;
    let pad = object.flag("pad_forward_payload_header", false)?;
    let issuers = issuers(&object)?;
    let text_headers = text_headers(&object, &issuers)?;
    Ok(Provider {
        name: name.to_owned(),
        issuer: object.get("issuer").map(Cursor::text).transpose()?.map(str::to_owned),
        issuers,
        audiences: audiences(&object)?,
        algorithms,
        kind: kind_of_token(&object)?,
        require_expiration: object.flag("require_expiration", true)?,
        check_issued_at: object.flag("check_issued_at", true)?,
        max_lifetime: object.get("max_lifetime").map(|cursor| duration(cursor, SECOND..=YEAR)).transpose()?,
        clock_skew: clock_skew(&object)?,
        keys,
        locations: locations(&object)?,
        forward: object.flag("forward", false)?,
        payload_header: match object.get("forward_payload_header") {
            Some(cursor) => Some(PayloadHeader { name: output_header(cursor)?, pad }),
            None => None,
        },
        claim_headers: claim_headers(&object, Reading::Gate)?,
        introspection,
        text_headers,
        revocation,
        subjects: object.get("subjects").map(string_matcher::read).transpose()?,
        clear_route_cache: object.flag("clear_route_cache", false)?,
        metadata: metadata(&object)?,
    })
}

/// Where a provider's keys are, and whether its issuer is asked about tokens.
fn keys(
    object: &Object<'_>,
    algorithms: &[Alg],
    sources: &mut Sources<'_>,
) -> Result<(Keys, Option<Introspection>), ConfigError> {
    let introspection = object.get("introspection");
    let form = match object.at_most_one(&["remote_jwks", "local_jwks", "discovery"])? {
        None if introspection.is_none() => {
            object.exactly_one(&["remote_jwks", "local_jwks", "discovery", "introspection"]).map(Some)?
        }
        form => form,
    };
    let keys = match form {
        Some(("local_jwks", cursor)) => local_jwks(cursor, algorithms, sources)?,
        Some((name, cursor)) => {
            let source = match name {
                "discovery" => discovery(cursor, object.get("issuer"))?,
                _ => remote_jwks(cursor)?,
            };
            Keys::Remote(sources.key_set(source))
        }
        None => Keys::None,
    };
    let introspection = introspection.map(|cursor| introspection::read(cursor, &keys, sources)).transpose()?;
    Ok((keys, introspection))
}

fn issuers(object: &Object<'_>) -> Result<Vec<IssuerPattern>, ConfigError> {
    match object.at_most_one(&["issuer", "issuers"])? {
        Some(("issuers", cursor)) => {
            let mut patterns = Vec::new();
            for element in cursor.elements()? {
                patterns.push(IssuerPattern::parse(element.text()?).map_err(|problem| element.error(problem))?);
            }
            Ok(patterns)
        }
        _ => Ok(Vec::new()),
    }
}

fn audiences(object: &Object<'_>) -> Result<Option<Vec<String>>, ConfigError> {
    let any = object.flag("allow_any_audience", false)?;
    match object.get("audiences") {
        Some(cursor) if any => Err(cursor.error("cannot stand beside \"allow_any_audience: true\"")),
        Some(cursor) => cursor.texts().map(Some),
        None if any => Ok(None),
        None => Err(object
            .error("needs \"audiences\", or \"allow_any_audience: true\" to take tokens that are meant for others")),
    }
}

fn algorithms(object: &Object<'_>, local: bool) -> Result<Vec<Alg>, ConfigError> {
    let Some(cursor) = object.get("algorithms") else {
        return Ok(Alg::ALL.iter().copied().filter(|alg| !alg.is_symmetric()).collect());
    };
    let names: Vec<&str> = Alg::ALL.iter().map(|alg| alg.name()).collect();
    let mut algorithms = Vec::new();
    for element in cursor.elements()? {
        let index = one_of(&element, "algorithm", &names)?;
        let alg = Alg::ALL.get(index).copied().ok_or_else(|| element.error("unknown algorithm"))?;
        if alg.is_symmetric() && !local {
            return Err(element.error("needs a shared secret, which only a local_jwks can hold"));
        }
        algorithms.push(alg);
    }
    Ok(algorithms)
}

/// What the header must say, and the claims that must be there.
fn kind_of_token(object: &Object<'_>) -> Result<Kind, ConfigError> {
    let typ = object.get("typ");
    let Some(profile) = object.get("profile") else {
        let types = typ.map(Cursor::texts).transpose()?;
        let types = types.map(|types| types.iter().map(|name| MediaType::new(name)).collect());
        return Ok(Kind { types, ..Kind::default() });
    };
    one_of(profile, "profile", &["rfc9068"])?;
    if let Some(typ) = typ {
        return Err(typ.error("cannot stand beside \"profile\", which says what it is"));
    }
    match object.get("require_expiration") {
        Some(cursor) if !object.flag("require_expiration", true)? => {
            Err(cursor.error("cannot be false beside \"profile\", which asks for \"exp\""))
        }
        _ => Ok(Kind::access_token()),
    }
}

fn clock_skew(object: &Object<'_>) -> Result<Duration, ConfigError> {
    let Some(cursor) = object.get("clock_skew_seconds") else {
        return Ok(Duration::from_secs(60));
    };
    let skew = Duration::from_secs(cursor.whole_number()?);
    if skew <= HOUR {
        Ok(skew)
    } else {
        Err(cursor.error("must be from 0 to 3600"))
    }
}

/// The document of `local_jwks`, and where it is.
pub(super) fn local_document<'a>(
    cursor: &Cursor<'a>,
    sources: &Sources<'_>,
) -> Result<(Cursor<'a>, Vec<u8>), ConfigError> {
    let object = cursor.object("local_jwks")?;
    let (name, text) = object.exactly_one(&["inline_string", "inline_bytes", "environment_variable"])?;
    let document = match name {
        "inline_bytes" => {
            // Protobuf JSON takes both alphabets, with padding and without.
            let bytes = text.text()?.trim_end_matches('=').replace('+', "-").replace('/', "_");
            BASE64_URL_SAFE_NO_PAD.decode(bytes).map_err(|_| text.error("not base64"))?
        }
        "inline_string" => text.text()?.as_bytes().to_vec(),
        _ => {
            let value = (sources.environment)(text.text()?);
            let missing = "is not set: vm_config.environment_variables of the wasm filter passes variables on";
            value.ok_or_else(|| text.error(missing))?.into_bytes()
        }
    };
    Ok((text.clone(), document))
}

fn local_jwks(cursor: &Cursor<'_>, algorithms: &[Alg], sources: &Sources<'_>) -> Result<Keys, ConfigError> {
    let (text, document) = local_document(cursor, sources)?;
    let set = KeySet::parse(&document, Origin::Local).map_err(|problem| text.error(problem.to_string()))?;
    if !set.keys().iter().any(|key| algorithms.iter().any(|&alg| key.allows(alg))) {
        return Err(text.error("none of its keys is for one of the provider's \"algorithms\""));
    }
    Ok(Keys::Local(Rc::new(set)))
}

fn remote_jwks(cursor: &Cursor<'_>) -> Result<Source, ConfigError> {
    let object = cursor.object("remote_jwks")?;
    source(cursor, &object, fetched_keys(&object)?)
}

/// Where the keys of `issuer` are is asked before each fetch.
fn discovery(cursor: &Cursor<'_>, issuer: Option<&Cursor<'_>>) -> Result<Source, ConfigError> {
    let object = cursor.object("discovery")?;
    let issuer = issuer.ok_or_else(|| cursor.error("needs the provider's \"issuer\", which has the keys"))?;
    let timeout = within(&object, "timeout", TIMEOUTS, Duration::from_secs(5))?;
    let cluster = object.required("cluster")?.text()?.to_owned();
    let jwks_cluster = object.get("jwks_cluster").map_or(Ok(cluster.as_str()), Cursor::text)?.to_owned();
    let issuer = uri(issuer)?.to_owned();
    let address = Address::Discovered(Discovery { issuer, cluster, timeout });
    source_at(cursor, &object, fetched_keys(&object)?, (address, jwks_cluster, timeout))
}

fn fetched_keys(object: &Object<'_>) -> Result<Pacing, ConfigError> {
    let lifetime = within(object, "cache_duration", SECOND..=DAY * 30, Duration::from_secs(600))?;
    let cooldown = within(object, "refetch_cooldown", SECOND..=DAY, Duration::from_secs(30))?;
    Ok(Pacing { lifetime, cooldown, max_stale: DAY.max(lifetime), reading: Reading::Gate })
}

fn revocation(cursor: &Cursor<'_>, sources: &mut Sources<'_>) -> Result<Revocation, ConfigError> {
    let object = cursor.object("revocation")?;
    let lifetime = within(&object, "refresh_interval", SECOND..=DAY, Duration::from_secs(10))?;
    let allow_when_unavailable = match object.get("on_unavailable") {
        None => false,
        Some(cursor) => one_of(cursor, "choice", &["deny", "allow"])? == 1,
    };
    let pacing = Pacing { lifetime, cooldown: lifetime, max_stale: DAY.max(lifetime), reading: Reading::Gate };
    let document = sources.revocations(source(cursor, &object, pacing)?);
    Ok(Revocation { document, allow_when_unavailable })
}

/// Where a document is fetched, and when.
pub(super) fn source(cursor: &Cursor<'_>, object: &Object<'_>, pacing: Pacing) -> Result<Source, ConfigError> {
    let Endpoint { uri, cluster, timeout } = endpoint_as(object, pacing.reading)?;
    source_at(cursor, object, pacing, (Address::Fixed(uri), cluster, timeout))
}

/// Where a service is that is asked about requests.
pub(super) fn endpoint(object: &Object<'_>) -> Result<Endpoint, ConfigError> {
    endpoint_as(object, Reading::Gate)
}

fn endpoint_as(object: &Object<'_>, reading: Reading) -> Result<Endpoint, ConfigError> {
    let http_uri = object.required("http_uri")?.object("http_uri")?;
    Ok(Endpoint {
        uri: uri(http_uri.required("uri")?)?.to_owned(),
        cluster: http_uri.required("cluster")?.text()?.to_owned(),
        timeout: up_to(http_uri.required("timeout")?, TIMEOUTS, reading)?,
    })
}

/// The same, where the address is known.
pub(super) fn source_at(
    cursor: &Cursor<'_>,
    object: &Object<'_>,
    pacing: Pacing,
    (address, cluster, timeout): (Address, String, Duration),
) -> Result<Source, ConfigError> {
    let Pacing { lifetime, cooldown, max_stale, reading } = pacing;
    let max_stale = within(object, "max_stale", SECOND..=YEAR, max_stale)?;
    if max_stale < lifetime {
        return Err(object.error("\"max_stale\" is shorter than the time between two fetches"));
    }
    Ok(Source {
        field: cursor.path().to_owned(),
        address,
        cluster,
        timeout,
        lifetime,
        cooldown,
        max_stale,
        refetch_on_unknown_kid: object.flag("refetch_on_unknown_kid", true)?,
        pace: pace(object, reading)?,
        request_headers: request_headers(object)?,
    })
}

/// An address that a request can be sent to.
pub(super) fn uri<'a>(cursor: &Cursor<'a>) -> Result<&'a str, ConfigError> {
    let uri = cursor.text()?;
    if is_address(uri) {
        Ok(uri)
    } else {
        Err(cursor.error("expected \"http://host/path\" or \"https://host/path\""))
    }
}

fn request_headers(object: &Object<'_>) -> Result<Vec<(HeaderName, Redacted<String>)>, ConfigError> {
    let Some(cursor) = object.get("request_headers") else {
        return Ok(Vec::new());
    };
    let one = |element: &Cursor<'_>| {
        let item = element.object("request_header")?;
        let (name, value) = (output_header(item.required("name")?)?, item.required("value")?);
        if !is_field_value(value.text()?.as_bytes()) {
            return Err(value.error("holds characters that no header may hold"));
        }
        Ok((name, Redacted(value.text()?.to_owned())))
    };
    cursor.elements()?.iter().map(one).collect()
}

/// What follows a failed fetch: `retry_policy`, and `failed_refetch_duration` of `async_fetch`.
fn pace(object: &Object<'_>, reading: Reading) -> Result<Pace, ConfigError> {
    let shortest = if reading == Reading::Gate { SHORTEST_PAUSE } else { Duration::from_millis(1) };
    let pause = |cursor: &Cursor<'_>| up_to(cursor, shortest..=HOUR, reading);
    let mut pace = Pace::default();
    if let Some(cursor) = object.get("async_fetch") {
        let fetch = cursor.object("async_fetch")?;
        // Both ways requests wait for the first keys: a filter cannot hold its listener back.
        fetch.flag("fast_listener", false)?;
        if let Some(cursor) = fetch.get("failed_refetch_duration") {
            let pause = pause(cursor)?;
            pace.backoff = pause..=pause;
        }
    }
    if let Some(cursor) = object.get("retry_policy") {
        let policy = cursor.object("retry_policy")?;
        // As in jwt_authn: which failures are retried is fixed.
        policy.get("retry_on").map(Cursor::any_text).transpose()?;
        let count = policy.get("num_retries").map_or(Ok(1), Cursor::whole_number)?;
        let (mut base, mut max) = (SECOND, None);
        if let Some(cursor) = policy.get("retry_back_off") {
            let back_off = cursor.object("retry_back_off")?;
            base = pause(back_off.required("base_interval")?)?;
            max = back_off.get("max_interval").map(pause).transpose()?;
            if max.is_some_and(|max| max < base) {
                return Err(cursor.error("\"max_interval\" is shorter than \"base_interval\""));
            }
        }
        pace.retries = Some(Retries { count, backoff: base..=max.unwrap_or(base.saturating_mul(10)) });
    }
    Ok(pace)
}

/// A duration within `range`; Envoy takes longer ones, so there they count as the longest.
fn up_to(cursor: &Cursor<'_>, range: RangeInclusive<Duration>, reading: Reading) -> Result<Duration, ConfigError> {
    let (shortest, longest) = range.into_inner();
    let last = if reading == Reading::Gate { longest } else { *ANY_DURATION.end() };
    Ok(duration(cursor, shortest..=last)?.min(longest))
}

pub(super) fn within(
    object: &Object<'_>,
    name: &str,
    range: std::ops::RangeInclusive<Duration>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    object.get(name).map_or(Ok(default), |cursor| duration(cursor, range))
}

fn locations(object: &Object<'_>) -> Result<Vec<Location>, ConfigError> {
    let mut locations = Vec::new();
    if let Some(cursor) = object.get("from_headers") {
        for element in cursor.elements()? {
            let item = element.object("from_headers")?;
            let name = header(item.required("name")?)?;
            let prefix = item.get("value_prefix").map(Cursor::any_text).transpose()?.unwrap_or_default();
            let anywhere = item.flag("anywhere", false)?;
            let is_bearer = !anywhere && name.as_str() == "authorization" && prefix.eq_ignore_ascii_case("Bearer ");
            locations.push(if is_bearer {
                Location::Bearer
            } else {
                Location::Header { name, prefix: prefix.to_owned(), anywhere }
            });
        }
    }
    if let Some(cursor) = object.get("from_params") {
        locations.extend(cursor.texts()?.into_iter().map(Location::Param));
    }
    if let Some(cursor) = object.get("from_cookies") {
        locations.extend(cursor.texts()?.into_iter().map(Location::Cookie));
    }
    Ok(if locations.is_empty() { vec![Location::Bearer] } else { locations })
}

/// Reads those of `claim_to_headers` with a `value`.
fn text_headers(object: &Object<'_>, issuers: &[IssuerPattern]) -> Result<Vec<TextHeader>, ConfigError> {
    let mut headers = Vec::new();
    for element in object.list("claim_to_headers")? {
        let item = element.object("claim_to_headers")?;
        let Some(value) = item.get("value") else { continue };
        for other in ["claim_name", "claim_path", "encoding"] {
            item.at_most_one(&["value", other])?;
        }
        let name = output_header(item.required("header_name")?)?;
        headers.push(TextHeader { name, value: template::of_token(value, issuers)? });
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
        Ok(name.filter(|name| !name.is_empty()).map(str::to_owned))
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
