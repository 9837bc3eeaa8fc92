//! The clock of one process, set by a file: a library that is loaded before the others (`LD_PRELOAD`) and answers for the clock of
//! the day. `rustc` makes it; it is no part of the tests themselves.
//!
//! The file named by `SET_CLOCK` holds the seconds by which the clock is wrong, or `=` and the milliseconds after 1970 at which it
//! stands still; it is read every few milliseconds.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::Once;
use std::thread;
use std::time::Duration;

#[repr(C)]
pub struct Timespec {
    seconds: c_long,
    nanoseconds: c_long,
}

type ClockGettime = unsafe extern "C" fn(c_int, *mut Timespec) -> c_int;

extern "C" {
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The clock of the day; those that measure time are left alone.
const REALTIME: c_int = 0;

/// The next library that has it.
const NEXT: *mut c_void = -1_isize as *mut c_void;

/// Whether it stands still.
static IS_STOPPED: AtomicBool = AtomicBool::new(false);
/// At how many milliseconds it does.
static STOPPED_AT: AtomicI64 = AtomicI64::new(0);
/// By how many seconds it is wrong where it does not.
static SHIFT: AtomicI64 = AtomicI64::new(0);
static REAL: AtomicUsize = AtomicUsize::new(0);

#[no_mangle]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int {
    let mut real = REAL.load(Ordering::Relaxed);
    if real == 0 {
        real = dlsym(NEXT, c"clock_gettime".as_ptr()) as usize;
        REAL.store(real, Ordering::Relaxed);
    }
    let real: ClockGettime = std::mem::transmute(real);
    let result = real(clock, time);
    if clock == REALTIME && result == 0 {
        follow();
        if IS_STOPPED.load(Ordering::Relaxed) {
            let at = STOPPED_AT.load(Ordering::Relaxed);
            *time = Timespec { seconds: (at / 1000) as c_long, nanoseconds: (at % 1000 * 1_000_000) as c_long };
        } else {
            (*time).seconds += SHIFT.load(Ordering::Relaxed) as c_long;
        }
    }
    result
}

/// Reads the file, now and from now on, in a thread of its own.
fn follow() {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        let Ok(path) = std::env::var("SET_CLOCK") else { return };
        read(&path);
        thread::spawn(move || loop {
            thread::sleep(Duration::from_millis(5));
            read(&path);
        });
    });
}

fn read(path: &str) {
    let Ok(text) = fs::read_to_string(path) else { return };
    let text = text.trim();
    let (is_stopped, number) = text.strip_prefix('=').map_or((false, text), |number| (true, number));
    let Ok(number) = number.parse() else { return };
    if is_stopped { &STOPPED_AT } else { &SHIFT }.store(number, Ordering::Relaxed);
    IS_STOPPED.store(is_stopped, Ordering::Relaxed);
}
