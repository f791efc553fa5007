//! The committed seeds: small, one of each kind that there is, and harmless.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_datasets_fuzz as fuzz;

const TARGETS: [(&str, fn(&[u8]) -> bool); 6] = [
    ("log_jsonl", fuzz::log_jsonl),
    ("log_csv", fuzz::log_csv),
    ("log_parquet", fuzz::log_parquet),
    ("import", fuzz::import),
    ("labels", fuzz::labels),
    ("prices", fuzz::prices),
];

/// `PLIMSOLL_BLESS=1` writes the seeds anew. One test: the bound on memory is the process's.
#[test]
fn every_seed_is_there_and_passes() {
    seeds_are_there();
    seeds_pass();
    damaged_seeds_pass();
}

fn folder_of(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target)
}

fn seeds_are_there() {
    let bless = std::env::var_os("PLIMSOLL_BLESS").is_some();
    let mut missing = Vec::new();
    for (target, name, bytes) in fuzz::seeds() {
        let path = folder_of(target).join(&name);
        if bless {
            fs::create_dir_all(folder_of(target)).expect("writable");
            fs::write(&path, &bytes).expect("writable");
        } else if !path.exists() {
            // Seeds of older writers stay good seeds.
            missing.push(path);
        }
    }
    assert!(missing.is_empty(), "run with PLIMSOLL_BLESS=1: {missing:?}");
}

/// The seeds of a target, borrowed ones too.
fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    let borrowed = fuzz::borrowed().into_iter();
    let borrowed = borrowed.filter(|(own, _)| *own == target);
    let folders = borrowed
        .map(|(_, folder)| folder)
        .chain([folder_of(target)]);
    let mut paths: Vec<PathBuf> = folders
        .flat_map(|folder| fs::read_dir(folder).expect("a folder of seeds"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a seed"))
        .collect()
}

fn seeds_pass() {
    for (target, run) in TARGETS {
        let seeds = seeds_of(target);
        let loaded = seeds.iter().filter(|bytes| run(bytes)).count();
        assert!(
            loaded * 2 >= seeds.len() && loaded >= 3,
            "{target}: only {loaded} of {} seeds are put to work",
            seeds.len()
        );
    }
}

/// A first glance at what a fuzzer does: every seed, cut short and with a byte turned over.
fn damaged_seeds_pass() {
    for (target, run) in TARGETS {
        for seed in seeds_of(target) {
            for part in 1..4 {
                let at = seed.len() * part / 4;
                let _ = run(&seed[..at]);
                let mut turned = seed.clone();
                turned[at] ^= 0x41;
                let _ = run(&turned);
            }
        }
    }
}
