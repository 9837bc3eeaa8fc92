//! Whether a token is meant for this place, by Envoy's comparison of audiences.
//!
//! Scheme and a slash at the end do not count: `https://example.com/` is `example.com`, on both sides. Without configured
//! audiences every token passes.

/// The audiences of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckAudience(Vec<String>);

impl CheckAudience {
    /// These audiences; none lets every token pass.
    pub fn new<T: AsRef<str>>(audiences: impl IntoIterator<Item = T>) -> Self {
        Self(audiences.into_iter().map(|audience| sanitized(audience.as_ref()).to_owned()).collect())
    }

    /// Whether one of `audiences`, which a token names, is among them.
    pub fn allows<T: AsRef<str>>(&self, audiences: impl IntoIterator<Item = T>) -> bool {
        self.0.is_empty()
            || audiences.into_iter().any(|audience| self.0.iter().any(|own| own == sanitized(audience.as_ref())))
    }
}

/// Without one scheme in front and one slash at the end. Of `http://` nothing is left.
fn sanitized(audience: &str) -> &str {
    let bare = audience.strip_prefix("http://").or_else(|| audience.strip_prefix("https://")).unwrap_or(audience);
    bare.strip_suffix('/').unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_slash_do_not_count_on_either_side() {
        for (configured, named, allowed) in [
            (&["example.com"][..], &["https://example.com/"][..], true),
            (&["http://example.com/"], &["example.com"], true),
            (&["example.com"], &["other", "example.com"], true),
            (&["example.com"], &["example.com//"], false),
            (&["example.com"], &["HTTPS://example.com"], false),
            (&["example.com"], &["https://http://example.com"], false),
            (&["example.com"], &[], false),
            (&[], &[], true),
            (&[], &["anything"], true),
            (&[""], &[], false),
            (&[""], &[""], true),
            (&[""], &["http://"], true),
            (&["/"], &[""], true),
        ] {
            assert_eq!(CheckAudience::new(configured).allows(named), allowed, "{configured:?}, {named:?}");
        }
    }
}
