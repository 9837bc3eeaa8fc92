//! Envoy: a process, or a container with `ENVOY=docker`.

#![allow(dead_code)] // Each binary uses its part.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::wire::{get, Connection, Message, Request};

/// How long anything may take before a test gives up. Machines of CI are slow; nothing waits for this long that works.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running Envoy, stopped when it is dropped. Its files are removed then, unless a test fails.
pub struct Envoy {
    child: Child,
    container: Option<String>,
    folder: PathBuf,
    admin: u16,
}

/// Variables of the process, by name.
pub type Environment = BTreeMap<String, String>;

/// How Envoy runs.
#[derive(Clone, Copy)]
pub struct Settings {
    /// Worker threads.
    pub concurrency: usize,
    /// The one CPU that it runs on, if it is bound to one.
    pub cpu: Option<usize>,
    /// `--component-log-level`; everything else is logged from warnings up.
    pub logs: &'static str,
}

impl Envoy {
    /// Starts Envoy with this bootstrap in `folder`, and waits until it has that many listeners. The log where it exits
    /// instead, or refuses a listener.
    pub fn start(folder: PathBuf, bootstrap: &Value, listeners: usize, settings: Settings) -> Result<Self, String> {
        Self::start_in(folder, bootstrap, listeners, settings, &Environment::new())
    }

    /// The same with these variables.
    pub fn start_in(
        folder: PathBuf,
        bootstrap: &Value,
        listeners: usize,
        settings: Settings,
        environment: &Environment,
    ) -> Result<Self, String> {
        let mut envoy = Self::spawn(folder, bootstrap, settings, environment);
        envoy.wait_until_it_listens(listeners)?;
        Ok(envoy)
    }

    /// Starts Envoy with this bootstrap in `folder`, and waits for its own pages alone: listeners may come later, or be refused.
    /// `environment` holds variables by name.
    pub fn start_without_listeners(
        folder: PathBuf,
        bootstrap: &Value,
        settings: Settings,
        environment: &Environment,
    ) -> Result<Self, String> {
        let mut envoy = Self::spawn(folder, bootstrap, settings, environment);
        envoy.wait(|_| true)?;
        Ok(envoy)
    }

    fn spawn(folder: PathBuf, bootstrap: &Value, settings: Settings, environment: &Environment) -> Self {
        write(&folder, "bootstrap.json", bootstrap);
        let (mut command, container) = command(&folder, settings, environment);
        let log = fs::File::create(folder.join("envoy.log")).expect("the log can be written");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, container, folder, admin: 0 }
    }

    fn wait_until_it_listens(&mut self, listeners: usize) -> Result<(), String> {
        self.wait(|envoy| envoy.ports().len() >= listeners || envoy.log().contains("update rejected"))?;
        if self.log().contains("update rejected") {
            return Err(self.log());
        }
        Ok(())
    }

    /// Waits for Envoy's own pages, and then for this.
    fn wait(&mut self, condition: impl Fn(&Self) -> bool) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.child.try_wait().expect("the process is ours").is_some() {
                return Err(self.log());
            }
            let address = fs::read_to_string(self.folder.join("admin")).unwrap_or_default();
            if let Some(port) = address.trim().rsplit(':').next().and_then(|port| port.parse().ok()) {
                self.admin = port;
                if condition(self) {
                    return Ok(());
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("not ready after {PATIENCE:?}\n{}", self.log()))
    }

    /// The port of each listener that is open, by its name.
    pub fn ports(&self) -> HashMap<String, u16> {
        let page: Value = serde_json::from_str(&self.ask("/listeners?format=json")).unwrap_or_default();
        let listeners = page["listener_statuses"].as_array().map_or(&[][..], Vec::as_slice);
        let port = |listener: &Value| {
            let port = listener["local_address"]["socket_address"]["port_value"].as_u64()?;
            let name = listener["name"].as_str()?.to_owned();
            Some((name, u16::try_from(port).expect("a port has 16 bits")))
        };
        listeners.iter().filter_map(port).collect()
    }

    /// One of Envoy's own pages, as text.
    pub fn ask(&self, target: &str) -> String {
        self.admin(&get(target)).text().to_owned()
    }

    /// A request to Envoy's own pages.
    pub fn admin(&self, request: &Request) -> Message {
        let mut connection = Connection::open(self.admin);
        connection.send(&request.bytes());
        connection.receive()
    }

    /// Everything that Envoy has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("envoy.log")).unwrap_or_default()).into_owned()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if let Some(name) = &self.container {
            let _ = Command::new("docker").args(["rm", "--force", name]).stdout(Stdio::null()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("Envoy's log: {}", self.folder.join("envoy.log").display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// An empty folder for the files of one Envoy.
pub fn new_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("envoy-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{}: {error}", folder.display()),
        _ => fs::create_dir_all(&folder).expect("cargo's folder can be written"),
    }
    folder
}

/// Writes a file of Envoy's configuration.
pub fn write(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).expect("the folder is ours");
}

/// A file of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The module.
pub fn module() -> PathBuf {
    let module = project("target/jwt_gate.wasm");
    assert!(module.exists(), "{} is missing: `make test` builds it", module.display());
    module
}

/// The module with expressions.
pub fn module_with_cel() -> PathBuf {
    let module = project("target/jwt_gate_cel.wasm");
    assert!(module.exists(), "{} is missing: `make test` builds it", module.display());
    module
}

/// An address of the loopback; port 0 is a free one.
pub fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

/// A cluster of that one port.
pub fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]},
    })
}

/// What the gate shows to an issuer that it asks about tokens.
pub const INTROSPECTION_SECRET: &str = "of-the-gate-alone";

/// A wasm filter, in a VM of that name.
pub fn wasm_filter(vm: &str, module: &Path, configuration: &Value) -> Value {
    json!({
        "name": "jwt-gate",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "jwt-gate",
                "root_id": "jwt-gate",
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": vm,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                    "environment_variables": {"key_values": {"INTROSPECTION_SECRET": INTROSPECTION_SECRET}},
                },
                "configuration": configuration,
            },
        },
    })
}

/// A listener on a free port: these filters, then the route that is the same for all paths.
pub fn listener(name: &str, filters: Vec<Value>, route: &Value) -> Value {
    let mut route = route.clone();
    route["match"] = json!({"prefix": "/"});
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": filters.into_iter().chain([router]).collect::<Vec<_>>(),
    });
    json!({
        "name": name,
        "address": address(0),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    })
}

/// Envoy, or the container that runs it, and the name of that container. Both see the same files and the host's loopback.
fn command(folder: &Path, settings: Settings, environment: &Environment) -> (Command, Option<String>) {
    let (mut command, container) = match std::env::var("ENVOY").as_deref() {
        Ok("docker") => {
            assert_eq!(settings.cpu, None, "a container is not bound to a CPU");
            let image = std::env::var("ENVOY_IMAGE").expect("`make test ENVOY=docker` names the image");
            let name = folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
            let mut command = Command::new("docker");
            command.args(["run", "--rm", "--network=host", "--name", &name]);
            for shared in [folder, module().parent().expect("the module is in a folder")] {
                command.arg("--volume").arg(format!("{0}:{0}", shared.display()));
            }
            for variable in environment.keys() {
                command.args(["--env", variable]);
            }
            command.args(["--entrypoint", "/usr/local/bin/envoy", &image]);
            (command, Some(name))
        }
        _ => {
            let binary = std::env::var_os("ENVOY_BIN").map_or_else(|| project(".tools/envoy/envoy"), PathBuf::from);
            assert!(binary.exists(), "{} is missing: `make test` installs it", binary.display());
            let command = match settings.cpu {
                None => Command::new(binary),
                Some(cpu) => {
                    let mut command = Command::new("taskset");
                    command.args(["--cpu-list", &cpu.to_string()]).arg(binary);
                    command
                }
            };
            (command, None)
        }
    };
    // A container gets those that it was told of.
    command.envs(environment);
    command.arg("--config-path").arg(folder.join("bootstrap.json"));
    command.arg("--admin-address-path").arg(folder.join("admin"));
    command.args(["--concurrency", &settings.concurrency.to_string(), "--use-dynamic-base-id"]);
    // An access log that is ten seconds late, as by default, is of no use to a test.
    command.args(["--file-flush-interval-msec", "50"]);
    command.args(["--log-level", "warning", "--component-log-level", settings.logs]);
    (command, container)
}
