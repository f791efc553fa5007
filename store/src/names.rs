//! Names of the files, and what is there.

use std::collections::BTreeSet;

const SNAPSHOT: &str = ".snapshot";
const JOURNAL: &str = ".journal";
/// Ends the name of a file that is being written.
pub(crate) const NEW: &str = ".new";

pub(crate) fn snapshot(generation: u64) -> String {
    format!("state-{generation:020}{SNAPSHOT}")
}

pub(crate) fn journal(generation: u64) -> String {
    format!("state-{generation:020}{JOURNAL}")
}

/// Generations of which there are files.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) snapshots: BTreeSet<u64>,
    pub(crate) journals: BTreeSet<u64>,
    /// Names of files that were being written.
    pub(crate) unfinished: Vec<String>,
    /// The newest generation of any file, unfinished and damaged ones included.
    newest: u64,
}

impl Found {
    pub(crate) fn of(names: Vec<String>) -> Self {
        let mut found = Self::default();
        for name in names {
            let Some(rest) = name.strip_prefix("state-") else {
                continue;
            };
            let digits = rest.split('.').next().unwrap_or_default();
            let Ok(generation) = digits.parse::<u64>() else {
                continue;
            };
            found.newest = found.newest.max(generation);
            match &rest[digits.len()..] {
                SNAPSHOT => drop(found.snapshots.insert(generation)),
                JOURNAL => drop(found.journals.insert(generation)),
                ending if ending.ends_with(NEW) => found.unfinished.push(name),
                _ => {}
            }
        }
        found
    }

    /// A generation of which there is no file.
    pub(crate) fn next(&self) -> u64 {
        self.newest.saturating_add(1)
    }
}
