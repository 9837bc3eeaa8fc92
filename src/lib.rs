//! Authenticates and authorizes every request by its JWT inside the proxy.
//!
//! jwt-gate is one WebAssembly module that a proxy-wasm host (Envoy, Istio) loads as an HTTP filter. It holds the issuers' public
//! keys and judges every token in place, so that the services behind the proxy hold no authentication code, and the issuer is
//! never asked about a token, unless the configuration says so (`introspection`).
//!
//! # The way of a request
//!
//! ```text
//!  host ──▶ request ──▶ policy ─────────────────────────────────────────────▶ verdict ──▶ host
//!  bytes    routes       │ each provider of the rule's requirement             edits, or
//!           tokens       ├─▶ jose   shape, header                              a denial
//!                        ├─▶ keys   which key          ◀── remote  fetched, shared, kept
//!                        ├─▶ crypto does it hold
//!                        ├─▶ jose   claims: a `Verified`
//!                        ├─▶ admission, revocation ◀── remote: a `Principal`
//!                        └─▶ authorization   scopes, claims, an expression; a service ◀── asked, and the answer kept
//! ```
//!
//! For a token that is no JWT, or with `introspection` for every one, the issuer's answer stands in for, or beside, the signature.
//!
//! * [`gate`] is the whole contract: [`Gate::handle`](gate::Gate::handle) takes an [`Event`](gate::Event) and the time and returns
//!   [`Effect`](gate::Effect)s. The core does no I/O, reads no clock, and natively does not know its ABI. What it needs of a host
//!   while it decides is handed to it: signatures to be checked, and the filter state.
//! * [`request`] is what arrives, as bytes: the rule that a request falls under, and where its tokens are.
//! * [`jose`] is the JOSE RFCs: the only ways to a [`Verified`](jose::Verified) lead through the signature check, or through an
//!   issuer's answer that the token is active (RFC 7662).
//! * [`keys`] chooses keys; [`crypto`] checks signatures, through a provider.
//! * [`cache`] remembers what verified.
//! * [`remote`] fetches key sets and revocation lists and shares them between the worker threads of a proxy; an issuer may be asked
//!   first where its keys are.
//! * [`policy`] decides: requirements, claims, revocation, authorization, and what others say of a token or a request; only a [`Principal`](policy::Principal), or one of the
//!   named exceptions of [`Pass`](policy::Pass), passes.
//! * [`jwt_authn`] is Envoy's own filter, decision by decision: `semantics: jwt_authn`, and Istio's `jwt_rules`.
//! * [`jwt_verify`] is the JWT library beneath it, with its leniencies.
//! * [`verdict`] is the closed list of reasons and how each looks on the wire.
//! * [`config`] compiles JSON into all of that.
//! * `host` is the adapter, for wasm32 alone.
//!
//! Imports go one way: `time`, `redact`, `limits`, `log`, `hashed`, `order` · `json` · [`verdict`] · [`request`] · [`crypto`] ·
//! [`keys`] · [`remote`] · [`jose`], [`jwt_verify`] · [`cache`], [`stats`] · [`policy`] · [`jwt_authn`] · [`gate`] · [`config`] ·
//! `host`. A test holds the table.
//!
//! # Where the code departs from the design on paper
//!
//! * The configuration is read by cursors instead of serde mirrors: a path, a suggestion and both spellings of a name come with
//!   every access, and one table of fields feeds the reader and the README.
//! * `crypto` and `remote` are rooms of their own: keys do not fetch, and revocation lists are fetched like keys.
//! * A host binds the answer of a call to the context that made it, so calls are made in the tick of the root context: a fetch that
//!   a request began would be lost with that request. Only in a host that cannot go on with a request from there, a request makes
//!   its own call too and is held for it. Of those that find the document being fetched by others, the first few call beside that,
//!   until the first content is there; the rest is answered at once.
//! * The filter state is read while the gate decides, by a function that comes with the head: only the decision knows whether a rule
//!   matches, and one that does saves the call. As with signatures, nothing leads from that call back to the gate, which is borrowed.
//! * What is asked about one request (introspection, an authorization service) is no document: the call is made in the context of that
//!   request, which waits for it, and its answer is kept in its own VM alone. Requests with the same question share the call where the
//!   host can go on with one from the context of another.
//! * `semantics: jwt_authn` is a room of its own beside `policy`, and no set of switches in it: Envoy edits a request while it walks a
//!   requirement, goes on with what needs no keys while it waits for others, and says of a token what its claims are before it
//!   knows who wrote them. What it says comes from unverified claims; what it lets pass never does.
//! * The crate `abi` stands in place of the usual SDK, whose every callback would be called for every request; it holds all unsafe
//!   code there is.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod cache;
pub mod config;
pub mod crypto;
pub mod gate;
pub mod hashed;
pub mod jose;
pub mod json;
pub mod jwt_authn;
pub mod jwt_verify;
pub mod keys;
pub mod limits;
pub mod log;
mod order;
pub mod policy;
pub mod redact;
pub mod remote;
pub mod request;
pub mod stats;
pub mod time;
pub mod verdict;

#[cfg(target_arch = "wasm32")]
mod host;
