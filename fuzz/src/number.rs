//! Large numbers from few bytes of input.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// A number of any length, cheaply reached: its bytes are a pattern that repeats.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Number<'a> {
    bits: u16,
    pattern: &'a [u8],
}

impl Number<'_> {
    /// As many bits as the number asks for, of those that are allowed; more often few, whose arithmetic is fast.
    pub fn bits(&self, least: usize, most: usize) -> usize {
        let share = f64::from(self.bits) / f64::from(u16::MAX);
        least + ((most - least) as f64 * share.powi(3)).round() as usize
    }

    /// Big-endian, in `length` bytes.
    pub fn bytes(&self, length: usize) -> Vec<u8> {
        let pattern = if self.pattern.is_empty() { &[0] } else { self.pattern };
        pattern.iter().copied().cycle().take(length).collect()
    }

    /// An odd number of exactly `bits` bits, over 1 of them, big-endian.
    pub fn odd(&self, bits: usize) -> Vec<u8> {
        let mut bytes = self.bytes(bits.div_ceil(8));
        let highest = 1 << ((bits - 1) % 8);
        bytes[0] = bytes[0] & (highest - 1) | highest;
        *bytes.last_mut().expect("it has a byte") |= 1;
        bytes
    }
}

/// Flips one bit, if there are any.
pub fn flip(bytes: &mut [u8], bit: u16) {
    if !bytes.is_empty() {
        bytes[usize::from(bit) / 8 % bytes.len()] ^= 1 << (bit % 8);
    }
}
