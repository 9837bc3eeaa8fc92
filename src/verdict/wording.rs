//! Texts of refusals that are put together once: what a text says differs from reason to reason, not from request to request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use smol_str::SmolStr;

use super::Reason;
use crate::limits::MAX_WORDING_BYTES;

/// What one text says of each reason and status, as far as they have occurred.
#[derive(Clone, Debug)]
pub struct Wording {
    said: RefCell<Vec<(Reason, u16, SmolStr)>>,
    room: Room,
}

/// How many bytes the texts of one configuration may still keep, all together.
#[derive(Clone, Debug)]
pub struct Room(Rc<Cell<usize>>);

impl Wording {
    /// Of a text in the configuration that has so much room.
    pub fn new(room: &Room) -> Self {
        Self { said: RefCell::default(), room: room.clone() }
    }

    /// What it says of such a refusal: put together here the first time, and each time where there is no room to keep it.
    pub fn of(&self, reason: Reason, status: u16, text: impl FnOnce() -> SmolStr) -> SmolStr {
        let is_this = |(known, with, _): &&(Reason, u16, SmolStr)| (*known, *with) == (reason, status);
        let said = self.said.borrow().iter().find(is_this).map(|(_, _, text)| text.clone());
        said.unwrap_or_else(|| {
            let text = text();
            if self.room.take(size_of::<(Reason, u16, SmolStr)>().saturating_add(text.len())) {
                self.said.borrow_mut().push((reason, status, text.clone()));
            }
            text
        })
    }
}

impl Default for Room {
    fn default() -> Self {
        Self(Rc::new(Cell::new(MAX_WORDING_BYTES)))
    }
}

impl Room {
    pub(super) fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        left.inspect(|&left| self.0.set(left)).is_some()
    }
}

/// What has been said is no part of what is said.
impl PartialEq for Wording {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Wording {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_put_together_once_for_each_reason_and_status() {
        let (wording, made) = (Wording::new(&Room::default()), Cell::new(0));
        let of = |reason: Reason, status: u16| {
            wording.of(reason, status, || {
                made.set(made.get() + 1);
                format!("{} {status}", reason.code()).into()
            })
        };
        for _ in 0..3 {
            assert_eq!(of(Reason::TokenExpired, 401), "token_expired 401");
            assert_eq!(of(Reason::TokenExpired, 302), "token_expired 302");
            assert_eq!(of(Reason::TokenMissing, 401), "token_missing 401");
        }
        assert_eq!(made.get(), 3);
    }

    #[test]
    fn a_text_without_room_is_said_all_the_same_and_takes_none_from_shorter_ones() {
        let (room, made) = (Room::default(), Cell::new(0));
        let long = "a".repeat(MAX_WORDING_BYTES);
        let (large, small) = (Wording::new(&room), Wording::new(&room));
        for _ in 0..2 {
            let text = large.of(Reason::TokenExpired, 401, || long.as_str().into());
            assert_eq!(text, long);
            small.of(Reason::TokenExpired, 401, || {
                made.set(made.get() + 1);
                "short".into()
            });
        }
        assert!(large.said.borrow().is_empty());
        assert_eq!(made.get(), 1);
    }
}
