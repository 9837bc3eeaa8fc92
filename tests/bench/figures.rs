//! What comes out of the rounds: medians with their spread, of costs and of ratios within one round.

use std::io::IsTerminal;

use serde_json::{json, Value};

use crate::machine::Cpus;
use crate::stage::{Row, Stage};

/// A median and how far the rounds were apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Of at least one number.
    pub fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let median =
            if numbers.len() % 2 == 1 { numbers[middle] } else { (numbers[middle - 1] + numbers[middle]) / 2.0 };
        Self { median, least: numbers[0], most: numbers[numbers.len() - 1] }
    }

    /// One number.
    pub fn exact(number: f64) -> Self {
        Self { median: number, least: number, most: number }
    }

    pub fn json(self) -> Value {
        json!({"median": rounded(self.median), "min": rounded(self.least), "max": rounded(self.most)})
    }
}

/// Shows how far it is, in place of what it showed before, where somebody may be looking.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{text:40}\r");
    }
}

/// Three decimals.
pub fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// The costs of all rows of one stage, round by round.
pub struct Figures {
    names: Vec<String>,
    problems: Vec<Option<String>>,
    bases: Vec<usize>,
    natives: Vec<Option<usize>>,
    rounds: Vec<Vec<Option<f64>>>,
    pub disturbance: f64,
    idle: f64,
}

impl Figures {
    /// Starts Envoy with `rows` and measures that many rounds.
    pub fn measure(rows: Vec<Row>, concurrency: usize, cpus: Cpus, rounds: usize) -> Result<Self, String> {
        let mut stage = Stage::start(rows, concurrency, cpus)?;
        let mut measured = Vec::new();
        for number in 0..rounds {
            measured.push(stage.round(number)?);
            progress(&format!("round {} of {rounds}", number + 1));
        }
        progress("");
        let rows = stage.rows();
        Ok(Self {
            names: rows.iter().map(|row| row.name.clone()).collect(),
            problems: rows.iter().map(|row| row.filters.as_ref().err().cloned()).collect(),
            bases: rows.iter().map(|row| row.base).collect(),
            natives: rows.iter().map(|row| row.native).collect(),
            rounds: measured,
            disturbance: stage.disturbance(),
            idle: stage.idle(),
        })
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn name(&self, row: usize) -> &str {
        &self.names[row]
    }

    /// Why a row could not be measured.
    pub fn problem(&self, row: usize) -> Option<&str> {
        self.problems[row].as_deref()
    }

    /// The row of Envoy's own filter under the same requests.
    pub fn native(&self, row: usize) -> Option<usize> {
        self.natives[row]
    }

    /// Whether a row is one without a filter.
    pub fn is_base(&self, row: usize) -> bool {
        self.bases[row] == row
    }

    /// CPU time per request, in microseconds.
    pub fn total(&self, row: usize) -> Option<Spread> {
        self.each_round(|round| round[row])
    }

    /// The same above what Envoy costs without a filter.
    pub fn above(&self, row: usize) -> Option<Spread> {
        self.each_round(|round| self.above_in(round, row))
    }

    /// How many times as much as `other`, both above no filter, in the same round; `None` where noise is larger than what `other` costs.
    pub fn ratio(&self, row: usize, other: usize) -> Option<Spread> {
        let other = |round: &[Option<f64>]| self.above_in(round, other).filter(|&above| above > 0.0);
        self.each_round(|round| Some(self.above_in(round, row)? / other(round)?))
    }

    fn above_in(&self, round: &[Option<f64>], row: usize) -> Option<f64> {
        Some(round[row]? - round[self.bases[row]]?)
    }

    fn each_round(&self, number: impl Fn(&[Option<f64>]) -> Option<f64>) -> Option<Spread> {
        self.rounds.iter().map(|round| number(round)).collect::<Option<Vec<f64>>>().map(Spread::of)
    }

    /// Everything, for the record.
    pub fn json(&self) -> Value {
        let row = |index: usize| {
            if let Some(problem) = self.problem(index) {
                return json!({"name": self.name(index), "not_available": problem});
            }
            let costs: Vec<Option<f64>> = self.rounds.iter().map(|round| round[index].map(rounded)).collect();
            let to_native = self.native(index).and_then(|native| self.ratio(index, native));
            json!({
                "name": self.name(index),
                "rounds_us": costs,
                "total_us": self.total(index).map(Spread::json),
                "above_no_filter_us": self.above(index).map(Spread::json),
                "to_native_same_requests": to_native.map(Spread::json),
            })
        };
        json!({
            "rows": (0..self.len()).map(row).collect::<Vec<_>>(),
            "waited_for_cpu": rounded(self.disturbance),
            "cpu_when_idle": rounded(self.idle),
        })
    }
}
