//! Running the built binary.
#![expect(dead_code, reason = "each test file uses some of these")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Where the built binary is.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_plimsoll");

/// The binary with a clean environment, in an own folder.
pub(crate) fn plimsoll(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(folder);
    // Help texts wrap alike everywhere.
    command.env("COLUMNS", "100");
    for name in [
        "PLIMSOLL_SEED",
        "PLIMSOLL_THREADS",
        "PLIMSOLL_PRICES",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs and collects; the words are split at spaces.
pub(crate) fn run(folder: &Path, words: &str) -> Output {
    plimsoll(folder)
        .args(words.split_whitespace())
        .output()
        .expect("it runs")
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// An empty folder.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A folder with `log.jsonl`, fully observed, and `bandit.jsonl`, one arm per request.
pub(crate) fn folder_with_logs(requests: usize) -> TempDir {
    let folder = folder();
    let make = |rest: &str| {
        let output = run(
            folder.path(),
            &format!("simulate --requests {requests} --seed 3 {rest}"),
        );
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    };
    make("-o log.jsonl");
    make("--logging epsilon:0.2 -o bandit.jsonl");
    folder
}

/// A table that is not part of the project; `None`, said aloud, where it is absent.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    if path.exists() {
        Some(path)
    } else {
        eprintln!("skipped: {} is not here", path.display());
        None
    }
}

/// Everything in a folder, by name.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}
