//! The headers that providers set: no client does.

use super::headers::Headers;
use super::provider::Provider;
use crate::verdict::HeaderName;

/// Each once.
#[derive(Clone, Debug, Default)]
pub struct Outputs(Vec<HeaderName>);

impl Outputs {
    /// Those of all these providers.
    pub fn of(providers: &[Provider]) -> Self {
        let mut outputs = Self::default();
        providers.iter().for_each(|provider| outputs.add(provider));
        outputs
    }

    pub(super) fn add(&mut self, provider: &Provider) {
        for name in provider.output_headers() {
            if !self.contains(name.as_str()) {
                self.0.push(name.clone());
            }
        }
    }

    pub(super) fn contains(&self, header: &str) -> bool {
        self.0.iter().any(|name| name.as_str() == header)
    }

    /// Takes what is there of them out.
    pub(super) fn sanitize(&self, headers: &mut Headers<'_>) {
        for name in &self.0 {
            headers.remove(name);
        }
    }
}
