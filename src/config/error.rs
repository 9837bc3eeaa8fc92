//! What is wrong with a configuration, and where.

use std::fmt;

/// The operator's error: the path of a field and what is wrong there. Never holds what could be a secret: of what it quotes,
/// regular expressions are the most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// For example `providers.main.remote_jwks.http_uri.timeout`.
    pub path: String,
    /// One sentence.
    pub problem: String,
}

impl ConfigError {
    /// An error at `path`.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// `; did you mean "…"?` if one of `known` is near to `name`.
pub(super) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&name.to_ascii_lowercase(), &known.to_ascii_lowercase()), known))
        .min_by_key(|&(distance, _)| distance)
        .filter(|&(distance, known)| distance <= known.len().max(3) / 3);
    near.map(|(_, known)| format!("; did you mean \"{known}\"?")).unwrap_or_default()
}
