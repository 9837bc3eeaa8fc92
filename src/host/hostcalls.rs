//! The one importer of host calls, the SDK's and our own. Bytes only: the SDK's text getters trap the VM at the first byte over 0x7F.

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

use crate::log::Level;
use crate::remote::{Answer, Call};
use crate::request::RequestHead;
use crate::time::{millis, UnixTime};
use crate::verdict::{Denial, Edits, State};

/// The host's clock.
pub fn now() -> UnixTime {
    let since_epoch = sdk::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    UnixTime::from_millis(millis(since_epoch.unwrap_or_default()))
}

/// The configuration as the host hands it over.
pub fn configuration() -> Vec<u8> {
    sdk::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten().unwrap_or_default()
}

/// The head of the request of the effective context.
pub fn request_head() -> RequestHead {
    RequestHead::from_map(jwt_gate_abi::request_headers()).unwrap_or_default()
}

/// Removes, sets, adds.
pub fn edit_request(edits: &Edits) {
    let edit = |name: &str, value: Option<&[u8]>| sdk::set_map_value_bytes(MapType::HttpRequestHeaders, name, value);
    let removed = edits.remove.iter().map(|name| edit(name, None));
    let set = edits.set.iter().map(|(name, value)| edit(name, Some(value)));
    let added =
        edits.add.iter().map(|(name, value)| sdk::add_map_value_bytes(MapType::HttpRequestHeaders, name, value));
    // The host refuses an edit only for a request that is over.
    let _ = removed.chain(set).chain(added).filter(Result::is_err).count();
    publish(&edits.state);
    if edits.clear_route_cache {
        call_foreign("clear_route_cache", &[]);
    }
}

/// Puts text into the filter state of the request of the effective context.
fn publish(state: &State) {
    for (name, text) in state {
        // A host without filter state says so, to no avail: the request is judged the same.
        jwt_gate_abi::set_property(&format!("jwt_authn.{name}"), text);
    }
}

/// The text of a key of the filter state; `None` if there is none.
pub fn filter_state(name: &str) -> Option<Vec<u8>> {
    sdk::get_property(vec!["filter_state", name]).ok().flatten()
}

/// Answers the request of the effective context.
pub fn deny(denial: &Denial, grpc: bool) {
    publish(&denial.state);
    let headers = denial.headers(grpc);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    jwt_gate_abi::send_local_response(u32::from(denial.status), &denial.details(), &headers, &denial.body(grpc));
}

/// Lets the request of the effective context go on.
pub fn resume() {
    let _ = sdk::resume_http_request();
}

/// Makes the calls that follow act on another context; whether there is such a one.
pub fn act_on(context: u32) -> bool {
    sdk::set_effective_context(context).is_ok()
}

/// Whether the root context can resume a parked request: a host that takes any number for a context does nothing with it.
pub fn can_resume_from_root() -> bool {
    sdk::set_effective_context(u32::MAX).is_err()
}

/// Begins a fetch; its number, or `None` if the host knows no such upstream.
pub fn dispatch(call: &Call) -> Option<u32> {
    let headers = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    sdk::dispatch_http_call(&call.cluster, headers, None, Vec::new(), call.timeout).ok()
}

/// What the fetch brought whose answer is being called back. `longest` bounds the body.
pub fn answer(headers: usize, body: usize, longest: usize) -> Option<Answer> {
    if headers == 0 {
        return None;
    }
    let fields = sdk::get_map_bytes(MapType::HttpCallResponseHeaders).ok()?;
    let text = |name: &str| {
        let (_, value) = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        String::from_utf8(value.clone()).ok()
    };
    let wanted = body.min(longest.saturating_add(1));
    let body = sdk::get_buffer(BufferType::HttpCallResponseBody, 0, wanted).ok().flatten().unwrap_or_default();
    Some(Answer {
        status: text(":status").and_then(|status| status.parse().ok()),
        etag: text("etag"),
        cache_control: text("cache-control"),
        body,
    })
}

/// Calls a function that the host brings; `None` if it has none of that name, or the call failed. Some hosts trap instead.
pub fn call_foreign(name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
    sdk::call_foreign_function(name, Some(arguments)).ok().flatten()
}

/// Shared bytes and their version.
pub fn shared(name: &str) -> (Option<Vec<u8>>, Option<u32>) {
    sdk::get_shared_data(name).unwrap_or_default()
}

/// Writes shared bytes, whatever is there.
pub fn share(name: &str, bytes: &[u8]) {
    let _ = sdk::set_shared_data(name, Some(bytes), None);
}

/// Writes shared bytes, if their version is still `cas`; without one, if there are none yet.
pub fn compare_and_share(name: &str, bytes: &[u8], cas: Option<u32>) -> bool {
    let set = |cas| sdk::set_shared_data(name, Some(bytes), cas).is_ok();
    if cas.is_some() {
        return set(cas);
    }
    // To Envoy, no version means "overwrite", so that two VMs would both have been first. A version that nothing has yet creates
    // there and never overwrites. Nginx takes none but "no version" for a name that is not there, and never overwrites by it.
    set(Some(u32::MAX)) || (shared(name).0.is_none() && set(None))
}

/// Defines a counter.
pub fn define_counter(name: &str) -> Option<u32> {
    sdk::define_metric(MetricType::Counter, name).ok()
}

/// Defines a gauge.
pub fn define_gauge(name: &str) -> Option<u32> {
    sdk::define_metric(MetricType::Gauge, name).ok()
}

/// Sets a gauge.
pub fn set_gauge(gauge: u32, value: u64) {
    let _ = sdk::record_metric(gauge, value);
}

/// Adds to a counter.
pub fn count(counter: u32, count: u64) {
    let _ = sdk::increment_metric(counter, i64::try_from(count).unwrap_or(i64::MAX));
}

/// Asks for ticks.
pub fn tick_every(period: Duration) {
    let _ = sdk::set_tick_period(period);
}

/// Writes a line to the host's log.
pub fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    };
    let _ = sdk::log(level, message);
}
