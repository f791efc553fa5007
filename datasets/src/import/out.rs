//! Where the rows of an import go, and the report at the end.

use std::collections::BTreeMap;

use super::call::{Joins, Skip};
use super::gather::{Gather, Placed};
use super::labels::{ArmLabels, Labels, Meaning, p_same_share};
use super::tally::Tally;
use super::{ImportError, ImportKind, ImportReport, LabelReport};
use crate::write::LogWriter;

/// Where rows go.
pub(super) struct Out {
    pub(super) writer: LogWriter,
    pub(super) gather: Gather,
    pub(super) labels: Labels,
    pub(super) meaning: Meaning,
    pub(super) label_report: LabelReport,
    pub(super) by_arm: BTreeMap<String, (u64, u64)>,
    pub(super) rows: u64,
    pub(super) unpriced: u64,
    pub(super) free: u64,
    pub(super) without_prompts: bool,
    pub(super) redacted: u64,
}

impl Out {
    pub(super) fn take(
        &mut self,
        mut placed: Placed,
        tally: &mut Tally<'_>,
    ) -> Result<(), ImportError> {
        if self.without_prompts {
            placed.call.row.prompt = None;
        }
        if placed.call.joins == Joins::Nothing {
            self.gather.counts.calls += 1;
            return self.write(placed);
        }
        let (file, spot) = (placed.file, placed.spot);
        if let Err(fault) = self.gather.add(placed) {
            tally.reject(file, spot, fault);
        }
        Ok(())
    }

    /// Writes the requests that are complete, or no longer fit into the window.
    pub(super) fn drain(&mut self, is_end: bool) -> Result<(), ImportError> {
        while let Some(calls) = self.gather.next(is_end) {
            if let Some(placed) = self.gather.row(calls) {
                self.write(placed)?;
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, placed: Placed) -> Result<(), ImportError> {
        let mut call = placed.call;
        let names = call.names.iter().chain([&call.id, &call.row.request_id]);
        let label = call.label.clone().or_else(|| self.labels.of(names));
        if let Some(label) = label {
            match self.meaning.quality(&label) {
                Ok(quality) => call.row.quality = Some(quality),
                Err(reason) => {
                    *self
                        .label_report
                        .faults
                        .entry(reason.to_string())
                        .or_default() += 1;
                }
            }
        }
        let is_labelled = call.row.quality.is_some();
        let report = &mut self.label_report;
        report.labelled += u64::from(is_labelled);
        report.unlabelled += u64::from(!is_labelled);
        if !self.by_arm.contains_key(&call.row.model) {
            self.by_arm.insert(call.row.model.clone(), (0, 0));
        }
        if let Some((requests, labelled)) = self.by_arm.get_mut(&call.row.model) {
            *requests += 1;
            *labelled += u64::from(is_labelled);
        }
        self.rows += 1;
        self.unpriced += u64::from(call.row.cost.is_none());
        self.free += u64::from(call.row.cost == Some(plimsoll::Usd::ZERO));
        self.writer.write_owned(call.row)?;
        Ok(())
    }
}

/// The report, or why there is no log.
pub(super) fn finish(
    mut tally: Tally<'_>,
    mut out: Out,
    digest: String,
) -> Result<ImportReport, ImportError> {
    tally.skip(Skip::CacheHit, out.gather.counts.from_cache);
    tally.skip(Skip::NotACall, out.gather.counts.wrappers);
    let rejected: u64 = tally.rejected.values().sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
    let is_above =
        |part: u64, whole: u64| part as f64 > tally.options.read.max_reject * whole as f64;
    if out.rows == 0 && (rejected == 0 || !is_above(rejected, tally.records)) {
        let skipped = tally
            .skipped
            .iter()
            .map(|(what, n)| format!("{n} left out: {what}"));
        let broken = tally
            .rejected
            .iter()
            .map(|(what, n)| format!("{n} rejected as {what}"));
        return Err(ImportError::NothingLeft {
            records: tally.records,
            why: skipped.chain(broken).collect(),
            rejects: tally.rejects,
        });
    }
    if is_above(rejected, tally.records) {
        return Err(ImportError::TooManyRejects {
            rejected,
            records: tally.records,
            max_reject: tally.options.read.max_reject,
            rejects: tally.rejects,
        });
    }
    let mut labels = out.label_report;
    let faults: u64 = labels.faults.values().sum();
    if is_above(faults, faults + labels.labelled) {
        let worst = labels.faults.iter().max_by_key(|(_, count)| **count);
        return Err(ImportError::TooManyLabelFaults {
            faults,
            labels: faults + labels.labelled,
            why: worst.map(|(why, _)| why.clone()).unwrap_or_default(),
        });
    }
    out.writer.finish()?;
    labels.scores = std::mem::take(&mut out.labels.scores);
    labels.read_apart = out.labels.read;
    labels.contradicting = out.labels.contradicting;
    labels.superseded = out.labels.superseded;
    labels.unmatched = out.labels.unmatched();
    labels.arms = out
        .by_arm
        .into_iter()
        .map(|(arm, (requests, labelled))| ArmLabels {
            arm,
            requests,
            labelled,
        })
        .collect();
    labels.p_same_share = p_same_share(&labels.arms);
    let counts = out.gather.counts;
    Ok(ImportReport {
        kind: tally.options.kind,
        files: tally.files,
        records: tally.records,
        calls: counts.calls,
        rows: out.rows,
        merged_requests: counts.merged_requests,
        merged_calls: counts.merged_calls,
        several_models: counts.several_models,
        cost_unknown_in_part: counts.cost_unknown_in_part,
        duplicates: counts.duplicates,
        unpriced: out.unpriced,
        free: out.free,
        redacted: out.redacted,
        skipped: tally.skipped,
        rejected: tally.rejected,
        rejects: tally.rejects,
        labels,
        evidence: tally.options.kind.evidence(),
        rule: match tally.options.group_by {
            Some(_) => ImportKind::Litellm.rule(),
            None => tally.options.kind.rule(),
        },
        digest,
    })
}
