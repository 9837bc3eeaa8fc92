//! `cel` in a module without it: there is no expression.

use super::Principal;
use crate::request::{ParameterName, RequestHead};
use crate::verdict::HeaderName;

/// None.
#[derive(Clone, Debug)]
pub enum Expression {}

impl Expression {
    /// Refuses every expression.
    ///
    /// # Errors
    /// Which module has them.
    pub fn parse(_: &str) -> Result<Self, String> {
        Err("this module has no CEL: the other one that is built beside it, jwt_gate_cel.wasm, does".into())
    }

    /// Whether it holds.
    pub fn holds(&self, _: &RequestHead, _: &Principal) -> bool {
        match *self {}
    }

    /// The headers that it asks for.
    pub fn headers(&self) -> &[HeaderName] {
        match *self {}
    }

    /// The same problem: there is no place.
    pub fn located(_: &str, _: &str, problem: String) -> String {
        problem
    }

    /// The parameters of the query that it asks for.
    pub fn parameters(&self) -> &[ParameterName] {
        match *self {}
    }
}
