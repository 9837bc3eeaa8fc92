//! Where RE2, which reads the patterns of Envoy, and the `regex` crate read the same pattern differently, and neither says so.

/// Why `pattern` means something else in RE2. There a character class has no set operations and no classes in it: `[a&&b]` holds
/// three characters there, and none here.
pub(super) fn differs(pattern: &str) -> Option<&'static str> {
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    let mut before = None;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match (character, in_class) {
            ('\\', _) => drop(characters.next()),
            ('[', false) => {
                in_class = true;
                characters.next_if_eq(&'^');
                // In the first place it is a character of the class.
                characters.next_if_eq(&']');
            }
            ('[', true) if next == Some(':') => while characters.next().is_some_and(|c| c != ']') {},
            ('[', true) => return Some("a \"[\" in a character class must be written as \"\\[\""),
            (']', true) => in_class = false,
            ('&' | '-' | '~', true) if before == Some(character) => {
                return Some("of two \"&\", \"-\" or \"~\" in a character class, one must be written with a \"\\\"");
            }
            _ => {}
        }
        before = in_class.then_some(character);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_read_alike_is_taken() {
        let alike =
            ["/a[b-d]+", "&&--~~", r"[\[\&&-]", "[]a]", "[^]a]", "[[:alpha:]_-]", "[&-~]", r"\[&&", "[a]&&[b]", "["];
        for pattern in alike {
            assert_eq!(differs(pattern), None, "{pattern}");
        }
        for pattern in ["[a&&b]", "[+--]", "[a~~b]", "[a[b]]", "[]&&a]", "[[:alpha:]&&a]", r"[\]&&a]", "x[^a--b]"] {
            assert!(differs(pattern).is_some(), "{pattern}");
        }
    }
}
