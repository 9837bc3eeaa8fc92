//! What the gate answers: why a request is denied and how that looks on the wire; how an allowed request is edited.

mod access_log;
mod denial;
mod edits;
mod header_map;
mod local_response;
mod reason;
mod reply;
mod response;
mod wording;

pub use access_log::{plain, AccessLog, Caller, Published};
pub use denial::{Denial, Envoys, Form};
pub use edits::{
    is_field_value, is_spelling, set_field, state_name, Edits, FailedStatus, FieldValue, Fields, HeaderName, Shown,
    State,
};
pub use header_map::HeaderMap;
pub use local_response::{LocalResponse, Prepared};
pub use reason::{Challenge, Reason};
pub use reply::Reply;
pub use response::{Body, Configured, Part, Redirect, Response, Text};
pub use wording::Room;
use wording::Wording;
