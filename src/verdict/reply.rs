//! An answer that is no refusal: what the gate itself has to say.

use std::rc::Rc;

/// The whole answer. It holds nothing but configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body. The host leaves it out where the method is `HEAD`.
    pub body: Rc<str>,
}

impl Reply {
    /// What the access log reads as `%RESPONSE_CODE_DETAILS%`.
    pub const DETAILS: &'static str = "jwt_gate_answered{metadata}";
}
