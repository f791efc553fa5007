//! Imports of fixtures, against the logs that they must become.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_datasets::{
    ImportError, ImportKind, ImportOptions, ImportReport, Input, Outcome, ReadLog, ReadOptions,
    Request, detect, import, read,
};

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/import")
        .join(name)
}

/// A fixture, by its file's name; the report calls it by that name alone.
pub(crate) fn fixture(name: &str) -> Input {
    Input::bytes(name, fixture_text(name).into_bytes())
}

/// What a fixture holds.
pub(crate) fn fixture_text(name: &str) -> String {
    let path = folder("fixtures").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A log with one row per request, as an import gave it.
pub(crate) struct Given<'a>(pub(crate) &'a ReadLog);

impl Given<'_> {
    fn request(&self, id: &str) -> &Request {
        let found = self.0.log.requests.iter().find(|request| request.id == id);
        found.unwrap_or_else(|| panic!("no request {id}"))
    }

    fn outcome(&self, id: &str) -> &Outcome {
        &self.request(id).outcomes[0]
    }

    /// The arm that answered.
    pub(crate) fn arm(&self, id: &str) -> String {
        self.0.log.arms[self.outcome(id).arm as usize].to_string()
    }

    /// The cost in dollars, or `unknown`.
    pub(crate) fn cost(&self, id: &str) -> String {
        let cost = self.outcome(id).cost;
        cost.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string())
    }

    /// Tokens: read (cached ones included), cached, written, and thought.
    pub(crate) fn tokens(&self, id: &str) -> [Option<u64>; 4] {
        let row = self.outcome(id);
        [
            row.input_tokens,
            row.cached_input_tokens,
            row.output_tokens,
            row.reasoning_tokens,
        ]
    }

    /// The latency in milliseconds.
    pub(crate) fn latency_ms(&self, id: &str) -> Option<f64> {
        self.outcome(id).latency_ms
    }

    /// The label.
    pub(crate) fn quality(&self, id: &str) -> Option<f64> {
        self.outcome(id).quality.map(plimsoll::Quality::get)
    }

    /// The prompt.
    pub(crate) fn prompt(&self, id: &str) -> Option<&str> {
        self.request(id).prompt.as_deref()
    }
}

/// Imports into a log that is read again.
pub(crate) fn run(
    inputs: &[Input],
    options: &ImportOptions,
) -> Result<(ImportReport, ReadLog, String), ImportError> {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("log.jsonl");
    let done = import(inputs, options, &path, &|_| ());
    let left: Vec<_> = fs::read_dir(scratch.path()).expect("a folder").collect();
    match done {
        Ok(report) => {
            assert_eq!(left.len(), 1, "only the log is left");
            let text = fs::read_to_string(&path).expect("the log");
            let log = read(&Input::Path(path), &ReadOptions::default()).expect("a log");
            Ok((report, log, text))
        }
        Err(error) => {
            assert!(left.is_empty(), "an import that failed leaves nothing");
            Err(error)
        }
    }
}

/// Imports fixtures and compares the log and the report with what is kept of them.
pub(crate) fn check(
    name: &str,
    inputs: &[&str],
    options: &ImportOptions,
) -> (ImportReport, ReadLog) {
    let inputs: Vec<Input> = inputs.iter().map(|name| fixture(name)).collect();
    let (report, log, text) = run(&inputs, options).expect("an import");
    let report_text = serde_json::to_string_pretty(&report).expect("JSON") + "\n";
    for (ending, got) in [("jsonl", &text), ("json", &report_text)] {
        let path = folder("golden").join(format!("{name}.{ending}"));
        if std::env::var_os("PLIMSOLL_BLESS").is_some() {
            fs::write(&path, got).expect("the golden file");
        }
        let want = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            *got, want,
            "{name}.{ending}: PLIMSOLL_BLESS=1 writes it anew"
        );
    }
    (report, log)
}

/// Asserts what a fixture is taken for.
pub(crate) fn detects(name: &str, kind: ImportKind) {
    let found = detect(&fixture(name)).map(|found| found.kind);
    assert_eq!(found.ok(), Some(kind), "{name}");
}

/// What a log says of a request's answer by an arm.
pub(crate) fn outcome<'l>(read: &'l ReadLog, request: &str, arm: &str) -> &'l Outcome {
    let of_request = read.log.requests.iter().find(|own| own.id == request);
    let of_request = of_request.unwrap_or_else(|| panic!("no request {request}"));
    let is_arm = |own: &&Outcome| read.log.arms[own.arm as usize].to_string() == arm;
    of_request
        .outcomes
        .iter()
        .find(is_arm)
        .unwrap_or_else(|| panic!("{request} has no answer of {arm}"))
}

/// Options that let half of the records be bad, as fixtures with traps need.
pub(crate) fn lenient(kind: ImportKind) -> ImportOptions {
    let mut options = ImportOptions::new(kind);
    options.read.max_reject = 0.7;
    options
}
