//! The host's cryptography, asked as the gate asks it, against what others published to break signature checks.

use std::fmt::Write;

use serde_json::json;

use crate::envoy::{project, wasm_filter};
use crate::proxy::Proxy;
use crate::signature_cases::{ecdsa, other_ecdsa, pkcs1, Case, Tally};
use crate::wire::{get, Connection};

fn start() -> Proxy {
    let module = project("target/wasm32-wasip1/release/examples/signatures.wasm");
    assert!(module.exists(), "{} is missing: `make test` builds it", module.display());
    Proxy::with_filters(vec![wasm_filter("signatures", &module, &json!(null))], |_, _| {})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn ask(connection: &mut Connection, alg: &str, case: &Case) -> String {
    let question = get("/").with("x-alg", alg).with("x-key", hex(&case.key)).with("x-message", hex(&case.message));
    connection.send(&question.with("x-signature", hex(&case.signature)).bytes());
    connection.receive().text().to_owned()
}

fn holds(connection: &mut Connection, case: &Case) -> bool {
    match ask(connection, case.alg, case).as_str() {
        "holds" => true,
        "refused" => false,
        other => panic!("{}, case {}: {other}", case.set, case.number),
    }
}

#[test]
fn published_cases_come_out_as_they_should_in_the_hosts_cryptography() {
    let proxy = start();
    let mut connection = proxy.connect();
    let mut tally = Tally::default();
    for case in pkcs1().into_iter().chain(ecdsa()) {
        let found = holds(&mut connection, &case);
        tally.check(&case.set, case.number, &case.comment, case.holds, found);
    }
    assert!(tally.finish() > 3800);
    for case in other_ecdsa() {
        assert!(!holds(&mut connection, &case), "{}, case {}: {}", case.set, case.number, case.comment);
    }
    // What the host does not know is left to the next provider.
    assert_eq!(ask(&mut connection, "PS256", &pkcs1()[0]), "no answer");
    // A key that does not fit is no question for the host.
    assert_eq!(ask(&mut connection, "ES256", &pkcs1()[0]), "refused");
}
