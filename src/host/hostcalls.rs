//! The one importer of host calls: from the bytes of the ABI to the types of the core, and back.

use std::time::Duration;

use jwt_gate_abi::{self as abi, Buffer, LogLevel, Map, Metric};

use crate::log::Level;
use crate::remote::{Answer, Call};
use crate::request::RequestHead;
use crate::time::{millis, UnixTime};
use crate::verdict::{Caller, Denial, Edits, FailedStatus, Published, Reason, Reply, State};

/// The host's clock.
pub fn now() -> UnixTime {
    UnixTime::from_millis(abi::now() / 1_000_000)
}

/// The configuration as the host hands it over.
pub fn configuration() -> Vec<u8> {
    abi::buffer(Buffer::PluginConfiguration, usize::MAX).unwrap_or_default()
}

/// The head of the request of the effective context; `None` if the host does not give it.
pub fn request_head() -> Option<RequestHead> {
    RequestHead::from_map(abi::header_map(Map::RequestHeaders)?)
}

/// Removes, sets, adds; whether the host did all of it.
fn edit_request(edits: &Edits) -> bool {
    let is_edited = edits.remove.iter().all(|name| remove_header(name))
        && edits.set.iter().all(|(name, value)| abi::set_header(name, value))
        && edits.add.iter().all(|(name, value)| abi::add_header(name, value));
    if !is_edited {
        return false;
    }
    publish(&edits.state, edits.failed_status.as_ref(), (edits.published.as_ref(), &edits.caller));
    if edits.clear_route_cache {
        call_foreign("clear_route_cache", &[]);
    }
    true
}

/// The trailers of the request of the effective context, as far as they are like a head; `None` if the host does not give them.
pub fn request_trailers() -> Option<RequestHead> {
    RequestHead::from_map(abi::header_map(Map::RequestTrailers)?)
}

/// Removes a header; whether it is gone. Some hosts do not remove what is not there.
pub fn remove_header(name: &str) -> bool {
    abi::remove_field(Map::RequestHeaders, name) || request_head().is_some_and(|head| !head.has(name))
}

/// Removes a trailer; whether the host did.
pub fn remove_trailer(name: &str) -> bool {
    abi::remove_field(Map::RequestTrailers, name)
}

/// Edits the request of the effective context, which may then go on; whether it may. What the host did not edit is answered: a service
/// would take a client's own headers for the gate's. No refusal of the host is a trap: in some, a trap lets a request go on whose
/// call was answered.
pub fn allow(edits: &Edits) -> bool {
    let is_edited = edit_request(edits);
    if !is_edited {
        log(Level::Error, "jwt-gate: the host does not edit a request, which is refused");
        deny(&Denial::from(Reason::KeysUnavailable), false);
    }
    is_edited
}

/// Puts text into the filter state of the request of the effective context.
fn publish(state: &State, failed_status: Option<&FailedStatus>, (published, caller): (Option<&Published>, &Caller)) {
    // A host without filter state says so, to no avail: the request is judged the same.
    for (name, text) in state {
        abi::set_property(name, text);
    }
    for (name, text) in failed_status.into_iter().flat_map(FailedStatus::state) {
        abi::set_property(name, text);
    }
    for (name, text) in published.into_iter().flat_map(|published| published.state(caller)) {
        abi::set_property(name, &text);
    }
}

/// The value of a property, by its path, whose parts are divided by zeros; `None` if there is none.
pub fn property(path: &str) -> Option<Vec<u8>> {
    abi::property(path)
}

/// Answers the request of the effective context.
pub fn deny(denial: &Denial, grpc: bool) {
    publish(&denial.state, denial.failed_status.as_ref(), (denial.published.as_ref(), &denial.caller));
    let response = denial.local_response(grpc);
    let headers = response.headers.as_bytes();
    let is_sent = abi::send_local_response(u32::from(denial.status), denial.details(), headers, &response.body);
    // What the host does not say, it may not take for a refusal either. The least that can be said may be said.
    if !is_sent && !abi::send_local_response(503, denial.details(), abi::NO_FIELDS, "") {
        log(Level::Error, "jwt-gate: the host does not answer a request");
    }
}

/// Answers a request to the gate itself, which is that of the effective context.
pub fn reply(reply: &Reply) {
    let response = &reply.response;
    abi::send_local_response(u32::from(reply.status), Reply::DETAILS, response.headers.as_bytes(), &response.body);
}

/// Lets the request of the effective context go on.
pub fn resume() {
    abi::continue_request();
}

/// Makes the calls that follow act on another context; whether there is such a one.
pub fn act_on(context: u32) -> bool {
    abi::set_effective_context(context)
}

/// Whether the root context can resume a parked request: a host that takes any number for a context does nothing with it.
pub fn can_resume_from_root() -> bool {
    !abi::set_effective_context(u32::MAX)
}

/// Begins a fetch; its number, or `None` if the host knows no such upstream.
pub fn dispatch(call: &Call) -> Option<u32> {
    let headers = call.header_map();
    abi::http_call(
        &call.cluster,
        headers.as_bytes(),
        &call.body,
        u32::try_from(millis(call.timeout)).unwrap_or(u32::MAX),
    )
}

/// What the call brought whose answer is being called back. `longest` bounds the body.
pub fn answer(headers: usize, body: usize, longest: usize) -> Option<Answer> {
    if headers == 0 {
        return None;
    }
    // The head of an answer crosses the border like that of a request.
    let head = RequestHead::from_map(abi::header_map(Map::CallResponseHeaders)?)?;
    let text = |name: &str| String::from_utf8(head.value(name)?.to_vec()).ok();
    // Several lines of a field are one list (RFC 9110 section 5.3).
    let list = |name: &str| {
        let lines = head.values(name).filter_map(|line| std::str::from_utf8(line).ok());
        lines.map(str::to_owned).reduce(|list, line| [list, line].join(","))
    };
    let wanted = body.min(longest.saturating_add(1));
    let body = abi::buffer(Buffer::CallResponseBody, wanted).unwrap_or_default();
    Some(Answer {
        not_sent: false,
        status: text(":status").and_then(|status| status.parse().ok()),
        etag: text("etag"),
        cache_control: list("cache-control"),
        body,
        head,
    })
}

/// Calls a function that the host brings; `None` if it has none of that name, or the call failed. Some hosts trap instead.
pub fn call_foreign(name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
    abi::call_foreign_function(name, arguments)
}

/// Shared bytes and their version.
pub fn shared(name: &str) -> (Option<Vec<u8>>, Option<u32>) {
    match abi::shared_data(name) {
        Some((bytes, cas)) => (Some(bytes), (cas > 0).then_some(cas)),
        None => (None, None),
    }
}

/// Writes shared bytes, whatever is there; whether the host took them. To Envoy, no version means just that; nginx refuses it where
/// there are bytes.
pub fn share(name: &str, bytes: &[u8]) -> bool {
    const ATTEMPTS: usize = 8;
    let overwrite =
        || abi::set_shared_data(name, bytes, 0) || abi::set_shared_data(name, bytes, shared(name).1.unwrap_or(0));
    // Another worker may write in between. Who loses to all of them leaves what they wrote.
    (0..ATTEMPTS).any(|_| overwrite())
}

/// Writes shared bytes, if their version is still `cas`; without one, if there are none yet.
pub fn compare_and_share(name: &str, bytes: &[u8], cas: Option<u32>) -> bool {
    let set = |cas| abi::set_shared_data(name, bytes, cas);
    if let Some(cas) = cas {
        return set(cas);
    }
    // To Envoy, no version means "overwrite", so that two VMs would both have been first. A version that nothing has yet creates
    // there and never overwrites. Nginx takes none but "no version" for a name that is not there, and never overwrites by it.
    set(u32::MAX) || (shared(name).0.is_none() && set(0))
}

/// Defines a counter.
pub fn define_counter(name: &str) -> Option<u32> {
    abi::define_metric(Metric::Counter, name)
}

/// Defines a gauge.
pub fn define_gauge(name: &str) -> Option<u32> {
    abi::define_metric(Metric::Gauge, name)
}

/// Defines a histogram.
pub fn define_histogram(name: &str) -> Option<u32> {
    abi::define_metric(Metric::Histogram, name)
}

/// Sets a gauge, or records a value in a histogram.
pub fn record(metric: u32, value: u64) {
    abi::record_metric(metric, value);
}

/// Adds to a counter.
pub fn count(counter: u32, count: u64) {
    abi::increment_metric(counter, i64::try_from(count).unwrap_or(i64::MAX));
}

/// Asks for ticks.
pub fn tick_every(period: Duration) {
    abi::tick_every(u32::try_from(millis(period)).unwrap_or(u32::MAX));
}

/// Asks for no more of them.
pub fn tick_no_more() {
    abi::tick_every(0);
}

/// Writes a line to the host's log.
pub fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    };
    abi::log(level, message);
}
