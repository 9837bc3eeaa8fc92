//! `jwt_rules`: the rules of Istio's `RequestAuthentication`, with the meaning that Istio gives them when it configures
//! `jwt_authn` from them.
//!
//! A request without a token passes, on every route; one with a token that no rule accepts does not. It is Istio's
//! `AuthorizationPolicy` that asks for tokens, and not these rules.

use std::rc::Rc;
use std::time::Duration;

use super::cursor::{Cursor, Object};
use super::source::{self, Sources};
use super::values::{duration, header, output_header};
use super::{access_log, jwt_authn, ConfigError};
use crate::jose::ClaimPath;
use crate::jwt_authn::{what_is_said, Extractor, Filter, Keys, Leaf, Outputs, Provider, Requirement};
use crate::jwt_verify::{CheckAudience, KeySet};
use crate::keys::Origin;
use crate::policy::{ClaimEncoding, ClaimHeader, Metadata, PayloadHeader};
use crate::remote::{Address, Pace, Source};
use crate::request::{Match, PathMatch, Routes};
use crate::verdict::{state_name, Prepared, Room};

/// How long a fetch of keys may take, unless `timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long keys serve before they are fetched again, where Istio lets the proxy fetch them.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long Istio's control plane hands out the last good keys while it cannot fetch them again.
const MAX_STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where the payload goes.
const PAYLOAD: &str = "payload";

/// Claims that are lists of words in any rule.
const SPACE_DELIMITED: [&str; 2] = ["permission", "scope"];

/// What `jwt_rules` stand in place of.
const REPLACED: [&str; 6] =
    ["providers", "rules", "requirement_map", "filter_state_rules", "bypass_cors_preflight", "@type"];

/// Reads `rules`, which are the `jwt_rules` of `root`.
pub(super) fn read(root: &Object<'_>, rules: &Cursor<'_>, sources: &mut Sources<'_>) -> Result<Filter, ConfigError> {
    jwt_authn::refuse_own(root, "configuration")?;
    if let Some(cursor) = REPLACED.iter().find_map(|name| root.get(name)) {
        return Err(cursor.error("cannot stand beside \"jwt_rules\", which say all of it"));
    }
    if let Some(cursor) = root.get("semantics").filter(|cursor| cursor.any_text() != Ok("jwt_authn")) {
        return Err(cursor.error("\"jwt_rules\" mean what they mean in Istio, whose filter is \"jwt_authn\""));
    }
    let mut providers = Vec::new();
    for (index, rule) in rules.elements()?.iter().enumerate() {
        let provider = provider(format!("jwt_rule_{index}"), &rule.object("jwt_rule")?, sources)?;
        // Istio's order, by issuers, decides which token counts where a request has several.
        let place = providers.partition_point(|known: &Provider| known.issuer <= provider.issuer);
        providers.insert(place, provider);
    }
    let everything = Match {
        path: PathMatch::Beginning("/".to_owned()),
        ignore_case: false,
        headers: Vec::new(),
        query: Vec::new(),
    };
    Ok(Filter {
        routes: Routes::new(vec![everything]),
        rules: vec![requirement(&providers)],
        filter_state_rules: None,
        bypass_cors_preflight: true,
        strip_failure_response: root.flag("strip_failure_response", false)?,
        enforce: root.flag("enforce", true)?,
        access_log: access_log::read(root)?,
        says: what_is_said(),
        prepared: Prepared::new(&Room::default()),
        outputs: Outputs::of(&providers),
        providers,
    })
}

/// A token of any of them, or else a good one at least wherever there is one.
fn requirement(providers: &[Provider]) -> Requirement {
    let any = |children, allow_missing| Requirement::Any { children, allow_missing, allow_failed: false };
    let leaves: Vec<Requirement> = providers
        .iter()
        .enumerate()
        .map(|(index, provider)| {
            Requirement::Provider(Leaf { provider: index, extractor: Extractor::new([provider]), audiences: None })
        })
        .collect();
    if leaves.len() == 1 {
        return any(leaves, true);
    }
    let each = leaves.iter().map(|leaf| any(vec![leaf.clone()], true)).collect();
    any(leaves.into_iter().chain([Requirement::All(each)]).collect(), false)
}

fn provider(name: String, rule: &Object<'_>, sources: &mut Sources<'_>) -> Result<Provider, ConfigError> {
    let keys = keys(rule, sources)?;
    let issuer = given(rule, "issuer");
    // Keys of one address are one issuer's; keys that stand here could be anybody's.
    if issuer.is_none() && given(rule, "jwks_uri").is_none() {
        rule.required("issuer")?.text()?;
    }
    let mut from_headers = Vec::new();
    for element in rule.list("from_headers")? {
        let item = element.object("jwt_rule_from_header")?;
        let prefix = item.get("prefix").map_or(Ok(""), Cursor::any_text)?;
        from_headers.push((header(item.required("name")?)?, prefix.to_owned()));
    }
    let (mut from_params, from_cookies) = (texts(rule, "from_params")?, texts(rule, "from_cookies")?);
    jwt_authn::default_locations(&mut from_headers, &mut from_params, &from_cookies);
    let payload_header = given(rule, "output_payload_to_header").map(output_header).transpose()?;
    Ok(Provider {
        name,
        issuer: issuer.map_or(Ok(""), Cursor::text)?.to_owned(),
        audiences: CheckAudience::new(texts(rule, "audiences")?),
        subjects: None,
        require_expiration: false,
        max_lifetime: None,
        clock_skew: jwt_authn::CLOCK_SKEW,
        keys,
        from_headers,
        from_params,
        from_cookies,
        forward: rule.flag("forward_original_token", false)?,
        payload_header: payload_header.map(|name| PayloadHeader { name, pad: false }),
        claim_headers: rule.list("output_claim_to_headers")?.iter().map(claim_header).collect::<Result<_, _>>()?,
        clear_route_cache: rule.flag("clear_route_cache", false)?,
        metadata: metadata(rule)?,
    })
}

fn claim_header(element: &Cursor<'_>) -> Result<ClaimHeader, ConfigError> {
    let item = element.object("jwt_rule_claim_to_header")?;
    let claim = ClaimPath::dotted_as_written(item.required("claim")?.text()?);
    Ok(ClaimHeader { name: output_header(item.required("header")?)?, claim, encoding: ClaimEncoding::JwtAuthn })
}

/// Nobody asked for the payload: a host that has nowhere to put it is none the worse.
fn metadata(rule: &Object<'_>) -> Result<Metadata, ConfigError> {
    let mut claims = texts(rule, "space_delimited_claims")?;
    claims.extend(SPACE_DELIMITED.map(str::to_owned));
    Ok(Metadata { payload: Some(state_name(PAYLOAD)), space_delimited_claims: claims, ..Metadata::default() })
}

fn keys(rule: &Object<'_>, sources: &mut Sources<'_>) -> Result<Keys, ConfigError> {
    let timeout = rule.get("timeout").map_or(Ok(TIMEOUT), |cursor| duration(cursor, source::TIMEOUTS))?;
    match (given(rule, "jwks"), given(rule, "jwks_uri")) {
        // Which of both counts in Istio depends on who fetches keys there.
        (Some(_), Some(uri)) => {
            Err(uri.error("cannot stand beside \"jwks\": choose one of both, \"jwks\" or \"jwks_uri\""))
        }
        (Some(text), None) => {
            let set = KeySet::parse(text.text()?.as_bytes(), Origin::Local);
            Ok(Keys::Local(Rc::new(set.map_err(|status| text.error(status.text()))?)))
        }
        (None, Some(uri)) => Ok(Keys::Remote(sources.jwt_key_set(source(rule, uri, timeout)?))),
        (None, None) => Err(rule.error(
            "needs \"jwks_uri\" or \"jwks\": an issuer is not asked where its keys are, as Istio's control plane asks it; \
             give the \"jwks_uri\" of its /.well-known/openid-configuration",
        )),
    }
}

fn source(rule: &Object<'_>, uri: &Cursor<'_>, timeout: Duration) -> Result<Source, ConfigError> {
    let address = source::uri(uri)?;
    let cluster = match given(rule, "cluster") {
        Some(cluster) => cluster.text()?.to_owned(),
        None => cluster(address).ok_or_else(|| {
            uri.error("names no service of the mesh: expected \"https://host/path\" or \"https://host:port/path\"")
        })?,
    };
    Ok(Source {
        refetch_on_unknown_kid: false,
        field: uri.path().to_owned(),
        address: Address::Fixed(address.to_owned()),
        cluster,
        timeout,
        lifetime: LIFETIME,
        cooldown: LIFETIME,
        max_stale: MAX_STALE,
        pace: Pace::default(),
        request_headers: Vec::new(),
    })
}

/// Istio's name for the service that an address names.
fn cluster(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(['@', '|']) || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port = match (port, scheme) {
        ("", "https") => 443,
        ("", _) => 80,
        (port, _) => port.parse::<u16>().ok().filter(|port| *port > 0)?,
    };
    Some(format!("outbound|{port}||{host}"))
}

/// The text of that name; an empty one is an absence, as in every message.
fn given<'o, 'a>(rule: &'o Object<'a>, name: &str) -> Option<&'o Cursor<'a>> {
    rule.get(name).filter(|cursor| cursor.any_text() != Ok(""))
}

fn texts(rule: &Object<'_>, name: &str) -> Result<Vec<String>, ConfigError> {
    rule.list(name)?.iter().map(|text| text.text().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_cluster_that_istio_makes_of_its_service() {
        for (uri, expected) in [
            ("https://example.com/jwks", Some("outbound|443||example.com")),
            ("http://example.com/jwks", Some("outbound|80||example.com")),
            ("https://example.com", Some("outbound|443||example.com")),
            ("https://example.com?a=b:c@d", Some("outbound|443||example.com")),
            ("http://auth.default.svc.cluster.local:8080/a:b", Some("outbound|8080||auth.default.svc.cluster.local")),
            ("https://example.com:/jwks", Some("outbound|443||example.com")),
            ("http://[2001:db8::1]/jwks", Some("outbound|80||2001:db8::1")),
            ("http://[2001:db8::1]:81/jwks", Some("outbound|81||2001:db8::1")),
            ("http://user:secret@example.com/jwks", None),
            ("http://example.com:0/jwks", None),
            ("http://example.com:65536/jwks", None),
            ("http://example.com:+80/jwks", None),
            ("http://a|b/jwks", None),
            ("http://:80/jwks", None),
        ] {
            assert_eq!(cluster(uri).as_deref(), expected, "{uri}");
        }
    }
}
