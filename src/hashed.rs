//! For tables whose keys need no hashing: numbers that the host counts up, and fingerprints, which are hashes already.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`Number`].
pub type ByNumber = BuildHasherDefault<Number>;

/// Spreads a number over all bits. Whoever can choose the numbers can make them collide: not for what a client sends.
#[derive(Clone, Copy, Default)]
pub struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing; the tables look at the highest bits and at the lowest.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }

    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn numbers_that_count_up_differ_in_the_bits_that_a_table_looks_at() {
        let hash = |number: u32| ByNumber::default().hash_one(number);
        let lowest: BTreeSet<u64> = (0..1024).map(|number| hash(number) % 4096).collect();
        assert!(lowest.len() > 800, "{}", lowest.len());
        let highest: BTreeSet<u64> = (0..1024).map(|number| hash(number) >> 57).collect();
        assert!(highest.len() > 120, "{}", highest.len());
    }
}
