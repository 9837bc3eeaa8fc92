//! Which request passes, and why the others do not.

use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{local, Request, World};

fn protected(more: Value) -> World {
    World::new(&json!({"providers": {"main": local(&[&Key::rsa()], more)}}), 1)
}

#[test]
fn a_good_token_passes_and_no_token_does_not() {
    let mut world = protected(json!({}));
    let token = Token::new(&Key::rsa()).mint();
    assert_eq!(world.ask(0, &Request::get("/")).code(), "token_missing");
    assert_eq!(world.ask(0, &Request::get("/").bearer(&token)).code(), "allowed");
}
