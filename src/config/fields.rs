//! Every field of the configuration, once: what the reader knows, and what the README's table shows.

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The object that it belongs to.
    pub object: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn field(
    object: &'static str,
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Field {
    Field { object, name, kind, default, meaning }
}

/// Every field.
#[rustfmt::skip]
pub const FIELDS: &[Field] = &[
    field("configuration", "providers", "map of name to provider", "required", "who issues tokens"),
    field("configuration", "rules", "list of rule", "none", "what each route asks for; the first match wins; a request that no rule matches needs a token of any provider"),
    field("configuration", "bypass_cors_preflight", "boolean", "`false`", "let CORS preflights (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) pass without a token"),
    field("configuration", "token_cache", "token_cache", "on", "remember tokens that verified, in each VM"),
    field("configuration", "crypto", "`auto`, `host` or `portable`", "`auto`", "who checks `RS*` and `ES*` signatures: the host where it can, the host or nobody, or the module itself"),
    field("token_cache", "max_entries", "0 to 100000", "`10000`", "how many tokens of average size; 0 switches it off"),
    field("token_cache", "max_token_size", "0 to 16384 bytes", "`4096`", "longer tokens are checked every time"),
    field("provider", "issuer", "string", "not checked", "the exact value of `iss`"),
    field("provider", "audiences", "list of string", "required", "`aud` must hold one of these"),
    field("provider", "allow_any_audience", "boolean", "`false`", "take tokens whatever their `aud`; in place of `audiences`"),
    field("provider", "algorithms", "list of string", "all asymmetric ones", "allow-list of `RS256` `RS384` `RS512` `PS256` `PS384` `PS512` `ES256` `ES384` `ES512` `EdDSA` `Ed25519` and, with `local_jwks` alone, `HS256` `HS384` `HS512`"),
    field("provider", "require_expiration", "boolean", "`true`", "a token must have `exp`"),
    field("provider", "max_lifetime", "duration, 1s to 365 days", "none", "refuse a token that lives on for this long or longer"),
    field("provider", "clock_skew_seconds", "0 to 3600", "`60`", "how far the issuer's clock may be off, for `exp`, `nbf` and `iat`"),
    field("provider", "remote_jwks", "remote_jwks", "this or `local_jwks`", "fetch the keys"),
    field("provider", "local_jwks", "local_jwks", "this or `remote_jwks`", "the keys stand here"),
    field("provider", "from_headers", "list of from_headers", "`Authorization: Bearer`", "headers that hold tokens; the default holds where none of the three `from_` fields is given"),
    field("provider", "from_params", "list of string", "none", "query parameters that hold tokens"),
    field("provider", "from_cookies", "list of string", "none", "cookies that hold tokens"),
    field("provider", "forward", "boolean", "`false`", "leave the token in the request"),
    field("provider", "forward_payload_header", "string", "none", "set this header to the payload, base64url"),
    field("provider", "pad_forward_payload_header", "boolean", "`false`", "pad it with `=`"),
    field("provider", "claim_to_headers", "list of claim_to_headers", "none", "set headers from claims"),
    field("provider", "revocation", "revocation", "none", "refuse tokens that a list names"),
    field("provider", "jwt_cache_config", "jwt_cache_config", "none", "`jwt_authn`'s name for the cache, which is always on: raises `token_cache` where this asks for more"),
    field("jwt_cache_config", "jwt_cache_size", "0 to 100000", "`0`", "raises `max_entries`"),
    field("jwt_cache_config", "jwt_max_token_size", "0 to 16384 bytes", "`0`", "raises `max_token_size`"),
    field("remote_jwks", "http_uri", "http_uri", "required", "where the key set is"),
    field("remote_jwks", "cache_duration", "duration, 1s to 30 days", "`600s`", "fetch it again before this time is over; `Cache-Control` can shorten it, to 10 s at least"),
    field("remote_jwks", "refetch_cooldown", "duration, 1s to 1 day", "`30s`", "an unknown `kid` fetches at once, but not again within this time"),
    field("remote_jwks", "max_stale", "duration, 1s to 365 days", "`24h`", "how long the last good keys serve when no fetch succeeds"),
    field("http_uri", "uri", "string", "required", "`http://host/path`; the host goes into `:authority`"),
    field("http_uri", "cluster", "string", "required", "the upstream that is asked, by the host's name for it"),
    field("http_uri", "timeout", "duration, 1ms to 60s", "required", "when a fetch has failed"),
    field("local_jwks", "inline_string", "string", "this or `inline_bytes`", "the key set as JSON text"),
    field("local_jwks", "inline_bytes", "string", "this or `inline_string`", "the same in base64"),
    field("from_headers", "name", "string", "required", "the header"),
    field("from_headers", "value_prefix", "string", "`\"\"`", "only values that begin with this hold a token: the rest of them"),
    field("claim_to_headers", "header_name", "string", "required", "the header to set"),
    field("claim_to_headers", "claim_name", "string", "this or `claim_path`", "the claim; a dot leads into an object"),
    field("claim_to_headers", "claim_path", "list of string", "this or `claim_name`", "the claim, by its names from the outermost object inwards"),
    field("revocation", "http_uri", "http_uri", "required", "where the list is"),
    field("revocation", "refresh_interval", "duration, 1s to 1 day", "`10s`", "fetch it again before this time is over"),
    field("revocation", "on_unavailable", "`deny` or `allow`", "`deny`", "what happens to tokens while there is no list"),
    field("revocation", "max_stale", "duration, 1s to 365 days", "`24h`", "how long the last good list serves when no fetch succeeds"),
    field("rule", "match", "match", "required", "which requests"),
    field("rule", "public", "boolean", "`false`", "let everyone in, without a token"),
    field("rule", "requires", "requires", "this or `public`", "which token they need"),
    field("rule", "authorize", "authorize", "none", "what the token must say, beyond being valid"),
    field("match", "prefix", "string", "one of the four", "the path, or what stands before a `/` in it: `/api` matches `/api` and `/api/x`, never `/apix`"),
    field("match", "path", "string", "one of the four", "the whole path"),
    field("match", "path_separated_prefix", "string", "one of the four", "the same as `prefix`"),
    field("match", "safe_regex", "safe_regex", "one of the four", "the whole path, by a regular expression"),
    field("match", "headers", "list of header_matcher", "none", "all of which must match as well; `:method` is one"),
    field("safe_regex", "regex", "string", "required", "in RE2's syntax; must match the whole string"),
    field("header_matcher", "name", "string", "required", "the header, or `:method`, `:authority`, `:scheme`, `:path`"),
    field("header_matcher", "string_match", "string_matcher", "the header is there", "its value; several are joined by commas"),
    field("header_matcher", "present_match", "boolean", "the header is there", "whether it is there"),
    field("header_matcher", "invert_match", "boolean", "`false`", "the opposite; an absent header has no value, so it matches no `string_match`, inverted or not"),
    field("string_matcher", "exact", "string", "one of the five", "the whole string"),
    field("string_matcher", "prefix", "string", "one of the five", "its beginning"),
    field("string_matcher", "suffix", "string", "one of the five", "its end"),
    field("string_matcher", "contains", "string", "one of the five", "a part of it"),
    field("string_matcher", "safe_regex", "safe_regex", "one of the five", "the whole string, by a regular expression"),
    field("string_matcher", "ignore_case", "boolean", "`false`", "`a` is `A`; not for `safe_regex`"),
    field("requires", "provider_name", "string", "one of the six", "a token of this provider"),
    field("requires", "provider_and_audiences", "provider_and_audiences", "one of the six", "the same, with other audiences"),
    field("requires", "requires_any", "requirement_list", "one of the six", "one of these"),
    field("requires", "requires_all", "requirement_list", "one of the six", "all of these"),
    field("requires", "allow_missing", "`{}`", "one of the six", "a request without any token passes; a bad token does not"),
    field("requires", "allow_missing_or_failed", "`{}`", "one of the six", "every request passes; only a good token makes a caller known"),
    field("provider_and_audiences", "provider_name", "string", "required", "the provider"),
    field("provider_and_audiences", "audiences", "list of string", "required", "in place of the provider's"),
    field("requirement_list", "requirements", "list of requires", "required", "the requirements"),
    field("authorize", "scopes", "scopes", "none", "what `scope` (a string), or else `scp` (a string or an array), must hold"),
    field("authorize", "claims", "list of claim_condition", "none", "all of which must hold"),
    field("scopes", "any_of", "list of string", "this or `all_of`", "at least one of these"),
    field("scopes", "all_of", "list of string", "this or `any_of`", "all of these"),
    field("claim_condition", "claim", "string", "this or `claim_path`", "the claim; a dot leads into an object"),
    field("claim_condition", "claim_path", "list of string", "this or `claim`", "the claim, by its names from the outermost object inwards"),
    field("claim_condition", "equals", "string, number or boolean", "one of the five", "it is this"),
    field("claim_condition", "any_of", "list of the same", "one of the five", "it, or an element of it, is one of these"),
    field("claim_condition", "contains", "string, number or boolean", "one of the five", "it is an array with this element"),
    field("claim_condition", "prefix", "string", "one of the five", "it is a string that begins with this"),
    field("claim_condition", "present", "boolean", "one of the five", "whether it is there and not null"),
    field("claim_condition", "not", "boolean", "`false`", "the opposite; a claim of another type passes neither way"),
    field("duration", "seconds", "whole number", "`0`", "a duration is this object, or a string: `\"600s\"`, `\"0.5s\"`, `\"250ms\"`, `\"10m\"`, `\"1h\"`"),
    field("duration", "nanos", "whole number", "`0`", "nanoseconds beside the seconds"),
];

/// The names of the fields of one object.
pub(super) fn names_of(object: &str) -> impl Iterator<Item = &'static str> + use<'_> {
    FIELDS.iter().filter(move |field| field.object == object).map(|field| field.name)
}
