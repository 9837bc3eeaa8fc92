//! The metrics of one VM, each defined once: Envoy keeps every definition for as long as the VM lives, and a VM outlives its
//! configurations.

use std::cell::RefCell;
use std::collections::HashMap;

use super::hostcalls;

/// The host's numbers of metrics, by their full names.
#[derive(Default)]
pub struct Metrics {
    counters: Numbers,
    gauges: Numbers,
    histograms: Numbers,
}

type Numbers = RefCell<HashMap<String, u32>>;

impl Metrics {
    /// A counter of that name.
    pub fn counter(&self, name: String) -> Option<u32> {
        defined(&self.counters, name, hostcalls::define_counter)
    }

    /// A gauge of that name.
    pub fn gauge(&self, name: String) -> Option<u32> {
        defined(&self.gauges, name, hostcalls::define_gauge)
    }

    /// A histogram of that name.
    pub fn histogram(&self, name: String) -> Option<u32> {
        defined(&self.histograms, name, hostcalls::define_histogram)
    }
}

fn defined(known: &Numbers, name: String, define: fn(&str) -> Option<u32>) -> Option<u32> {
    if let Some(&metric) = known.borrow().get(&name) {
        return Some(metric);
    }
    let metric = define(&name)?;
    known.borrow_mut().insert(name, metric);
    Some(metric)
}
