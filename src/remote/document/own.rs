//! The calls that requests make for themselves beside the fetch of another request, or of another VM, in hosts where nothing but the
//! answer to its own call leads back to a request.
//!
//! What they bring stays in this VM: the fetch that the lease is for is the one that is published.

use std::rc::Rc;

use super::{Begun, Document, Step};
use crate::remote::contract::Output;
use crate::remote::fetched::Fetched;
use crate::remote::record::{digest, Edition};
use crate::remote::Content;
use crate::time::UnixTime;

/// The most of them for one document, in one VM: until the first content is there, a burst must not become one of fetches.
const MAX_OWN_CALLS: usize = 16;

/// Those that are under way, by their numbers, and how many there were.
#[derive(Debug, Default)]
pub(super) struct OwnCalls {
    under_way: Vec<(u64, Step, Begun)>,
    made: usize,
}

// Never inlined: once for every kind of document, that would be a kilobyte of the module.
impl OwnCalls {
    #[inline(never)]
    pub fn put(&mut self, number: u64, step: Step, begun: Begun) {
        self.under_way.push((number, step, begun));
    }

    #[inline(never)]
    pub fn take(&mut self, number: u64) -> Option<(Step, Begun)> {
        let place = self.under_way.iter().position(|(known, ..)| *known == number)?;
        let (_, step, begun) = self.under_way.swap_remove(place);
        Some((step, begun))
    }
}

impl<T: Content> Document<T> {
    /// Makes one for the request at hand, if there was never any content and it is being fetched, for the first time or after fetches
    /// that failed. The pauses between those count for everybody: nothing is fetched in them. None after a fetch that has lapsed: should
    /// what it brought have ended its VM, it would end this one, and in some hosts that lets the request go on.
    pub(super) fn on_own(&mut self, now: UnixTime) -> Vec<Output> {
        let record = self.schedule.record;
        let is_cold = self.content.is_none() && record.is_leased(now) && !record.lapsed;
        if !is_cold || self.own.made >= MAX_OWN_CALLS {
            return Vec::new();
        }
        self.own.made += 1;
        let ends = now.plus(self.schedule.source.longest());
        self.begin(Begun { forced_before: record.forced_at, since: now, ends, is_own: true }, now)
    }

    pub(super) fn on_own_fetched(&mut self, fetched: &Fetched<T>, begun: Begun, now: UnixTime) -> Vec<Output> {
        if let (Fetched::Content { content, body, .. }, None) = (fetched, &self.content) {
            // Of no edition that is shared: those are numbered from 1.
            self.held = Edition { version: 0, body: digest(body) };
            self.content = Some(Rc::clone(content));
            self.confirmed_at = now;
            self.generation = self.generation.wrapping_add(1);
        }
        vec![Output::Fetched(fetched.outcome(), now.since(begun.since)), Output::Changed]
    }
}
