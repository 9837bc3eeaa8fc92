//! `x^e mod n` for a public key: the one piece of RSA (RFC 8017 section 5.2.2) whose speed matters, and nothing else of it.
//!
//! The general libraries hide secrets, with arithmetic that takes the same time for every number, on limbs of 64 bits, whose
//! products WebAssembly has no instruction for. A signature, a modulus and a public exponent are no secrets. So this is
//! Montgomery's multiplication in variable time, with limbs short enough that all products of a column add up in one `u64`:
//! no carry travels before the column is complete. Limbs are taken in blocks of four, 16 products for 8 loads.
//!
//! Tests hold it against `rsa`, on keys of every kind.

use std::cmp::Ordering;

use smallvec::{smallvec, SmallVec};

/// Four limbs, the least significant first.
type Block = [u32; 4];

/// A number below the modulus, big-endian and as long; of no key of ours on the heap.
pub type Power = SmallVec<[u8; MAX_BITS / 8]>;

/// The columns that the product of two blocks touches.
type Columns = [u64; 7];

/// A modulus and an exponent with all that can be computed before the base is known.
#[derive(Clone, Debug)]
pub struct Exponentiation {
    /// `n`, big-endian, without leading zeros.
    bytes: Vec<u8>,
    /// `n` in limbs. `R` is 2 to the number of bits that these limbs have, and over `4n`: then products of numbers below
    /// `2n` stay below `2n`, and nothing need be subtracted but at the very end.
    modulus: Vec<Block>,
    /// `R^2 mod n`, or that and `n`.
    r_squared: Vec<Block>,
    /// `-1/n` modulo a limb.
    negated_inverse: u32,
    /// Bits of a limb.
    width: u32,
    exponent: u64,
}

/// A limb's width for moduli up to [`WIDE_BITS`]. A column sums two products of each limb: 124 limbs of 28 bits make
/// 248 products under 2^56, which leaves room for the carry in 2^64.
const WIDE: u32 = 28;

/// The longest modulus for limbs of 28 bits: 124 of them, two bits spared for `R` over `4n`.
const WIDE_BITS: usize = 124 * WIDE as usize - 2;

/// A limb's width beyond: 8192 bits take 316 limbs, 632 products under 2^52.
const NARROW: u32 = 26;

const MAX_BITS: usize = 8192;

/// The blocks of the longest number: a check works on the stack, whatever its key.
const MAX_BLOCKS: usize = (MAX_BITS + 2).div_ceil(4 * NARROW as usize);

impl Exponentiation {
    /// Prepares for the modulus `n`, big-endian, and the exponent `e`. `None` unless `n` is odd and has 2 to 8192 bits, and `e`
    /// is odd and over 1.
    pub fn new(modulus: &[u8], exponent: u64) -> Option<Self> {
        let start = modulus.iter().position(|&byte| byte != 0)?;
        let bytes = modulus.get(start..)?.to_vec();
        let bits = bytes.len() * 8 - bytes.first()?.leading_zeros() as usize;
        if !(2..=MAX_BITS).contains(&bits) || bytes.last()? & 1 == 0 || exponent < 3 || exponent & 1 == 0 {
            return None;
        }
        let width = if bits <= WIDE_BITS { WIDE } else { NARROW };
        let blocks = (bits + 2).div_ceil(4 * width as usize);
        let mut modulus = vec![Block::default(); blocks];
        set_limbs(&mut modulus, &bytes, width);
        let mut this = Self {
            negated_inverse: negated_inverse(modulus.first()?.first().copied()?),
            r_squared: Vec::new(),
            bytes,
            modulus,
            width,
            exponent,
        };
        this.r_squared = this.r_squared(bits);
        Some(this)
    }

    /// Whether it is that of these numbers.
    pub fn is_of(&self, modulus: &[u8], exponent: u64) -> bool {
        self.exponent == exponent && self.bytes == modulus
    }

    /// The bytes of the modulus, without leading zeros.
    pub fn modulus(&self) -> &[u8] {
        &self.bytes
    }

    /// `base^e mod n`, both big-endian and exactly as long as the modulus; `None` for a base of another length, or not below
    /// the modulus.
    pub fn power(&self, base: &[u8]) -> Option<Power> {
        if base.len() != self.bytes.len() || base >= self.bytes.as_slice() {
            return None;
        }
        let length = self.modulus.len();
        let mut numbers = [[Block::default(); MAX_BLOCKS]; 5];
        let [plain, factor, mut power, mut next, scratch] =
            numbers.each_mut().map(|number| number.get_mut(..length).unwrap_or_default());
        set_limbs(plain, base, self.width);
        self.multiply(factor, plain, &self.r_squared, scratch);
        power.copy_from_slice(factor);
        // Below the highest bit of the exponent, from the left. Its last bit is set: that multiplication takes the plain base,
        // which at the same time leaves Montgomery's form.
        for bit in (0..self.exponent.ilog2()).rev() {
            self.square(next, power, scratch);
            std::mem::swap(&mut power, &mut next);
            if self.exponent >> bit & 1 == 1 {
                self.multiply(next, power, if bit == 0 { plain } else { factor }, scratch);
                std::mem::swap(&mut power, &mut next);
            }
        }
        // The plain base was below n, so this is below 2n.
        self.reduce_once(power);
        Some(self.to_bytes(power))
    }

    /// `R^2`, with `R` of `t * 2^k` bits: `R` and then `2^t * R` by doubling, the rest by `k` squarings in Montgomery's form.
    fn r_squared(&self, bits: usize) -> Vec<Block> {
        // 2^(bits - 1) is below n, which is odd.
        let mut power_of_two = vec![0; bits.div_ceil(8)];
        if let Some(first) = power_of_two.first_mut() {
            *first = 1 << ((bits - 1) % 8);
        }
        let mut value = vec![Block::default(); self.modulus.len()];
        set_limbs(&mut value, &power_of_two, self.width);
        let r_bits = 4 * self.width as usize * self.modulus.len();
        let squarings = r_bits.trailing_zeros();
        for _ in 0..r_bits - (bits - 1) + (r_bits >> squarings) {
            self.double(&mut value);
        }
        let (mut next, mut scratch) = (value.clone(), value.clone());
        for _ in 0..squarings {
            self.square(&mut next, &value, &mut scratch);
            std::mem::swap(&mut value, &mut next);
        }
        value
    }

    /// `value` becomes its double modulo `n`; it must be below `n`.
    fn double(&self, value: &mut [Block]) {
        let mut carry = 0;
        for limb in value.as_flattened_mut() {
            let doubled = *limb << 1 | carry;
            carry = doubled >> self.width;
            *limb = doubled & self.mask();
        }
        self.reduce_once(value);
    }

    /// Subtracts `n` unless `value` is below it.
    fn reduce_once(&self, value: &mut [Block]) {
        let (value, modulus) = (value.as_flattened_mut(), self.modulus.as_flattened());
        if value.iter().rev().cmp(modulus.iter().rev()) == Ordering::Less {
            return;
        }
        let mut borrow = 0;
        for (limb, &subtrahend) in value.iter_mut().zip(modulus) {
            let difference = limb.wrapping_sub(subtrahend).wrapping_sub(borrow);
            borrow = difference >> 31;
            *limb = difference & self.mask();
        }
    }

    /// `product = a * b / R mod n`, below `2n` if both factors are. The quotients of the reduction are left in `scratch`.
    fn multiply(&self, product: &mut [Block], a: &[Block], b: &[Block], scratch: &mut [Block]) {
        self.montgomery(product, scratch, |columns, from, to| {
            add_products(columns, part(a, from, to), part(b, from, to))
        });
    }

    /// [`multiply`](Self::multiply) of `a` by itself: each product of two different blocks is computed once and counted twice.
    fn square(&self, product: &mut [Block], a: &[Block], scratch: &mut [Block]) {
        self.montgomery(product, scratch, |columns, from, to| {
            let blocks = part(a, from, to);
            let (half, middle) = (blocks.len() / 2, blocks.len() % 2);
            let mut once = Columns::default();
            add_products(&mut once, part(blocks, 0, half), part(blocks, half, blocks.len()));
            for (column, sum) in columns.iter_mut().zip(once) {
                *column += 2 * sum;
            }
            if middle == 1 {
                if let Some(block) = blocks.get(half) {
                    add_product(columns, block, block);
                }
            }
        });
    }

    /// Montgomery's reduction of a product while it is formed, block by block from the lowest. `add` adds to the columns the
    /// products of the blocks of the factors whose places, counted from either end of `from..to`, belong together.
    #[inline(always)]
    fn montgomery(&self, product: &mut [Block], quotients: &mut [Block], add: impl Fn(&mut Columns, usize, usize)) {
        let length = self.modulus.len();
        let Some((lowest, higher)) = self.modulus.split_first() else { return };
        let mut columns = Columns::default();
        // The lower half of the product: to each block a multiple of n is added that makes it zero.
        for place in 0..length {
            add(&mut columns, 0, place + 1);
            add_products(&mut columns, part(quotients, 0, place), part(higher, 0, place));
            let quotient = self.clear_lowest(&mut columns, lowest);
            if let Some(slot) = quotients.get_mut(place) {
                *slot = quotient;
            }
        }
        // The upper half is the result.
        for (place, slot) in product.iter_mut().enumerate() {
            add(&mut columns, place + 1, length);
            add_products(&mut columns, part(quotients, place + 1, length), part(higher, place, length - 1));
            *slot = self.take_lowest(&mut columns);
        }
    }

    /// Finds the block of the quotient that makes the lowest four columns zero modulo `R`, adds its product with the lowest
    /// block of `n`, and moves the columns down by one block.
    #[inline(always)]
    fn clear_lowest(&self, columns: &mut Columns, lowest: &Block) -> Block {
        let [n0, n1, n2, n3] = lowest.map(u64::from);
        let quotient = |column: u64| u64::from((column as u32).wrapping_mul(self.negated_inverse) & self.mask());
        let [c0, c1, c2, c3, c4, c5, c6] = *columns;
        let q0 = quotient(c0);
        let c1 = c1 + q0 * n1 + ((c0 + q0 * n0) >> self.width);
        let q1 = quotient(c1);
        let c2 = c2 + q0 * n2 + q1 * n1 + ((c1 + q1 * n0) >> self.width);
        let q2 = quotient(c2);
        let c3 = c3 + q0 * n3 + q1 * n2 + q2 * n1 + ((c2 + q2 * n0) >> self.width);
        let q3 = quotient(c3);
        let c4 = c4 + q1 * n3 + q2 * n2 + q3 * n1 + ((c3 + q3 * n0) >> self.width);
        *columns = [c4, c5 + q2 * n3 + q3 * n2, c6 + q3 * n3, 0, 0, 0, 0];
        [q0, q1, q2, q3].map(|q| q as u32)
    }

    /// Completes the lowest four columns, takes them off, and moves the others down by one block.
    #[inline(always)]
    fn take_lowest(&self, columns: &mut Columns) -> Block {
        let [c0, c1, c2, c3, c4, c5, c6] = *columns;
        let c1 = c1 + (c0 >> self.width);
        let c2 = c2 + (c1 >> self.width);
        let c3 = c3 + (c2 >> self.width);
        *columns = [c4 + (c3 >> self.width), c5, c6, 0, 0, 0, 0];
        [c0, c1, c2, c3].map(|column| column as u32 & self.mask())
    }

    fn to_bytes(&self, value: &[Block]) -> Power {
        let mut bytes: Power = smallvec![0; self.bytes.len()];
        let mut limbs = value.as_flattened().iter();
        let (mut pending, mut available) = (0u64, 0);
        for byte in bytes.iter_mut().rev() {
            if available < 8 {
                pending |= u64::from(limbs.next().copied().unwrap_or(0)) << available;
                available += self.width;
            }
            *byte = pending as u8;
            pending >>= 8;
            available -= 8;
        }
        bytes
    }

    fn mask(&self) -> u32 {
        (1 << self.width) - 1
    }
}

/// Makes `value` the number of the bytes, big-endian, which fits into it.
fn set_limbs(value: &mut [Block], bytes: &[u8], width: u32) {
    let mut bytes = bytes.iter().rev();
    let (mut pending, mut available) = (0u64, 0);
    for limb in value.as_flattened_mut() {
        while available < width {
            pending |= u64::from(bytes.next().copied().unwrap_or(0)) << available;
            available += 8;
        }
        *limb = pending as u32 & ((1 << width) - 1);
        pending >>= width;
        available -= width;
    }
}

/// `-1/n` modulo 2^32 for an odd `n`, by Newton's iteration: each step doubles the number of correct bits, of which an odd
/// number itself has three.
fn negated_inverse(n: u32) -> u32 {
    let inverse = (0..4).fold(n, |x, _| x.wrapping_mul(2u32.wrapping_sub(n.wrapping_mul(x))));
    inverse.wrapping_neg()
}

/// The sum of the products of the first block of `a` and the last of `b`, the second and the last but one, and so on.
#[inline(always)]
fn add_products(columns: &mut Columns, a: &[Block], b: &[Block]) {
    for (a, b) in a.iter().zip(b.iter().rev()) {
        add_product(columns, a, b);
    }
}

#[inline(always)]
fn add_product(columns: &mut Columns, a: &Block, b: &Block) {
    let [a0, a1, a2, a3] = a.map(u64::from);
    let [b0, b1, b2, b3] = b.map(u64::from);
    let [c0, c1, c2, c3, c4, c5, c6] = columns;
    *c0 += a0 * b0;
    *c1 += a0 * b1 + a1 * b0;
    *c2 += a0 * b2 + a1 * b1 + a2 * b0;
    *c3 += a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0;
    *c4 += a1 * b3 + a2 * b2 + a3 * b1;
    *c5 += a2 * b3 + a3 * b2;
    *c6 += a3 * b3;
}

/// A range that lies within `blocks` by construction.
#[inline(always)]
fn part(blocks: &[Block], from: usize, to: usize) -> &[Block] {
    blocks.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use p256::elliptic_curve::bigint::modular::{BoxedMontyForm, BoxedMontyParams};
    use p256::elliptic_curve::bigint::Odd;
    use proptest::prelude::*;
    use rsa::BoxedUint;

    use super::*;

    /// What the library that `rsa` computes with says.
    fn reference(modulus: &[u8], exponent: u64, base: &[u8]) -> Vec<u8> {
        let number =
            |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 8 * bytes.len().next_multiple_of(8) as u32).unwrap();
        let params = BoxedMontyParams::new_vartime(Odd::new(number(modulus)).unwrap());
        let power = BoxedMontyForm::new(number(base), &params).pow(&BoxedUint::from(exponent)).retrieve();
        let bytes = power.to_be_bytes();
        bytes[bytes.len() - modulus.len()..].to_vec()
    }

    fn one_less(number: &[u8]) -> Vec<u8> {
        let mut number = number.to_vec();
        *number.last_mut().unwrap() -= 1;
        number
    }

    #[test]
    fn small_powers_are_those_of_the_schoolbook() {
        for modulus in (3..400u16).step_by(2).chain([65533, 65535]) {
            let bytes = |number: u16| if modulus < 256 { vec![number as u8] } else { number.to_be_bytes().to_vec() };
            for exponent in [3, 5, 7, 17, 255, 65537, (1 << 32) + 1, u64::MAX] {
                let prepared = Exponentiation::new(&modulus.to_be_bytes(), exponent).unwrap();
                for base in (0..modulus).step_by(usize::from(modulus / 64 + 1)) {
                    let (mut expected, mut square, mut rest) = (1, u64::from(base), exponent);
                    while rest > 0 {
                        if rest & 1 == 1 {
                            expected = expected * square % u64::from(modulus);
                        }
                        square = square * square % u64::from(modulus);
                        rest >>= 1;
                    }
                    let power = prepared.power(&bytes(base)).unwrap();
                    assert_eq!(power.to_vec(), bytes(expected as u16), "{base}^{exponent} mod {modulus}");
                }
                assert_eq!(prepared.power(&bytes(modulus)), None);
            }
        }
    }

    #[test]
    fn extreme_numbers_of_every_size_have_the_powers_of_the_library() {
        for bits in [2048, 2049, 2055, 2056, 3072, WIDE_BITS - 1, WIDE_BITS, WIDE_BITS + 1, 4096, 8191, 8192usize] {
            let mut smallest = vec![0; bits.div_ceil(8)];
            smallest[0] = 1 << ((bits - 1) % 8);
            *smallest.last_mut().unwrap() |= 1;
            let mut largest = vec![0xff; bits.div_ceil(8)];
            largest[0] >>= 8 * largest.len() - bits;
            for modulus in [smallest, largest] {
                let mut one = vec![0; modulus.len()];
                *one.last_mut().unwrap() = 1;
                let mut half = modulus.clone();
                half[0] >>= 1;
                let prepared = Exponentiation::new(&modulus, 65537).unwrap();
                for base in [one_less(&one), one, half, one_less(&modulus)] {
                    assert_eq!(
                        prepared.power(&base).unwrap().to_vec(),
                        reference(&modulus, 65537, &base),
                        "{bits} bits"
                    );
                }
                let mut longer = vec![0];
                longer.extend(one_less(&modulus));
                for (what, base) in [
                    ("the modulus", &modulus[..]),
                    ("a byte more", &longer),
                    ("a byte less", &modulus[1..]),
                    ("nothing", &[]),
                    ("the largest number", &vec![0xff; modulus.len()]),
                ] {
                    assert_eq!(prepared.power(base), None, "{bits} bits: {what}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_modulus_or_no_exponent_is_refused() {
        let modulus = [&[0x80][..], &[0; 254], &[1]].concat();
        for exponent in [0, 1, 2, 4, 65536] {
            assert!(Exponentiation::new(&modulus, exponent).is_none(), "{exponent}");
        }
        for modulus in [&[][..], &[0], &[0, 0], &[1], &[2], &[0x80, 0], &[1; 1025]] {
            assert!(Exponentiation::new(modulus, 3).is_none(), "{modulus:?}");
        }
        let padded = [&[0, 0][..], &modulus].concat();
        assert_eq!(Exponentiation::new(&padded, 3).unwrap().modulus(), modulus);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn random_numbers_have_the_powers_of_the_library(
            mut modulus in prop::collection::vec(any::<u8>(), 256..=520),
            seed in prop::collection::vec(any::<u8>(), 520),
            exponent in prop_oneof![Just(3), Just(17), Just(65537), Just((1 << 32) + 1), 3..u64::MAX],
        ) {
            modulus[0] |= 1;
            *modulus.last_mut().unwrap() |= 1;
            let mut base = seed[..modulus.len()].to_vec();
            base[0] %= modulus[0];
            let prepared = Exponentiation::new(&modulus, exponent | 1).unwrap();
            prop_assert_eq!(prepared.power(&base).unwrap().to_vec(), reference(&modulus, exponent | 1, &base));
        }
    }
}
