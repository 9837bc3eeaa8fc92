//! base64url as Envoy reads it, by Abseil's `WebSafeBase64Unescape`, which is more lenient than RFC 4648 section 5.
//!
//! Taken besides the RFC's form: white space anywhere, padding or none, `.` as padding, and bits beyond the last byte that are
//! not zero. Refused: the other alphabet (`+`, `/`), padding of another length than the data asks for, data after padding, and a
//! single letter left over.

/// Decodes `text`; `None` where Abseil refuses it.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut letters, mut pads) = (0u32, 0usize, 0usize);
    for &byte in text {
        if is_space(byte) {
            continue;
        }
        if matches!(byte, b'=' | b'.') {
            pads += 1;
            continue;
        }
        let value = value(byte).filter(|_| pads == 0)?;
        bits = bits << 6 | value;
        letters += 1;
        // The first letter of four begins a byte, and each of the others ends one.
        if letters % 4 != 1 {
            let unused = 6 - 2 * ((letters + 3) % 4);
            bytes.push((bits >> unused) as u8);
        }
    }
    let expected = match letters % 4 {
        0 => 0,
        1 => return None,
        rest => 4 - rest,
    };
    (pads == 0 || pads == expected).then_some(bytes)
}

/// The six bits of a letter.
fn value(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

/// `isspace` of C: with the vertical tab, which Rust leaves out.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rfc_takes_is_taken_and_so_is_more() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg", b"f"),
            ("Zg==", b"f"),
            ("Zm8", b"fo"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYmFy", b"foobar"),
            ("-_-_", b"\xfb\xff\xbf"),
            // Bits beyond the last byte.
            ("Zh", b"f"),
            ("Zm9", b"fo"),
            // White space.
            (" Z m\t9\nv\x0bYm\x0cFy\r", b"foobar"),
            ("Zg = = ", b"f"),
            ("   ", b""),
            // A dot pads.
            ("Zg..", b"f"),
            ("Zg=.", b"f"),
            ("Zm8.", b"fo"),
        ] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes), "{text:?}");
        }
    }

    #[test]
    fn what_is_refused_all_the_same() {
        for (text, why) in [
            ("Zm9vZ", "one letter left over"),
            ("Z", "one letter"),
            ("Zm9v=", "padding where none belongs"),
            ("Zm9v====", "a quantum of padding"),
            ("Zg=", "too little padding"),
            ("Zg===", "too much padding"),
            ("Zm8==", "too much padding"),
            ("=", "padding alone"),
            ("Zg==Zg==", "data after padding"),
            ("Zm9+", "the other alphabet"),
            ("Zm9/", "the other alphabet"),
            ("Zm9\0", "a zero byte"),
            ("Zm9\u{e9}", "a letter beyond ASCII"),
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{why}: {text:?}");
        }
    }
}
