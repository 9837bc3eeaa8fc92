//! How a denial looks on the wire: `WWW-Authenticate` (RFC 6750), `application/problem+json` (RFC 9457), `Retry-After`; or what
//! Envoy's own filter answers in its place.

use std::rc::Rc;
use std::time::Duration;

use smol_str::{SmolStr, ToSmolStr};

use super::{Caller, Configured, FailedStatus, HeaderMap, LocalResponse, Prepared, Published, Reason, State};

/// A denial with all that its answer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// The HTTP status.
    pub status: u16,
    /// How it is said.
    pub form: Form,
    /// What Envoy says, where `semantics: jwt_authn` denies.
    pub envoys: Option<Envoys>,
    /// What the access log can read of it, beyond the details.
    pub state: State,
    /// Where it can read why.
    pub failed_status: Option<FailedStatus>,
    /// Whose failure it is.
    pub caller: Caller,
    /// What the access log reads of it, where the configuration asks for that.
    pub published: Option<Published>,
    /// The rule that the request falls under, by its place; for what the configuration has a refusal say there.
    pub rule: Option<usize>,
    /// What the configuration adds to the challenge: the scopes that the rule asks for, and `protected_resource`. Nothing that is
    /// quoted in it needs an escape.
    pub challenge_end: Option<Rc<str>>,
    /// When another attempt has a chance; for 503.
    pub retry_after: Duration,
    /// The answer, where it is [prepared](Self::prepare).
    pub prepared: Option<Rc<LocalResponse>>,
}

/// What Envoy's own filter says of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envoys {
    /// The text of the status.
    pub text: &'static str,
    /// What the access log reads as `%RESPONSE_CODE_DETAILS%`.
    pub details: SmolStr,
}

/// How a denial is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A problem document, with the challenge and `Retry-After` that the reason has.
    Problem,
    /// `strip_failure_response`: the status alone.
    Bare,
    /// As an entry of `responses` says it.
    Configured(Configured),
    /// As Envoy's `jwt_authn` says it.
    JwtAuthn {
        /// The URI of the request, which its challenge repeats.
        realm: String,
        /// Whether the challenge says `invalid_token`.
        invalid_token: bool,
    },
}

impl Denial {
    /// What the client is sent; `grpc` as in [`headers`](Self::headers).
    pub fn local_response(&self, grpc: bool) -> Rc<LocalResponse> {
        self.prepared.as_ref().map_or_else(|| Rc::new(self.said(grpc)), Rc::clone)
    }

    /// Takes what the client is sent from among what was sent to others, unless something of this request is in it.
    pub fn prepare(&mut self, prepared: &Prepared, grpc: bool) {
        let entry = match &self.form {
            Form::Problem | Form::Bare => 0,
            Form::Configured(configured) if configured.is_of_request() => return,
            Form::Configured(configured) => Rc::as_ptr(&configured.response).addr(),
            Form::JwtAuthn { .. } => return,
        };
        let end = self.challenge_end.as_ref().map_or(0, |end| Rc::as_ptr(end).cast::<u8>().addr());
        let seconds = if self.status == 503 { self.seconds() } else { 0 };
        // Both addresses are of what the configuration holds, as long as it holds what is prepared.
        let key = [end, entry, self.reason as usize, self.status.into(), seconds, grpc.into()];
        self.prepared = Some(prepared.of(key, || self.said(grpc)));
    }

    fn said(&self, grpc: bool) -> LocalResponse {
        let headers = self.headers(grpc);
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        LocalResponse { headers: HeaderMap::new(headers), body: self.body(grpc) }
    }

    /// Whole seconds (RFC 9110 section 10.2.3), never "at once".
    fn seconds(&self) -> usize {
        usize::try_from(self.retry_after.as_millis().div_ceil(1000).max(1)).unwrap_or(usize::MAX)
    }

    /// The headers of the answer to a request; `grpc` leaves the content type to the host, whose own mapping answers.
    pub fn headers(&self, grpc: bool) -> Vec<(&str, SmolStr)> {
        match &self.form {
            Form::Problem => {
                let mut headers = Vec::with_capacity(3);
                if !grpc {
                    headers.push(("content-type", SmolStr::new_static("application/problem+json")));
                }
                self.push_protocol_headers(&mut headers);
                headers
            }
            Form::Bare => Vec::new(),
            Form::Configured(configured) => configured.headers(self, grpc),
            Form::JwtAuthn { realm, invalid_token, .. } => {
                let error = if *invalid_token { r#", error="invalid_token""# } else { "" };
                vec![("www-authenticate", [r#"Bearer realm=""#, realm, r#"""#, error].concat().into())]
            }
        }
    }

    /// What HTTP itself asks of such an answer: the challenge, and when to come back.
    pub(super) fn push_protocol_headers(&self, headers: &mut Vec<(&str, SmolStr)>) {
        if let Some(challenge) = self.challenge() {
            headers.push(("www-authenticate", challenge));
        }
        if self.status == 503 {
            headers.push(("retry-after", self.seconds().to_smolstr()));
        }
    }

    /// The challenge (RFC 6750 section 3). What is quoted in it needs no escape: sentences of this crate, scopes and addresses whose
    /// characters the configuration was asked about.
    fn challenge(&self) -> Option<SmolStr> {
        let start = match self.reason.challenge_text() {
            // An answer with 401 has a challenge, whatever it is mapped from (RFC 9110 section 15.5.2).
            None if self.status == 401 => "Bearer",
            text => text?,
        };
        Some(match &self.challenge_end {
            None => SmolStr::new_static(start),
            Some(end) => {
                let divider = if start == "Bearer" { " " } else { ", " };
                [start, divider, end].concat().into()
            }
        })
    }

    /// What the access log reads as `%RESPONSE_CODE_DETAILS%`.
    pub fn details(&self) -> &str {
        self.envoys.as_ref().map_or(self.reason.code_details(), |envoys| &envoys.details)
    }

    /// The body of the answer. In a gRPC request the host makes `grpc-message` of it, so there it is the sentence alone.
    pub fn body(&self, grpc: bool) -> SmolStr {
        let configured = match &self.form {
            Form::Problem => None,
            Form::Bare => Some(SmolStr::default()),
            Form::Configured(configured) => configured.body(self, grpc),
            Form::JwtAuthn { .. } => Some(SmolStr::new_static(self.envoys.as_ref().map_or("", |envoys| envoys.text))),
        };
        configured.unwrap_or_else(|| {
            if grpc {
                SmolStr::new_static(self.reason.detail())
            } else {
                problem(self.reason, self.status)
            }
        })
    }
}

/// The problem document (RFC 9457) of a refusal with that status.
fn problem(reason: Reason, status: u16) -> SmolStr {
    if status == reason.status() {
        return SmolStr::new_static(reason.problem());
    }
    // With "about:blank" a title is the phrase of the status (RFC 9457 section 4.2.1); one that is not known here has none.
    let title = match status {
        400 => r#""title":"Bad Request","#,
        401 => r#""title":"Unauthorized","#,
        403 => r#""title":"Forbidden","#,
        404 => r#""title":"Not Found","#,
        407 => r#""title":"Proxy Authentication Required","#,
        429 => r#""title":"Too Many Requests","#,
        500 => r#""title":"Internal Server Error","#,
        502 => r#""title":"Bad Gateway","#,
        503 => r#""title":"Service Unavailable","#,
        _ => "",
    };
    // Every part is a literal without characters that JSON escapes; a test parses each body.
    let (code, detail) = (reason.code(), reason.detail());
    let status = status.to_string();
    let parts = [
        r#"{"type":"about:blank","#,
        title,
        r#""status":"#,
        &status,
        r#","code":""#,
        code,
        r#"","detail":""#,
        detail,
        r#""}"#,
    ];
    parts.concat().into()
}

impl Envoys {
    /// Of the status with that text.
    pub fn new(text: &'static str) -> Self {
        // Envoy writes no spaces there.
        let details = ["jwt_authn_access_denied{", &text.replace(' ', "_"), "}"].concat().into();
        Self { text, details }
    }
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            status: reason.status(),
            form: Form::Problem,
            envoys: None,
            state: State::new(),
            failed_status: None,
            caller: Caller::default(),
            published: None,
            rule: None,
            challenge_end: None,
            retry_after: Duration::ZERO,
            prepared: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_json_and_says_code_and_status() {
        for &reason in Reason::ALL {
            let body: serde_json::Value = serde_json::from_str(&Denial::from(reason).body(false)).unwrap();
            assert_eq!(body["code"], reason.code());
            assert_eq!(body["status"], reason.status());
            assert_eq!(body["detail"], reason.detail());
        }
    }

    #[test]
    fn a_title_is_the_phrase_of_the_status_or_is_not_there() {
        let titles: [(u16, &str); 9] = [
            (400, "Bad Request"),
            (401, "Unauthorized"),
            (403, "Forbidden"),
            (404, "Not Found"),
            (407, "Proxy Authentication Required"),
            (429, "Too Many Requests"),
            (500, "Internal Server Error"),
            (502, "Bad Gateway"),
            (503, "Service Unavailable"),
        ];
        for status in 400..600 {
            let denial = Denial { status, ..Reason::KeyUnknown.into() };
            let body: serde_json::Value = serde_json::from_str(&denial.body(false)).unwrap();
            let title = titles.iter().find(|(known, _)| *known == status).map(|(_, title)| *title);
            assert_eq!(body.get("title").and_then(|title| title.as_str()), title, "{status}");
            assert_eq!(body["status"], status);
        }
    }

    #[test]
    fn a_503_says_when_to_come_back_and_never_at_once() {
        for (wait, seconds) in [(0, "1"), (999, "1"), (1001, "2"), (60_000, "60")] {
            let denial = Denial { retry_after: Duration::from_millis(wait), ..Reason::KeysUnavailable.into() };
            assert!(denial.headers(false).contains(&("retry-after", seconds.into())), "{wait} ms");
        }
    }

    #[test]
    fn a_401_has_a_challenge_whatever_it_is_mapped_from() {
        for &reason in Reason::ALL {
            let denial = Denial { status: 401, ..reason.into() };
            assert!(denial.headers(false).iter().any(|(name, _)| *name == "www-authenticate"), "{}", reason.code());
        }
        assert_eq!(Denial::from(Reason::KeysUnavailable).headers(true), [("retry-after", "1".into())]);
    }

    #[test]
    fn a_stripped_answer_says_nothing_but_its_status() {
        let denial = Denial { form: Form::Bare, ..Reason::TokenExpired.into() };
        assert_eq!((denial.status, denial.headers(false), &*denial.body(false)), (401, Vec::new(), ""));
        assert_eq!(denial.details(), "jwt_gate_denied{token_expired}", "it is the client that learns nothing");
    }

    #[test]
    fn a_grpc_answer_leaves_the_content_type_to_the_host() {
        let denial = Denial::from(Reason::TokenExpired);
        let challenge = r#"Bearer error="invalid_token", error_description="The token has expired.""#;
        assert_eq!(denial.headers(true), [("www-authenticate", challenge.into())]);
        assert_eq!(denial.body(true), "The token has expired.");
    }
}
