//! The calls of a fetch: of the issuer for the address, where it says that, and of the document; and what their answers come to.

use std::rc::Rc;
use std::time::Duration;

use super::{Document, Task};
use crate::remote::contract::Output;
use crate::remote::discovery::Form;
use crate::remote::fetched::{Failure, Fetched};
use crate::remote::{Address, Answer, Call, Content};
use crate::time::UnixTime;

/// A fetch, from its first request on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    /// When a fetch before its time was made before this one.
    pub forced_before: UnixTime,
    pub since: UnixTime,
    /// Until when it may take.
    pub ends: UnixTime,
    /// Whether it is one request's alone, beside the fetch that the lease is for.
    pub is_own: bool,
}

/// Which request of a fetch is under way.
#[derive(Debug)]
pub(super) enum Step {
    /// For the address of the document; with what the form before came to.
    Discovery(Form, Option<Failure>),
    /// For the document.
    Content { address: String, conditional: bool },
}

impl<T: Content> Document<T> {
    /// The first request of a fetch.
    #[inline(never)]
    pub(super) fn begin(&mut self, begun: Begun, now: UnixTime) -> Vec<Output> {
        match &self.schedule.source.address {
            Address::Fixed(uri) => self.fetch(&uri.clone(), begun, now),
            Address::Discovered(_) => self.discover(Form::OpenId, None, begun, now),
        }
    }

    /// Asks the issuer for the address of the document.
    #[inline(never)]
    fn discover(&mut self, form: Form, before: Option<Failure>, begun: Begun, now: UnixTime) -> Vec<Output> {
        let Address::Discovered(discovery) = &self.schedule.source.address else {
            return Vec::new();
        };
        let mut call = self.schedule.source.call(&discovery.uri(form), None);
        (call.cluster, call.timeout) = (discovery.cluster.as_str().into(), discovery.timeout);
        self.call(call, Step::Discovery(form, before), begun, now)
    }

    /// Asks for the document.
    fn fetch(&mut self, uri: &str, begun: Begun, now: UnixTime) -> Vec<Output> {
        let etag = self.validator.etag_for(uri).filter(|_| self.content.is_some() && !self.schedule.losses.is_lost());
        let step = Step::Content { address: uri.to_owned(), conditional: etag.is_some() };
        self.call(self.schedule.source.call(uri, etag), step, begun, now)
    }

    #[inline(never)]
    fn call(&mut self, mut call: Call, step: Step, begun: Begun, now: UnixTime) -> Vec<Output> {
        // To a host, none at all would be no limit.
        call.timeout = call.timeout.min(begun.ends.since(now).max(Duration::from_millis(1)));
        self.calls = self.calls.wrapping_add(1);
        if begun.is_own {
            self.own.put(self.calls, step, begun);
        } else {
            self.task = Task::Calling { number: self.calls, step, begun };
        }
        vec![Output::Call(self.calls, call)]
    }

    pub(super) fn on_answer(&mut self, number: u64, answer: Option<Answer>, now: UnixTime) -> Vec<Output> {
        let Some((step, begun)) = self.called(number) else { return Vec::new() };
        match step {
            Step::Content { address, conditional } => {
                self.on_fetched(Fetched::of(answer, address, conditional, &self.schedule.source), begun, now)
            }
            Step::Discovery(form, before) => self.on_discovered(form, before, answer.as_ref(), begun, now),
        }
    }

    /// The call of that number, which is answered.
    fn called(&mut self, number: u64) -> Option<(Step, Begun)> {
        match std::mem::replace(&mut self.task, Task::Idle) {
            Task::Calling { number: current, step, begun } if current == number => Some((step, begun)),
            task => {
                self.task = task;
                self.own.take(number)
            }
        }
    }

    fn on_discovered(
        &mut self,
        form: Form,
        before: Option<Failure>,
        answer: Option<&Answer>,
        begun: Begun,
        now: UnixTime,
    ) -> Vec<Output> {
        let Address::Discovered(discovery) = &self.schedule.source.address else {
            return Vec::new();
        };
        match (discovery.jwks_uri(answer), form) {
            (Ok(uri), _) => self.fetch(&uri, begun, now),
            (Err(failure), Form::OpenId) => self.discover(Form::OAuth, Some(failure), begun, now),
            (Err(failure), Form::OAuth) => {
                let failure = failure.after(before);
                self.on_fetched(Fetched::Failed(failure), begun, now)
            }
        }
    }

    fn on_fetched(&mut self, mut fetched: Fetched<T>, begun: Begun, now: UnixTime) -> Vec<Output> {
        if let (Fetched::Content { content, .. }, Some(before)) = (&mut fetched, &self.content) {
            Rc::get_mut(content).into_iter().for_each(|content| content.inherit(before));
        }
        if begun.is_own {
            return self.on_own_fetched(&fetched, begun, now);
        }
        self.took = now.since(begun.since);
        self.task = Task::Publishing(Box::new(fetched));
        vec![Output::Read]
    }

    pub(super) fn is_calling(&self, call: u64) -> bool {
        matches!(self.task, Task::Calling { number, .. } if number == call)
    }
}
