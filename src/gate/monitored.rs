//! What the metrics show of providers and of what is fetched for them, and under which names.

use super::Semantics;
use crate::policy::DocumentId;
use crate::stats;

/// The providers and their documents, as the metrics have them.
pub(super) struct Monitored {
    /// The names of the providers by their indices, and of those of a shadow behind them.
    names: Vec<String>,
    /// What is fetched, with the gauges that show it, and for whom.
    documents: Vec<(DocumentId, [&'static str; 2], usize)>,
}

impl Monitored {
    /// Of these providers.
    pub fn new(semantics: &Semantics) -> Self {
        let mut monitored = Self { names: Vec::new(), documents: semantics.documents() };
        monitored.add_names(semantics, "");
        monitored
    }

    /// Adds those of a shadow, with what is fetched for it alone.
    pub fn add_shadow(&mut self, shadow: &Semantics, owns: impl Fn(DocumentId) -> bool) {
        let before = self.names.len();
        self.add_names(shadow, "shadow_");
        let own = shadow.documents().into_iter().filter(|(id, ..)| owns(*id));
        self.documents.extend(own.map(|(id, gauges, provider)| (id, gauges, before + provider)));
    }

    /// Two providers whose names differ in what no metric can hold are told apart by a number. Who has a plain name keeps it.
    fn add_names(&mut self, semantics: &Semantics, prefix: &str) {
        let (before, count) = (self.names.len(), semantics.provider_count());
        self.names.resize(before + count, String::new());
        for is_plain in [true, false] {
            for index in 0..count {
                let own = semantics.provider(index).unwrap_or_default();
                let plain = stats::plain_name(own);
                if (plain == own) != is_plain {
                    continue;
                }
                let plain = [prefix, &plain].concat();
                let (mut name, mut number) = (plain.clone(), 2_u32);
                while self.names.contains(&name) {
                    name = format!("{plain}_{number}");
                    number += 1;
                }
                if let Some(place) = self.names.get_mut(before + index) {
                    *place = name;
                }
            }
        }
    }

    /// The name of the provider of that index.
    pub fn name(&self, provider: usize) -> &str {
        self.names.get(provider).map_or("", String::as_str)
    }

    /// What is fetched, with the gauges that show it, and the index of the provider. One document may be there for several.
    pub fn documents(&self) -> impl Iterator<Item = (DocumentId, [&'static str; 2], usize)> + use<'_> {
        self.documents.iter().copied()
    }
}
