//! What happened to the records of an import.

use super::ImportOptions;
use super::call::Skip;
use super::gather::ByName;
use crate::assemble::{Fault, REJECTS_KEPT_MAX, Spot};
use crate::reject::Reject;
use crate::source::Source;

/// What happened to the records.
pub(super) struct Tally<'a> {
    pub(super) options: &'a ImportOptions,
    pub(super) progress: &'a dyn Fn(u64),
    pub(super) files: Vec<String>,
    pub(super) records: u64,
    pub(super) skipped: ByName,
    pub(super) rejected: ByName,
    pub(super) rejects: Vec<Reject>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(options: &'a ImportOptions, progress: &'a dyn Fn(u64)) -> Self {
        Self {
            options,
            progress,
            files: Vec::new(),
            records: 0,
            skipped: ByName::new(),
            rejected: ByName::new(),
            rejects: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, source: &Source) {
        self.files.push(source.name.clone());
    }

    pub(super) fn file(&self) -> u32 {
        u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub(super) fn record(&mut self, spot: Spot, taken: Result<(), Fault>) {
        self.records += 1;
        if self.records.is_multiple_of(8_192) {
            (self.progress)(self.records);
        }
        if let Err(fault) = taken {
            self.reject(self.file(), spot, fault);
        }
    }

    pub(super) fn skip(&mut self, reason: Skip, count: u64) {
        if count > 0 {
            let what = reason.describe().to_owned();
            *self.skipped.entry(what).or_default() += count;
        }
    }

    pub(super) fn reject(&mut self, file: u32, spot: Spot, fault: Fault) {
        *self
            .rejected
            .entry(fault.reason.name().to_owned())
            .or_default() += 1;
        if self.rejects.len() < REJECTS_KEPT_MAX {
            self.rejects.push(Reject {
                file: self.files.get(file as usize).cloned().unwrap_or_default(),
                line: spot.line,
                byte: spot.byte.map(|byte| byte + fault.offset),
                row: spot.row,
                column: fault.column,
                reason: fault.reason,
                request_id: fault.request_id,
            });
        }
    }
}
