//! The clock of the day that an Envoy sees, as a test sets it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use crate::envoy::{module, project, Environment};

/// The clock of the process that has its variables.
pub struct Clock {
    library: PathBuf,
    set_to: PathBuf,
}

impl Clock {
    /// One that is right so far.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // A container sees this folder, too.
        let name = format!("clock-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = module().parent().expect("the module is in a folder").join(name);
        fs::create_dir_all(&folder).expect("the folder is ours");
        let (library, set_to) = (folder.join("libset_clock.so"), folder.join("set-to"));
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2021", "--crate-type", "cdylib", "-O", "-o"]).arg(&library);
        let made = rustc.arg(project("tests/envoy/set_clock.rs")).status().expect("who runs the tests has a compiler");
        assert!(made.success());
        let clock = Self { library, set_to };
        clock.shift(0);
        clock
    }

    /// One that stands still: such a time after 1970.
    pub fn stopped(at: Duration) -> Self {
        let clock = Self::new();
        clock.stop(at);
        clock
    }

    /// Goes wrong by so many seconds.
    pub fn shift(&self, seconds: i64) {
        self.write(&seconds.to_string());
    }

    /// Stands still from now on: such a time after 1970.
    pub fn stop(&self, at: Duration) {
        self.write(&format!("={}", at.as_millis()));
    }

    fn write(&self, text: &str) {
        let next = self.set_to.with_extension("next");
        fs::write(&next, text).expect("the folder is ours");
        fs::rename(next, &self.set_to).expect("the folder is ours");
    }

    pub fn environment(&self) -> Environment {
        let text = |path: &PathBuf| path.to_str().expect("paths of tests are text").to_owned();
        [("LD_PRELOAD", &self.library), ("SET_CLOCK", &self.set_to)]
            .map(|(name, path)| (name.to_owned(), text(path)))
            .into()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // What is left behind is in the way of nobody.
        let _ = self.library.parent().map(fs::remove_dir_all);
    }
}

/// How long after 1970 it is in truth, in whole seconds.
pub fn now() -> Duration {
    Duration::from_secs(UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs())
}
