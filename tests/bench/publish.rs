//! What the README shows of a run.

use std::fs;

use crate::bars::{self, Bar};
use crate::comparison::row;
use crate::envoy::project;
use crate::figures::{Figures, Spread};
use crate::growth::{Curve, Footprint, GATE, NATIVE};

/// The tables, in Markdown.
pub fn tables(processor: &str, comparison: &Figures, curves: &[Curve], memory: &Footprint, bars: &[Bar]) -> String {
    let find = |name: &str| (0..comparison.len()).find(|&row| comparison.name(row) == name);
    let times = |row: usize, other: Option<usize>| {
        let ratio = other.and_then(|other| comparison.ratio(row, other));
        ratio.map_or_else(String::new, |ratio| format!("{:.2}", ratio.median))
    };
    let mut text = format!(
        "CPU time of Envoy per request in microseconds, above the same request without a filter: the median of the rounds and \
         their spread, on one CPU ({processor}).\n\n\
         | Filter and request | µs | spread | × native, its defaults | × native, same requests | × floor |\n|---|--:|--:|--:|--:|--:|\n"
    );
    for row in (0..comparison.len()).filter(|&row| !comparison.is_base(row)) {
        let Some(above) = comparison.above(row) else { continue };
        text.push_str(&format!(
            "| {} | {:.1} | {:.1} to {:.1} | {} | {} | {} |\n",
            comparison.name(row),
            above.median,
            above.least,
            above.most,
            times(row, find(row::NATIVE)),
            times(row, comparison.native(row)),
            times(row, find(row::FLOOR)),
        ));
    }
    let bases = (0..comparison.len()).filter(|&row| comparison.is_base(row));
    let bases = bases
        .filter_map(|row| Some(format!("{:.1} µs for \"{}\"", comparison.total(row)?.median, comparison.name(row))));
    text.push_str(&format!(
        "\nThat is above {}. For each second on its CPU, Envoy waited {:.2} s for it.\n\n{}",
        bases.collect::<Vec<_>>().join(", "),
        comparison.disturbance,
        bars::markdown(bars),
    ));
    let without_sdk =
        find(row::REPEATED).zip(find(row::BARE_FLOOR)).and_then(|(one, other)| comparison.ratio(one, other));
    if let Some(Spread { median, least, most }) = without_sdk {
        text.push_str(&format!(
            "\nThe bars are held to the floor on the usual SDK, as filters are written. To the one without an SDK, a repeated token \
             is {median:.2} × ({least:.2} to {most:.2}).\n"
        ));
    }
    text.push_str(&format!(
        "\nThe heap of a worker's VM takes {:.1} MiB at the start and {:.1} MiB when it has seen 10,000 tokens of 1 KB, \
         {:.1} MiB when it has seen 30,000 others.\n",
        memory.heap_at_start(),
        memory.heap_after(),
        memory.heap_flooded()
    ));
    for curve in curves {
        text.push_str(&format!("\n| {}: {} |", curve.title, curve.axis));
        curve.points.iter().for_each(|point| text.push_str(&format!(" {point} |")));
        text.push_str(&format!("\n|---|{}\n", "--:|".repeat(curve.points.len())));
        for name in [NATIVE, GATE] {
            text.push_str(&format!("| {name} |"));
            for value in curve.line(name).unwrap_or_default() {
                let value = value.map_or_else(String::new, |spread: Spread| format!("{:.1}", spread.median));
                text.push_str(&format!(" {value} |"));
            }
            text.push('\n');
        }
    }
    text
}

/// Puts the tables and the plot of the last whole run where the README shows them.
pub fn publish() -> Result<(), String> {
    let read = |path: &str| fs::read_to_string(project(path)).map_err(|error| format!("{path}: {error}"));
    let write = |path: &str, text: String| fs::write(project(path), text).map_err(|error| format!("{path}: {error}"));
    let (plot, tables) = (read(".run/bench/bench.svg")?, read(".run/bench/bench.md")?);
    let mut readme = read("README.md")?;
    let begin = readme.find("<!-- bench: ").and_then(|at| Some(at + readme[at..].find("-->\n")? + 4));
    let end = readme.find("<!-- /bench -->");
    let (Some(begin), Some(end)) = (begin, end) else {
        return Err("README.md does not mark where its figures are: <!-- bench: ... --> to <!-- /bench -->".into());
    };
    let picture = "![What a request costs: jwt-gate, Envoy's own filter, and an empty wasm filter](.github/bench.svg)";
    readme.replace_range(begin..end, &format!("\n{picture}\n\n{tables}\n"));
    fs::create_dir_all(project(".github")).map_err(|error| format!(".github: {error}"))?;
    write(".github/bench.svg", plot)?;
    write("README.md", readme)
}
