//! The plot.

use crate::figures::Figures;
use crate::growth::{Curve, PerVm};

pub fn draw(_: &Figures, _: &[Curve], _: &PerVm) -> String {
    String::new()
}
