//! Which room may use which, and that the core reads no clock: what the crate's documentation says, held against its source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file under `src`, by its path there, without its unit tests.
fn sources() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    assert!(paths.len() > 40, "{paths:?}");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let (code, _) = text.split_once("#[cfg(test)]\nmod tests").unwrap_or((&text, ""));
        (path.strip_prefix(&root).unwrap().to_owned(), code.to_owned())
    };
    paths.into_iter().map(read).collect()
}

/// The room of a file: the first part of its path.
fn room(path: &Path) -> String {
    path.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default())
}

/// The ranks of the rooms, as the crate's documentation lists them: ranks are divided by `·`, rooms of one rank by commas.
fn ranks() -> Vec<Vec<String>> {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let (_, list) = docs.split_once("Imports go one way:").unwrap();
    let (list, _) = list.split_once(". ").unwrap();
    let name = |name: &str| {
        let name = name.replace("//!", "");
        name.trim().trim_matches(|c| "[]`".contains(c)).to_owned()
    };
    list.split('·').map(|rank| rank.split(',').map(name).collect()).collect()
}

#[test]
fn a_room_uses_only_the_rooms_before_it() {
    let ranks = ranks();
    let rank_of = |room: &str| ranks.iter().position(|rank| rank.iter().any(|known| known == room));
    let mut rooms = BTreeSet::new();
    let mut uses = 0;
    for (path, text) in sources() {
        let own = room(&path);
        if own == "lib" {
            continue;
        }
        rooms.insert(own.clone());
        let rank = rank_of(&own).unwrap_or_else(|| panic!("{own} is not in the list of src/lib.rs: {ranks:?}"));
        for line in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if used == own || used.is_empty() {
                    continue;
                }
                let used_rank = rank_of(&used).unwrap_or_else(|| panic!("{}: unknown room {used}", path.display()));
                assert!(used_rank < rank, "{}: {own} uses {used}, which comes after it", path.display());
                uses += 1;
            }
        }
    }
    let listed: BTreeSet<String> = ranks.into_iter().flatten().collect();
    assert_eq!(rooms, listed);
    assert!(uses > 50, "{uses}");
}

#[test]
fn the_adapter_alone_knows_the_host() {
    let mut knowing = BTreeSet::new();
    for (path, text) in sources() {
        if code(&text).any(|line| line.contains("jwt_gate_abi")) {
            knowing.insert(room(&path));
        }
    }
    assert_eq!(knowing, BTreeSet::from(["host".to_owned()]));
}

#[test]
fn the_core_reads_no_clock_and_does_no_io() {
    for (path, text) in sources() {
        if room(&path) == "host" {
            continue;
        }
        for (number, line) in code(&text).enumerate() {
            for word in [
                "SystemTime",
                "Instant",
                "std::fs",
                "std::net",
                "std::env",
                "std::thread",
                "println!",
                "eprintln!",
                "dbg!",
            ] {
                assert!(!line.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn only_the_signature_check_makes_a_verified_token_and_only_authentication_a_principal() {
    for (made, only) in [
        ("Verified {", "jose/verify.rs"),
        ("Verified(", "jwt_verify/verify.rs"),
        ("Principal {", "policy/authenticate.rs"),
    ] {
        let makes = |line: &str| {
            let declares = ["struct ", "impl ", "for ", "&"].iter().any(|word| line.contains(&format!("{word}{made}")));
            line.contains(made) && !declares
        };
        let makers: Vec<String> = sources()
            .iter()
            .filter(|(_, text)| code(text).any(makes))
            .map(|(path, _)| path.display().to_string())
            .collect();
        assert_eq!(makers, [only], "{made}");
    }
}
