//! The order of texts. Each kind of element that is sorted brings the sort along anew, some five kilobytes of the module, so all are
//! sorted as one kind: a text, and a number that says whose it is.

/// A text with a number.
pub type Numbered<'t> = (&'t [u8], usize);

/// Sorts by the texts, and by the numbers where these are the same.
#[inline(never)]
pub fn sort(texts: &mut [Numbered<'_>]) {
    texts.sort_unstable();
}
