//! The host calls that the SDK does not make as the gate needs them.
//!
//! - The head of a request in one piece. The SDK makes two allocations of each header, and traps at a name that is not UTF-8. That
//!   takes a third of the time that the gate needs for a token that it knows; read in place, the same bytes cost next to nothing.
//! - An answer with its details, which the SDK leaves out.
//! - A property that the host may not have: the SDK traps where a host refuses one. It does so for an answer, too.

#![cfg(target_arch = "wasm32")]
#![warn(missing_docs)]

/// `proxy_map_type_t`: HTTP request headers.
const REQUEST_HEADERS: u32 = 0;

/// `proxy_status_t`.
const OK: u32 = 0;

/// No `grpc-status` of our own: the host maps the HTTP status.
const MAPPED: i32 = -1;

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
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
}

/// The headers of the request of the effective context, serialized; nothing if the host has none.
pub fn request_headers() -> Vec<u8> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host writes both places, or says that it has not.
    let status = unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, &mut data, &mut size) };
    if status != OK || data.is_null() {
        return Vec::new();
    }
    // SAFETY: the host got this memory of that size from `proxy_on_memory_allocate`, where the SDK takes it from the same
    // allocator, and leaves it to the one who asked.
    unsafe { Vec::from_raw_parts(data, size, size) }
}

/// Sets a property of one name; whether the host took it.
pub fn set_property(name: &str, value: &str) -> bool {
    // SAFETY: the host reads both texts, and only during the call.
    let status = unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    status == OK
}

/// Answers the request of the effective context; whether the host took the answer.
pub fn send_local_response(status: u32, details: &str, headers: &[(&str, &str)], body: &str) -> bool {
    let headers = serialize(headers);
    // SAFETY: the host reads the four, and only during the call.
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

/// A header map as the ABI writes it: the count, the sizes, then each name and value with a zero behind it.
fn serialize(map: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = (map.len() as u32).to_le_bytes().to_vec();
    for (name, value) in map {
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for text in map.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}
