//! What an import did, as data.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ImportKind, LabelReport};
use crate::reject::Reject;

/// What an import read, wrote and left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImportReport {
    /// The kind of export.
    pub kind: ImportKind,
    /// The files, in the order in which they were read.
    pub files: Vec<String>,
    /// Records read, those of side files included.
    pub records: u64,
    /// Calls of models in them.
    pub calls: u64,
    /// Rows written.
    pub rows: u64,
    /// Requests of several calls, and how many calls those were.
    pub merged_requests: u64,
    /// See [`merged_requests`](Self::merged_requests).
    pub merged_calls: u64,
    /// Merged requests of more than one model.
    pub several_models: u64,
    /// Merged requests whose cost is unknown because one call's is.
    pub cost_unknown_in_part: u64,
    /// Calls that were written twice and counted once.
    pub duplicates: u64,
    /// Rows without a cost: unknown, not free.
    pub unpriced: u64,
    /// Rows with a cost of exactly 0.
    pub free: u64,
    /// Keys, tokens and mail addresses blotted out in prompts.
    pub redacted: u64,
    /// Records that make no row, by what they are.
    pub skipped: BTreeMap<String, u64>,
    /// Records and calls that cannot be used, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// The rejects with their places, at most 100,000.
    #[serde(skip)]
    pub rejects: Vec<Reject>,
    /// The labels.
    pub labels: LabelReport,
    /// What the log can prove.
    pub evidence: &'static str,
    /// How rows of one request were joined.
    pub rule: &'static str,
    /// Digest of all bytes read.
    pub digest: String,
}

impl ImportReport {
    /// Records and calls that cannot be used.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }
}
