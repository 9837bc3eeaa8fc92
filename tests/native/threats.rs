//! The page of threats names tests that exist, and every test of an attack is on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names of the tests in a file, or in all files of a folder.
fn tests(path: &Path) -> BTreeSet<String> {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().flat_map(|entry| tests(&entry.unwrap().path())).collect();
    }
    if path.extension().is_none_or(|extension| extension != "rs") {
        return BTreeSet::new();
    }
    let source = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let name = |line: &&str| line.strip_prefix("fn ")?.split('(').next().map(str::to_owned);
    // The function may have other attributes.
    let after = |at: usize| lines.iter().skip(at + 1).find(|line| !line.starts_with("#[")).and_then(name);
    let marks = lines.iter().enumerate().filter(|(_, line)| **line == "#[test]");
    marks.filter_map(|(at, _)| after(at)).collect()
}

/// The cells of each row, by its line.
fn rows(page: &str) -> Vec<(usize, Vec<&str>)> {
    let is_row = |line: &str| line.starts_with("| ") && !line.starts_with("| Attack ");
    page.lines()
        .enumerate()
        .filter(|(_, line)| is_row(line))
        .map(|(at, line)| (at + 1, line.trim_matches('|').split(" | ").map(str::trim).collect()))
        .collect()
}

fn is_cve(text: &str) -> bool {
    let mut parts = text.split('-');
    let digits = |part: Option<&str>, least: usize| {
        part.is_some_and(|part| part.len() >= least && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    parts.next() == Some("CVE") && digits(parts.next(), 4) && digits(parts.next(), 4) && parts.next().is_none()
}

#[test]
fn every_threat_names_tests_that_exist_and_every_test_of_an_attack_is_named() {
    let page = fs::read_to_string(project("docs/threats.md")).unwrap();
    let known: BTreeSet<String> = [tests(&project("tests")), tests(&project("src"))].into_iter().flatten().collect();
    assert!(known.contains("every_threat_names_tests_that_exist_and_every_test_of_an_attack_is_named"));
    let rows = rows(&page);
    assert!(rows.len() > 50, "{} rows", rows.len());
    let mut named = BTreeSet::new();
    for (line, cells) in rows {
        let [attack, cve, defence, tests] = cells[..] else { panic!("line {line} has no four cells: {cells:?}") };
        assert!(!attack.is_empty() && !defence.is_empty(), "line {line}");
        assert!(cve == "—" || cve.split(", ").all(is_cve), "line {line}: {cve}");
        for test in tests.split(", ") {
            let name = test.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            let name = name.unwrap_or_else(|| panic!("line {line}: {test} is no name in backticks"));
            assert!(known.contains(name), "line {line}: there is no test {name}");
            named.insert(name.to_owned());
        }
    }
    let unnamed: Vec<String> = tests(&project("tests/native/strict")).difference(&named).cloned().collect();
    assert!(unnamed.is_empty(), "not on the page: {unnamed:?}");
    assert!(fs::read_to_string(project("README.md")).unwrap().contains("(docs/threats.md)"));
}
