//! Signatures that some checks took: of no numbers of the group, in another form, or opened to something like the right padding.

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};
use jwt_gate::crypto::Alg;
use p256::elliptic_curve::PrimeField;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::json;

use super::{code, gate, gate_with_key};
use crate::forge::pkcs1_of_sha256;
use crate::mint::{encode, Key, Token};

/// The orders of the three groups, each by its algorithm.
fn orders() -> [(&'static str, Vec<u8>); 3] {
    let next =
        |number: &[u8]| sum(number, &[vec![0; number.len() - 1], vec![1]].concat()).expect("it has room for one more");
    [
        ("ES256", next(&(-p256::Scalar::ONE).to_repr())),
        ("ES384", next(&(-p384::Scalar::ONE).to_repr())),
        ("ES512", next(&(-p521::Scalar::ONE).to_repr())),
    ]
}

/// `a + b`, big-endian; `None` if that has more bytes.
fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0;
    let mut digits: Vec<u8> = Vec::new();
    for (a, b) in a.iter().zip(b).rev() {
        carry += u16::from(*a) + u16::from(*b);
        digits.push(carry as u8);
        carry >>= 8;
    }
    digits.reverse();
    (carry == 0).then_some(digits)
}

/// `ECDSA-Sig-Value` of RFC 3279.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let start = number.iter().position(|&byte| byte != 0).unwrap();
        let sign: &[u8] = if number[start] & 0x80 == 0 { &[] } else { &[0] };
        let digits = [sign, &number[start..]].concat();
        [&[2, digits.len() as u8], digits.as_slice()].concat()
    };
    let body = [integer(r), integer(s)].concat();
    let length: &[u8] = if body.len() < 128 { &[0x30] } else { &[0x30, 0x81] };
    [length, &[body.len() as u8], &body].concat()
}

#[test]
fn an_ecdsa_signature_is_two_numbers_of_the_group_side_by_side() {
    for (alg, order) in orders() {
        let key = Key::of(alg, false);
        let mut world = gate(&[&key], json!({}));
        let token = Token::new(&key).mint();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let good = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let length = order.len();
        assert_eq!(good.len(), 2 * length);
        let (r, s) = good.split_at(length);
        let (zero, one) = (vec![0; length], [vec![0; length - 1], vec![1]].concat());
        let pair = |r: &[u8], s: &[u8]| [r, s].concat();
        let mut forgeries = vec![
            ("both of zero", pair(&zero, &zero)),
            ("r of zero", pair(&zero, s)),
            ("s of zero", pair(r, &zero)),
            ("both of one", pair(&one, &one)),
            ("both of the order", pair(&order, &order)),
            ("r of the order", pair(&order, s)),
            ("s of the order", pair(r, &order)),
            ("the largest numbers", vec![0xff; 2 * length]),
            ("swapped", pair(s, r)),
            ("nothing but a byte", vec![0]),
            ("r alone", r.to_vec()),
            ("a byte less", good[..good.len() - 1].to_vec()),
            ("a byte more", [&good[..], &[0]].concat()),
            ("a zero before each", [&[0], r, &[0], s].concat()),
            ("a zero before both", [&[0], &good[..]].concat()),
            ("twice", [&good[..], &good].concat()),
            ("DER", der(r, s)),
            ("DER with a byte behind it", [der(r, s), vec![0]].concat()),
        ];
        forgeries.extend(sum(r, &order).map(|raised| ("r raised by the order", pair(&raised, s))));
        forgeries.extend(sum(s, &order).map(|raised| ("s raised by the order", pair(r, &raised))));
        assert!(alg != "ES512" || forgeries.len() == 20, "66 bytes have room for both");
        for (what, forgery) in forgeries {
            let token = format!("{input}.{}", encode(&forgery));
            assert_eq!(code(&mut world, &token), "signature_invalid", "{alg}: {what}");
        }
        assert_eq!(code(&mut world, &token), "allowed", "{alg}");
    }
}

#[test]
fn a_host_is_handed_no_ecdsa_signature_that_is_out_of_range() {
    for (name, order) in orders() {
        let alg = Alg::from_name(name).unwrap();
        let length = order.len();
        let good = Key::of(name, false).sign(name, b"a message");
        let (r, s) = good.split_at(length);
        assert_eq!(alg.der_signature(&good).as_deref(), Some(der(r, s).as_slice()), "{name}");
        for (what, forged) in [
            ("r of zero", [&vec![0; length], s].concat()),
            ("s of zero", [r, &vec![0; length]].concat()),
            ("r of the order", [&order, s].concat()),
            ("s of the order", [r, &order].concat()),
            ("a byte less", good[1..].to_vec()),
            ("a byte more", [&[0], &good[..]].concat()),
            ("DER", der(r, s)),
            ("nothing", vec![]),
        ] {
            assert_eq!(alg.der_signature(&forged), None, "{name}: {what}");
        }
    }
}

/// A number in base 2^32, the least digit first.
type Number = Vec<u32>;

fn product(a: &Number, b: &Number) -> Number {
    let mut product = vec![0; a.len() + b.len()];
    for (place, &digit) in a.iter().enumerate() {
        let mut carry = 0u64;
        for (other, &factor) in b.iter().chain([&0; 1]).enumerate().take(product.len() - place) {
            carry += u64::from(digit) * u64::from(factor) + u64::from(product[place + other]);
            product[place + other] = carry as u32;
            carry >>= 32;
        }
    }
    product
}

/// Big-endian, in so many bytes; `None` if it has more.
fn to_bytes(number: &Number, length: usize) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = number.iter().rev().flat_map(|digit| digit.to_be_bytes()).collect();
    let start = bytes.len().saturating_sub(length);
    let fits = bytes[..start].iter().all(|&byte| byte == 0);
    fits.then(|| [vec![0; length - (bytes.len() - start)], bytes[start..].to_vec()].concat())
}

/// The largest number whose cube is not over `limit`.
fn cube_root(limit: &[u8]) -> Number {
    let digits = limit.len() / 12 + 2;
    let mut root = vec![0; digits];
    for bit in (0..digits * 32).rev() {
        root[bit / 32] |= 1 << (bit % 32);
        let cube = product(&product(&root, &root), &root);
        if to_bytes(&cube, limit.len()).is_none_or(|cube| cube.as_slice() > limit) {
            root[bit / 32] &= !(1 << (bit % 32));
        }
    }
    root
}

#[test]
fn a_cube_root_is_no_signature() {
    let secret = rsa::PrivateKey::from_pkcs8_pem(include_str!("../../support/keys/rsa-2049-e3.pem")).unwrap();
    let (n, size) = (secret.n().to_be_bytes(), secret.size());
    let jwk = json!({"kty": "RSA", "n": encode(&n[n.len() - size..]), "e": "Aw"});
    let mut world = gate_with_key(jwk);
    let input = Token::new(&Key::rsa()).unsigned();
    // The shortest padding that a lax reader takes, the hash, and then whatever a cube happens to end with.
    let whole = pkcs1_of_sha256(input.trim_end_matches('.').as_bytes(), 3 + 8 + 19 + 32);
    let free = size - whole.len();
    let root = cube_root(&[whole.as_slice(), &vec![0xff; free]].concat());
    let cube = to_bytes(&product(&product(&root, &root), &root), size).unwrap();
    assert_eq!(cube[..whole.len()], whole, "it opens to the right hash, without any secret");
    let forged = to_bytes(&root, size).unwrap();
    assert_eq!(code(&mut world, &format!("{input}{}", encode(&forged))), "signature_invalid");
    // What the holder of the key signs is taken.
    let signature = secret.sign(rsa::Pkcs1v15Sign::new::<sha2::Sha256>(), &{
        use sha2::Digest;
        sha2::Sha256::digest(input.trim_end_matches('.'))
    });
    assert_eq!(code(&mut world, &format!("{input}{}", encode(&signature.unwrap()))), "allowed");
}
