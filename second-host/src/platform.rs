//! The module, compiled once for all tests.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::{GuestSpec, Host, VmServices};
use proxy_wasm_host::{EngineConfig, Limits, Module};

/// The module of that name as `make module` builds it.
pub fn module_bytes(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/{name}.wasm"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: `make test` builds it", path.display()))
}

/// A host with a compiled module.
pub struct Platform {
    host: Host,
    module: Module,
    limits: Limits,
    pub(crate) is_plain: bool,
}

impl Platform {
    /// With these bytes for the module.
    pub fn of(module: &[u8]) -> Self {
        let engine = EngineConfig::new().with_fuel_enabled(true).build().expect("an engine");
        let module = Module::new(&engine, module).expect("a module");
        // The machine may be busy with other tests.
        let limits = Limits::default().with_cpu_time(Duration::from_secs(60)).with_fuel(u64::MAX);
        Self { host: Host::new(&engine).expect("a host"), module, limits, is_plain: false }
    }

    /// The module as it was built.
    pub fn built() -> &'static Self {
        static PLATFORM: LazyLock<Platform> = LazyLock::new(|| Platform::of(&module_bytes("jwt_gate")));
        &PLATFORM
    }

    /// The same, where a VM dies at this instruction of any call.
    pub fn with_fuel(&self, fuel: u64) -> Self {
        let limits = self.limits.clone().with_fuel(fuel);
        Self { host: self.host.clone(), module: self.module.clone(), limits, is_plain: self.is_plain }
    }

    /// The same, where the answer to a call is shown to the root context, but the request that called is the one in effect.
    pub fn plain(self) -> Self {
        Self { is_plain: true, ..self }
    }

    pub(crate) fn spec(&self, services: VmServices) -> GuestSpec {
        GuestSpec::new(&self.host, &self.module, services, &self.limits).expect("a module of this ABI")
    }
}
