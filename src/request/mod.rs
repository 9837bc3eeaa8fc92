//! What arrives: the head of a request as bytes, which rule it falls under, and where its tokens are.

mod accept;
pub mod certain;
mod extract;
mod head;
mod header_match;
mod parameter;
mod path;
mod query;
mod query_match;
mod regex;
mod route_index;
mod routes;
mod string_match;
mod uri_template;
mod way_back;

pub use accept::asks_for_page;
pub use extract::{behind_prefix, strip, tokens, Location, Tokens};
pub use head::{AskFilterState, RequestHead};
pub use header_match::{HeaderMatch, HeaderTest};
pub use parameter::ParameterName;
pub use path::{is_plain_path, split_path, without_query};
pub use query_match::{QueryMatch, QueryTest};
pub use regex::Regex;
pub use routes::{Match, PathMatch, Routes};
pub use string_match::{StringMatch, StringTest};
pub use uri_template::{regex_of, TemplateProblem};
pub use way_back::WayBack;
