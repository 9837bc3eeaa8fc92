//! A token in compact form, its header and its claims: the gate takes exactly what the RFCs allow in one spelling.
//!
//! * What has the shape of a token is written again, byte for byte, from what it decodes to.
//! * Shape, header and claims are taken where a second reader of strict JSON and base64url takes them, and nowhere else; what is
//!   read is what that one reads.
//! * Without a signature that holds there are no claims, whatever they are.
//! * What the strict reader takes, the lenient one of `semantics: jwt_authn` takes for the same.
//!
//! An input is a token; or, in lines, what its three parts decode to.

#![no_main]

use jwt_gate::jose::{CompactJws, JoseHeader};
use jwt_gate::limits::MAX_TOKEN_BYTES;
use jwt_gate::time::UnixTime;
use jwt_gate::verdict::Reason;
use jwt_gate::{json, jwt_verify};
use jwt_gate_fuzz::{decode, encode, lines, verify, Claims, Json};
use libfuzzer_sys::fuzz_target;

/// Every algorithm that has a name here; `none` has not.
const ALGORITHMS: [&str; 14] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "HS256",
    "HS384", "HS512",
];

fuzz_target!(|input: &[u8]| {
    let parts: Vec<&[u8]> = lines(input).collect();
    match parts.as_slice() {
        [header, payload, signature] => {
            check(format!("{}.{}.{}", encode(header), encode(payload), encode(signature)).as_bytes())
        }
        _ => check(input),
    }
});

fn check(token: &[u8]) {
    let parts = parts(token);
    let jws = CompactJws::parse(token);
    assert_eq!(jws.is_ok(), parts.is_some());
    let (jws, [header, payload, signature]) = match (jws, parts) {
        (Ok(jws), Some(parts)) => (jws, parts),
        (parsed, _) => {
            let too_large = token.len() > MAX_TOKEN_BYTES;
            let reason = if too_large { Reason::TokenTooLarge } else { Reason::TokenMalformed };
            return assert_eq!(parsed.err(), Some(reason));
        }
    };
    assert_eq!([encode(&header), encode(&payload), encode(&signature)].join(".").as_bytes(), token);

    let read = JoseHeader::parse(&jws);
    let expected = expected_header(&header);
    let found = read.as_ref().map(|read| (read.alg.name().to_owned(), read.kid.clone(), read.typ.clone()));
    assert_eq!(found, expected.as_ref().map_err(|reason| reason).cloned());

    assert_eq!(json::parse(&payload).is_ok(), Json::parse(&payload).is_some());
    let claims = Claims::parse(&payload);
    let verified = verify(&jws, None, true);
    assert_eq!(verify(&jws, None, false).err(), Some(Reason::SignatureInvalid));
    match (&verified, &claims) {
        (Ok(verified), Some(expected)) => {
            let claims = verified.claims();
            assert!(expected.all().is(&claims.to_map().into()));
            let dates = [claims.expires(), claims.not_before(), claims.issued_at()];
            let dates = dates.map(|date| date.map(UnixTime::as_millis));
            assert_eq!(dates, [expected.expires, expected.not_before, expected.issued_at]);
            assert!(claims.audiences().eq(expected.audiences.iter().map(String::as_str)));
            assert_eq!([claims.issuer(), claims.subject()], [expected.text("iss"), expected.text("sub")]);
        }
        (Err(reason), None) => assert_eq!(*reason, Reason::ClaimsMalformed),
        _ => panic!("{:?} where claims are read: {}", verified.err(), claims.is_some()),
    }

    if let (Ok((alg, kid, _)), Some(claims)) = (expected, claims) {
        check_lenient(token, &alg, kid.as_deref(), &claims, &signature);
    }
}

/// Three parts of base64url, none of them empty, not too long together.
fn parts(token: &[u8]) -> Option<[Vec<u8>; 3]> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let parts = token.split(|&b| b == b'.').map(|part| decode(part).filter(|part| !part.is_empty()));
    parts.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// `alg`, `kid` and `typ`, of the names that they can have.
fn expected_header(header: &[u8]) -> Result<(String, Option<String>, Option<String>), Reason> {
    let header = Json::object(header).ok_or(Reason::HeaderMalformed)?;
    if header.get("crit").is_some() || header.get("b64").is_some() {
        return Err(Reason::HeaderMalformed);
    }
    let text = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Reason::HeaderMalformed),
    };
    let (alg, kid, typ) = (text("alg")?, text("kid")?, text("typ")?);
    let alg = alg.ok_or(Reason::HeaderMalformed)?;
    if !ALGORITHMS.contains(&alg.as_str()) {
        return Err(Reason::AlgorithmNotAllowed);
    }
    Ok((alg, kid, typ))
}

/// The same token, as Envoy reads it: nested less deeply, and without the names of RFC 9864.
fn check_lenient(token: &[u8], alg: &str, kid: Option<&str>, claims: &Claims, signature: &[u8]) {
    let Ok(lenient) = jwt_verify::Token::parse(token) else {
        // Its reasons are its own.
        let deep = token.len() > 200;
        return assert!(deep || alg == "Ed25519", "only the strict reader takes it");
    };
    assert_eq!((lenient.alg.name(), lenient.kid.as_str()), (alg, kid.unwrap_or_default()));
    let texts = ["iss", "sub", "jti"].map(|name| claims.text(name).unwrap_or_default());
    assert_eq!([lenient.iss.as_str(), &lenient.sub, &lenient.jti], texts);
    assert_eq!(lenient.audiences, claims.audiences);
    assert_eq!(lenient.signature, signature);
    assert!(token.starts_with(lenient.signing_input.as_bytes()));
}
