//! The encoding that RSASSA-PSS signs: EMSA-PSS-VERIFY and MGF1 (RFC 8017 sections 9.1.2 and B.2.1), with the salt as long as the
//! hash (RFC 7518 section 3.5) and no other length.

use sha2::digest::Digest;

/// Whether `opened`, what a signature opens to under a modulus of `encoded_bits + 1` bits, is an encoding of `hash`. It is unmasked
/// where it is.
pub fn holds<H: Digest>(hash: &[u8], opened: &mut [u8], encoded_bits: usize) -> bool {
    check::<H>(hash, opened, encoded_bits).is_some()
}

/// The steps of the RFC; `None` where it says "inconsistent".
fn check<H: Digest>(hash: &[u8], opened: &mut [u8], encoded_bits: usize) -> Option<()> {
    let hash_length = <H as Digest>::output_size();
    let encoded_length = encoded_bits.div_ceil(8);
    // A modulus of 8k + 1 bits has one byte more than the encoding: section 8.1.2, step 2c.
    let (excess, encoded) = opened.split_at_mut_checked(opened.len().checked_sub(encoded_length)?)?;
    require(excess.iter().all(|&byte| byte == 0))?;
    // Step 3: room for hash, salt, the byte before the salt and the last one.
    let padding_length = encoded_length.checked_sub(2 * hash_length + 2)?;
    // Steps 4 and 5.
    let (&mut last, encoded) = encoded.split_last_mut()?;
    require(last == 0xbc)?;
    let (masked, seed) = encoded.split_at_mut_checked(padding_length + 1 + hash_length)?;
    // Step 6: the bits beyond `encoded_bits` are zero.
    let first_mask = 0xff >> (8 * encoded_length - encoded_bits);
    require(masked.first()? & !first_mask == 0)?;
    // Steps 7 to 9.
    unmask::<H>(masked, seed);
    *masked.first_mut()? &= first_mask;
    // Steps 10 and 11.
    let (padding, rest) = masked.split_at_checked(padding_length)?;
    let (&one, salt) = rest.split_first()?;
    require(padding.iter().all(|&byte| byte == 0) && one == 1)?;
    // Steps 12 to 14.
    let expected = H::new().chain_update([0; 8]).chain_update(hash).chain_update(salt).finalize();
    require(expected.as_slice() == seed)
}

/// Takes off the mask that MGF1 makes of the seed.
fn unmask<H: Digest>(masked: &mut [u8], seed: &[u8]) {
    for (counter, block) in (0u32..).zip(masked.chunks_mut(<H as Digest>::output_size())) {
        let mask = H::new_with_prefix(seed).chain_update(counter.to_be_bytes()).finalize();
        block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
}

fn require(condition: bool) -> Option<()> {
    condition.then_some(())
}
