//! Exports broken anywhere give rows, rejects or an error: no panic, no half a log.

use std::fs;

use plimsoll_datasets::{ImportKind, ImportOptions, Input, QualityFrom, detect};

use crate::golden::{fixture, folder, run};

/// Wounds per fixture.
const WOUNDS: u64 = 60;

/// What a byte becomes: signs that JSON and CSV are made of, digits, and what is no text.
const BYTES: &[u8] = b"{}[]\",:\n\\0-9.eE \xff\x00n\xc3";

/// A number from 0 to `end`, of a fixed sequence (`SplitMix64`).
fn draw(state: &mut u64, end: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) % end as u64).expect("below a usize")
}

/// Cuts the bytes off, changes some, or takes some out.
fn wound(bytes: &mut Vec<u8>, state: &mut u64) {
    let at = draw(state, bytes.len());
    match draw(state, 4) {
        0 => bytes.truncate(at),
        1 => {
            let end = (at + 1 + draw(state, 30)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            for _ in 0..=draw(state, 3) {
                let at = draw(state, bytes.len());
                bytes[at] = BYTES[draw(state, BYTES.len())];
            }
        }
    }
}

#[test]
fn broken_exports_do_no_harm() {
    for entry in fs::read_dir(folder("fixtures")).expect("the fixtures") {
        let entry = entry.expect("a file");
        let name = entry.file_name().into_string().expect("a name");
        let kind = detect(&fixture(&name)).map_or(ImportKind::Table, |found| found.kind);
        let bytes = fs::read(entry.path()).expect("a fixture");
        for seed in 0..WOUNDS {
            let mut state = seed;
            let mut broken = bytes.clone();
            wound(&mut broken, &mut state);
            let mut options = ImportOptions::new(kind);
            options.quality = Some(QualityFrom::Score("helpful".to_owned()));
            options.read.max_reject = 1.0;
            // `run` reads the log again, and holds that a failed import leaves none.
            let input = Input::bytes(name.clone(), broken);
            if let Err(error) = run(std::slice::from_ref(&input), &options) {
                assert!(
                    !error.code().is_empty() && !error.help().is_empty(),
                    "{name} {seed}"
                );
            }
            drop(detect(&input));
        }
    }
}
