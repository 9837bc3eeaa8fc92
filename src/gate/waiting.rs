//! Requests that wait for what waiting could bring: how they begin to, and how each ends.

use std::time::Duration;

use super::{Effect, Gate, RequestId};
use crate::limits::{MAX_QUESTIONS_PER_REQUEST, MAX_WAITING, WAIT_MARGIN};
use crate::policy::{Decision, DocumentId, Finding, Key, Protocol, Question, Want};
use crate::remote::{Input, Need};
use crate::request::RequestHead;
use crate::stats::Counter;
use crate::time::UnixTime;
use crate::verdict::Reason;

/// How often a request looks at one document to fetch it.
const MAX_LOOKS: usize = 3;

/// A request that waits.
pub(super) struct Waiting {
    pub head: RequestHead,
    pub since: UnixTime,
    pub patience: Duration,
    /// The documents that it waits for.
    pub documents: Vec<DocumentId>,
    /// The questions that it waits for.
    pub asked: Vec<Key>,
    /// What was answered.
    pub found: Vec<(Key, Finding)>,
    /// The documents that it looked at to call for them, one after the other, and for which need.
    pub tried: Vec<(DocumentId, Need)>,
    /// Those that it called for, each once.
    pub called: Vec<(DocumentId, Need)>,
    /// It passes without what it waits for.
    pub passes: bool,
    /// Whether it is to be decided about again: something changed, or its patience is over.
    pub is_due: bool,
}

impl Gate {
    /// Whether what is wanted is wanted of a caller whose token is good.
    pub(super) fn is_about_caller(&self, want: &Want) -> bool {
        match want {
            Want::Document(DocumentId::Revocations(_), _) => true,
            Want::Document(DocumentId::KeySet(_) | DocumentId::JwtKeySet(_), _) => false,
            Want::Answer(question) => {
                let service = self.documents.services.get(question.service);
                service.is_some_and(|service| matches!(service.protocol, Protocol::Authorization(_)))
            }
        }
    }

    /// Lets a request wait for what it lacks, and asks services for that. Where nothing but the answer to a call of its own leads back
    /// to it, it has [one after the other](Self::on_settled) instead.
    pub(super) fn wait(&mut self, id: RequestId, mut waiting: Waiting, wants: Vec<Want>, now: UnixTime) -> Vec<Effect> {
        let mut effects = Vec::new();
        waiting.documents.clear();
        for want in if self.can_wait { wants } else { Vec::new() } {
            match want {
                Want::Document(document, need) => {
                    waiting.documents.push(document);
                    waiting.patience = waiting.patience.max(self.documents.want(document, need, now));
                }
                Want::Answer(question) if !waiting.asked.contains(&question.key) => {
                    effects.extend(self.ask(id, &mut waiting, *question, now));
                }
                Want::Answer(_) => {}
            }
        }
        waiting.is_due = false;
        self.waiting.insert(id, waiting);
        effects
    }

    fn ask(&mut self, id: RequestId, waiting: &mut Waiting, question: Question, now: UnixTime) -> Option<Effect> {
        waiting.asked.push(question.key);
        waiting.since = now;
        waiting.patience = waiting.patience.max(question.call.timeout.saturating_add(WAIT_MARGIN));
        self.questions.ask(id, question, self.can_wait, now)
    }

    /// Decides once more about those that are due, oldest first, until so many of them were let go.
    pub(super) fn release(&mut self, now: UnixTime) -> Vec<Effect> {
        let due: Vec<RequestId> =
            self.waiting.iter().filter(|(_, waiting)| waiting.is_due).map(|(&id, _)| id).collect();
        let mut effects = Vec::new();
        for id in due {
            if self.room == 0 {
                break;
            }
            effects.extend(self.judge_again(id, now));
            self.room = self.room.saturating_sub(usize::from(!self.waiting.contains_key(&id)));
        }
        effects
    }

    /// Decides once more about a waiting request. It goes on waiting while that can help, until its patience is over.
    pub(super) fn judge_again(&mut self, id: RequestId, now: UnixTime) -> Vec<Effect> {
        let Some((mut waiting, decision)) = self.decide_again(id, now) else {
            return Vec::new();
        };
        let Decision::Wait(wants, otherwise) = decision else {
            return self.end(id, &waiting, decision, now);
        };
        waiting.passes = passes_without(&wants, &otherwise);
        // Whoever waits for calls of its own has as long as they take.
        let may_go_on = !self.can_wait || waiting.may_go_on(&wants, now);
        if may_go_on && !(waiting.passes && self.is_crowded()) {
            self.wait(id, waiting, wants, now)
        } else {
            self.end(id, &waiting, Decision::Wait(wants, otherwise), now)
        }
    }

    /// Whether so many wait for what they pass without that more of them would take the places of others.
    pub(super) fn is_crowded(&self) -> bool {
        self.waiting.values().filter(|waiting| waiting.passes).count() >= MAX_WAITING / 4
    }

    /// Decides about a request that waits no more. What holds without an answer holds for a question that was asked: no request
    /// passes because there was no time to ask, or no room.
    fn end(&mut self, id: RequestId, waiting: &Waiting, decision: Decision, now: UnixTime) -> Vec<Effect> {
        let decision = match decision {
            Decision::Wait(wants, _) if waiting.lacks_questions(&wants) => self.semantics.overloaded(&waiting.head),
            // Another request's call is under way, from which nothing leads back to this one: the key may be among those that it
            // brings, and the token a good one.
            Decision::Wait(wants, otherwise) if !self.can_wait && waiting.lacks_key(&wants, &otherwise) => {
                self.semantics.for_another_reason(*otherwise, Reason::KeysUnavailable, &waiting.head)
            }
            Decision::Wait(_, otherwise) => *otherwise,
            decision => decision,
        };
        let mut effects = self.conclude(id, &waiting.head, decision, now);
        effects.extend(self.pass_on_questions(id, now));
        effects
    }

    /// The decision as it stands, by what the request waited for; it waits no more.
    fn decide_again(&mut self, id: RequestId, now: UnixTime) -> Option<(Waiting, Decision)> {
        let mut waiting = self.waiting.remove(&id)?;
        self.documents.services.give(std::mem::take(&mut waiting.found));
        self.verifier.begin_request(true);
        let decision = self.semantics.decide(&waiting.head, &self.documents, &mut self.verifier, now);
        waiting.found = self.documents.services.take_back();
        Some((waiting, decision))
    }

    /// Nothing follows any more from what a request began: it goes on waiting for a call of its own, or is decided.
    pub(super) fn on_settled(&mut self, id: RequestId, now: UnixTime) -> Vec<Effect> {
        self.calls.current = None;
        let mut effects = self.settle(id, now);
        if !self.is_waiting(id) {
            effects.append(&mut self.calls.to_share);
        }
        effects
    }

    fn settle(&mut self, id: RequestId, now: UnixTime) -> Vec<Effect> {
        if self.calls.under_way.values().any(|&request| request == id) || self.questions.are_of(id) {
            return vec![Effect::Wait(id)];
        }
        let Some((mut waiting, mut decision)) = self.decide_again(id, now) else {
            return Vec::new();
        };
        if let Decision::Wait(wants, _) = &mut decision {
            let mut effects = self.try_next(id, &mut waiting, wants, now);
            if !effects.is_empty() {
                self.waiting.insert(id, waiting);
                effects.push(Effect::Settle(id));
                return effects;
            }
        }
        self.calls.current = None;
        self.end(id, &waiting, decision, now)
    }

    /// Turns to the next of what a request lacks, and in the end to what others fetch. It never has two calls under way: in some hosts
    /// a request goes on upstream when a call is answered and nothing is made of that, as of the first of two.
    pub(super) fn try_next(
        &mut self,
        id: RequestId,
        waiting: &mut Waiting,
        wants: &mut Vec<Want>,
        now: UnixTime,
    ) -> Vec<Effect> {
        self.calls.current = Some(id);
        let next = wants.iter().position(|want| match want {
            Want::Document(document, need) => waiting.may_try(*document, *need),
            Want::Answer(question) => waiting.may_ask(question.key),
        });
        match next.map(|place| wants.swap_remove(place)) {
            Some(Want::Document(document, need)) => {
                waiting.tried.push((document, need));
                waiting.patience = waiting.patience.max(self.documents.want(document, need, now));
                return vec![Effect::Read(document)];
            }
            Some(Want::Answer(question)) => return self.ask(id, waiting, *question, now).into_iter().collect(),
            None => {}
        }
        for want in wants {
            match *want {
                Want::Document(document, Need::Content) if !waiting.called.contains(&(document, Need::Content)) => {
                    waiting.called.push((document, Need::Content));
                    let effects = self.on_document(document, Input::Own, now);
                    if !effects.is_empty() {
                        return effects;
                    }
                }
                _ => {}
            }
        }
        Vec::new()
    }
}

impl Waiting {
    pub(super) fn waits_for(&self, key: Key) -> bool {
        self.asked.contains(&key) && !self.found.iter().any(|(found, _)| *found == key)
    }

    /// Whether it may look at that document once more, for which it has not called. It is not at once that a fetch can begin: first the
    /// lease of another one may have to be ended, or a newer content turns out to be there.
    #[inline(never)]
    fn may_try(&self, document: DocumentId, need: Need) -> bool {
        let looks = self.tried.iter().filter(|tried| **tried == (document, need)).count();
        looks < MAX_LOOKS && !self.called.contains(&(document, need))
    }

    /// It calls for a document that it looked at.
    pub(super) fn calls(&mut self, document: DocumentId) {
        self.called.extend(self.tried.iter().rev().find(|(tried, _)| *tried == document).copied());
    }

    /// Whether a key is unknown, and newer ones may come that it has not called for itself.
    fn lacks_key(&self, wants: &[Want], otherwise: &Decision) -> bool {
        let is_of_others = |want: &Want| match want {
            Want::Document(document, Need::Newer) => !self.called.contains(&(*document, Need::Newer)),
            _ => false,
        };
        otherwise.refusal() == Some(Reason::KeyUnknown) && wants.iter().any(is_of_others)
    }

    /// Whether it has not asked that, and may ask more.
    fn may_ask(&self, key: Key) -> bool {
        !self.asked.contains(&key) && self.asked.len() < MAX_QUESTIONS_PER_REQUEST
    }

    /// Whether there is a question among `wants` that was not asked.
    fn lacks_questions(&self, wants: &[Want]) -> bool {
        wants.iter().any(|want| matches!(want, Want::Answer(question) if !self.asked.contains(&question.key)))
    }

    /// Whether it goes on waiting: for something new, with patience of its own, or for what it waits for.
    fn may_go_on(&self, wants: &[Want], now: UnixTime) -> bool {
        if self.lacks_questions(wants) {
            self.asked.len() < MAX_QUESTIONS_PER_REQUEST
        } else {
            !self.is_over(now)
        }
    }

    pub(super) fn is_over(&self, now: UnixTime) -> bool {
        now.since(self.since) >= self.patience
    }
}

/// Whether all that is wanted is a revocation list without which a good token passes.
pub(super) fn passes_without(wants: &[Want], otherwise: &Decision) -> bool {
    let is_list = |want: &Want| matches!(want, Want::Document(DocumentId::Revocations(_), _));
    let is_good = matches!(otherwise, Decision::Allow(pass, _) if pass.counter() == Counter::Allowed);
    is_good && wants.iter().all(is_list)
}
