//! What the host refuses, and what it was asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proxy_wasm_host::abi::v0_2_1::types::Status;

/// What a module can ask its host for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    ReadHeaders,
    EditHeaders,
    Resume,
    Answer,
    Property,
    Foreign,
    ReadShared,
    WriteShared,
    Metric,
    Dispatch,
    /// Which no host refuses.
    Clock,
}

impl Call {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::ReadHeaders,
        Self::EditHeaders,
        Self::Resume,
        Self::Answer,
        Self::Property,
        Self::Foreign,
        Self::ReadShared,
        Self::WriteShared,
        Self::Metric,
        Self::Dispatch,
        Self::Clock,
    ];
}

/// Which calls fail, and how many were made of each.
#[derive(Default)]
pub struct Faults(Mutex<State>);

#[derive(Default)]
struct State {
    made: BTreeMap<Call, usize>,
    refuses_overwriting: bool,
    refused: BTreeMap<Call, Fault>,
}

struct Fault {
    spared: usize,
    once: bool,
    status: Status,
}

impl Faults {
    /// From now on `call` is refused with `status`, but for the next `spared` ones.
    pub fn refuse(&self, call: Call, spared: usize, status: Status) {
        self.state().refused.insert(call, Fault { spared, once: false, status });
    }

    /// One `call` is refused with `status`, after so many that are not.
    pub fn refuse_once(&self, call: Call, spared: usize, status: Status) {
        self.state().refused.insert(call, Fault { spared, once: true, status });
    }

    /// From now on shared data that is there is only written by its version.
    pub fn refuse_overwriting(&self) {
        self.state().refuses_overwriting = true;
    }

    pub(crate) fn refuses_overwriting(&self) -> bool {
        self.state().refuses_overwriting
    }

    /// Nothing is refused any more.
    pub fn heal(&self) {
        self.state().refused.clear();
    }

    /// How often it was asked for, refused or not.
    pub fn made(&self, call: Call) -> usize {
        self.state().made.get(&call).copied().unwrap_or(0)
    }

    /// The host is asked for `call`.
    pub(crate) fn ask(&self, call: Call) -> Result<(), Status> {
        let mut state = self.state();
        *state.made.entry(call).or_default() += 1;
        let Some(fault) = state.refused.get_mut(&call) else {
            return Ok(());
        };
        if fault.spared > 0 {
            fault.spared -= 1;
            return Ok(());
        }
        let status = fault.status;
        if fault.once {
            state.refused.remove(&call);
        }
        Err(status)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
