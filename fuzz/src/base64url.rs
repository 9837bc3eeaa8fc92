//! Base64url without padding (RFC 4648 section 5), in one spelling.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The bytes that `text` spells; `None` for what [`encode`] would not have written.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for group in text.chunks(4) {
        let mut bits = 0u32;
        for character in group {
            let value = ALPHABET.iter().position(|known| known == character)?;
            bits = bits << 6 | value as u32;
        }
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..][..group.len() * 6 / 8]);
    }
    (encode(&bytes).as_bytes() == text).then_some(bytes)
}

/// The one spelling of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        for place in 0..=group.len() {
            let value = bits >> (26 - 6 * place) & 63;
            text.push(char::from(ALPHABET[value as usize]));
        }
    }
    text
}
