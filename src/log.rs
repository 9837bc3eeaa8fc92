//! How loud a message is. Messages name reasons and fields, never a token or a part of one.

/// The level of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Each denial.
    Debug,
    /// What changes in normal operation: new keys.
    Info,
    /// What an operator should look at: a fetch that failed.
    Warn,
    /// What stops the gate: a refused configuration.
    Error,
}
