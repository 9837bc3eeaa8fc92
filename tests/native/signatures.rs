//! The portable signature checks against the libraries that they are faster than, and against forgeries.

use jwt_gate::crypto::{Alg, CryptoProvider, Portable, PublicKey};
use p256::ecdsa::signature::{Signer, Verifier};
use p256::elliptic_curve::bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::DecompressPoint;
use p256::elliptic_curve::PrimeField;
use p256::{AffinePoint, ProjectivePoint, Scalar};
use proptest::prelude::*;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::BoxedUint;
use sha2::{Digest, Sha256, Sha384, Sha512};

const RSA: [Alg; 6] = [Alg::Rs256, Alg::Rs384, Alg::Rs512, Alg::Ps256, Alg::Ps384, Alg::Ps512];

/// An RSA key with what forgers do not have.
struct RsaPair {
    name: &'static str,
    secret: rsa::PrivateKey,
    public: PublicKey,
}

impl RsaPair {
    fn read(name: &'static str, pem: &str) -> Self {
        let secret = rsa::PrivateKey::from_pkcs8_pem(pem).expect("a key of the tests");
        let public = PublicKey::rsa(&secret.n().to_be_bytes(), &secret.e().to_be_bytes()).expect("a key of the tests");
        Self { name, secret, public }
    }

    /// One of each kind: sizes, and exponents that differ in length and in the number of bits set.
    fn all() -> [Self; 5] {
        [
            Self::read("2048 bits, e = 65537", include_str!("../support/keys/rsa-2048.pem")),
            Self::read("2049 bits, e = 3", include_str!("../support/keys/rsa-2049-e3.pem")),
            Self::read("3072 bits, e = 17", include_str!("../support/keys/rsa-3072-e17.pem")),
            Self::read("4096 bits, e = 2^32 + 1", include_str!("../support/keys/rsa-4096-e4294967297.pem")),
            Self::read("8192 bits, e = 65537", include_str!("../support/keys/rsa-8192.pem")),
        ]
    }

    fn size(&self) -> usize {
        self.secret.size()
    }

    /// The modulus, as long as a signature.
    fn modulus(&self) -> Vec<u8> {
        self.bytes(&self.secret.n().to_be_bytes())
    }

    fn bytes(&self, number: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; self.size()];
        let length = number.len().min(bytes.len());
        assert!(number[..number.len() - length].iter().all(|&byte| byte == 0));
        bytes.splice(self.size() - length.., number[number.len() - length..].iter().copied());
        bytes
    }

    fn sign(&self, alg: Alg, message: &[u8]) -> Vec<u8> {
        match alg {
            Alg::Rs256 => self.secret.sign(rsa::Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)),
            Alg::Rs384 => self.secret.sign(rsa::Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message)),
            Alg::Rs512 => self.secret.sign(rsa::Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)),
            Alg::Ps256 => self.secret.sign(rsa::Pss::<Sha256>::new(), &Sha256::digest(message)),
            Alg::Ps384 => self.secret.sign(rsa::Pss::<Sha384>::new(), &Sha384::digest(message)),
            Alg::Ps512 => self.secret.sign(rsa::Pss::<Sha512>::new(), &Sha512::digest(message)),
            _ => unreachable!("{alg} is not of RSA"),
        }
        .expect("a signature")
    }

    /// What `rsa` says. Its PKCS #1 check takes a signature of another length if the number is the same.
    fn library_holds(&self, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
        let key = self.secret.as_public_key();
        signature.len() == self.size()
            && match alg {
                Alg::Rs256 => key.verify(rsa::Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature),
                Alg::Rs384 => key.verify(rsa::Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature),
                Alg::Rs512 => key.verify(rsa::Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature),
                Alg::Ps256 => key.verify(rsa::Pss::<Sha256>::new(), &Sha256::digest(message), signature),
                Alg::Ps384 => key.verify(rsa::Pss::<Sha384>::new(), &Sha384::digest(message), signature),
                Alg::Ps512 => key.verify(rsa::Pss::<Sha512>::new(), &Sha512::digest(message), signature),
                _ => unreachable!("{alg} is not of RSA"),
            }
            .is_ok()
    }

    /// `number^d mod n`: a signature that opens to whatever one likes.
    fn sign_raw(&self, encoding: &[u8]) -> Vec<u8> {
        self.power(encoding, self.secret.d())
    }

    /// `number^e mod n`.
    fn open(&self, signature: &[u8]) -> Vec<u8> {
        self.power(signature, self.secret.e())
    }

    fn power(&self, base: &[u8], exponent: &BoxedUint) -> Vec<u8> {
        let params = BoxedMontyParams::new_vartime(self.secret.n().as_ref().clone().to_odd().expect("odd"));
        let base = BoxedUint::from_be_slice(base, params.bits_precision()).expect("a number of that size");
        self.bytes(&BoxedMontyForm::new(base, &params).pow(exponent).retrieve().to_be_bytes())
    }
}

fn holds(key: &PublicKey, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
    Portable.verify(key, alg, message, signature).expect("it answers every question")
}

/// `a + b`, big-endian, in as many bytes as they have; `None` if that is too few.
fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut sum = a.to_vec();
    let mut carry = 0;
    for (byte, add) in sum.iter_mut().zip(b).rev() {
        carry += u16::from(*byte) + u16::from(*add);
        *byte = carry as u8;
        carry >>= 8;
    }
    (carry == 0).then_some(sum)
}

#[test]
fn rsa_signatures_hold_where_the_library_says_so() {
    for pair in RsaPair::all() {
        for alg in RSA {
            let message = format!("a message for {alg} and {}", pair.name);
            let good = pair.sign(alg, message.as_bytes());
            assert!(holds(&pair.public, alg, message.as_bytes(), &good), "{alg}, {}", pair.name);
            assert!(!holds(&pair.public, alg, b"another message", &good), "{alg}, {}", pair.name);
            let modulus = pair.modulus();
            let mut less_one = modulus.clone();
            *less_one.last_mut().unwrap() -= 1;
            let mut forgeries = vec![
                ("zero", vec![0; pair.size()]),
                ("the modulus", modulus.clone()),
                ("the modulus less one", less_one),
                ("the largest number", vec![0xff; pair.size()]),
                ("nothing", vec![]),
                ("a leading zero", [&[0], good.as_slice()].concat()),
                ("a trailing zero", [good.as_slice(), &[0]].concat()),
                ("the first byte missing", good[1..].to_vec()),
                ("the last byte missing", good[..pair.size() - 1].to_vec()),
            ];
            forgeries.extend(sum(&good, &modulus).map(|raised| ("raised by the modulus", raised)));
            for bit in (0..pair.size() * 8).step_by(pair.size() / 3 + 1) {
                let mut flipped = good.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                forgeries.push(("a bit flipped", flipped));
            }
            for (what, forgery) in forgeries {
                assert!(!holds(&pair.public, alg, message.as_bytes(), &forgery), "{alg}, {}: {what}", pair.name);
                assert!(!pair.library_holds(alg, message.as_bytes(), &forgery), "{alg}, {}: {what}", pair.name);
            }
            for other in RSA.into_iter().filter(|&other| other != alg) {
                assert!(!holds(&pair.public, other, message.as_bytes(), &good), "{alg} as {other}, {}", pair.name);
            }
        }
    }
}

#[test]
fn rsa_signatures_that_begin_with_zeros_hold_at_their_full_length_alone() {
    let pair = RsaPair::read("2049 bits", include_str!("../support/keys/rsa-2049-e3.pem"));
    for alg in [Alg::Rs256, Alg::Ps256] {
        // Of a modulus of 8k + 1 bits, the first byte is a single bit.
        let (message, signature) = (0u32..)
            .map(|count| (count.to_be_bytes(), pair.sign(alg, &count.to_be_bytes())))
            .find(|(_, signature)| signature[0] == 0)
            .unwrap();
        assert!(holds(&pair.public, alg, &message, &signature), "{alg}");
        assert!(!holds(&pair.public, alg, &message, &signature[1..]), "{alg}");
        // The same number modulo n, as long as a signature may be.
        let raised = sum(&signature, &pair.modulus()).unwrap();
        assert_eq!(pair.open(&raised), pair.open(&signature));
        assert!(!holds(&pair.public, alg, &message, &raised), "{alg}");
    }
}

#[test]
fn a_signature_that_opens_to_another_padding_is_refused() {
    let message = b"a message that was never signed";
    let hash = Sha256::digest(message);
    const OID: [u8; 11] = [0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    let info = |algorithm: &[u8], tail: &[u8]| {
        let inner = [&[0x30, algorithm.len() as u8], algorithm, &[4, 32], &hash, tail].concat();
        [&[0x30, inner.len() as u8], inner.as_slice()].concat()
    };
    let right = info(&[&OID[..], &[5, 0]].concat(), &[]);
    for pair in RsaPair::all().into_iter().take(3) {
        let pad = |length: usize| vec![0xff; length];
        let full = |info: &[u8]| [&[0, 1], pad(pair.size() - 3 - info.len()).as_slice(), &[0], info].concat();
        let left = |padding: usize, info: &[u8]| {
            let mut encoding = [&[0, 1], pad(padding).as_slice(), &[0], info].concat();
            encoding.resize(pair.size(), 0);
            encoding
        };
        let changed = |place: usize, byte: u8| {
            let mut encoding = full(&right);
            encoding[place] = byte;
            encoding
        };
        let mut long_form = right.clone();
        long_form.splice(1..2, [0x81, right[1]]);
        let mut indefinite = right.clone();
        indefinite[1] = 0x80;
        indefinite.extend([0, 0]);
        let mut of_sha512 = right.clone();
        of_sha512[14] = 3;
        assert!(holds(&pair.public, Alg::Rs256, message, &pair.sign_raw(&full(&right))), "{}", pair.name);
        for (what, encoding) in [
            ("zeros after the hash (Bleichenbacher's forgery)", left(8, &right)),
            ("garbage after the hash", {
                let mut encoding = left(8, &right);
                let end = encoding.len();
                encoding[end - 64..].fill(0x5a);
                encoding
            }),
            ("no padding", left(0, &right)),
            ("seven bytes of padding and garbage", left(7, &right)),
            ("one byte of padding less, one of garbage", left(pair.size() - 4 - right.len(), &right)),
            ("garbage inside DigestInfo", full(&info(&[&OID[..], &[5, 0]].concat(), &[4, 0]))),
            ("garbage as the parameter", full(&info(&[&OID[..], &[4, 8, 1, 2, 3, 4, 5, 6, 7, 8]].concat(), &[]))),
            ("no parameter", full(&info(&OID, &[]))),
            ("a parameter of NULL with a byte", full(&info(&[&OID[..], &[5, 1, 0]].concat(), &[]))),
            ("the name of another hash", full(&of_sha512)),
            ("no DigestInfo", full(&hash)),
            ("a length in the long form", full(&long_form)),
            ("an indefinite length", full(&indefinite)),
            ("block type 0", changed(1, 0)),
            ("block type 2", changed(1, 2)),
            ("a first byte that is not zero", changed(0, 1)),
            ("no zero before DigestInfo", changed(pair.size() - right.len() - 1, 0xff)),
            ("a zero in the padding", changed(20, 0)),
            ("another byte in the padding", changed(20, 0xfe)),
            ("one bit of the hash", changed(pair.size() - 1, hash[31] ^ 1)),
            ("the hash alone", [vec![0; pair.size() - 32], hash.to_vec()].concat()),
        ] {
            if encoding >= pair.modulus() {
                continue;
            }
            let forged = pair.sign_raw(&encoding);
            assert_eq!(pair.open(&forged), encoding);
            assert!(!holds(&pair.public, Alg::Rs256, message, &forged), "{}: {what}", pair.name);
            assert!(!pair.library_holds(Alg::Rs256, message, &forged), "{}: {what}", pair.name);
        }
    }
}

#[test]
fn a_pss_signature_needs_the_salt_of_its_hash_and_every_bit_of_its_encoding() {
    let message = b"a message";
    for pair in RsaPair::all().into_iter().take(3) {
        for length in [0, 1, 20, 31, 32, 33, 64] {
            let salted = pair.secret.sign(rsa::Pss::<Sha256>::new_with_salt(length), &Sha256::digest(message)).unwrap();
            assert_eq!(holds(&pair.public, Alg::Ps256, message, &salted), length == 32, "{}: {length}", pair.name);
        }
        for (alg, hash_length) in [(Alg::Ps256, 32), (Alg::Ps384, 48), (Alg::Ps512, 64)] {
            let good = pair.open(&pair.sign(alg, message));
            let mut bits: Vec<usize> = (0..good.len() * 8).step_by(89).collect();
            // The first bytes, where the excess bits are; the byte before the salt and its neighbours; the last.
            let before_salt = good.len() - 2 * hash_length - 2;
            bits.extend(
                (0..24).chain(before_salt * 8 - 8..before_salt * 8 + 16).chain(good.len() * 8 - 8..good.len() * 8),
            );
            for bit in bits {
                let mut changed = good.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                if changed >= pair.modulus() {
                    continue;
                }
                let forged = pair.sign_raw(&changed);
                assert!(!holds(&pair.public, alg, message, &forged), "{alg}, {}: bit {bit}", pair.name);
                assert!(!pair.library_holds(alg, message, &forged), "{alg}, {}: bit {bit}", pair.name);
            }
        }
    }
}

#[test]
fn a_pss_encoding_shorter_than_the_modulus_has_nothing_before_it() {
    let pair = RsaPair::read("2049 bits", include_str!("../support/keys/rsa-2049-e3.pem"));
    // 2048 bits of encoding, in 257 bytes: the first one is zero. Salts are random, so some encoding leaves room for a one.
    let forged = (0..200)
        .map(|_| pair.open(&pair.sign(Alg::Ps256, b"a message")))
        .map(|encoding| [&[1], &encoding[1..]].concat())
        .find(|changed| *changed < pair.modulus())
        .unwrap();
    let forged = pair.sign_raw(&forged);
    assert!(!holds(&pair.public, Alg::Ps256, b"a message", &forged));
    assert!(!pair.library_holds(Alg::Ps256, b"a message", &forged));
}

fn p256_key(point: impl Into<AffinePoint>) -> (PublicKey, p256::ecdsa::VerifyingKey) {
    let library = p256::ecdsa::VerifyingKey::from_affine(point.into()).unwrap();
    let encoded = library.to_sec1_point(false);
    let (x, y) = encoded.as_bytes()[1..].split_at(32);
    (PublicKey::ec("P-256", x, y).unwrap().unwrap(), library)
}

fn p256_scalar(bytes: &[u8; 32]) -> Scalar {
    <Scalar as Reduce<p256::FieldBytes>>::reduce(&(*bytes).into())
}

/// The order of P-256. The field is larger, by some 2^128.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn an_x_coordinate_beyond_the_order_counts_modulo_the_order() {
    let mut found = 0;
    for r in 1u64..40 {
        let x: [u8; 32] = sum(&ORDER, &[&[0; 24][..], &r.to_be_bytes()].concat()).unwrap().try_into().unwrap();
        let Some(point) = AffinePoint::decompress(&x.into(), 0.into()).into_option() else { continue };
        found += 1;
        // The key for which r and s are a signature of the message, whose point is the chosen one.
        let message = r.to_be_bytes();
        let (r, s) = (Scalar::from(r), Scalar::from(7u64));
        let hash = p256_scalar(&Sha256::digest(message).into());
        let inverse = s.invert_vartime().unwrap();
        let key = (ProjectivePoint::from(point) - ProjectivePoint::GENERATOR * (hash * inverse))
            * (r * inverse).invert_vartime().unwrap();
        let (public, library) = p256_key(key);
        let signature = p256::ecdsa::Signature::from_scalars(r, s).unwrap();
        assert!(library.verify(&message, &signature).is_ok());
        assert!(holds(&public, Alg::Es256, &message, &signature.to_bytes()));
        // The coordinate itself is no number below the order.
        let raised = [&x[..], &s.to_repr()].concat();
        assert!(!holds(&public, Alg::Es256, &message, &raised));
    }
    assert!(found > 10, "{found} points");
}

#[test]
fn a_check_that_ends_at_infinity_is_refused() {
    for seed in 1u64..20 {
        let message = seed.to_be_bytes();
        let (r, s) = (Scalar::from(seed), Scalar::from(seed + 1000));
        let hash = p256_scalar(&Sha256::digest(message).into());
        let key = -(ProjectivePoint::GENERATOR * (hash * r.invert_vartime().unwrap()));
        let (public, library) = p256_key(key);
        let signature = p256::ecdsa::Signature::from_scalars(r, s).unwrap();
        assert!(library.verify(&message, &signature).is_err());
        assert!(!holds(&public, Alg::Es256, &message, &signature.to_bytes()));
    }
}

#[test]
fn p256_numbers_out_of_range_are_refused() {
    let secret = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let (public, _) = p256_key(*secret.verifying_key().as_affine());
    let good: p256::ecdsa::Signature = secret.sign(b"m");
    let (r, s) = (good.r().to_repr(), good.s().to_repr());
    assert!(holds(&public, Alg::Es256, b"m", &good.to_bytes()));
    // ECDSA lets anyone negate s; the standard does not forbid it, and no token is named by its signature here.
    let negated = p256::ecdsa::Signature::from_scalars(*good.r(), -*good.s()).unwrap();
    assert!(holds(&public, Alg::Es256, b"m", &negated.to_bytes()));
    for (what, r, s) in [
        ("r of zero", [0; 32], s.into()),
        ("s of zero", r.into(), [0; 32]),
        ("r of the order", ORDER, s.into()),
        ("s of the order", r.into(), ORDER),
        ("both of zero", [0; 32], [0; 32]),
        ("the largest numbers", [0xff; 32], [0xff; 32]),
    ] {
        assert!(!holds(&public, Alg::Es256, b"m", &[r, s].concat()), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn p256_signatures_hold_where_the_library_says_so(
        secret in any::<[u8; 32]>(),
        message in prop::collection::vec(any::<u8>(), 0..200),
        other in any::<[u8; 64]>(),
        bit in 0..512usize,
    ) {
        let secret = p256::ecdsa::SigningKey::from_slice(&secret);
        prop_assume!(secret.is_ok());
        let secret = secret.unwrap();
        let (public, library) = p256_key(*secret.verifying_key().as_affine());
        let good: p256::ecdsa::Signature = secret.sign(&message);
        let good: [u8; 64] = good.to_bytes().into();
        let mut flipped = good;
        flipped[bit / 8] ^= 1 << (bit % 8);
        for (signature, expected) in [(good, true), (flipped, false), (other, false)] {
            let library = p256::ecdsa::Signature::from_slice(&signature)
                .is_ok_and(|signature| library.verify(&message, &signature).is_ok());
            prop_assert_eq!(library, expected);
            // Twice: the first check of a key makes its table.
            prop_assert_eq!(holds(&public, Alg::Es256, &message, &signature), expected);
            prop_assert_eq!(holds(&public, Alg::Es256, &message, &signature), expected);
        }
    }

    #[test]
    fn rsa_signatures_of_random_numbers_hold_where_the_library_says_so(
        message in prop::collection::vec(any::<u8>(), 0..200),
        mut signature in prop::collection::vec(any::<u8>(), 256),
        alg in prop::sample::select(&RSA[..]),
        small in any::<bool>(),
    ) {
        let pair = RsaPair::read("2048 bits", include_str!("../support/keys/rsa-2048.pem"));
        if small {
            signature[0] = 0;
        }
        let expected = pair.library_holds(alg, &message, &signature);
        prop_assert_eq!(holds(&pair.public, alg, &message, &signature), expected);
        prop_assert!(holds(&pair.public, alg, &message, &pair.sign(alg, &message)));
    }
}
