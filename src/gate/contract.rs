//! What happens to the gate, and what it has the host do.

use smol_str::SmolStr;

use crate::log::Level;
use crate::policy::DocumentId;
use crate::remote::{Answer, Call, Gauge};
use crate::request::RequestHead;
use crate::stats::{Counter, Histogram};
use crate::verdict::{Denial, Edits, Reply};

/// A request, by the host's number.
pub type RequestId = u32;

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The configuration is in force: take up what other VMs, or an earlier configuration, share.
    Start,
    /// [`TICK`](crate::limits::TICK) has passed.
    Tick,
    /// The head of a request arrived.
    Request(RequestId, RequestHead),
    /// A request was reset, or is over.
    Gone(RequestId),
    /// The configuration is over: no request is under it any more, and no call of it will be answered.
    Stop,
    /// Answers [`Effect::Read`]: the shared bytes and their version.
    Record(DocumentId, Option<&'a [u8]>, Option<u32>),
    /// Answers [`Effect::Write`].
    Written(DocumentId, bool),
    /// Answers [`Effect::Load`].
    Entry(DocumentId, Option<&'a [u8]>),
    /// The host did not take what [`Effect::Store`] had it share.
    NotStored(DocumentId),
    /// Answers the [`Effect::Call`] of that number; `None` if there was no answer.
    Answer(DocumentId, u64, Option<Answer>),
    /// Answers the [`Effect::Ask`] of that number; `None` if there was no answer.
    Answered(u64, Option<Answer>),
    /// Answers [`Effect::Settle`].
    Settled(RequestId),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Let the request go on, edited. Terminal.
    Allow(RequestId, Edits),
    /// Answer the request; with the shape of a gRPC answer if the flag is set. Terminal.
    Deny(RequestId, Box<Denial>, bool),
    /// Answer the request, which was one to the gate itself. Terminal.
    Reply(RequestId, Reply),
    /// Hold the request, its body included.
    Wait(RequestId),
    /// Take these headers, which services believe, out of a request that is about to wait.
    Remove(RequestId, Vec<SmolStr>),
    /// Read the shared record of the document.
    Read(DocumentId),
    /// Write it, if its version is still this one; `None`, if there is still no record.
    Write(DocumentId, Vec<u8>, Option<u32>),
    /// Read the shared body of the document.
    Load(DocumentId),
    /// Write it, and say so if the host does not take it.
    Store(DocumentId, Vec<u8>),
    /// Fetch the document, and answer with that number.
    Call(DocumentId, u64, Call),
    /// Ask a service in the context of the request, and answer with that number.
    Ask(RequestId, u64, Call),
    /// Say so when everything before this has been applied. In hosts that cannot go on with a request later.
    Settle(RequestId),
    /// Add one to a counter.
    Count(Counter),
    /// Record how many milliseconds something took.
    Record(Histogram, u64),
    /// Set a gauge of [`Gate::gauges`](super::Gate::gauges).
    Gauge(DocumentId, Gauge, u64),
    /// Tell the operator.
    Log(Level, String),
}
