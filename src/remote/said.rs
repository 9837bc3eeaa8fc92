//! What the log says of a document: one line for each change.

use super::{Output, Record};
use crate::log::Level;

/// Of which document: the field that configures it, and what it is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub field: &'a str,
    pub name: &'static str,
}

impl Said<'_> {
    /// It is there, or has changed.
    pub fn changed(self, summary: &str) -> Output {
        self.line(Level::Info, &["new ", self.name, ": ", summary])
    }

    /// Its source confirms it, after so many failures or after too long a time.
    pub fn confirmed(self, failures: u64) -> Output {
        let after =
            if failures > 0 { [", after ", &failures.to_string(), " failures"].concat() } else { String::new() };
        self.line(Level::Info, &["the ", self.name, " is confirmed again", &after])
    }

    /// A fetch failed, which this record says; `stays`, the last good one serves on.
    pub fn failed(self, next: &Record, problem: &str, stays: bool) -> Output {
        let stays = if stays { "; the last good one stays" } else { "" };
        let Record { failures, retried, .. } = *next;
        let again = if retried > 0 { ", and is tried again" } else { "" };
        // One before its time, for an unknown key, is no failure of the schedule.
        let in_a_row = if failures > 0 {
            [" (", &failures.to_string(), " failed in a row", again, ")"].concat()
        } else {
            String::new()
        };
        self.line(Level::Warn, &["no ", self.name, &in_a_row, ": ", problem, stays])
    }

    /// Nobody has confirmed it for so many seconds, and it is not used any more.
    pub fn given_up(self, longest: u64) -> Output {
        let longest = longest.to_string();
        self.line(Level::Error, &["the ", self.name, " is not used any more: nobody confirmed it for ", &longest, " s"])
    }

    /// An answer came after its time, and was discarded.
    pub fn late(self) -> Output {
        self.line(Level::Warn, &["a late answer was discarded"])
    }

    /// What another VM shared cannot be read.
    pub fn unreadable(self, problem: &str) -> Output {
        self.line(Level::Warn, &["shared ", self.name, ": ", problem])
    }

    /// The host does not share it.
    pub fn not_shared(self) -> Output {
        self.line(Level::Warn, &["the host does not keep so long a ", self.name, ": each worker fetches it for itself"])
    }

    fn line(self, level: Level, words: &[&str]) -> Output {
        Output::Log(level, [self.field, ": ", &words.concat()].concat())
    }
}
