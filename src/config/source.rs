//! What is fetched or asked, from where, and when.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::cursor::{Cursor, Object};
use super::values::{duration, output_header, Reading};
use super::ConfigError;
use crate::policy::Service;
use crate::redact::Redacted;
use crate::remote::{is_address, Address, Endpoint, Pace, Retries, Source};
use crate::verdict::{is_field_value, HeaderName};

/// Charts ask for 10 ms, as Envoy's example does. It is taken, and [no pause is that short](crate::limits::TICK).
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

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
    /// How many of these are the first configuration's, once its shadow is read: key sets, those of `semantics: jwt_authn`, and
    /// revocation lists.
    pub of_first: [usize; 3],
}

impl Sources<'_> {
    /// The index of a key set.
    pub fn key_set(&mut self, source: Source) -> usize {
        let [of_first, ..] = self.of_first;
        add(&mut self.key_sets, source, of_first)
    }

    /// The index of a key set as `semantics: jwt_authn` reads it.
    pub fn jwt_key_set(&mut self, source: Source) -> usize {
        let [_, of_first, _] = self.of_first;
        add(&mut self.jwt_key_sets, source, of_first)
    }

    /// The index of a revocation list.
    pub fn revocations(&mut self, source: Source) -> usize {
        let [.., of_first] = self.of_first;
        add(&mut self.revocations, source, of_first)
    }
}

/// What two providers fetch alike is one document, and so is what a shadow fetches from the same place as the first configuration:
/// when and how that is fetched, is for the first one to say.
fn add(list: &mut Vec<Source>, source: Source, of_first: usize) -> usize {
    let alike = list.iter().position(|known| known.same_as(&source));
    let known = alike.or_else(|| list.iter().take(of_first).position(|known| known.has_place_of(&source)));
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
    /// Whose bounds hold: Envoy knows no longest duration.
    pub reading: Reading,
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
    let pause = |cursor: &Cursor<'_>| up_to(cursor, SHORTEST_PAUSE..=HOUR, reading);
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
    range: RangeInclusive<Duration>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    object.get(name).map_or(Ok(default), |cursor| duration(cursor, range))
}
