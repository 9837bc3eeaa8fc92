//! When documents are fetched again, by the issuer's own log: in time, not too often, and by one worker for all.

use std::time::{Duration, Instant};

use serde_json::{json, Map, Value};

use crate::mint::Key;
use crate::proxy::eventually;
use crate::servers::{Behaviour, Issuer};
use crate::{issuer, key_set, provider, start_with_four_workers};

/// What a tick, an answer and a busy machine may add to a pause that is not to be an exact one, in seconds.
const SLACK: f64 = 4.0;

/// The gate's clock counts whole milliseconds.
const GRAIN: f64 = 0.005;

/// The least that `Cache-Control` can ask for.
const LEAST_MAX_AGE: Duration = Duration::from_secs(10);

/// How many key sets are refreshed to see how their times differ, and how long each may be used.
const STEADY: usize = 8;
const LIFETIME: f64 = 20.0;

/// What a fetch may take, in seconds.
const TIMEOUT: f64 = 10.0;

/// What a provider fetches, and when.
struct Document {
    name: String,
    /// The provider's field, and what it holds beside the address.
    field: &'static str,
    settings: Value,
    answer: Behaviour,
    /// The shortest and the longest time from each request to the next, in seconds.
    pauses: Vec<(f64, f64)>,
    /// How many of them are waited for.
    awaited: usize,
}

impl Document {
    fn path(&self) -> String {
        format!("/{}", self.name)
    }

    fn provider(&self) -> Value {
        let mut provider = provider();
        provider["issuer"] = json!(format!("https://{}.example", self.name));
        let mut document = self.settings.clone();
        let uri = format!("http://issuer.example{}", self.path());
        document["http_uri"] = json!({"uri": uri, "cluster": "issuer", "timeout": format!("{TIMEOUT}s")});
        provider[self.field] = document;
        provider
    }

    /// What really lay between the requests.
    fn gaps(&self, issuer: &Issuer) -> Vec<f64> {
        let arrivals = issuer.arrivals(&self.path());
        arrivals.windows(2).map(|pair: &[Instant]| (pair[1] - pair[0]).as_secs_f64()).collect()
    }

    /// What is wrong with that, if anything is.
    fn complaint(&self, issuer: &Issuer) -> Option<String> {
        let gaps = self.gaps(issuer);
        let is_right = |(gap, &(shortest, longest)): (&f64, &(f64, f64))| *gap > shortest - GRAIN && *gap < longest;
        let are_right = gaps.len() <= self.pauses.len() && gaps.iter().zip(&self.pauses).all(is_right);
        (!are_right).then(|| format!("{}: {gaps:.3?}", self.name))
    }
}

/// After a failure: up to a quarter less than the pause.
fn about(pause: f64) -> (f64, f64) {
    (0.75 * pause, pause + SLACK)
}

/// Before so much of the lifetime is over as jitter can make it.
fn refreshes(lifetime: Duration) -> Vec<(f64, f64)> {
    let lifetime = lifetime.as_secs_f64();
    vec![(0.80 * lifetime, 0.95 * lifetime + SLACK); 30]
}

fn documents(key: &Key) -> Vec<Document> {
    let document = |name: &str, settings, answer, pauses, awaited| {
        let (name, field) = (name.to_owned(), "remote_jwks");
        Document { name, field, settings, answer, pauses, awaited }
    };
    let backoff = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
    // Before each pause between fetches come those between the attempts of one, which can be any part of the longest.
    let retries = [0.2, 0.4, 0.4].map(|longest| (0.1, longest + SLACK));
    let retried = backoff.iter().flat_map(|&pause| retries.into_iter().chain([about(pause)])).collect();
    let policy = json!({"num_retries": 3, "retry_back_off": {"base_interval": "0.2s", "max_interval": "0.4s"}});
    let patient = json!({"retry_policy": policy, "async_fetch": {"failed_refetch_duration": "3s"}});
    let unmoved = json!({"async_fetch": {"failed_refetch_duration": "3s"}});
    // In two lines, which are one list.
    let hasty = key_set(&[key]).with("cache-control", "public").with("cache-control", "max-age=1");
    // What frameworks say of all that they send is no lifetime.
    let of_files = key_set(&[key]).with("cache-control", "public, max-age=0");
    let framework = key_set(&[key]).with("cache-control", "no-cache, no-store, max-age=0, must-revalidate");
    let lifetime = json!({"cache_duration": format!("{LIFETIME}s")});
    let as_configured = || refreshes(Duration::from_secs_f64(LIFETIME));
    let mut documents = vec![
        document("of-files", lifetime.clone(), of_files, as_configured(), 1),
        document("framework", lifetime.clone(), framework, as_configured(), 1),
        document("hasty", json!({"cache_duration": "600s"}), hasty, refreshes(LEAST_MAX_AGE), 2),
        document("failing", json!({}), Behaviour::status(500), backoff.map(about).to_vec(), 4),
        document("unmoved", unmoved, Behaviour::status(500), vec![(3.0, 3.0 + SLACK); 10], 4),
        document("retried", json!({ "retry_policy": policy }), Behaviour::status(500), retried, 12),
        // The first attempt takes all of the time. It begins before the issuer sees it, so a part of that is not seen.
        document("hanging", patient, Behaviour::Hang, vec![(TIMEOUT + 2.0, TIMEOUT + 3.0 + SLACK); 3], 1),
        Document {
            name: "revoked".to_owned(),
            field: "revocation",
            settings: json!({"refresh_interval": "2s"}),
            answer: Behaviour::json(&json!({"revoked": []})),
            pauses: refreshes(Duration::from_secs(2)),
            awaited: 6,
        },
    ];
    documents.extend((0..STEADY).map(|number| {
        let settings = lifetime.clone();
        // That the lifetime is not over is what the pause is for, so it has no slack.
        let pauses = vec![(0.80 * LIFETIME, 0.995 * LIFETIME); 3];
        document(&format!("steady-{number}"), settings, key_set(&[key]), pauses, 1)
    }));
    documents
}

#[test]
fn every_document_is_fetched_again_in_its_time_and_by_one_of_four_workers_for_all() {
    let key = Key::p256(1).named("k1");
    let issuer = issuer(&[&key]);
    let documents = documents(&key);
    documents.iter().for_each(|document| issuer.set(&document.path(), document.answer.clone()));
    let providers: Map<_, _> = documents.iter().map(|document| (document.name.clone(), document.provider())).collect();
    let _proxy = start_with_four_workers(&json!({"providers": providers}), &issuer);

    for document in &documents {
        eventually(&document.name, || document.gaps(&issuer).len() >= document.awaited);
    }
    let wrong: Vec<String> = documents.iter().filter_map(|document| document.complaint(&issuer)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");

    let first = |document: &Document| document.gaps(&issuer)[0];
    let steady = documents.iter().filter(|document| document.name.starts_with("steady")).map(first);
    let (earliest, latest) = steady.fold((f64::MAX, 0.0), |(least, most), gap| (gap.min(least), gap.max(most)));
    assert!(latest - earliest > 0.2, "a fleet would ask all at once: {earliest} to {latest}");
}
