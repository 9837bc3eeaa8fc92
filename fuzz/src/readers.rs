//! What stands behind a proxy, and how it reads a path: a server, a framework, another proxy before them.

use std::collections::BTreeSet;

/// The longest path that is read in every way here, in bytes.
pub const MOST_BYTES: usize = 80;

/// The most ways in which one reader leaves a path to the next.
const MOST_READINGS: usize = 40;

/// How a reader decodes.
#[derive(Clone, Copy, PartialEq)]
enum Decoding {
    Nothing,
    /// `%2e` alone, as the URL standard reads dot segments.
    Dots,
    /// What does not divide segments, as those do that split first.
    WithinSegments,
    /// What divides segments, and nothing else.
    Dividers,
    Everything,
}

/// One reader: each of what it does, others leave.
#[derive(Clone, Copy)]
struct Reader {
    decoding: Decoding,
    /// `?`, `#` and a zero that were encoded end the path.
    cuts: bool,
    backslash_is_slash: bool,
    drops_parameters: bool,
    merges_slashes: bool,
    resolves_dots: bool,
}

/// What any reader, or any two of them in a row, makes of `path`; itself, too.
pub fn readings(path: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::from([path.to_vec()]);
    for _ in 0..2 {
        let before: Vec<Vec<u8>> = all.iter().take(MOST_READINGS).cloned().collect();
        all.extend(before.iter().flat_map(|path| readers().map(|reader| reader.read(path))));
    }
    all
}

fn readers() -> impl Iterator<Item = Reader> {
    let decodings =
        [Decoding::Nothing, Decoding::Dots, Decoding::WithinSegments, Decoding::Dividers, Decoding::Everything];
    decodings.into_iter().flat_map(|decoding| {
        (0..32).map(move |flags: u8| Reader {
            decoding,
            cuts: flags & 1 != 0,
            backslash_is_slash: flags & 2 != 0,
            drops_parameters: flags & 4 != 0,
            merges_slashes: flags & 8 != 0,
            resolves_dots: flags & 16 != 0,
        })
    })
}

impl Reader {
    fn read(self, path: &[u8]) -> Vec<u8> {
        let mut text = self.decode(path);
        if self.cuts {
            let end = text.iter().position(|b| matches!(b, b'?' | b'#' | 0)).unwrap_or(text.len());
            text.truncate(end);
        }
        if self.backslash_is_slash {
            text.iter_mut().filter(|b| **b == b'\\').for_each(|b| *b = b'/');
        }
        // Only what begins with a slash has segments.
        let Some(rest) = text.strip_prefix(b"/") else { return text };
        let mut segments: Vec<&[u8]> = Vec::new();
        let mut parts = rest.split(|&b| b == b'/').peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let part = match part.iter().position(|&b| b == b';') {
                Some(at) if self.drops_parameters => &part[..at],
                _ => part,
            };
            match part {
                // The last slash stays.
                b"" if self.merges_slashes && !is_last => {}
                b"." | b".." if self.resolves_dots => {
                    if part == b".." {
                        segments.pop();
                    }
                    if is_last {
                        segments.push(b"");
                    }
                }
                part => segments.push(part),
            }
        }
        [b"/", segments.join(&b'/').as_slice()].concat()
    }

    fn decode(self, path: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        let mut rest = path;
        while let Some((&first, after)) = rest.split_first() {
            let byte = if first == b'%' { hex(after) } else { None };
            let takes = |byte: u8| match self.decoding {
                Decoding::Nothing => false,
                Decoding::Dots => byte == b'.',
                Decoding::WithinSegments => !matches!(byte, b'/' | b'\\'),
                Decoding::Dividers => matches!(byte, b'/' | b'\\'),
                Decoding::Everything => true,
            };
            match byte {
                Some(byte) if takes(byte) => {
                    decoded.push(byte);
                    rest = &after[2..];
                }
                _ => {
                    decoded.push(first);
                    rest = after;
                }
            }
        }
        decoded
    }
}

fn hex(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}
