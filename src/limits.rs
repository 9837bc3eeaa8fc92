//! Every bound of the gate, named, with its reason.

use std::time::Duration;

/// The longest token that is looked at, in bytes. Envoy accepts 60 KiB of request headers by default; the largest access
/// tokens seen in the field (group claims of Microsoft Entra ID) stay under 12 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The longest document that a key-set endpoint may answer, in bytes. Published sets of large providers have 2 to 20 KiB.
pub const MAX_KEY_SET_BYTES: usize = 512 * 1024;

/// The longest document of an issuer about itself, in bytes. Those of large providers have 2 to 8 KiB.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// The most keys of one set that are considered; later ones are skipped with a reason. Large providers publish under 20.
pub const MAX_KEYS: usize = 100;

/// The most keys that a token without `kid` is tried against: each try costs one signature check.
pub const MAX_KEYS_TRIED: usize = 8;

/// The longest revocation document, in bytes: 100,000 entries of a UUID and its frame.
pub const MAX_REVOCATION_BYTES: usize = 8 * 1024 * 1024;

/// The most entries of a revocation document.
pub const MAX_REVOCATIONS: usize = 100_000;

/// The most tokens that one provider's locations may yield in one request: each may cost a signature check.
pub const MAX_TOKENS_PER_REQUEST: usize = 4;

/// The longest path that is judged in every way in which it can be read, in bytes; a longer one is refused if it may have several.
/// Its [readings](MAX_PATH_READINGS), each against every regular expression, would let one request of 60 KiB take as long as
/// thousands.
pub const MAX_AMBIGUOUS_PATH_BYTES: usize = 8 * 1024;

/// The most parameters of a query that rules and variables look at: servers read no more of them, as PHP and Node do, or refuse the
/// request, and whoever has more knows which parameter is to be the last one that is seen. It bounds as well what one request takes in
/// memory.
pub const MAX_QUERY_PARAMETERS: usize = 1000;

/// The most readings of one path that are tried; a path that has more is refused. What is honestly encoded has a handful; each
/// further `%25` in a row is one more.
pub const MAX_PATH_READINGS: usize = 64;

/// RSA moduli, in bits: RFC 7518 section 3.3 asks for 2048; over 8192 a check takes so long that it becomes an attack.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The longest `cel` expression, in bytes; the most parts in it, `exists` and the like written out; and how deep they may stand within
/// each other: evaluating them takes stack for each level.
pub const MAX_EXPRESSION_BYTES: usize = 4 * 1024;
/// See [`MAX_EXPRESSION_BYTES`].
pub const MAX_EXPRESSION_NODES: usize = 512;
/// See [`MAX_EXPRESSION_BYTES`].
pub const MAX_EXPRESSION_DEPTH: u16 = 32;

/// The most steps that an expression may need for the claims of one token: measured in Envoy, a few milliseconds.
pub const MAX_EXPRESSION_STEPS: u64 = 25_000;

/// The most requests that wait for a document at once, in one VM. A waiting request costs its headers and a buffered body.
pub const MAX_WAITING: usize = 1024;

/// The same for those whose token is good and that wait for more than that: for a service's decision, or the revocation list.
/// The places that are theirs alone cannot be taken by tokens that nobody has checked yet.
pub const MAX_WAITING_KNOWN: usize = MAX_WAITING + MAX_WAITING / 2;

/// The most waiting requests of one VM that are let go in one callback; the others follow with the next ones. Envoy carries
/// them out one inside the other when the callback has returned, and beyond some 260 its stack is used up, which is a trap.
pub const MAX_RELEASED: usize = 64;

/// What a wait may take beyond the callout's own timeout: the answer has to travel from the worker that fetched it.
pub const WAIT_MARGIN: Duration = Duration::from_secs(1);

/// First and longest pause between attempts to fetch a document that fails.
pub const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// How many times in a row a fetch that the host does not make, since it has not found the upstream, is tried again after the first
/// pause: about as many seconds. Nobody is asked meanwhile, and an Envoy that starts may take so long to find its hosts.
pub const NOT_SENT_PAUSES: u64 = 60;

/// The shortest lifetime that a `Cache-Control: max-age` can ask for: below it, an issuer would be hammered by its own header.
pub const MIN_MAX_AGE: Duration = Duration::from_secs(10);

/// How often each VM looks at the clock and at what other VMs share. Bounds how long a rotation takes to reach a worker, and
/// how long a request that met an unknown key waits before the fetch begins.
pub const TICK: Duration = Duration::from_millis(100);

/// What a remembered token is taken to hold at least, in bytes: somewhat more than one of 1 KB does. A larger one counts as what
/// it holds.
pub const CACHED_TOKEN_BYTES: usize = 1024;

/// The most characters of a claim or a name that one field of the access log shows: OpenID Connect allows `sub` 255.
pub const MAX_LOGGED_CHARACTERS: usize = 256;

/// The most tokens that one VM can be told to remember: 100,000 of them take some 100 MB.
pub const MAX_CACHED_TOKENS: usize = 100_000;

/// The longest answer of a service that is asked about a token or a request, in bytes. Introspected claims have the size of a token.
pub const MAX_SERVICE_ANSWER_BYTES: usize = 64 * 1024;

/// The most questions that one request asks, one after the other. A route asks once for each of its providers, and once for itself.
pub const MAX_QUESTIONS_PER_REQUEST: usize = 16;

/// About how many bytes of answers and texts the refusals of one configuration keep put together, by all that they depend on: some
/// thousands of them.
/// What goes beyond is put together for each refusal.
pub const MAX_WORDING_BYTES: usize = 1024 * 1024;

/// The longest path that a redirect to a login page names, in bytes: encoded it is three times as long at most, and clients and
/// proxies take headers of 8 KiB.
pub const MAX_WAY_BACK_BYTES: usize = 2 * 1024;
