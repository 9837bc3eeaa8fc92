//! An Envoy that runs the gate before its clusters are ready: with a static listener, the first fetch is due while Envoy still looks
//! for the issuer's hosts.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::crowd::outcome;
use crate::envoy::{self, address, cluster, new_folder, Envoy, Settings};
use crate::mint::Key;
use crate::proxy::{eventually, filter, Form};
use crate::servers::Behaviour;
use crate::wire::{get, Connection};
use crate::{closed, issuer, token, JWKS};

#[test]
fn the_first_requests_wait_for_keys_whose_cluster_was_not_ready_when_they_were_due() {
    let key = Key::p256(1).named("k1");
    let issuer = issuer(&[&key]);
    // Envoy uses a cluster once its first health check is over.
    issuer.set("/health", Behaviour::After(Duration::from_secs(4), Box::new(Behaviour::status(200))));
    let mut slow = cluster("issuer", issuer.port);
    slow["health_checks"] = json!([{
        "timeout": "20s", "interval": "60s", "healthy_threshold": 1, "unhealthy_threshold": 1,
        "http_health_check": {"path": "/health"},
    }]);
    let route = json!({"direct_response": {"status": 200}});
    let bootstrap = json!({
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": address(0)},
        "static_resources": {
            "listeners": [envoy::listener("gateway", vec![filter(&closed(), Form::Struct)], &route)],
            "clusters": [slow],
        },
    });
    let settings = Settings { concurrency: 4, cpu: None, logs: "wasm:debug" };
    let envoy = Envoy::start(new_folder(), &bootstrap, 1, settings).unwrap_or_else(|log| panic!("{log}"));
    let good = get("/").bearing(&token(&key).mint());
    let port = envoy.ports()["gateway"];
    eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut connection = Connection::open(port);
    connection.send(&good.bytes());
    let answer = connection.receive();
    assert_eq!(outcome(&answer), "200", "{}", envoy.log());
    assert_eq!(issuer.requests(JWKS).len(), 1);
}
