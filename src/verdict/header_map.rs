//! Headers as they cross the border of the VM.

/// A map of header fields as a proxy-wasm host takes it, in one piece: their number, the length of each name and each value, as `u32`
/// with the lowest byte first; then every name and value with a zero behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMap(Vec<u8>);

impl HeaderMap {
    /// Of these fields, in their order.
    pub fn new<'f>(fields: impl Iterator<Item = (&'f str, &'f str)> + Clone) -> Self {
        let lengths = fields.clone().map(|(name, value)| 10 + name.len() + value.len());
        let mut map = Vec::with_capacity(4 + lengths.sum::<usize>());
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        map.extend_from_slice(&number(fields.clone().count()));
        for (name, value) in fields.clone() {
            map.extend_from_slice(&number(name.len()));
            map.extend_from_slice(&number(value.len()));
        }
        for text in fields.flat_map(|(name, value)| [name, value]) {
            map.extend_from_slice(text.as_bytes());
            map.push(0);
        }
        Self(map)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
