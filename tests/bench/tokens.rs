//! Tokens in great numbers. They are always the same but for their signatures, so those that took long are kept in a file.

use std::fs;
use std::sync::Arc;
use std::thread;

use crate::envoy::project;
use crate::mint::{encode, Key, Token};

/// When the tokens were issued, in seconds: 2025-01-01. They expire 25 years later.
const ISSUED: u64 = 1_735_689_600;
const LIFETIME: i64 = 25 * 365 * 24 * 3600;

/// How long most tokens are, in bytes.
pub const USUAL: usize = 800;

/// `count` tokens of `size` bytes, all different, signed with `alg` by a key that is published as `key`.
pub fn mint(key: &Key, alg: &str, size: usize, count: usize) -> Arc<[String]> {
    let mut tokens = signed(key, alg, size, 0, count);
    tokens.truncate(count);
    tokens.into()
}

/// The same, kept from run to run.
pub fn kept(key: &Key, alg: &str, size: usize, count: usize) -> Arc<[String]> {
    let folder = project(".run/bench/tokens");
    let file = folder.join(format!("{alg}-{size}.txt"));
    let text = fs::read_to_string(&file).unwrap_or_default();
    let mut tokens: Vec<String> = text.lines().map(str::to_owned).collect();
    // The first and the last line show whether the file is whole and of this program.
    let is_ours = |index: usize| {
        let unsigned = blueprint(key, alg, size, index).unsigned();
        tokens.get(index).is_some_and(|token| token.starts_with(&unsigned))
    };
    if !is_ours(0) || !is_ours(tokens.len().saturating_sub(1)) {
        tokens.clear();
    }
    if tokens.len() < count {
        println!("minting {} {alg} tokens of {size} bytes", count - tokens.len());
        tokens.extend(signed(key, alg, size, tokens.len(), count));
        fs::create_dir_all(&folder).expect("the project's folder can be written");
        fs::write(&file, tokens.join("\n")).expect("the project's folder can be written");
    }
    tokens.truncate(count);
    tokens.into()
}

/// Those from `first` to `end`, on all CPUs.
fn signed(key: &Key, alg: &str, size: usize, first: usize, end: usize) -> Vec<String> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = (end - first).div_ceil(threads).max(1);
    thread::scope(|scope| {
        let starts = (first..end).step_by(share);
        let parts: Vec<_> = starts
            .map(|start| {
                let range = start..end.min(start + share);
                scope.spawn(move || range.map(|index| blueprint(key, alg, size, index).mint()).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("a key signs")).collect()
    })
}

/// The token of that number before it is signed: what access tokens hold in the field, filled up to its size.
fn blueprint(key: &Key, alg: &str, size: usize, index: usize) -> Token {
    let token = Token::at(key, ISSUED)
        .alg(alg)
        .expires_in(LIFETIME)
        .claim("sub", format!("user-{:06}", index % 100_000))
        .claim("jti", format!("{index:032x}"))
        .claim("scope", "orders:read orders:write inventory:read")
        .claim("filling", "");
    let signature = encode(&vec![0; signature_length(alg)]).len();
    let missing = size.saturating_sub(token.unsigned().len() + signature);
    // Four characters of base64 hold three bytes.
    token.claim("filling", "x".repeat(missing * 3 / 4))
}

fn signature_length(alg: &str) -> usize {
    if alg.starts_with("RS") || alg.starts_with("PS") {
        256
    } else {
        64
    }
}
