//! Issuers, libraries and a policy engine that others wrote, in tests/interop: `oidc-provider`, `jose`, PyJWT, joserfc, and Open
//! Policy Agent.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use base64::prelude::{Engine, BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{json, Value};

use crate::envoy::{new_folder, project, INTROSPECTION_SECRET};
use crate::mint::{Key, AUDIENCE};
use crate::proxy::{eventually, Proxy};
use crate::servers::{Behaviour, Issuer, Seen};
use crate::wire::{get, request, Connection, Message, Request};
use crate::{issuer, provider, token};

/// Every asymmetric algorithm that the gate knows.
const ALGORITHMS: [&str; 11] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];

/// Who the gate is to `oidc-provider`: a name that is another one in a form.
const GATE: &str = "https://gate.example/?a=b&c=d+e f";

#[test]
fn what_oidc_provider_signs_by_any_algorithm_passes_by_discovery_and_nothing_else_does() {
    let issuer = OidcProvider::start();
    let mut main = issuer.provider();
    main["profile"] = json!("rfc9068");
    let proxy = issuer.proxy(&main);
    for alg in ALGORITHMS {
        let token = issuer.token("shop", alg);
        assert_eq!(caller(&proxy, &token), Ok("shop-client".into()), "{alg}");
        assert_eq!(caller(&proxy, &with_flipped_bit(&token)), refusal("signature_invalid"), "{alg}");
        assert_eq!(caller(&proxy, &issuer.token("bank", alg)), refusal("audience_not_allowed"), "{alg}");
    }
}

#[test]
fn opaque_tokens_of_oidc_provider_pass_until_they_are_revoked() {
    let issuer = OidcProvider::start();
    let mut main = issuer.provider();
    main["introspection"] = json!({
        "http_uri": {"uri": issuer.url("/token/introspection"), "cluster": "issuer", "timeout": "5s"},
        "client_id": GATE,
        "client_secret_env": "INTROSPECTION_SECRET",
        "cache": {"ttl": "1s"},
    });
    let proxy = issuer.proxy(&main);
    let (opaque, other) = (issuer.token("shop", "opaque"), issuer.token("shop", "opaque"));
    for token in [&opaque, &other, &issuer.token("shop", "ES256")] {
        assert_eq!(caller(&proxy, token), Ok("shop-client".into()));
    }
    assert_eq!(caller(&proxy, &issuer.token("bank", "opaque")), refusal("audience_not_allowed"));
    assert_eq!(caller(&proxy, "invented"), refusal("token_inactive"));
    issuer.form("/token/revocation", &format!("token={opaque}"));
    eventually("the revoked token is refused", || caller(&proxy, &opaque) == refusal("token_inactive"));
    assert_eq!(caller(&proxy, &other), Ok("shop-client".into()));
}

#[test]
fn a_key_that_oidc_provider_signs_with_since_now_is_good_at_once_and_one_that_it_withdraws_is_no_longer() {
    let issuer = OidcProvider::start();
    let mut main = issuer.provider();
    let proxy = issuer.proxy(&main);
    let old = issuer.token("shop", "ES256");
    assert_eq!(caller(&proxy, &old), Ok("shop-client".into()));
    issuer.ask(&get("/rotate"));
    let new = issuer.token("shop", "ES256");
    assert_eq!(caller(&proxy, &new), Ok("shop-client".into()), "the first token of the new key");
    assert_eq!(caller(&proxy, &old), Ok("shop-client".into()), "a token of the old key, which is still published");
    issuer.ask(&get("/withdraw"));
    main["discovery"]["cache_duration"] = json!("1s");
    proxy.reconfigure(&json!({"providers": {"main": main}}));
    eventually("the old key is gone", || caller(&proxy, &old) == refusal("key_unknown"));
    assert_eq!(caller(&proxy, &new), Ok("shop-client".into()));
}

#[test]
fn what_jose_joserfc_and_pyjwt_sign_by_any_algorithm_passes_and_what_is_changed_then_does_not() {
    let issuer = Issuer::start();
    let libraries = [
        ("jose", node("mint-jose.mjs"), &ALGORITHMS[..]),
        ("joserfc", python("mint_joserfc.py"), &ALGORITHMS),
        // It knows Ed25519 as EdDSA alone.
        ("pyjwt", python("mint_pyjwt.py"), &ALGORITHMS[..10]),
    ];
    let (mut providers, mut tokens) = (json!({}), Vec::new());
    for (library, program, algorithms) in libraries {
        let minted = minted(program, library);
        let path = format!("/{library}.json");
        issuer.set(&path, Behaviour::json(&minted["jwks"]));
        providers[library] = provider();
        providers[library]["issuer"] = json!(library);
        providers[library]["remote_jwks"]["http_uri"]["uri"] = json!(format!("http://issuer.example{path}"));
        for alg in algorithms {
            let token = minted["tokens"][alg].as_str().unwrap_or_else(|| panic!("no token by {library}, {alg}"));
            tokens.push((format!("{library}, {alg}"), token.to_owned()));
        }
    }
    let proxy = Proxy::start(&json!({"providers": providers}), &issuer);
    for (name, token) in tokens {
        assert_eq!(caller(&proxy, &token), Ok("ada".into()), "{name}");
        assert_eq!(caller(&proxy, &with_flipped_bit(&token)), refusal("signature_invalid"), "{name}");
    }
}

/// The key set and the tokens that the program makes.
fn minted(mut program: Command, issuer: &str) -> Value {
    // Libraries write such a name in different ways.
    let claims =
        json!({"iss": issuer, "aud": [AUDIENCE, "bank"], "sub": "ada", "name": "Zoë 😀", "exp": 4_000_000_000_u64});
    let output = program.arg(claims.to_string()).output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

#[test]
fn open_policy_agent_decides_by_claims_method_and_path() {
    let opa = Server::start(&mut python("opa.py"));
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    let rule = |prefix: &str, document: &str| {
        let uri = format!("http://opa.example/v1/data/{document}");
        let service = json!({"protocol": "opa", "http_uri": {"uri": uri, "cluster": "opa", "timeout": "5s"}});
        json!({"match": {"prefix": prefix}, "requires": {"provider_name": "main"}, "authorize": {"service": service}})
    };
    let gate = json!({
        "providers": {"main": provider()},
        // A document that is true or false, one that has such a member, one that can be undefined, and one that always is.
        "rules": [
            rule("/orders/ada", "shop/allow"),
            rule("/orders", "shop"),
            rule("/clerks", "shop/for_clerks"),
            rule("/", "nothing"),
        ],
    });
    let proxy = Proxy::with_upstreams(&gate, &[("issuer", issuer.port), ("opa", opa.port)]);
    let ada = token(&key).claim("sub", "ada").mint();
    let bob = token(&key).claim("sub", "bob").mint();
    let clerk = token(&key).claim("sub", "cleo").claim("roles", json!(["clerk"])).mint();
    let (yes, no) = (true, false);
    for (method, path, expected) in [
        // What the policy says to ada, bob and the clerk.
        ("GET", "/orders/ada/42", [yes, no, yes]),
        ("GET", "/orders/bob/42?by=ada", [no, yes, yes]),
        ("DELETE", "/orders/ada/42", [no, no, yes]),
        ("GET", "/orders/ada", [no, no, yes]),
        ("GET", "/clerks", [no, no, yes]),
        ("GET", "/elsewhere", [no, no, no]),
    ] {
        for ((name, token), allowed) in [("ada", &ada), ("bob", &bob), ("cleo", &clerk)].into_iter().zip(expected) {
            let answer = outcome(&proxy.send(&request(method, path).bearing(token)));
            let expected = if allowed { Ok(name.into()) } else { refusal("authorization_denied") };
            assert_eq!(answer, expected, "{method} {path} by {name}");
        }
    }
}

/// Whom the service took for the caller with this token, or why the gate refused it.
fn caller(proxy: &Proxy, token: &str) -> Result<String, String> {
    outcome(&proxy.send(&get("/").bearing(token)))
}

fn outcome(answer: &Message) -> Result<String, String> {
    if answer.status() == 200 {
        return Ok(Seen::of(answer).values("x-user-id").join(", "));
    }
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Err(problem["code"].as_str().unwrap_or(&answer.start).to_owned())
}

fn refusal(code: &str) -> Result<String, String> {
    Err(code.to_owned())
}

/// The token with another bit in the middle of its signature.
fn with_flipped_bit(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("it is a JWT");
    let mut signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("a signature is base64url");
    let middle = signature.len() / 2;
    signature[middle] ^= 1;
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// `oidc-provider`, with a key for every algorithm.
struct OidcProvider(Server);

impl OidcProvider {
    fn start() -> Self {
        let mut command = node("issuer.mjs");
        command.env("GATE_ID", GATE).env("GATE_SECRET", INTROSPECTION_SECRET);
        Self(Server::start(&mut command))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.0.port)
    }

    fn provider(&self) -> Value {
        json!({
            "issuer": self.url(""),
            "audiences": ["shop"],
            "discovery": {"cluster": "issuer"},
            "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "client_id"}],
        })
    }

    fn proxy(&self, provider: &Value) -> Proxy {
        let gate = json!({"providers": {"main": provider}});
        Proxy::with_upstreams(&gate, &[("issuer", self.0.port)])
    }

    /// A new token for this audience: signed by an algorithm, or `opaque`.
    fn token(&self, audience: &str, form: &str) -> String {
        let answer = self.form("/token", &format!("grant_type=client_credentials&resource=urn:{audience}:{form}"));
        let answer: Value = serde_json::from_slice(&answer.body).expect("it answers JSON");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{form}: {answer}")).to_owned()
    }

    /// What the client of the tests asks.
    fn form(&self, path: &str, form: &str) -> Message {
        let credentials = BASE64_STANDARD.encode("shop-client:of-the-client");
        let request = request("POST", path)
            .with("authorization", format!("Basic {credentials}"))
            .with("content-type", "application/x-www-form-urlencoded");
        self.ask(&request.carrying(form.as_bytes()))
    }

    fn ask(&self, request: &Request) -> Message {
        let mut connection = Connection::open(self.0.port);
        connection.send(&request.bytes());
        let answer = connection.receive();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer
    }
}

/// A program of tests/interop that serves on a port of the loopback until it is dropped.
struct Server {
    child: Child,
    /// What it prints, which nobody reads beyond the first line; without a reader it would end.
    _output: BufReader<ChildStdout>,
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// Starts it, and waits until it says its port.
    fn start(command: &mut Command) -> Self {
        let folder = new_folder();
        let log = folder.join("log");
        let errors = File::create(&log).expect("the folder is ours");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a program prints text");
        let started: Value = serde_json::from_str(&line).unwrap_or_default();
        let port = started["port"].as_u64().and_then(|port| port.try_into().ok());
        let port = port.unwrap_or_else(|| panic!("{command:?}: {}", fs::read_to_string(&log).unwrap_or_default()));
        Self { child, _output: output, folder, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // This closes its input, with which it ends.
        let _ = self.child.wait();
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn node(program: &str) -> Command {
    ready("tests/interop/node_modules");
    let mut command = Command::new("node");
    command.arg(project("tests/interop").join(program));
    command
}

fn python(program: &str) -> Command {
    let mut command = Command::new(ready(".tools/interop/bin/python"));
    command.arg(project("tests/interop").join(program));
    command
}

fn ready(path: &str) -> PathBuf {
    let path = project(path);
    assert!(path.exists(), "{} is missing: `make test` installs it", path.display());
    path
}
