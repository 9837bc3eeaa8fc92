//! Where an issuer says that its keys are (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).

use std::time::Duration;

use super::fetched::{Failure, FailureKind};
use super::{endpoint, Answer};
use crate::json::{self, Value};
use crate::limits::MAX_METADATA_BYTES;

/// An issuer that is asked where its keys are before each fetch of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The issuer: its document must name it, or anyone's document would do (RFC 8414 section 3.3).
    pub issuer: String,
    /// `cluster`: the host's name for the upstream that has the document.
    pub cluster: String,
    /// `timeout`: the longest that each request takes.
    pub timeout: Duration,
}

/// Which of the two forms of the address is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `/.well-known/openid-configuration` behind the issuer.
    OpenId,
    /// `/.well-known/oauth-authorization-server` between the issuer's host and its path.
    OAuth,
}

impl Discovery {
    /// The address of the document in that form.
    pub(super) fn uri(&self, form: Form) -> String {
        let issuer = self.issuer.trim_end_matches('/');
        match form {
            Form::OpenId => format!("{issuer}/.well-known/openid-configuration"),
            Form::OAuth => {
                let (scheme, rest) = issuer.split_once("://").unwrap_or(("https", issuer));
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                format!("{scheme}://{host}/.well-known/oauth-authorization-server{path}")
            }
        }
    }

    /// The `jwks_uri` of the document that was answered.
    ///
    /// # Errors
    /// Why there is none, without any part of the answer, and whether another attempt may mend it.
    pub(super) fn jwks_uri(&self, answer: Option<&Answer>) -> Result<String, Failure> {
        match answer {
            Some(answer @ Answer { status: Some(200), .. }) => {
                self.named_in(answer).map_err(|problem| Failure { problem, kind: FailureKind::Content })
            }
            answer => Err(Failure::of(answer, &self.cluster)),
        }
    }

    fn named_in(&self, answer: &Answer) -> Result<String, String> {
        if answer.body.len() > MAX_METADATA_BYTES {
            return Err(format!("the answer has more than {MAX_METADATA_BYTES} bytes"));
        }
        let document = json::parse(&answer.body).map_err(|_| "no strict JSON")?;
        let member = |name: &str| document.get(name).and_then(Value::as_str);
        if member("issuer") != Some(&self.issuer) {
            return Err("\"issuer\" is not the configured issuer".to_owned());
        }
        let uri = member("jwks_uri").filter(|uri| endpoint::is_address(uri));
        uri.map(str::to_owned).ok_or_else(|| "\"jwks_uri\" is no address".to_owned())
    }
}
