//! A real Envoy with two worker threads: a process, or a container with `ENVOY=docker`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::servers::{start_service, Issuer};
use crate::wire::{get, Connection, Message, Request};

/// How long anything may take before a test gives up. Machines of CI are slow; nothing waits for this long that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// Envoy between a client and a service, with an issuer beside it.
pub struct Proxy {
    child: Child,
    container: Option<String>,
    folder: PathBuf,
    form: Form,
    admin: u16,
    pub port: u16,
}

/// How Envoy is started.
#[derive(Clone, Copy)]
pub struct Options {
    pub form: Form,
    /// `--concurrency`.
    pub workers: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { form: Form::Struct, workers: 2 }
    }
}

/// In which form Envoy gets the configuration of the gate.
#[derive(Clone, Copy)]
pub enum Form {
    Struct,
    StringValue,
}

impl Proxy {
    /// Starts Envoy with this configuration of the gate.
    pub fn start(gate: &Value, issuer: &Issuer) -> Self {
        Self::try_start(gate, issuer, Options::default()).unwrap_or_else(|log| panic!("Envoy did not start:\n{log}"))
    }

    /// The same, or Envoy's log where it exits instead.
    pub fn try_start(gate: &Value, issuer: &Issuer, options: Options) -> Result<Self, String> {
        let Options { form, workers } = options;
        let folder = new_folder();
        let service = start_service();
        write(&folder, "listener.json", &listener(gate, form));
        let mut clusters = vec![cluster("service", service), cluster("issuer", issuer.port)];
        clusters.push(cluster("nowhere", closed_port()));
        let bootstrap = json!({
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": address(0)},
            "dynamic_resources": {"lds_config": {
                "path_config_source": {"path": folder.join("listener.json"), "watched_directory": {"path": folder}},
            }},
            "static_resources": {"clusters": clusters},
        });
        write(&folder, "bootstrap.json", &bootstrap);

        let (mut command, container) = command(&folder, workers);
        let log = fs::File::create(folder.join("envoy.log")).expect("the log can be written");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut proxy = Self { child, container, folder, form, admin: 0, port: 0 };
        proxy.wait_until_it_listens()?;
        Ok(proxy)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.child.try_wait().expect("the process is ours").is_some() || self.log().contains("update rejected") {
                return Err(self.log());
            }
            let address = fs::read_to_string(self.folder.join("admin")).unwrap_or_default();
            if let Some(port) = address.trim().rsplit(':').next().and_then(|port| port.parse().ok()) {
                self.admin = port;
                let listeners: Value = serde_json::from_str(&self.ask("/listeners?format=json")).unwrap_or_default();
                let socket = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
                if let Some(port) = socket["port_value"].as_u64() {
                    self.port = u16::try_from(port).expect("a port has 16 bits");
                    return Ok(());
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("no listener after {PATIENCE:?}\n{}", self.log()))
    }

    /// Replaces the configuration of the gate, as a file-based control plane does. The caller waits for what shows that it took.
    pub fn reconfigure(&self, gate: &Value) {
        write(&self.folder, "next.json", &listener(gate, self.form));
        fs::rename(self.folder.join("next.json"), self.folder.join("listener.json")).expect("the folder is ours");
    }

    /// One request on a connection of its own.
    pub fn send(&self, request: &Request) -> Message {
        let mut connection = self.connect();
        connection.send(&request.bytes());
        connection.receive()
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    /// A counter or gauge by its full name.
    pub fn stat(&self, name: &str) -> u64 {
        let page = self.ask(&format!("/stats?filter=^{}$", name.replace('.', "\\.")));
        let value = page.trim().strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {name} in {page:?}")).parse().expect("a statistic is a number")
    }

    /// A counter of the gate.
    pub fn count(&self, name: &str) -> u64 {
        self.stat(&format!("wasmcustom.{name}"))
    }

    fn ask(&self, target: &str) -> String {
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
}

impl Drop for Proxy {
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

/// Waits until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The same for what a worker answers: connections spread over the workers, so it must hold many times in a row.
pub fn eventually_on_every_worker(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || (0..20).all(|_| condition()));
}

fn new_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("envoy-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{}: {error}", folder.display()),
        _ => fs::create_dir_all(&folder).expect("cargo's folder can be written"),
    }
    folder
}

fn write(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).expect("the folder is ours");
}

fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn module() -> PathBuf {
    let module = project("target/wasm32-wasip1/release/jwt_gate.wasm");
    assert!(module.exists(), "{} is missing: `make test` builds it", module.display());
    module
}

/// Envoy, or the container that runs it, and the name of that container. Both see the same files and the host's loopback.
fn command(folder: &Path, workers: u32) -> (Command, Option<String>) {
    let (mut command, container) = match std::env::var("ENVOY").as_deref() {
        Ok("docker") => {
            let image = std::env::var("ENVOY_IMAGE").expect("`make test ENVOY=docker` names the image");
            let name = folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
            let mut command = Command::new("docker");
            command.args(["run", "--rm", "--network=host", "--name", &name]);
            for shared in [folder, module().parent().expect("the module is in a folder")] {
                command.arg("--volume").arg(format!("{0}:{0}", shared.display()));
            }
            command.args(["--entrypoint", "/usr/local/bin/envoy", &image]);
            (command, Some(name))
        }
        _ => {
            let binary = std::env::var_os("ENVOY_BIN").map_or_else(|| project(".tools/envoy/envoy"), PathBuf::from);
            assert!(binary.exists(), "{} is missing: `make test` installs it", binary.display());
            (Command::new(binary), None)
        }
    };
    command.arg("--config-path").arg(folder.join("bootstrap.json"));
    command.arg("--admin-address-path").arg(folder.join("admin"));
    command.arg("--concurrency").arg(workers.to_string());
    command.args(["--use-dynamic-base-id", "--log-level", "warning"]);
    // Everything that the gate says is written, so that a test can look for what must not be in it.
    command.args(["--component-log-level", "wasm:debug,config:info"]);
    (command, container)
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]},
    })
}

fn listener(gate: &Value, form: Form) -> Value {
    let configuration = match form {
        Form::Struct => json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": gate}),
        Form::StringValue => {
            json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": gate.to_string()})
        }
    };
    let filters = json!([
        {
            "name": "jwt-gate",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": "jwt-gate",
                    "root_id": "jwt-gate",
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": {
                        "vm_id": "jwt-gate",
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": module()}},
                    },
                    "configuration": configuration,
                },
            },
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        },
    ]);
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "route_config": {"virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}]},
        ]},
        "http_filters": filters,
    });
    json!({"resources": [{
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "gateway",
        "address": address(0),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }]})
}
