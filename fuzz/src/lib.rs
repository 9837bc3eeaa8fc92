//! What the targets share. Each target is one file in `fuzz_targets` and asserts one property.

mod number;

pub use number::{flip, Number};
