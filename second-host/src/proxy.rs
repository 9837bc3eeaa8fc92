//! The proxy: one worker with one VM.

use std::borrow::Cow;
use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::types::Action;
use proxy_wasm_host::abi::v0_2_1::{
    CallScope, CalloutId, ContextId, Guest, GuestError, GuestSpec, HttpCall, HttpCallResponse, PluginConfig, StreamKind,
};
use proxy_wasm_host::{HeaderMapExt, VecHeaderMap};

use crate::faults::Faults;
use crate::platform::Platform;
use crate::services::Services;
use crate::streams::{Foreign, Stream, Streams};

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The service gets it, with these headers.
    Passed(Vec<(String, String)>),
    /// The module answered it.
    Answered { status: u32, details: String, headers: Vec<(String, String)>, body: String },
    /// It waits.
    Parked,
    /// The VM died before it had decided: the proxy answers 503.
    Lost,
}

impl Outcome {
    /// `passed`, `parked`, `lost`, or the code of the refusal.
    pub fn code(&self) -> &str {
        match self {
            Self::Passed(_) => "passed",
            Self::Answered { details, .. } => {
                details.strip_prefix("jwt_gate_denied{").and_then(|code| code.strip_suffix('}')).unwrap_or(details)
            }
            Self::Parked => "parked",
            Self::Lost => "lost",
        }
    }

    /// The values of a header, of the request where it passed, or of the answer.
    pub fn header(&self, name: &str) -> Vec<&str> {
        match self {
            Self::Passed(headers) | Self::Answered { headers, .. } => {
                headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
            }
            Self::Parked | Self::Lost => Vec::new(),
        }
    }
}

/// A call that the module made, not yet answered.
#[derive(Debug)]
pub struct Fetch {
    context: ContextId,
    callout: CalloutId,
    request: HttpCall<'static>,
}

impl Fetch {
    /// The upstream, and the path that it is asked for.
    pub fn target(&self) -> String {
        let path = self.request.headers.iter().find(|(name, _)| name.as_ref() == b":path");
        let path = path.map(|(_, value)| String::from_utf8_lossy(value)).unwrap_or_default();
        format!("{} {path}", String::from_utf8_lossy(&self.request.upstream))
    }

    /// The request that called, or the root context.
    pub fn caller(&self) -> ContextId {
        self.context
    }

    /// How long the module waits.
    pub fn timeout(&self) -> Duration {
        self.request.timeout
    }
}

/// What the callback of a request came back with.
enum Progress {
    Decided(Action),
    Broken,
}

/// One VM, its configurations, and the requests that came.
pub struct Proxy {
    services: Services,
    spec: GuestSpec,
    guest: Guest,
    foreign: Foreign,
    is_plain: bool,
    streams: Option<Streams>,
    /// The configuration that new requests come under.
    root: Option<ContextId>,
    roots: Vec<ContextId>,
    progress: Vec<(ContextId, Progress)>,
}

impl Proxy {
    /// The module as it was built, at the time `now`, in seconds, in a host without functions of its own.
    ///
    /// # Panics
    /// If the module refuses the configuration.
    pub fn start(now: u64, configuration: &str) -> Self {
        let mut proxy = Self::new(Platform::built(), now, |_, _| None);
        assert!(proxy.configure(configuration), "{:?}", proxy.log());
        proxy
    }

    /// Without any configuration yet.
    pub fn new(platform: &Platform, now: u64, foreign: Foreign) -> Self {
        let services = Services::at(now);
        let spec = platform.spec(services.for_vm());
        let guest = spec.build().expect("a VM");
        let streams = Some(Streams::new(services.faults.clone(), foreign));
        let is_plain = platform.is_plain;
        Self { services, spec, guest, foreign, is_plain, streams, root: None, roots: Vec::new(), progress: Vec::new() }
    }

    /// Another VM in the place of this one. What was under way in the old one is over.
    pub fn replace_vm(&mut self) {
        self.guest = self.spec.build().expect("a VM");
        self.streams = Some(Streams::new(self.services.faults.clone(), self.foreign));
        self.services.upstreams.take();
        self.root = None;
        self.roots.clear();
        self.progress.clear();
    }

    /// A new configuration beside the old ones: new requests come under it if the module takes it.
    pub fn configure(&mut self, configuration: &str) -> bool {
        let plugin = PluginConfig::new().with_name(*b"gate").with_configuration(configuration);
        let plugin = plugin.with_root_id(self.roots.len().to_string());
        let is_first = self.roots.is_empty();
        let taken = self.enter(|scope| {
            let root = scope.on_context_create(None)?;
            let taken = (!is_first || scope.on_vm_start(root)?) && scope.on_configure(root, plugin)?;
            Ok(taken.then_some(root))
        });
        let Ok(Some(root)) = taken else {
            return false;
        };
        self.root = Some(root);
        self.roots.push(root);
        true
    }

    /// A new configuration in the place of the one that is in force, in the same context.
    pub fn configure_again(&mut self, configuration: &str) -> bool {
        let root = self.root.expect("a configuration");
        let plugin = PluginConfig::new().with_name(*b"gate").with_configuration(configuration);
        matches!(self.enter(|scope| scope.on_configure(root, plugin)), Ok(true))
    }

    /// The time goes on, without a tick.
    pub fn advance(&self, by: Duration) {
        self.services.time.advance(by);
    }

    /// A tick for every configuration.
    pub fn tick(&mut self) {
        for root in self.roots.clone() {
            // Where the VM is dead, nothing ticks.
            let _ = self.enter(|scope| scope.on_tick(root));
        }
    }

    /// The calls that the module has made since the last time.
    pub fn fetches(&mut self) -> Vec<Fetch> {
        let fetch = |(context, callout, request)| Fetch { context, callout, request };
        self.services.upstreams.take().into_iter().map(fetch).collect()
    }

    /// The only call since the last time.
    ///
    /// # Panics
    /// If there is none, or more.
    pub fn fetch(&mut self) -> Fetch {
        let mut fetches = self.fetches();
        assert_eq!(fetches.len(), 1, "{fetches:?}");
        fetches.remove(0)
    }

    /// The upstream answers.
    pub fn answer(&mut self, fetch: Fetch, status: u16, body: &str) {
        let header = (Cow::from(b":status".to_vec()), Cow::from(status.to_string().into_bytes()));
        let response = HttpCallResponse::received(vec![header]).with_body(body.as_bytes().to_vec());
        self.respond(&fetch, response);
    }

    /// The upstream does not answer.
    pub fn fail(&mut self, fetch: Fetch) {
        self.respond(&fetch, HttpCallResponse::failed());
    }

    /// The head of a request arrives; what becomes of it tells [`outcome`](Self::outcome).
    pub fn send(&mut self, headers: &[(&str, &str)]) -> ContextId {
        let pairs: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        let count = u32::try_from(pairs.len()).expect("a request");
        let root = self.root;
        // A number of our own for a request that the module never sees.
        let unseen = || ContextId::try_from(u32::MAX).expect("not zero");
        let created = self.enter(|scope| scope.on_context_create(root));
        let Some(id) = created.ok().filter(|_| root.is_some()) else {
            return unseen();
        };
        let stream = Stream { headers: VecHeaderMap::from(pairs), reply: None, resumed: false };
        self.streams.as_mut().expect("nobody is inside").requests.insert(id.get(), stream);
        let action = self.enter(|scope| {
            scope.expect_stream_kind(id, StreamKind::Http)?;
            scope.on_request_headers(id, count, true)
        });
        self.progress.push((id, action.map_or(Progress::Broken, Progress::Decided)));
        id
    }

    /// The headers of a request as the host holds them, whatever becomes of it.
    ///
    /// # Panics
    /// If there is no such request.
    pub fn held(&self, id: ContextId) -> Vec<(String, String)> {
        let stream = self.streams.as_ref().and_then(|streams| streams.requests.get(&id.get())).expect("a request");
        stream.headers.pairs().iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    /// What has become of a request.
    ///
    /// # Panics
    /// If it was told to go on after it had been answered.
    pub fn outcome(&self, id: ContextId) -> Outcome {
        let progress = self.progress.iter().find(|(known, _)| *known == id).map(|(_, progress)| progress);
        let stream = self.streams.as_ref().and_then(|streams| streams.requests.get(&id.get()));
        let (Some(progress), Some(stream)) = (progress, stream) else {
            return Outcome::Lost;
        };
        let goes_on = stream.resumed || matches!(progress, Progress::Decided(Action::Continue));
        match &stream.reply {
            Some(reply) => {
                assert!(!goes_on, "answered, and passed on: {reply:?}");
                Outcome::Answered {
                    status: reply.status_code,
                    details: text(&reply.status_code_details),
                    headers: reply.headers.iter().map(|(name, value)| (text(name), text(value))).collect(),
                    body: text(&reply.body),
                }
            }
            None if goes_on => {
                Outcome::Passed(stream.headers.pairs().iter().map(|(name, value)| (text(name), text(value))).collect())
            }
            // A request that waits in a VM that has died is answered by the proxy.
            None if matches!(progress, Progress::Broken) || !self.is_alive() => Outcome::Lost,
            None => Outcome::Parked,
        }
    }

    /// A request, and what becomes of it at once.
    pub fn ask(&mut self, headers: &[(&str, &str)]) -> Outcome {
        let id = self.send(headers);
        self.outcome(id)
    }

    /// The client has gone, or the request is over.
    pub fn end(&mut self, id: ContextId) {
        let _ = self.enter(|scope| {
            scope.on_done(id)?;
            scope.on_log(id)?;
            scope.on_delete(id)
        });
        self.streams.as_mut().expect("nobody is inside").requests.remove(&id.get());
    }

    /// Whether the VM lives.
    pub fn is_alive(&self) -> bool {
        !self.guest.is_poisoned()
    }

    /// What the host refuses.
    pub fn faults(&self) -> &Faults {
        &self.services.faults
    }

    /// What the module has logged.
    pub fn log(&self) -> Vec<String> {
        self.services.log.lines()
    }

    fn respond(&mut self, fetch: &Fetch, response: HttpCallResponse<'_>) {
        let in_effect = self.is_plain.then(|| fetch.context.get());
        self.streams.as_mut().expect("nobody is inside").in_effect = in_effect;
        let _ = self.enter(|scope| scope.on_http_call_response(fetch.context, fetch.callout, response));
        self.streams.as_mut().expect("nobody is inside").in_effect = None;
    }

    /// Calls into the VM with all requests at hand: the module acts on any of them from any callback.
    fn enter<R>(
        &mut self,
        call: impl FnOnce(&mut CallScope<'_, Streams>) -> Result<R, GuestError>,
    ) -> Result<R, GuestError> {
        let streams = self.streams.take().expect("nobody is inside");
        let (answer, streams) = self.guest.with(streams, call);
        assert!(streams.contradictions.is_empty(), "{:?}", streams.contradictions);
        self.streams = Some(streams);
        answer
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
