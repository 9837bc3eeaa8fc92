//! An answer that is no refusal: what the gate itself has to say.

use std::rc::Rc;

use super::LocalResponse;

/// The whole answer. It holds nothing but configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers and body. The host leaves the body out where the method is `HEAD`.
    pub response: Rc<LocalResponse>,
}

impl Reply {
    /// What the access log reads as `%RESPONSE_CODE_DETAILS%`.
    pub const DETAILS: &'static str = "jwt_gate_answered{metadata}";
}
