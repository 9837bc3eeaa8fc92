//! What arrives: the head of a request as bytes, which rule it falls under, and where its tokens are.

mod extract;
mod head;
mod path;
mod route_index;
mod routes;
mod string_match;

pub use extract::{strip, tokens, Location};
pub use head::RequestHead;
pub use path::{is_plain_path, split_path};
pub use routes::{HeaderMatch, HeaderTest, Match, PathMatch, Regex, Routes};
pub use string_match::{StringMatch, StringTest};
