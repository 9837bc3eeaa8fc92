//! A key set as a fetched document.

use super::Content;
use crate::keys::{KeySet, Origin};
use crate::limits::MAX_KEY_SET_BYTES;

impl Content for KeySet {
    const NAME: &'static str = "key set";
    const MAX_BYTES: usize = MAX_KEY_SET_BYTES;

    fn parse(body: &[u8]) -> Result<Self, String> {
        Self::parse(body, Origin::Remote).map_err(|problem| problem.to_string())
    }

    fn inherit(&mut self, before: &Self) {
        self.share_keys_with(before);
    }

    fn length(&self) -> usize {
        self.keys().len()
    }

    fn summary(&self) -> String {
        let skipped: Vec<String> =
            self.skipped().iter().map(|(index, why)| format!("; keys[{index}] skipped: {why}")).collect();
        format!("{} usable{}", self.keys().len(), skipped.concat())
    }
}
