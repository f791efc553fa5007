//! Damaged exports: whatever is broken in them, an import ends in a log or in a typed error.

use std::fs;

use plimsoll_datasets::{ImportKind, ImportOptions, Input, import};

use crate::golden::folder;

/// The kind that a fixture's name begins with.
fn kind_of(name: &str) -> Option<ImportKind> {
    let begins = |kind: &ImportKind| {
        *kind != ImportKind::Table
            && name.starts_with(&format!("{}_", kind.name().replace('-', "_")))
    };
    ImportKind::ALL.iter().copied().find(begins)
}

/// A small generator of the tests' own: splitmix64.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) >> 33).expect("31 bits")
}

/// Bytes that mean something in one of the formats.
const SIGNS: &[u8] = b"\0\"\\{}[]:,|\n\r -.0129eNn'\xff\xc3";

#[test]
fn damaged_exports_end_in_a_log_or_a_typed_error() {
    let scratch = tempfile::tempdir().expect("a folder");
    let log = scratch.path().join("log.jsonl");
    let mut names: Vec<String> = fs::read_dir(folder("fixtures"))
        .expect("the fixtures")
        .map(|entry| {
            entry
                .expect("a file")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    for name in names {
        let Some(kind) = kind_of(&name) else {
            continue;
        };
        let whole = fs::read(folder("fixtures").join(&name)).expect("a fixture");
        let mut options = ImportOptions::new(kind);
        options.read.max_reject = 1.0;
        for seed in 0..60_u64 {
            let mut state = seed;
            let mut bytes = whole.clone();
            for _ in 0..=next(&mut state) % 4 {
                let at = next(&mut state) % bytes.len();
                match next(&mut state) % 4 {
                    0 => bytes.truncate(at.max(1)),
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, SIGNS[next(&mut state) % SIGNS.len()]),
                    _ => bytes[at] = SIGNS[next(&mut state) % SIGNS.len()],
                }
                if bytes.is_empty() {
                    bytes.push(b'\n');
                }
            }
            let inputs = [Input::bytes(name.clone(), bytes)];
            match import(&inputs, &options, &log, &|_| ()) {
                Ok(report) => assert!(report.rows > 0 && log.exists(), "{name}, seed {seed}"),
                Err(error) => {
                    assert!(error.code().starts_with("P0"), "{name}, seed {seed}");
                    assert!(!log.exists(), "{name}, seed {seed}: half a log");
                }
            }
            let _ = fs::remove_file(&log);
        }
    }
}
