//! What is prepared of a key, once for all that are the same in a VM: whichever providers or configurations have them, and however
//! often their sets are read.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What some key has, for as long as one has it.
pub struct Known<T>(Mutex<Vec<Weak<T>>>);

impl<T> Known<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// What another key has that `is_same`, or else what is made here.
    pub fn find_or_make<E>(
        &self,
        is_same: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known.iter().filter_map(Weak::upgrade).find(|prepared| is_same(prepared)) {
            return Ok(prepared);
        }
        let prepared = Arc::new(make()?);
        known.retain(|prepared| prepared.strong_count() > 0);
        known.push(Arc::downgrade(&prepared));
        Ok(prepared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_made_once_while_somebody_has_it() {
        let known = Known::new();
        let find = |number: u8| known.find_or_make(|known| *known == number, || Ok::<_, ()>(number)).unwrap();
        let (one, other) = (find(1), find(2));
        assert_eq!((*one, *other), (1, 2));
        assert!(Arc::ptr_eq(&one, &find(1)) && Arc::ptr_eq(&other, &find(2)));
        assert_eq!(known.find_or_make(|_| false, || Err("no key")), Err("no key"));
        assert!(Arc::ptr_eq(&one, &find(1)), "what cannot be made changes nothing");
        drop(one);
        let (_next, places) = (find(3), known.0.lock().unwrap().len());
        assert_eq!(places, 2, "what is left of one that is gone goes with the next");
    }
}
