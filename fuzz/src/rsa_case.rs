//! RSA signatures from the bytes of an input: for the fuzz target, and for the test that asks a host about the same ones.
//!
//! Well-formed signatures need no private key here. For an encoding `m` and any `s` with `s^3 > 2m`, the signature `s` opens to `m`
//! under the exponent 3 and the modulus `n = s^3 - m`: so there are good signatures, and ones with any flaw, under moduli of
//! every length.

use rsa::BoxedUint;
use sha2::digest::const_oid::AssociatedOid;
use sha2::digest::Digest;
use sha2::{Sha256, Sha384, Sha512};

/// A key and a signature. The key may be one that the gate does not take.
pub struct Case {
    pub modulus: Vec<u8>,
    pub exponent: u64,
    pub hash: Hash,
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    /// Whether it holds, where that is known from how it was made.
    pub expected: Option<Holds>,
}

#[derive(Clone, Copy, Debug)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// Whether a signature holds, by each padding.
#[derive(Debug, Default, PartialEq)]
pub struct Holds {
    pub pkcs1: bool,
    pub pss: bool,
}

impl Case {
    /// `None` where the bytes make no key.
    pub fn of(input: &[u8]) -> Option<Self> {
        let mut input = Input(input);
        if input.byte() % 2 == 0 {
            Some(Self::any(&mut input))
        } else {
            Self::signed(&mut input)
        }
    }

    /// Any base, as a number and as a signature.
    fn any(input: &mut Input) -> Self {
        let modulus = input.number();
        let modulus = modulus.odd(modulus.bits(2, 8192));
        let exponent = match input.byte() % 3 {
            0 => 65537,
            1 => input.unsigned(4) | 3,
            _ => input.unsigned(8) | 3,
        };
        let length = match input.byte() % 2 {
            0 => modulus.len(),
            _ => input.unsigned(2) as usize % 1100,
        };
        let signature = input.number().bytes(length);
        Self { modulus, exponent, hash: input.hash(), message: input.text().to_vec(), signature, expected: None }
    }

    /// A signature that was well-formed before bits of it, or of what it opens to, were flipped.
    fn signed(input: &mut Input) -> Option<Self> {
        let number = input.number();
        let (hash, padding, salt) = (input.hash(), input.byte() % 4, input.number());
        let flips = input.byte();
        let [of_encoding, of_signature] =
            [1, 2].map(|flag| if flips & flag == 0 { None } else { Some(input.unsigned(2) as usize) });
        let message = input.text().to_vec();

        // s is a little below 2^third, so that n, which is a little below s^3, has three times as many bits.
        let third = number.bits(683, 2730);
        let (bits, length) = (3 * third, (3 * third).div_ceil(8));
        let (mut encoding, expected) = match padding {
            0 => (hash.pkcs1(&message, length), Holds { pkcs1: true, pss: false }),
            1 => (hash.pss(&message, &salt.bytes(hash.size()), bits - 1), Holds { pkcs1: false, pss: true }),
            // What a lax parser takes: less fills it, and anything may come behind the hash.
            2 => {
                let behind = &salt.pattern[..salt.pattern.len().min(100)];
                let encoding = [&hash.pkcs1(&message, length - behind.len())[..], behind].concat();
                (encoding, Holds { pkcs1: behind.is_empty(), pss: false })
            }
            // A salt of a length that need not be the hash's.
            _ => {
                let salt = &salt.pattern[..salt.pattern.len().min(100)];
                let is_usual = salt.len() == hash.size();
                (hash.pss(&message, salt, bits - 1), Holds { pkcs1: false, pss: is_usual })
            }
        };
        encoding.splice(0..0, vec![0; length - encoding.len()]);
        if let Some(bit) = of_encoding {
            flip(&mut encoding, bit);
        }

        // n is odd.
        let is_odd = encoding.last().is_some_and(|byte| byte % 2 == 1);
        let below = [number.bytes(third / 16), vec![if is_odd { 4 } else { 3 }]].concat();
        let signature = difference(&power_of_two(third), &below);
        let root = number_of(&signature);
        let cube = (&(&root * &root) * &root).to_be_bytes();
        let twice = (&number_of(&encoding) * &number_of(&[2])).to_be_bytes();
        if is_less(&cube, &twice) {
            return None;
        }
        let modulus = difference(&cube, &encoding);
        let mut signature = padded(&signature, modulus.len());
        if let Some(bit) = of_signature {
            flip(&mut signature, bit);
        }
        let expected = if of_encoding.or(of_signature).is_none() { expected } else { Holds::default() };
        Some(Self { modulus, exponent: 3, hash, message, signature, expected: Some(expected) })
    }
}

/// What is left of an input. At its end come zeros.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *byte
    }

    fn unsigned(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn text(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        let (text, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        text
    }

    fn number(&mut self) -> Number<'a> {
        Number { bits: self.unsigned(2) as u16, pattern: self.text() }
    }

    fn hash(&mut self) -> Hash {
        [Hash::Sha256, Hash::Sha384, Hash::Sha512][usize::from(self.byte() % 3)]
    }
}

/// A number of any length, cheaply reached: its bytes are a pattern that repeats.
struct Number<'a> {
    bits: u16,
    pattern: &'a [u8],
}

impl Number<'_> {
    /// As many bits as the number asks for, of those that are allowed; more often few, whose arithmetic is fast.
    fn bits(&self, least: usize, most: usize) -> usize {
        let share = f64::from(self.bits) / f64::from(u16::MAX);
        least + ((most - least) as f64 * share.powi(3)).round() as usize
    }

    /// Big-endian, in `length` bytes.
    fn bytes(&self, length: usize) -> Vec<u8> {
        let pattern = if self.pattern.is_empty() { &[0] } else { self.pattern };
        pattern.iter().copied().cycle().take(length).collect()
    }

    /// An odd number of exactly `bits` bits, over 1 of them, big-endian.
    fn odd(&self, bits: usize) -> Vec<u8> {
        let mut bytes = self.bytes(bits.div_ceil(8));
        let highest = 1 << ((bits - 1) % 8);
        bytes[0] = bytes[0] & (highest - 1) | highest;
        *bytes.last_mut().expect("it has a byte") |= 1;
        bytes
    }
}

/// Flips one bit, if there are any.
pub fn flip(bytes: &mut [u8], bit: usize) {
    if !bytes.is_empty() {
        let at = bit / 8 % bytes.len();
        bytes[at] ^= 1 << (bit % 8);
    }
}

impl Hash {
    fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn pkcs1(self, message: &[u8], length: usize) -> Vec<u8> {
        match self {
            Self::Sha256 => pkcs1::<Sha256>(message, length),
            Self::Sha384 => pkcs1::<Sha384>(message, length),
            Self::Sha512 => pkcs1::<Sha512>(message, length),
        }
    }

    fn pss(self, message: &[u8], salt: &[u8], bits: usize) -> Vec<u8> {
        match self {
            Self::Sha256 => pss::<Sha256>(message, salt, bits),
            Self::Sha384 => pss::<Sha384>(message, salt, bits),
            Self::Sha512 => pss::<Sha512>(message, salt, bits),
        }
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2), with the `DigestInfo` as its note 1 has it.
fn pkcs1<H: Digest + AssociatedOid>(message: &[u8], length: usize) -> Vec<u8> {
    let hash = H::digest(message);
    let oid = H::OID.as_bytes();
    assert_eq!(oid.len(), 9);
    let info = [&[0x30, 17 + hash.len() as u8, 0x30, 13, 6, 9], oid, &[5, 0, 4, hash.len() as u8], &hash].concat();
    [&[0, 1], vec![0xff; length - 3 - info.len()].as_slice(), &[0], &info].concat()
}

/// EMSA-PSS (RFC 8017 section 9.1.1) with MGF1 by the same hash.
fn pss<H: Digest>(message: &[u8], salt: &[u8], bits: usize) -> Vec<u8> {
    let seed = H::new().chain_update([0; 8]).chain_update(H::digest(message)).chain_update(salt).finalize();
    let length = bits.div_ceil(8) - seed.len() - 1;
    let block = [vec![0; length - 1 - salt.len()].as_slice(), &[1], salt].concat();
    let mask = (0u32..).flat_map(|counter| H::new_with_prefix(&seed).chain_update(counter.to_be_bytes()).finalize());
    let mut masked: Vec<u8> = block.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    masked[0] &= 0xff >> (8 * bits.div_ceil(8) - bits);
    [masked.as_slice(), &seed, &[0xbc]].concat()
}

fn power_of_two(exponent: usize) -> Vec<u8> {
    let mut bytes = vec![0; exponent / 8 + 1];
    bytes[0] = 1 << (exponent % 8);
    bytes
}

fn is_less(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (without_zeros(a), without_zeros(b));
    (a.len(), a) < (b.len(), b)
}

/// `a - b`, of which `a` is the larger.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    without_zeros(&(&number_of(a) - &number_of(b)).to_be_bytes()).to_vec()
}

/// The number of these bytes, with room for the largest that there is here.
fn number_of(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice(without_zeros(bytes), 8256).expect("8192 bits are enough")
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// The same number in so many bytes at least.
pub fn padded(number: &[u8], length: usize) -> Vec<u8> {
    let number = without_zeros(number);
    [vec![0; length.saturating_sub(number.len())].as_slice(), number].concat()
}
