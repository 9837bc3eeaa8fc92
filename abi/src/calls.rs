//! What the host can be asked for. Where a refusal could let a request pass that should not, it traps: nothing passes then.

use crate::wire::{answer, OK};

/// `proxy_map_type_t`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Map {
    /// The headers of the request of the effective context.
    RequestHeaders = 0,
    /// The fields behind its body.
    RequestTrailers = 1,
    /// The headers of the answer that a callback is about.
    CallResponseHeaders = 6,
}

/// `proxy_buffer_type_t`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Buffer {
    /// The body of the answer that a callback is about.
    CallResponseBody = 4,
    /// The configuration of the filter.
    PluginConfiguration = 7,
}

/// `proxy_log_level_t`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum LogLevel {
    /// For those who debug.
    Debug = 1,
    /// For the record.
    Info = 2,
    /// Something is not as it should be.
    Warn = 3,
    /// Something does not work.
    Error = 4,
}

/// `proxy_metric_type_t`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Metric {
    /// Goes up.
    Counter = 0,
    /// Goes up and down.
    Gauge = 1,
    /// How often which values were recorded.
    Histogram = 2,
}

/// `proxy_stream_type_t`: the request.
const REQUEST: u32 = 0;

/// No `grpc-status` of our own: the host maps the HTTP status.
const MAPPED: i32 = -1;

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_log(level: LogLevel, message: *const u8, message_size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: Buffer,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: Map, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_remove_header_map_value(map: Map, name: *const u8, name_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: Map,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: Map,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, cas: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        upstream: *const u8,
        upstream_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_define_metric(metric: Metric, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
}

// SAFETY of all that follows: the host reads what it is handed, and only during the call; it writes to the places that it is
// given for that, or says that it has not.

/// Writes a line to the host's log.
pub fn log(level: LogLevel, message: &str) {
    // SAFETY: see above. A host that does not write it has nowhere to say so either.
    unsafe { proxy_log(level, message.as_ptr(), message.len()) };
}

/// Nanoseconds since 1970.
///
/// # Panics
/// Where the host has no clock: at any other time, tokens would be judged wrongly.
pub fn now() -> u64 {
    let mut time = 0;
    // SAFETY: see above.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut time) };
    assert_eq!(status, OK, "no clock");
    time
}

/// Asks for a tick of the root context every so many milliseconds.
pub fn tick_every(milliseconds: u32) -> bool {
    // SAFETY: see above.
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) == OK }
}

/// The first `max_size` bytes of a buffer; `None` if there is none.
pub fn buffer(buffer: Buffer, max_size: usize) -> Option<Vec<u8>> {
    // SAFETY: see above.
    answer(|data, size| unsafe { proxy_get_buffer_bytes(buffer, 0, max_size, data, size) })
}

/// A header map, serialized; `None` if the host does not give it.
pub fn header_map(map: Map) -> Option<Vec<u8>> {
    // SAFETY: see above.
    answer(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

/// Removes a field of the request; whether the host did. If it did not, the request must not go on; the same holds for the next two.
#[must_use]
pub fn remove_field(map: Map, name: &str) -> bool {
    // SAFETY: see above.
    unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) == OK }
}

/// Sets a header of the request.
#[must_use]
pub fn set_header(name: &str, value: &[u8]) -> bool {
    let map = Map::RequestHeaders;
    // SAFETY: see above.
    unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Adds a header to the request.
#[must_use]
pub fn add_header(name: &str, value: &[u8]) -> bool {
    let map = Map::RequestHeaders;
    // SAFETY: see above.
    unsafe { proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// A property, by its path, whose parts are divided by zeros; `None` if there is none.
pub fn property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: see above.
    answer(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets a property of one name; whether the host took it.
pub fn set_property(name: &str, value: &str) -> bool {
    // SAFETY: see above.
    unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Shared bytes and their version, 0 where the host knows none; `None` if there are none.
pub fn shared_data(key: &str) -> Option<(Vec<u8>, u32)> {
    let mut cas = 0;
    // SAFETY: see above.
    let bytes = answer(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas) })?;
    Some((bytes, cas))
}

/// Writes shared bytes, if their version is this one, or whatever is there with 0; whether they were written.
pub fn set_shared_data(key: &str, value: &[u8], cas: u32) -> bool {
    // SAFETY: see above.
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) == OK }
}

/// Lets the request of the effective context go on.
pub fn continue_request() -> bool {
    // SAFETY: see above.
    unsafe { proxy_continue_stream(REQUEST) == OK }
}

/// A header map without a field.
pub const NO_FIELDS: &[u8] = &[0; 4];

/// Answers the request of the effective context, with a serialized header map; whether the host did. If it did not, the callback must not let the request go on.
pub fn send_local_response(status: u32, details: &str, headers: &[u8], body: &str) -> bool {
    // SAFETY: see above.
    let status = unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            MAPPED,
        )
    };
    status == OK
}

/// Begins a call with a serialized header map, which may take so many milliseconds; its token, or `None` if the host does not begin it.
pub fn http_call(upstream: &str, headers: &[u8], body: &[u8], timeout: u32) -> Option<u32> {
    let mut token = 0;
    // SAFETY: see above.
    let status = unsafe {
        proxy_http_call(
            upstream.as_ptr(),
            upstream.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            NO_FIELDS.as_ptr(),
            NO_FIELDS.len(),
            timeout,
            &mut token,
        )
    };
    (status == OK).then_some(token)
}

/// Makes the calls that follow act on another context; whether there is such a one.
pub fn set_effective_context(context: u32) -> bool {
    // SAFETY: see above.
    unsafe { proxy_set_effective_context(context) == OK }
}

/// Calls a function that the host brings; `None` if it has none of that name, or the call failed. Some hosts trap instead.
pub fn call_foreign_function(name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: see above.
    answer(|data, size| unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len(), data, size)
    })
}

/// Defines a metric; its number.
pub fn define_metric(metric: Metric, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: see above.
    let status = unsafe { proxy_define_metric(metric, name.as_ptr(), name.len(), &mut id) };
    (status == OK).then_some(id)
}

/// Sets a gauge, or records a value in a histogram.
pub fn record_metric(id: u32, value: u64) -> bool {
    // SAFETY: see above.
    unsafe { proxy_record_metric(id, value) == OK }
}

/// Adds to a metric.
pub fn increment_metric(id: u32, offset: i64) -> bool {
    // SAFETY: see above.
    unsafe { proxy_increment_metric(id, offset) == OK }
}
