//! Test vectors that others published. They are no part of the project: where their folder is absent, a test says so and proves
//! nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One file of the folder that `JWT_GATE_VECTORS` names, or of `shared/vectors` beside the project or beside a folder above it.
pub fn read(path: &str) -> Option<Value> {
    let named = std::env::var_os("JWT_GATE_VECTORS").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1).map(|parent| parent.join("shared/vectors"));
    let file = named.into_iter().chain(above).map(|folder| folder.join(path)).find(|file| file.is_file());
    let Some(file) = file else {
        // Not by a macro for printing: what those write is shown for failed tests alone.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "{test}: NOTHING IS CHECKED: no shared/vectors/{path}; JWT_GATE_VECTORS may name the folder"
        );
        return None;
    };
    let value = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    Some(value.unwrap_or_else(|| panic!("{} is no JSON", file.display())))
}
