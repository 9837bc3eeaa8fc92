//! Secrets print as a fixed word, so that no log line and no panic message can hold one.

use std::fmt;

/// A value whose `Debug` form is a fixed word.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_a_fixed_word() {
        assert_eq!(format!("{:?}", Redacted("hunter2")), "[redacted]");
    }
}
