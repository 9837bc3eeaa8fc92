//! What happens to a document, and what it asks for.

use std::time::Duration;

use super::fetched::Outcome;
use super::{Answer, Call};
use crate::log::Level;

/// What happens to a document.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Time passed.
    Tick,
    /// Answers [`Output::Read`]: the shared record and its version for compare-and-swap.
    Record(Option<&'a [u8]>, Option<u32>),
    /// The shared record, read to take up what is there, without a turn to fetch.
    Shared(Option<&'a [u8]>),
    /// Answers [`Output::Write`]: whether nobody else had written.
    Written(bool),
    /// Answers [`Output::Load`]: the shared body.
    Entry(Option<&'a [u8]>),
    /// The host did not take what [`Output::Store`] asked it to share.
    NotStored,
    /// Answers the [`Output::Call`] of that number; `None` if there was no answer.
    Answer(u64, Option<Answer>),
    /// A request waits for content and nothing leads back to it but an answer of its own.
    Own,
    /// The request is gone in whose context the call of that number was.
    Abandoned(u64),
    /// The configuration is over, and with it a call that is under way.
    Stop,
}

/// What a document asks for. `Read`, `Write` and `Load` are answered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Read the shared record.
    Read,
    /// Write the shared record, if its version is still the one read.
    Write(Vec<u8>, Option<u32>),
    /// Read the shared body.
    Load,
    /// Write the shared body, and say so if the host does not take it.
    Store(Vec<u8>),
    /// Fetch, and answer with this number.
    Call(u64, Call),
    /// Something changed that a waiting request may wait for.
    Changed,
    /// A fetch ended, after that long: what it brought is written, or that it brought nothing in its time.
    Fetched(Outcome, Duration),
    /// What can be seen of the content changed.
    Gauge(Gauge, u64),
    /// Tell the operator.
    Log(Level, String),
}

/// What can be seen of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gauge {
    /// How many keys or entries it has.
    Length,
    /// How long ago its source last confirmed it, or how long this VM has looked for it in vain, in seconds.
    Age,
}

/// What a request lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Any content at all.
    Content,
    /// A newer one than this.
    Newer,
}
