//! A real Envoy with two worker threads, between a client and a service; or one with four that answers by itself.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::envoy::{self, address, cluster, wasm_filter, Environment, Envoy, Settings, PATIENCE};
use crate::servers::{start_service, Issuer};
use crate::wire::{Connection, Message, Request};

/// Everything that the gate says is written, so that a test can look for what must not be in it.
const LOGS: &str = "wasm:debug,config:info";

pub const NOTHING: Change = |_, _| {};

/// The worker threads of [`Proxy::answering`].
pub const WORKERS: usize = 4;

/// Envoy between a client and a service, with an issuer beside it.
pub struct Proxy {
    envoy: Envoy,
    source: Source,
    pub port: u16,
}

/// Where Envoy has the gate from.
enum Source {
    /// The file of its listener: connections end with the configuration.
    Listener(Form, Change),
    /// A file of its own (ECDS): they go on.
    Filter,
}

/// How Envoy is started.
#[derive(Clone, Copy)]
pub struct Options {
    pub form: Form,
    /// `--concurrency`.
    pub workers: usize,
    /// `--component-log-level`.
    pub logs: &'static str,
    /// Whether statistics have the labels of the example.
    pub labels: bool,
    pub change: Change,
}

/// Changes the connection manager. It gets the folder of Envoy's files, too.
pub type Change = fn(&mut Value, &Path);

impl Default for Options {
    fn default() -> Self {
        Self { form: Form::Struct, workers: 2, logs: LOGS, labels: false, change: NOTHING }
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
        let tags = if options.labels { stats_tags() } else { Vec::new() };
        let (Options { form, workers, logs, change, .. }, upstreams) = (options, [("issuer", issuer.port)]);
        let make = |folder: &Path| listener(gate, form, change, folder);
        Self::serve(&upstreams, Source::Listener(form, change), workers, logs, tags, &Environment::new(), make)
    }

    /// Starts Envoy with this configuration of the gate, and these upstreams by name and port.
    pub fn with_upstreams(gate: &Value, upstreams: &[(&str, u16)]) -> Self {
        let form = Form::Struct;
        let make = |folder: &Path| listener(gate, form, NOTHING, folder);
        Self::serve(upstreams, Source::Listener(form, NOTHING), 2, LOGS, Vec::new(), &Environment::new(), make)
            .unwrap_or_else(|log| panic!("Envoy did not start:\n{log}"))
    }

    /// Starts Envoy with four workers and a gate that can be replaced while connections go on. What the gate lets pass Envoy
    /// answers by itself, with the caller's name in `x-caller`.
    pub fn answering(gate: &Value, issuer: &Issuer) -> Self {
        Self::answering_with(gate, issuer, NOTHING, &Environment::new())
    }

    /// The same behind a connection manager that is changed, in an Envoy with these variables.
    pub fn answering_with(gate: &Value, issuer: &Issuer, change: Change, environment: &Environment) -> Self {
        let make = |folder: &Path| {
            fs::create_dir(folder.join(FILTERS)).expect("the folder is ours");
            publish(&folder.join(FILTERS), "filter.json", &extension(gate, &envoy::module()));
            let route = json!({
                "direct_response": {"status": 200},
                "response_headers_to_add": [{"header": {"key": "x-caller", "value": "%REQ(x-user-id)%"}}],
            });
            let mut listener = envoy::listener("gateway", vec![discovered(folder)], &route);
            change(manager(&mut listener), folder);
            resource(listener)
        };
        // A line for each denial would cost more than the denial.
        let upstreams = [("issuer", issuer.port)];
        Self::serve(&upstreams, Source::Filter, WORKERS, "wasm:info,config:info", Vec::new(), environment, make)
            .unwrap_or_else(|log| panic!("Envoy did not start:\n{log}"))
    }

    /// Starts Envoy with these filters. `change` gets the connection manager and the folder of Envoy's files.
    pub fn with_filters(filters: Vec<Value>, change: impl FnOnce(&mut Value, &Path)) -> Self {
        let make = |folder: &Path| {
            let mut listener = envoy::listener("gateway", filters, &json!({"route": {"cluster": "service"}}));
            change(manager(&mut listener), folder);
            resource(listener)
        };
        Self::serve(&[], Source::Listener(Form::Struct, NOTHING), 1, LOGS, Vec::new(), &Environment::new(), make)
            .unwrap_or_else(|log| panic!("Envoy did not start:\n{log}"))
    }

    fn serve(
        upstreams: &[(&str, u16)],
        source: Source,
        workers: usize,
        logs: &'static str,
        tags: Vec<Value>,
        environment: &Environment,
        listener: impl FnOnce(&Path) -> Value,
    ) -> Result<Self, String> {
        let folder = envoy::new_folder();
        let service = start_service();
        envoy::write(&folder, "listener.json", &listener(&folder));
        let mut with_trailers = cluster("service", service);
        with_trailers["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
            },
        });
        let mut clusters = vec![with_trailers, cluster("nowhere", closed_port())];
        clusters.extend(upstreams.iter().map(|&(name, port)| cluster(name, port)));
        let bootstrap = json!({
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": address(0)},
            "stats_config": {"stats_tags": tags},
            "dynamic_resources": {"lds_config": {
                "path_config_source": {"path": folder.join("listener.json"), "watched_directory": {"path": folder}},
            }},
            "static_resources": {"clusters": clusters},
        });
        let settings = Settings { concurrency: workers, cpu: None, logs };
        let envoy = Envoy::start_in(folder, &bootstrap, 1, settings, environment)?;
        let port = envoy.ports()["gateway"];
        Ok(Self { envoy, source, port })
    }

    /// Replaces the configuration of the gate, as a file-based control plane does. The caller waits for what shows that it took.
    pub fn reconfigure(&self, gate: &Value) {
        match self.source {
            Source::Listener(form, change) => {
                let folder = self.envoy.folder();
                publish(folder, "listener.json", &listener(gate, form, change, folder));
            }
            Source::Filter => self.extend(&extension(gate, &envoy::module())),
        }
    }

    /// Replaces the module, too, by these bytes.
    pub fn replace(&self, gate: &Value, module: &[u8]) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = self.envoy.folder().join(format!("{}.wasm", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::write(&path, module).expect("the folder is ours");
        self.extend(&extension(gate, &path));
    }

    fn extend(&self, extension: &Value) {
        publish(&self.envoy.folder().join(FILTERS), "filter.json", extension);
    }

    /// How many configurations of the gate Envoy has taken.
    pub fn reloads(&self) -> u64 {
        self.stat("extension_config_discovery.http_filter.jwt-gate.config_reload")
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
        let page = self.envoy.ask(&format!("/stats?filter=^{}$", name.replace('.', "\\.")));
        let value = page.trim().strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {name} in {page:?}")).parse().expect("a statistic is a number")
    }

    /// A counter or gauge of the gate.
    pub fn count(&self, name: &str) -> u64 {
        self.stat(&format!("wasmcustom.{name}"))
    }

    /// A request to Envoy's own pages.
    pub fn admin(&self, request: &Request) -> Message {
        self.envoy.admin(request)
    }

    /// A file of Envoy's, as far as it is written.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.envoy.folder().join(name)).unwrap_or_default()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.envoy.pid()
    }

    /// Everything that Envoy has logged.
    pub fn log(&self) -> String {
        self.envoy.log()
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

/// Waits until there are so many, and says how many there were if that never comes.
pub fn eventually_counts(what: &str, expected: usize, mut count: impl FnMut() -> usize) {
    let started = Instant::now();
    loop {
        let seen = count();
        if seen == expected {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: {seen} instead of {expected} after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The same as [`eventually`] for what a worker answers: connections spread over the workers by chance, so it must hold many times in a
/// row. Of twenty all miss one of four workers in one run of three hundred.
pub fn eventually_on_every_worker(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || (0..60).all(|_| condition()));
}

/// The labels that the example makes of the names of statistics.
fn stats_tags() -> Vec<Value> {
    let example = fs::read_to_string(envoy::project("envoy.yaml")).expect("the example has a configuration");
    let lines: Vec<&str> = example.lines().map(str::trim).collect();
    let tag = |pair: &[&str]| {
        let name = pair[0].strip_prefix("- tag_name: ")?;
        let regex = pair[1].strip_prefix("regex: '")?.strip_suffix('\'')?;
        Some(json!({"tag_name": name, "regex": regex}))
    };
    lines.windows(2).filter_map(tag).collect()
}

fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

fn listener(gate: &Value, form: Form, change: Change, folder: &Path) -> Value {
    let mut listener = envoy::listener("gateway", vec![filter(gate, form)], &json!({"route": {"cluster": "service"}}));
    change(manager(&mut listener), folder);
    resource(listener)
}

/// The connection manager of a listener.
fn manager(listener: &mut Value) -> &mut Value {
    &mut listener["filter_chains"][0]["filters"][0]["typed_config"]
}

/// A file `access.log` in the folder of Envoy's files.
pub fn log_access(manager: &mut Value, folder: &Path, format: &Value) {
    manager["access_log"] = json!([{
        "name": "file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": folder.join("access.log"),
            "log_format": format,
        },
    }]);
}

/// Where the file of the gate is, apart from what else changes.
const FILTERS: &str = "filters";

/// Replaces a file as a whole, which is what Envoy waits for.
fn publish(folder: &Path, name: &str, value: &Value) {
    envoy::write(folder, "next", value);
    fs::rename(folder.join("next"), folder.join(name)).expect("the folder is ours");
}

/// The place of the gate among the filters; what is there comes from a file.
fn discovered(folder: &Path) -> Value {
    let folder = folder.join(FILTERS);
    let source = json!({"path": folder.join("filter.json"), "watched_directory": {"path": folder}});
    json!({
        "name": "jwt-gate",
        "config_discovery": {
            "config_source": {"path_config_source": source, "resource_api_version": "V3"},
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
        },
    })
}

/// That file.
fn extension(gate: &Value, module: &Path) -> Value {
    let mut extension = filter_of(module, gate, Form::Struct);
    extension["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
    json!({"resources": [extension]})
}

/// A file of listeners, with one in it.
fn resource(mut listener: Value) -> Value {
    listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
    json!({"resources": [listener]})
}

/// The gate as a filter.
pub fn filter(gate: &Value, form: Form) -> Value {
    filter_of(&envoy::module(), gate, form)
}

/// The same of another module.
pub fn filter_of(module: &Path, gate: &Value, form: Form) -> Value {
    let configuration = match form {
        Form::Struct => json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": gate}),
        Form::StringValue => {
            json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": gate.to_string()})
        }
    };
    wasm_filter("jwt-gate", module, &configuration)
}
