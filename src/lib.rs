//! Authenticates and authorizes every request by its JWT inside the proxy.
pub mod crypto;
pub mod jose;
pub mod json;
pub mod keys;
pub mod limits;
pub mod redact;
pub mod request;
pub mod time;
pub mod verdict;
