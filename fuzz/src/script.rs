//! Inputs that people can read: lines of text, of which each says one thing. What says nothing is skipped.

/// The lines of an input. Bytes that are no text are kept: what is hostile in a request need not be text.
pub fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|&b| b == b'\n')
}

/// The first word of a line, and what stands behind the space.
pub fn word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|&b| b == b' ') {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}
