//! The questions that are under way, each in the context of a request that waits for the answer.
//!
//! Requests with the same question share one. A host ends the call of a request together with it; then another one that still waits
//! asks again.

use std::collections::BTreeMap;

use super::{Effect, RequestId};
use crate::policy::{Key, Question};

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Questions {
    last: u64,
    under_way: BTreeMap<u64, (RequestId, Question)>,
}

impl Questions {
    /// Asks for the request of that number, unless the question is under way and its answer `reaches` this request too.
    pub fn ask(&mut self, id: RequestId, question: Question, reaches: bool) -> Option<Effect> {
        if reaches && self.under_way.values().any(|(_, known)| known.key == question.key) {
            return None;
        }
        self.last = self.last.wrapping_add(1);
        let effect = Effect::Ask(id, self.last, question.call.clone());
        self.under_way.insert(self.last, (id, question));
        Some(effect)
    }

    /// The question of that number, which is answered; and by whom it was asked.
    pub fn answered(&mut self, number: u64) -> Option<(RequestId, Question)> {
        self.under_way.remove(&number)
    }

    /// Whether the request has one under way in its own context.
    pub fn are_of(&self, id: RequestId) -> bool {
        self.under_way.values().any(|(owner, _)| *owner == id)
    }

    /// A request is gone, and with it its calls. `heir` says who else waits for the answer.
    pub fn gone(&mut self, id: RequestId, heir: impl Fn(Key) -> Option<RequestId>) -> Vec<Effect> {
        let numbers: Vec<u64> =
            self.under_way.iter().filter(|(_, (owner, _))| *owner == id).map(|(&number, _)| number).collect();
        let orphans: Vec<_> = numbers.iter().filter_map(|number| self.under_way.remove(number)).collect();
        let asked_again = |(_, question): (RequestId, Question)| {
            let heir = heir(question.key)?;
            self.ask(heir, question, true)
        };
        orphans.into_iter().filter_map(asked_again).collect()
    }
}
