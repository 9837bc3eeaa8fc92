//! The JOSE header (RFC 7515 section 4): which algorithm and which key the token claims to be signed with.

use super::CompactJws;
use crate::crypto::Alg;
use crate::json::Packed;
use crate::verdict::Reason;

/// What the gate reads of a header. Members that carry or locate keys (`jwk`, `jku`, `x5c`, `x5u`) are not read: keys come
/// from the configuration alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoseHeader {
    /// `alg`.
    pub alg: Alg,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`.
    pub typ: Option<String>,
}

impl JoseHeader {
    /// Reads the header of `jws`.
    ///
    /// # Errors
    /// [`Reason::HeaderMalformed`] if it is no strict JSON object, a member has a wrong type, or it uses an extension:
    /// `crit` lists what must be understood (section 4.1.11), and `b64` changes what is signed (RFC 7797).
    /// [`Reason::AlgorithmNotAllowed`] if `alg` is unknown; `none` is.
    pub fn parse(jws: &CompactJws<'_>) -> Result<Self, Reason> {
        let header = Packed::parse(&jws.header).ok_or(Reason::HeaderMalformed)?;
        if header.get("crit").is_some() || header.get("b64").is_some() {
            return Err(Reason::HeaderMalformed);
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(entry) => entry.as_str().map(Some).ok_or(Reason::HeaderMalformed),
        };
        let (kid, typ) = (text("kid")?, text("typ")?);
        let alg = Alg::from_name(text("alg")?.ok_or(Reason::HeaderMalformed)?).ok_or(Reason::AlgorithmNotAllowed)?;
        Ok(Self { alg, kid: kid.map(str::to_owned), typ: typ.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    fn parse(header: &str) -> Result<JoseHeader, Reason> {
        let token = format!("{}.e30.e30", BASE64_URL_SAFE_NO_PAD.encode(header));
        JoseHeader::parse(&CompactJws::parse(token.as_bytes()).unwrap())
    }

    #[test]
    fn what_a_header_must_not_be() {
        for header in [
            "[]",
            "null",
            "{}",
            "not JSON",
            r#"{"alg":1}"#,
            r#"{"alg":null}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"RS256","alg":"none"}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":"RS256","kid":null}"#,
            r#"{"alg":"RS256","typ":{}}"#,
            r#"{"alg":"RS256","crit":["exp"],"exp":1}"#,
            r#"{"alg":"RS256","crit":[]}"#,
            r#"{"alg":"RS256","b64":true}"#,
            r#"{"alg":"none","crit":["b64"],"b64":false}"#,
        ] {
            assert_eq!(parse(header), Err(Reason::HeaderMalformed), "{header}");
        }
    }

    #[test]
    fn an_unknown_algorithm_is_not_allowed_and_none_is_unknown() {
        for alg in ["none", "None", "NONE", "nOnE", "", "rs256", "HS1", "RSA-OAEP", "dir"] {
            assert_eq!(parse(&format!(r#"{{"alg":"{alg}"}}"#)), Err(Reason::AlgorithmNotAllowed), "{alg}");
        }
    }

    #[test]
    fn keys_that_a_header_carries_are_not_read() {
        let header = parse(r#"{"alg":"ES256","kid":"k","typ":"JWT","jwk":{"kty":"EC"},"jku":"https://x","x5c":[]}"#);
        assert_eq!(header, Ok(JoseHeader { alg: Alg::Es256, kid: Some("k".into()), typ: Some("JWT".into()) }));
    }
}
