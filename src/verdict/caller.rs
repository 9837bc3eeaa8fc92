//! Whose token decided.

/// Whose token decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The index of the provider; `None` where no provider had a say, or several said the same.
    pub provider: Option<usize>,
}
