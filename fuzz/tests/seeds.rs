//! The committed seeds: one of each kind that the engine makes, and harmless.

use std::path::Path;

/// `PLIMSOLL_BLESS=1` writes the seeds anew.
#[test]
fn every_seed_is_there_and_passes() {
    seeds_are_there();
    seeds_pass();
}

fn seeds_are_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let bless = std::env::var_os("PLIMSOLL_BLESS").is_some();
    let mut missing = Vec::new();
    for (target, name, bytes) in plimsoll_fuzz::seeds() {
        let path = folder.join(target).join(&name);
        if bless {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            std::fs::write(&path, &bytes).expect("writable");
        } else if !path.exists() {
            // Seeds of older states stay good seeds.
            missing.push(path);
        }
    }
    assert!(missing.is_empty(), "run with PLIMSOLL_BLESS=1: {missing:?}");
}

fn seeds_pass() {
    for (target, run) in [
        ("router", plimsoll_fuzz::router as fn(&[u8]) -> bool),
        ("live", plimsoll_fuzz::live),
        ("journal", plimsoll_fuzz::journal),
        ("events", plimsoll_fuzz::events),
        ("recovery", plimsoll_fuzz::recovery),
        ("config", plimsoll_fuzz::config),
        ("money", plimsoll_fuzz::money),
        ("text", plimsoll_fuzz::text),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("seeds")
            .join(target);
        let entries = std::fs::read_dir(folder).expect("a folder of seeds");
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read(entry.expect("readable").path()).expect("readable")
        };
        let loaded = entries.map(read).filter(|bytes| run(bytes)).count();
        assert!(loaded >= 2, "{target}: only {loaded} seeds are put to work");
    }
}
