//! The questions that are under way, each in the context of a request that waits for the answer.
//!
//! Requests with the same question share one. A host ends the call of a request together with it; then another one that still waits
//! asks again.

use std::collections::BTreeMap;

use super::{Effect, RequestId};
use crate::policy::{Key, Question};
use crate::time::UnixTime;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Questions {
    last: u64,
    under_way: BTreeMap<u64, UnderWay>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// The request in whose context it is.
    pub owner: RequestId,
    pub question: Question,
    pub since: UnixTime,
}

impl Questions {
    /// Asks for the request of that number, unless the question is under way and its answer `reaches` this request too.
    pub fn ask(&mut self, id: RequestId, question: Question, reaches: bool, now: UnixTime) -> Option<Effect> {
        if reaches && self.under_way.values().any(|known| known.question.key == question.key) {
            return None;
        }
        self.last = self.last.wrapping_add(1);
        let effect = Effect::Ask(id, self.last, question.call.clone());
        self.under_way.insert(self.last, UnderWay { owner: id, question, since: now });
        Some(effect)
    }

    /// The question of that number, which is answered.
    pub fn answered(&mut self, number: u64) -> Option<UnderWay> {
        self.under_way.remove(&number)
    }

    /// Whether the request has one under way in its own context.
    pub fn are_of(&self, id: RequestId) -> bool {
        self.under_way.values().any(|known| known.owner == id)
    }

    /// A request is gone, and with it its calls. `heir` says who else waits for the answer.
    pub fn gone(&mut self, id: RequestId, heir: impl Fn(Key) -> Option<RequestId>, now: UnixTime) -> Vec<Effect> {
        let numbers: Vec<u64> =
            self.under_way.iter().filter(|(_, known)| known.owner == id).map(|(&number, _)| number).collect();
        let orphans: Vec<_> = numbers.iter().filter_map(|number| self.under_way.remove(number)).collect();
        let asked_again = |UnderWay { question, .. }: UnderWay| {
            let heir = heir(question.key)?;
            self.ask(heir, question, true, now)
        };
        orphans.into_iter().filter_map(asked_again).collect()
    }
}
