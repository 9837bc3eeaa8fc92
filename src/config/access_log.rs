//! `access_log`.

use super::cursor::Object;
use super::values::one_of;
use super::ConfigError;
use crate::verdict::AccessLog;

/// Reads `access_log`.
pub(super) fn read(root: &Object<'_>) -> Result<AccessLog, ConfigError> {
    let mut log = AccessLog::default();
    for element in root.list("access_log")? {
        log.publish(one_of(&element, "field", &AccessLog::FIELDS)?);
    }
    Ok(log)
}
