//! How bytes cross the border of the VM.

use std::mem::MaybeUninit;

/// `proxy_status_t`.
pub(crate) const OK: u32 = 0;

/// Memory that the host fills and the one who asked frees.
#[no_mangle]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let bytes: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(size);
    Box::into_raw(bytes).cast()
}

/// What a call brought that says where its answer is; `None` if it failed, or there is nothing.
pub(crate) fn answer(call: impl FnOnce(&mut *mut u8, &mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    if call(&mut data, &mut size) != OK || data.is_null() {
        return None;
    }
    // SAFETY: the host got this memory, of that size, from `proxy_on_memory_allocate`, has filled it, and leaves it to us.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}
