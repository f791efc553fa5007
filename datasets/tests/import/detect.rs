//! Every fixture is taken for what it is, whatever file of its export it is.

use std::fs;

use plimsoll_datasets::{ImportKind, detect};

use crate::golden::{fixture, folder};

/// The kind that a fixture's name begins with; tables and labels may be anything.
fn kind_of(name: &str) -> Option<ImportKind> {
    let begins = |kind: &ImportKind| {
        let rest = name.strip_prefix(&kind.name().replace('-', "_"));
        *kind != ImportKind::Table && rest.is_some_and(|rest| rest.starts_with(['_', '.']))
    };
    let kinds = ImportKind::ALL.iter().copied().filter(begins);
    kinds.max_by_key(|kind| kind.name().len())
}

#[test]
fn fixtures_are_taken_for_what_they_are() {
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder("fixtures")).expect("the fixtures") {
        let name = entry
            .expect("a file")
            .file_name()
            .into_string()
            .expect("a name");
        let Some(kind) = kind_of(&name) else {
            continue;
        };
        let found = detect(&fixture(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.kind, kind, "{name}: {}", found.why);
        seen.push(kind);
    }
    for kind in ImportKind::ALL {
        assert!(
            *kind == ImportKind::Table || seen.contains(kind),
            "no fixture of {}",
            kind.name()
        );
    }
}
