//! A `JwtAuthentication` as Envoy reads it: `semantics: jwt_authn`.

use std::rc::Rc;
use std::time::Duration;

use super::cursor::{Cursor, Object};
use super::provider::local_document;
use super::rule::Named;
use super::source::{self, Sources};
use super::string_matcher::read as string_matcher;
use super::values::{duration, header, one_of, output_header, Reading};
use super::{access_log, route_match, token_outputs, ConfigError};
use crate::jwt_authn::{what_is_said, Extractor, Filter, Keys, Leaf, Outputs, Provider, Requirement};
use crate::jwt_verify::{CheckAudience, KeySet};
use crate::keys::Origin;
use crate::policy::{FilterStateRules, PayloadHeader};
use crate::request::Routes;
use crate::verdict::{HeaderName, Prepared, Room};

/// `verification_status_header`, unless it says otherwise.
const STATUS_HEADER: &str = "x-jwt-signature-verified";

/// Envoy's clock skew where none, or 0, is given, in seconds.
pub(super) const CLOCK_SKEW: u64 = 60;

const FORMS: &[&str] = &[
    "provider_name",
    "provider_and_audiences",
    "requires_any",
    "requires_all",
    "allow_missing",
    "allow_missing_or_failed",
    "extract_only_without_validation",
];

/// What only the gate's own semantics have.
const OWN: &[(&str, &[&str])] = &[
    ("configuration", &["statuses", "ambiguous_paths", "bad_token_beside_good", "responses", "protected_resource"]),
    (
        "provider",
        &[
            "algorithms",
            "allow_any_audience",
            "check_issued_at",
            "discovery",
            "introspection",
            "issuers",
            "profile",
            "revocation",
            "typ",
        ],
    ),
    ("from_headers", &["anywhere"]),
    ("claim_to_headers", &["encoding", "value"]),
    ("rule", &["public", "authorize", "enforce", "responses"]),
    ("remote_jwks", &["refetch_cooldown", "refetch_on_unknown_kid"]),
];

/// Reads the whole configuration.
pub(super) fn read(root: &Object<'_>, sources: &mut Sources<'_>) -> Result<Filter, ConfigError> {
    refuse_own(root, "configuration")?;
    let entries = root.get("providers").map_or(Ok(Vec::new()), Cursor::entries)?;
    let providers: Vec<Provider> =
        entries.into_iter().map(|(name, cursor)| one(name, &cursor, sources)).collect::<Result<_, _>>()?;
    let requirements = Requirements(&providers);
    let named = Named::read(root, |cursor| requirements.read(cursor))?;
    let (mut matches, mut rules) = (Vec::new(), Vec::new());
    for element in root.list("rules")? {
        let object = element.object("rule")?;
        refuse_own(&object, "rule")?;
        matches.push(route_match::read(object.required("match")?, Reading::JwtAuthn)?);
        rules.push(match object.at_most_one(&["requires", "requirement_name"])? {
            Some(("requires", cursor)) => requirements.read(cursor)?,
            Some((_, cursor)) => named.get(cursor)?,
            None => Requirement::Nothing,
        });
    }
    let filter_state_rules = root.get("filter_state_rules");
    let filter_state_rules =
        filter_state_rules.map(|cursor| FilterStateRules::read(cursor, |r| requirements.read(r))).transpose()?;
    Ok(Filter {
        routes: Routes::new(matches),
        rules,
        filter_state_rules,
        bypass_cors_preflight: root.flag("bypass_cors_preflight", false)?,
        strip_failure_response: root.flag("strip_failure_response", false)?,
        enforce: root.flag("enforce", true)?,
        access_log: access_log::read(root)?,
        says: what_is_said(),
        prepared: Prepared::new(&Room::default()),
        outputs: Outputs::of(&providers),
        providers,
    })
}

fn one(name: &str, cursor: &Cursor<'_>, sources: &mut Sources<'_>) -> Result<Provider, ConfigError> {
    let object = cursor.object("provider")?;
    refuse_own(&object, "provider")?;
    let (kind, keys) = object.exactly_one(&["remote_jwks", "local_jwks"])?;
    let keys = if kind == "local_jwks" { local(keys, sources)? } else { remote(keys, sources)? };
    for element in object.list("claim_to_headers")? {
        refuse_own(&element.object("claim_to_headers")?, "claim_to_headers")?;
    }
    let pad = object.flag("pad_forward_payload_header", false)?;
    let clock_skew = object.get("clock_skew_seconds").map_or(Ok(0), Cursor::whole_number)?;
    let mut from_headers = Vec::new();
    for element in object.list("from_headers")? {
        let item = element.object("from_headers")?;
        refuse_own(&item, "from_headers")?;
        let prefix = item.get("value_prefix").map(Cursor::any_text).transpose()?.unwrap_or_default();
        from_headers.push((header(item.required("name")?)?, prefix.to_owned()));
    }
    let (mut from_params, from_cookies) = (texts(&object, "from_params")?, texts(&object, "from_cookies")?);
    default_locations(&mut from_headers, &mut from_params, &from_cookies);
    Ok(Provider {
        name: name.to_owned(),
        issuer: object.get("issuer").map_or(Ok(""), Cursor::any_text)?.to_owned(),
        audiences: CheckAudience::new(texts(&object, "audiences")?),
        subjects: object.get("subjects").map(string_matcher).transpose()?,
        require_expiration: object.flag("require_expiration", false)?,
        max_lifetime: object.get("max_lifetime").map(|cursor| duration(cursor, source::ANY_DURATION)).transpose()?,
        clock_skew: if clock_skew == 0 { CLOCK_SKEW } else { clock_skew },
        keys,
        from_headers,
        from_params,
        from_cookies,
        forward: object.flag("forward", false)?,
        payload_header: match object.get("forward_payload_header").filter(|cursor| cursor.any_text() != Ok("")) {
            Some(cursor) => Some(PayloadHeader { name: output_header(cursor)?, pad }),
            None => None,
        },
        claim_headers: token_outputs::claim_headers(&object, Reading::JwtAuthn)?,
        clear_route_cache: object.flag("clear_route_cache", false)?,
        metadata: token_outputs::metadata(&object)?,
    })
}

/// Where Envoy looks for tokens unless it is told.
pub(super) fn default_locations(
    from_headers: &mut Vec<(HeaderName, String)>,
    from_params: &mut Vec<String>,
    from_cookies: &[String],
) {
    if from_headers.is_empty() && from_params.is_empty() && from_cookies.is_empty() {
        from_headers.extend(HeaderName::new("authorization").map(|name| (name, "Bearer ".to_owned())));
        from_params.push("access_token".to_owned());
    }
}

fn texts(object: &Object<'_>, name: &str) -> Result<Vec<String>, ConfigError> {
    object.list(name)?.iter().map(|text| text.any_text().map(str::to_owned)).collect()
}

/// Refuses what would have no effect beside Envoy's semantics.
pub(super) fn refuse_own(object: &Object<'_>, name: &str) -> Result<(), ConfigError> {
    let own = OWN.iter().filter(|(known, _)| *known == name).flat_map(|(_, fields)| *fields);
    match own.filter_map(|field| object.get(field)).next() {
        None => Ok(()),
        Some(cursor) => Err(cursor
            .error("goes with jwt-gate's own semantics alone, without \"semantics: jwt_authn\" and \"jwt_rules\"")),
    }
}

fn local(cursor: &Cursor<'_>, sources: &Sources<'_>) -> Result<Keys, ConfigError> {
    let (text, document) = local_document(cursor, sources)?;
    let set = KeySet::parse(&document, Origin::Local).map_err(|status| text.error(status.text()))?;
    Ok(Keys::Local(Rc::new(set)))
}

fn remote(cursor: &Cursor<'_>, sources: &mut Sources<'_>) -> Result<Keys, ConfigError> {
    let object = cursor.object("remote_jwks")?;
    refuse_own(&object, "remote_jwks")?;
    let lifetime = match object.get("cache_duration") {
        None => Duration::from_secs(600),
        // Envoy fetches when a request comes, and this one before it comes: a millisecond would be an attack on the issuer.
        Some(cursor) => duration(cursor, source::ANY_DURATION)?.max(source::SECOND),
    };
    // With async_fetch, Envoy's keys never expire; without, they serve for their lifetime and no longer.
    let max_stale = if object.get("async_fetch").is_some() { *source::ANY_DURATION.end() } else { lifetime };
    let pacing = source::Pacing { lifetime, cooldown: lifetime, max_stale, reading: Reading::JwtAuthn };
    Ok(Keys::Remote(sources.jwt_key_set(source::source(cursor, &object, pacing)?)))
}

/// Reads requirements of these providers.
struct Requirements<'p>(&'p [Provider]);

impl Requirements<'_> {
    fn read(&self, cursor: &Cursor<'_>) -> Result<Requirement, ConfigError> {
        let object = cursor.object("requires")?;
        let Some((form, inner)) = object.at_most_one(FORMS)? else { return Ok(Requirement::Nothing) };
        let of_all = || Extractor::new(self.0);
        Ok(match form {
            "provider_name" => self.leaf(inner, Vec::new())?,
            "provider_and_audiences" => {
                let object = inner.object("provider_and_audiences")?;
                self.leaf(object.required("provider_name")?, texts(&object, "audiences")?)?
            }
            "requires_any" => any(self.children(inner)?, of_all),
            "requires_all" => Requirement::All(self.children(inner)?),
            "allow_missing" | "allow_missing_or_failed" => {
                inner.object("empty")?;
                if form == "allow_missing" {
                    Requirement::AllowMissing(of_all())
                } else {
                    Requirement::AllowMissingOrFailed(of_all())
                }
            }
            _ => Requirement::ExtractOnly { extractor: of_all(), status_header: status_header(inner)? },
        })
    }

    fn children(&self, cursor: &Cursor<'_>) -> Result<Vec<Requirement>, ConfigError> {
        let list = cursor.object("requirement_list")?.list("requirements")?;
        if list.len() < 2 {
            return Err(cursor.error("needs two requirements at least"));
        }
        list.iter().map(|child| self.read(child)).collect()
    }

    fn leaf(&self, cursor: &Cursor<'_>, audiences: Vec<String>) -> Result<Requirement, ConfigError> {
        let names: Vec<&str> = self.0.iter().map(|provider| provider.name.as_str()).collect();
        let provider = one_of(cursor, "provider", &names)?;
        let audiences = (!audiences.is_empty()).then(|| CheckAudience::new(audiences));
        let extractor = Extractor::new(self.0.get(provider));
        Ok(Requirement::Provider(Leaf { provider, extractor, audiences }))
    }
}

/// `allow_missing` and `allow_missing_or_failed` speak of what stands beside them; alone, of the tokens of all providers.
fn any(children: Vec<Requirement>, of_all: impl Fn() -> Extractor) -> Requirement {
    let allow_missing = children.iter().any(|child| matches!(child, Requirement::AllowMissing(_)));
    let allow_failed = children.iter().any(|child| matches!(child, Requirement::AllowMissingOrFailed(_)));
    let is_regular =
        |child: &Requirement| !matches!(child, Requirement::AllowMissing(_) | Requirement::AllowMissingOrFailed(_));
    let mut children: Vec<Requirement> = children.into_iter().filter(is_regular).collect();
    if children.is_empty() {
        children.push(if allow_failed {
            Requirement::AllowMissingOrFailed(of_all())
        } else {
            Requirement::AllowMissing(of_all())
        });
    }
    Requirement::Any { children, allow_missing, allow_failed }
}

fn status_header(cursor: &Cursor<'_>) -> Result<Option<HeaderName>, ConfigError> {
    let object = cursor.object("extract_only_without_validation")?;
    match object.get("verification_status_header").map(|cursor| Ok((cursor, cursor.any_text()?))).transpose()? {
        None | Some((_, "")) => Ok(HeaderName::new(STATUS_HEADER)),
        // Its documentation has "-" for none; Envoy 1.40 sets a header of that name.
        Some((cursor, _)) => output_header(cursor).map(Some),
    }
}
