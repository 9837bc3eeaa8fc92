//! `shadow`: a whole second configuration in the first.

use super::cursor::{Cursor, Object};
use super::source::Sources;
use super::{verifier, ConfigError};
use crate::gate::Semantics;

/// What both have together.
const SHARED: &[&str] = &["stat_prefix", "token_cache", "crypto"];

/// Reads `shadow`. A source that the first configuration has, too, is one document for both.
pub(super) fn read(
    cursor: &Cursor<'_>,
    first: &Semantics,
    sources: &mut Sources<'_>,
) -> Result<Semantics, ConfigError> {
    let root = cursor.object("configuration")?;
    if let Some(cursor) = SHARED.iter().find_map(|name| root.get(name)) {
        return Err(cursor.error("cannot stand in \"shadow\": it is that of the whole configuration"));
    }
    if let Some(cursor) = ["shadow", "access_log"].iter().find_map(|name| root.get(name)) {
        return Err(cursor.error("cannot stand in \"shadow\", which has no effect but on its counters"));
    }
    sources.of_first = [sources.key_sets.len(), sources.jwt_key_sets.len(), sources.revocations.len()];
    let reading = super::reading(&root)?;
    let semantics = super::semantics(&root, reading, sources)?;
    verifier::cache(&root, reading)?;
    check_filter_state(&root, first, &semantics)?;
    Ok(semantics)
}

/// The host is asked for one filter state.
fn check_filter_state(root: &Object<'_>, first: &Semantics, shadow: &Semantics) -> Result<(), ConfigError> {
    match (root.get("filter_state_rules"), first.filter_state()) {
        (Some(cursor), Some(name)) if shadow.filter_state() != Some(name) => {
            Err(cursor.error("must name the same filter state as the first configuration"))
        }
        _ => Ok(()),
    }
}
