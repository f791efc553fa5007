//! Structural promises: the engine does no I/O, reads no clock and starts no thread.

use std::path::Path;

/// Rust sources below `folder`, each without its unit tests.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .expect("the crate's own sources")
        .map(|entry| entry.expect("readable").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).expect("readable");
            let code: String = text
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap_or_default()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            found.push((path.display().to_string(), code));
        }
    }
}

#[test]
fn the_engine_needs_no_world() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("readable");
    for banned in ["polars", "tokio", "rayon", "reqwest", "chrono", "jiff"] {
        assert!(!manifest.contains(banned), "{banned}");
    }
    let mut found = Vec::new();
    sources(&root.join("src"), &mut found);
    assert!(found.len() > 20);
    for (path, code) in found {
        for banned in [
            "std::time",
            "std::fs",
            "std::thread",
            "std::net",
            "std::env",
            "std::process",
            "println!",
            "dbg!",
            "HashMap",
            "HashSet",
            "mul_add",
            "unsafe",
            ".ln()",
            ".exp()",
            ".powf(",
            ".log2(",
            ".tanh(",
        ] {
            assert!(!code.contains(banned), "{banned} in {path}");
        }
    }
}

/// ROBUSTNESS.md E14: money is integers; floats appear only where a person or a statistic reads.
#[test]
fn e14_the_ledger_has_no_float_arithmetic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/money.rs");
    let text = std::fs::read_to_string(path).expect("readable");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let floats: Vec<&str> = code
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//") && (line.contains("f64") || line.contains("f32")))
        .collect();
    let expect = [
        "pub fn from_f64(dollars: f64) -> Option<Self> {",
        "pub fn as_f64(self) -> f64 {",
        "whole as f64 + part as f64 / PICO_PER_USD as f64",
    ];
    assert_eq!(floats, expect);
}

/// ROBUSTNESS.md E14: caps are kept in integers alone.
#[test]
fn e14_caps_are_kept_without_floats() {
    let mut found = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    let ledger = found.iter().find(|(path, _)| path.ends_with("ledger.rs"));
    let (_, code) = ledger.expect("the ledger's source");
    assert!(code.contains("i64") && !code.contains("f64") && !code.contains("f32"));
}

#[test]
fn every_source_is_of_readable_size() {
    let mut found = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    for (path, code) in found {
        assert!(code.lines().count() < 700, "{path}");
    }
}

#[test]
fn every_line_of_the_matrix_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let mut folders = vec![
        root.join("src"),
        root.join("tests"),
        root.join("../store/tests"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                text += &std::fs::read_to_string(&path).expect("readable");
            }
        }
    }
    let table = std::fs::read_to_string(root.join("tests/engine/main.rs")).expect("readable");
    let engine = (1..=17).map(|n| ("E", n));
    for (letter, number) in engine.chain((1..=10).map(|n| ("S", n))) {
        let prefix = format!("fn {}{number:02}_", letter.to_lowercase());
        assert!(text.contains(&prefix), "no test begins with `{prefix}`");
        let line = format!("//! | {letter}{number:02} |");
        assert_eq!(table.matches(&line).count(), 1, "{line}");
    }
}
