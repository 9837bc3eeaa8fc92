//! What a run saw.

use std::collections::BTreeMap;

use crate::explained::{Explanation, EXPLAINED};
use crate::outcome::Outcome;
use crate::requests::Request;

/// Counts of a run.
#[derive(Default)]
pub struct Summary {
    pub configurations: u64,
    pub comparisons: u64,
    pub allowed: u64,
    pub unexplained: u64,
    explained: BTreeMap<&'static str, u64>,
    answers: BTreeMap<String, u64>,
    faults: BTreeMap<&'static str, u64>,
    /// Configurations that Envoy's own filter refused: the generator should not make them.
    pub refused: u64,
}

impl Summary {
    pub fn count(&mut self, request: &Request, native: &Outcome) {
        self.comparisons += 1;
        self.allowed += u64::from(native.is_allowed());
        *self.answers.entry(native.kind()).or_default() += 1;
        for fault in &request.faults {
            *self.faults.entry(fault).or_default() += 1;
        }
    }

    pub fn explain(&mut self, name: &'static str) {
        *self.explained.entry(name).or_default() += 1;
    }

    pub fn print(&self) {
        let share = |part: u64| 100.0 * part as f64 / self.comparisons.max(1) as f64;
        println!("\n{} comparisons over {} configurations", self.comparisons, self.configurations);
        println!("  allowed by Envoy's own filter: {} ({:.0} %)", self.allowed, share(self.allowed));
        table("what Envoy's own filter answers", &self.answers);
        table("what is wrong with requests", &self.faults);
        println!("\nexplained differences:");
        for Explanation { name, reason, .. } in &EXPLAINED {
            println!("  {:>7}  {name} ({reason})", self.explained.get(name).unwrap_or(&0));
        }
        if self.refused > 0 {
            println!("\nrefused by Envoy's own filter: {} configurations", self.refused);
        }
        println!("\nunexplained differences: {}", self.unexplained);
    }
}

fn table(title: &str, counts: &BTreeMap<impl AsRef<str>, u64>) {
    println!("\n{title}:");
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in rows {
        println!("  {count:>7}  {}", name.as_ref().chars().take(120).collect::<String>().escape_debug());
    }
}
