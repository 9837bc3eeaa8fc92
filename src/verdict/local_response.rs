//! What a client is sent in place of the service's answer, ready for the host.

use std::cell::RefCell;
use std::rc::Rc;

use smol_str::SmolStr;

use super::{HeaderMap, Room};

/// An answer but for its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: SmolStr,
}

/// Answers that were given and are given again: how often, is for clients to say, and what they hold for the configuration.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// By their keys, in the order of those.
    answers: RefCell<Vec<(Key, Rc<LocalResponse>)>>,
    room: Room,
}

/// Whatever an answer depends on, in numbers.
pub(super) type Key = [usize; 6];

impl Prepared {
    /// None yet, of a configuration that has so much room.
    pub fn new(room: &Room) -> Self {
        Self { answers: RefCell::default(), room: room.clone() }
    }

    /// The answer of that key: made here the first time, and each time where there is no room to keep it.
    pub(super) fn of(&self, key: Key, make: impl FnOnce() -> LocalResponse) -> Rc<LocalResponse> {
        let place = self.answers.borrow().binary_search_by(|(known, _)| known.cmp(&key));
        let kept = place.ok().and_then(|at| self.answers.borrow().get(at).map(|(_, answer)| Rc::clone(answer)));
        kept.unwrap_or_else(|| {
            let answer = Rc::new(make());
            let bytes = answer.headers.as_bytes().len() + answer.body.len();
            if self.room.take(size_of::<(Key, Rc<LocalResponse>, LocalResponse)>().saturating_add(bytes)) {
                let at = place.unwrap_or_else(|at| at);
                self.answers.borrow_mut().insert(at, (key, Rc::clone(&answer)));
            }
            answer
        })
    }
}
