//! What all VMs of the proxy have in common: the clock, the log, the upstreams, the shared data.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::types::{LogLevel, MetricType, Status};
use proxy_wasm_host::abi::v0_2_1::{
    CalloutId, Callouts, Clock, ContextId, HttpCall, HttpCallRefusal, InMemoryStore, Invocation, LogContext, LogSink,
    MetricId, SharedServices, SharedValue, VmServices,
};

use crate::faults::{Call, Faults};

/// A clock that the test turns.
pub struct Time {
    now: AtomicU64,
    faults: Arc<Faults>,
}

impl Time {
    pub fn at(seconds: u64, faults: Arc<Faults>) -> Self {
        Self { now: AtomicU64::new(seconds * 1_000_000_000), faults }
    }

    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(u64::try_from(by.as_nanos()).expect("a short time"), Ordering::Relaxed);
    }
}

impl Clock for Time {
    fn realtime_nanos(&self) -> u64 {
        // It answers whatever is to fail.
        let _ = self.faults.ask(Call::Clock);
        self.now.load(Ordering::Relaxed)
    }

    fn monotonic_nanos(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}

/// What the module logged.
#[derive(Default)]
pub struct Log(Mutex<Vec<String>>);

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no thread died").clone()
    }
}

impl LogSink for Log {
    fn log(&self, _: LogContext<'_>, _: LogLevel, message: &[u8]) {
        self.0.lock().expect("no thread died").push(String::from_utf8_lossy(message).into_owned());
    }
}

/// The upstreams: every call is taken, and kept until the test answers it.
pub struct Upstreams {
    faults: Arc<Faults>,
    calls: Mutex<Vec<(ContextId, CalloutId, HttpCall<'static>)>>,
}

impl Upstreams {
    pub fn new(faults: Arc<Faults>) -> Self {
        Self { faults, calls: Mutex::default() }
    }

    /// The calls since the last time.
    pub fn take(&self) -> Vec<(ContextId, CalloutId, HttpCall<'static>)> {
        std::mem::take(&mut *self.calls.lock().expect("no thread died"))
    }
}

impl Callouts for Upstreams {
    fn http_call(&self, call: Invocation, callout: CalloutId, request: HttpCall<'_>) -> Result<(), HttpCallRefusal> {
        self.faults.ask(Call::Dispatch).map_err(|status| match status {
            Status::BadArgument => HttpCallRefusal::UnknownUpstream,
            _ => HttpCallRefusal::Failed,
        })?;
        self.calls.lock().expect("no thread died").push((call.context, callout, request.into_owned()));
        Ok(())
    }
}

/// The library's own store, with faults.
pub struct Shared {
    faults: Arc<Faults>,
    store: InMemoryStore,
}

impl Shared {
    pub fn new(faults: Arc<Faults>) -> Self {
        Self { faults, store: InMemoryStore::new() }
    }
}

impl SharedServices for Shared {
    fn get_shared_data(&self, call: Invocation, vm_id: &[u8], key: &[u8]) -> Result<SharedValue, Status> {
        self.faults.ask(Call::ReadShared)?;
        self.store.get_shared_data(call, vm_id, key)
    }

    fn set_shared_data(
        &self,
        call: Invocation,
        vm_id: &[u8],
        key: &[u8],
        value: &[u8],
        cas: Option<u32>,
    ) -> Result<(), Status> {
        self.faults.ask(Call::WriteShared)?;
        let overwrites = cas.is_none() && self.store.get_shared_data(call, vm_id, key).is_ok();
        if overwrites && self.faults.refuses_overwriting() {
            return Err(Status::CasMismatch);
        }
        self.store.set_shared_data(call, vm_id, key, value, cas)
    }

    fn define_metric(&self, call: Invocation, vm_id: &[u8], kind: MetricType, name: &[u8]) -> Result<MetricId, Status> {
        self.faults.ask(Call::Metric)?;
        self.store.define_metric(call, vm_id, kind, name)
    }

    fn record_metric(&self, call: Invocation, metric: MetricId, value: u64) -> Result<(), Status> {
        self.faults.ask(Call::Metric)?;
        self.store.record_metric(call, metric, value)
    }

    fn increment_metric(&self, call: Invocation, metric: MetricId, delta: i64) -> Result<(), Status> {
        self.faults.ask(Call::Metric)?;
        self.store.increment_metric(call, metric, delta)
    }
}

/// All of them.
pub struct Services {
    pub time: Arc<Time>,
    pub log: Arc<Log>,
    pub upstreams: Arc<Upstreams>,
    pub faults: Arc<Faults>,
    shared: Arc<Shared>,
}

impl Services {
    pub fn at(seconds: u64) -> Self {
        let faults = Arc::new(Faults::default());
        Self {
            time: Arc::new(Time::at(seconds, faults.clone())),
            log: Arc::default(),
            upstreams: Arc::new(Upstreams::new(faults.clone())),
            shared: Arc::new(Shared::new(faults.clone())),
            faults,
        }
    }

    /// For a VM.
    pub fn for_vm(&self) -> VmServices {
        VmServices::new(self.log.clone())
            .with_clock(self.time.clone())
            .with_shared(self.shared.clone())
            .with_callouts(self.upstreams.clone())
            .with_vm_id(*b"gate")
    }
}
