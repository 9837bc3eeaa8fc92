//! What others published, to break signature checks or to show how they work: Wycheproof, the RFCs, the keys that runtimes export
//! and issuers publish.

use jwt_gate::crypto::{Alg, CryptoProvider, KeyProblem, Portable, PublicKey};
use jwt_gate::jose::{verify, CompactJws, JoseHeader};
use jwt_gate::keys::{KeySet, Origin, Selection, Skipped};
use jwt_gate::verdict::Reason;
use serde_json::{json, Value};
use wycheproof::TestResult;

use crate::signature_cases::{ecdsa, other_ecdsa, pkcs1, Case, Tally};
use crate::vectors;

fn holds(key: &PublicKey, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
    Portable.verify(key, alg, message, signature).expect("it answers every question")
}

fn case_holds(case: &Case) -> bool {
    let key = PublicKey::from_spki(&case.key).unwrap_or_else(|problem| panic!("{}: {problem}", case.set));
    holds(&key, Alg::from_name(case.alg).unwrap(), &case.message, &case.signature)
}

#[test]
fn published_pkcs1_cases_come_out_as_they_should() {
    let mut tally = Tally::default();
    for case in pkcs1() {
        tally.check(&case.set, case.number, &case.comment, case.holds, case_holds(&case));
    }
    assert!(tally.finish() > 3000);
}

#[test]
fn published_pkcs1_signatures_of_hashes_that_jose_does_not_have_are_refused() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    use wycheproof::HashFunction::{Sha2_256, Sha2_384, Sha2_512};
    let mut refused = 0;
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            if [Sha2_256, Sha2_384, Sha2_512].contains(&group.hash) {
                continue;
            }
            let key = PublicKey::rsa(&group.key.n, &group.key.e).unwrap();
            for test in group.tests.into_iter().filter(|test| test.result == TestResult::Valid) {
                for alg in [Alg::Rs256, Alg::Rs384, Alg::Rs512, Alg::Ps256, Alg::Ps384, Alg::Ps512] {
                    assert!(!holds(&key, alg, &test.msg, &test.sig), "{name:?} as {alg}, case {}", test.tc_id);
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 400, "{refused}");
}

#[test]
fn published_pss_cases_come_out_as_they_should() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    use wycheproof::HashFunction;
    let (mut tally, mut others) = (Tally::default(), 0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let (alg, length) = match group.hash {
                HashFunction::Sha2_256 => (Alg::Ps256, 32),
                HashFunction::Sha2_384 => (Alg::Ps384, 48),
                HashFunction::Sha2_512 => (Alg::Ps512, 64),
                _ => continue,
            };
            let Ok(key) = PublicKey::rsa(&group.key.n, &group.key.e) else {
                assert!(group.key_size < 2048, "{name:?}");
                continue;
            };
            let ours = group.salt_size == length && group.mgf_hash.as_ref() == Some(&group.hash);
            for test in group.tests {
                let found = holds(&key, alg, &test.msg, &test.sig);
                if ours {
                    let expected = test.result == TestResult::Valid;
                    tally.check(&format!("{name:?}"), test.tc_id, &test.comment, expected, found);
                } else {
                    // A set with salts of another length has cases whose salt is as long as the hash after all.
                    let salt_as_hash = group.mgf_hash.as_ref() == Some(&group.hash)
                        && test.comment == format!("s_len changed to {length}");
                    assert_eq!(found, salt_as_hash, "{name:?}, case {}: {}", test.tc_id, test.comment);
                    others += usize::from(!found);
                }
            }
        }
    }
    println!("{others} with another salt or mask refused");
    assert!(others > 0);
    tally.finish();
}

#[test]
fn published_ecdsa_cases_come_out_as_they_should() {
    let mut tally = Tally::default();
    for case in ecdsa() {
        tally.check(&case.set, case.number, &case.comment, case.holds, case_holds(&case));
    }
    assert!(tally.finish() > 800);
}

#[test]
fn published_ecdsa_signatures_of_another_hash_or_form_are_refused() {
    let cases = other_ecdsa();
    for case in &cases {
        assert!(!case_holds(case), "{}, case {}: {}", case.set, case.number, case.comment);
    }
    assert!(cases.iter().filter(|case| case.holds).count() > 800, "most are good where they belong");
}

#[test]
fn published_ed25519_cases_come_out_as_they_should() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::ed25519(&group.key.pk).unwrap();
        for test in group.tests {
            let expected = test.result == TestResult::Valid;
            let found = holds(&key, Alg::EdDsa, &test.msg, &test.sig);
            tally.check("Ed25519", test.tc_id, &test.comment, expected, found);
        }
    }
    tally.finish();
}

#[test]
fn what_others_publish_about_bad_signatures_holds_here() {
    let read = |name: &str| vectors::read(&format!("wycheproof/{name}.json"));
    let Some(consensus) = read("jws_consensus") else { return };
    let mut judged = 0;
    for row in consensus["rows"].as_array().unwrap() {
        let vectors = read(&format!("{}_test", row["file"].as_str().unwrap())).unwrap();
        let groups = vectors["testGroups"].as_array().unwrap();
        let in_group =
            |group: &&Value| group["tests"].as_array().unwrap().iter().any(|test| test["tcId"] == row["tcId"]);
        let group = groups.iter().find(in_group).unwrap();
        let test = group["tests"].as_array().unwrap().iter().find(|test| test["tcId"] == row["tcId"]).unwrap();
        let keys = group.get("public").unwrap_or(&group["private"]);
        let set = if keys.get("keys").is_some() { keys.clone() } else { json!({ "keys": [keys] }) };
        let found = token_holds(&set, Origin::Remote, test["jws"].as_str().unwrap_or_default());
        match row["recommended_for_public_key_filter"].as_str().unwrap() {
            // An empty payload is signed well, and can be no claims.
            "accept" if row["comment"] == "emptyPayload" => assert!(!found),
            "accept" => assert!(found, "refused, {row}"),
            "reject" => assert!(!found, "accepted, {row}"),
            // The modulus can be factored (ROCA), and nothing in its form says so: the gate trusts the key that the issuer publishes.
            "reject or accept" if row["comment"] == ROCA => assert!(found, "refused, {row}"),
            other => panic!("{other} is no outcome, {row}"),
        }
        judged += 1;
    }
    assert!(judged > 400, "{judged}");
}

/// A case of Wycheproof's with a key whose modulus can be factored.
const ROCA: &str = "rejectsKeyWithRocaVulnerability";

#[test]
fn published_cases_of_jose_libraries_come_out_as_they_should_or_differ_for_a_reason() {
    // Those that come out otherwise here, and why.
    let differing = [
        // Of keys that a thief could compute the gate knows only the short ones: see docs/threats.md.
        (46, ROCA),
        // A set may hold keys of every type: which algorithms count is in the provider, where no shared secret does by default.
        (47, "rejectsValid"),
        // The gate decrypts nothing: a token is signed and readable, or none.
        (50, "acceptsValid"),
        (67, "acceptsValid"),
    ];
    let Some(vectors) = vectors::read("wycheproof/json_web_crypto_test.json") else { return };
    let (mut differ, mut judged) = (Vec::new(), 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let keys = group.get("public").unwrap_or(&group["private"]);
        let set = if keys.get("keys").is_some() { keys.clone() } else { json!({ "keys": [keys] }) };
        for test in group["tests"].as_array().unwrap() {
            let token = test.get("jws").or(test.get("jwe")).unwrap();
            let token = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
            let expected = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("{other} is no outcome, {test}"),
            };
            // As in the configuration, where shared secrets may stand; in a set that is fetched none of them counts.
            if token_holds(&set, Origin::Local, &token) != expected {
                differ.push((test["tcId"].as_u64().unwrap(), test["comment"].as_str().unwrap().to_owned()));
            }
            let is_symmetric = set["keys"].as_array().unwrap().iter().any(|key| key["kty"] == "oct");
            assert!(!is_symmetric || !token_holds(&set, Origin::Remote, &token), "{test}");
            judged += 1;
        }
    }
    assert_eq!(judged, vectors["numberOfTests"].as_u64().unwrap());
    let differing: Vec<_> = differing.map(|(number, comment)| (number, comment.to_owned())).into();
    assert_eq!(differ, differing);
}

/// Whether the signature of `token` holds for the set; its payload need not be claims.
fn token_holds(set: &Value, origin: Origin, token: &str) -> bool {
    let Ok(set) = KeySet::parse(set.to_string().as_bytes(), origin) else { return false };
    let Ok(jws) = CompactJws::parse(token.as_bytes()) else { return false };
    let Ok(header) = JoseHeader::parse(&jws) else { return false };
    let (Selection::Keys(keys) | Selection::Nameless(keys)) = set.select(header.kid.as_deref(), header.alg) else {
        return false;
    };
    matches!(verify(&jws, &header, &keys, &[Box::new(Portable)]), Ok(_) | Err(Reason::ClaimsMalformed))
}

#[test]
fn the_examples_of_the_rfcs_come_out_as_they_say() {
    let Some(file) = vectors::read("rfc/rfc_jws.json") else { return };
    let mut valid = 0;
    for case in file["cases"].as_array().unwrap() {
        let expected = case["expect_signature"] == "valid";
        let token = case["jwt"].as_str().map_or_else(|| case["jwt"].to_string(), str::to_owned);
        assert_eq!(token_holds(&case["jwks"], Origin::Local, &token), expected, "{}", case["name"]);
        let is_symmetric = case["jwks"]["keys"].as_array().unwrap().iter().all(|key| key["kty"] == "oct");
        assert_eq!(token_holds(&case["jwks"], Origin::Remote, &token), expected && !is_symmetric, "{}", case["name"]);
        valid += usize::from(expected);
    }
    assert!(valid >= 10, "{valid} of {}", file["cases"]);
}

#[test]
fn keys_that_runtimes_export_check_their_tokens() {
    let Some(file) = vectors::read("webcrypto/webcrypto_jwks.json") else { return };
    let mut held = 0;
    for case in file["cases"].as_array().unwrap() {
        let set = json!({"keys": [case["jwk"]]});
        // ML-DSA is no algorithm of the gate.
        let known = case["jwk"]["kty"] != "AKP";
        let what = format!("{} {}", case["runtime"], case["name"]);
        let token = case["jwt"].as_str().unwrap();
        assert_eq!(token_holds(&set, Origin::Remote, token), known, "{what}");
        let (input, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        assert!(!token_holds(&set, Origin::Remote, &format!("{input}.{first}{}", &signature[1..])), "{what}, changed");
        held += usize::from(known);
    }
    assert!(held >= 15, "{held}");
}

#[test]
fn sets_that_issuers_published_yield_the_keys_that_are_sound() {
    let Some(file) = vectors::read("webcrypto/real_world_jwks.json") else { return };
    for (issuer, usable, skipped) in [
        // X25519 is for the agreement of keys.
        ("paypal", 4, vec![(3, Skipped::UnknownType)]),
        ("yahoo", 1, vec![(0, Skipped::Unsound(KeyProblem::RsaSize))]),
    ] {
        let set = KeySet::parse(file[issuer].to_string().as_bytes(), Origin::Remote).unwrap();
        assert_eq!((set.keys().len(), set.skipped()), (usable, skipped.as_slice()), "{issuer}");
    }
}
