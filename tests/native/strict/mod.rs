//! Attacks by name, each against the gate's own semantics with everything else as it should be: what is forged is signed by the
//! right key wherever the attack leaves that possible, so that nothing but the attack can be the reason of the refusal.
//!
//! `docs/threats.md` names every one of them.

mod claims;
mod header;
mod keys;
mod paths;
mod request;
mod shape;
mod signatures;
mod templates;
mod tenants;
mod text;

use serde_json::{json, Value};

use crate::mint::{key_set, sign_compact, Key};
use crate::world::{local, Request, World};

/// A gate with these keys in its configuration.
fn gate(keys: &[&Key], more: Value) -> World {
    World::new(&json!({"providers": {"main": local(keys, more)}}), 1)
}

/// A key of another type than `jwk`, which keeps a set from being empty.
fn another(jwk: &Value) -> Key {
    if jwk["kty"] == "EC" { Key::ed25519(9) } else { Key::p384(9) }.named("another")
}

/// A gate with a key as it was published, and [`another`].
fn gate_with_key(jwk: Value) -> World {
    let other = another(&jwk).jwk();
    gate(&[], json!({"local_jwks": {"inline_string": key_set([jwk, other])}}))
}

/// What becomes of a request with this token.
fn code(world: &mut World, token: &str) -> &'static str {
    world.ask(0, &Request::get("/").bearer(token)).code()
}

/// A token of [`Key::p256`]`(1)`, with any header and payload.
fn signed(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    sign_compact(&Key::p256(1), "ES256", header.as_ref(), payload.as_ref())
}
