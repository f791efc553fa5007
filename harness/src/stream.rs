//! Streaming replay: logs with propensities that are too large to hold, judged row by row.
//!
//! Two passes. The first surveys the log and draws a sample, on which the policy is fitted and
//! tuned as on any log; a request is drawn by a hash of its id, so the sample depends neither on
//! the order of rows nor on threads. The second sends every evaluated row through the fitted
//! router and adds its doubly robust scores to sums of [`BUCKETS`] buckets of whole sessions.
//! Sessions are independent, so buckets are: intervals over bucket sums are cluster-robust, and
//! memory does not grow with the rows.
//!
//! Headline, floor, segments, mix, overlap and the gates of weights and labels rest on every
//! evaluated row. What needs all answers at once (references, frontier, calibration, balance,
//! sensitivity) rests on the sample, and the evaluation says so.

mod error;
mod judging;
mod scorer;
mod sums;
mod survey;
mod totals;
mod trust;

use plimsoll::Router;
use plimsoll_datasets::{EvidenceKind, LoggedFiles};

use crate::candidate::Forecasts;
use crate::error::EvidenceError;
use crate::evaluation::{Evaluation, RowCounts};
use crate::replay::{LOGGED, ReplayInput, ReplayOptions, Stage, fit, judge_fitted, table};

pub use error::StreamError;
pub use sums::BUCKETS;

/// Logs of more rows than this are streamed.
pub const STREAM_ROWS_MIN: u64 = 1_000_000;

/// Bootstrap resamples of what rests on the sample, at most.
const SAMPLE_RESAMPLES: usize = 400;

/// A streamed evaluation, and the policy it judged.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// The evaluation on all evaluated rows.
    pub evaluation: Evaluation,
    /// The evaluation of the same policy on the evaluated rows of the sample alone.
    pub sample: Evaluation,
    /// The fitted policy, ready to serve.
    pub router: Router,
}

/// Where a streaming replay stands, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamStage {
    /// The log is surveyed.
    Survey,
    /// The policy is fitted on the sample.
    Fit(Stage),
    /// Every evaluated row is judged.
    Judging,
}

/// Whether a log and options go the streaming way: more than [`STREAM_ROWS_MIN`] rows, split by
/// hash, reported by task and tenant only.
#[must_use]
pub fn is_streamed(files: &LoggedFiles, options: &ReplayOptions) -> bool {
    files.rows() > STREAM_ROWS_MIN && fits(options)
}

fn fits(options: &ReplayOptions) -> bool {
    options.split.is_hash()
        && options.segments.is_empty()
        && options.baseline.as_deref() != Some(LOGGED)
        && !options.show_text
}

/// Evaluates a policy on a log with propensities, of any size.
///
/// Requests whose served answer has no quality or no cost are set aside, as
/// [`replay`](crate::replay()) does. Equal files, options and seed give equal results on any
/// number of threads.
///
/// # Errors
/// [`StreamError`] when a file cannot be read, a request stands on several rows, a row has no
/// propensity, or the log cannot support the evaluation.
pub fn replay_stream(
    files: &LoggedFiles,
    catalogue_digest: Option<String>,
    options: &ReplayOptions,
    progress: &(dyn Fn(StreamStage) + Sync),
) -> Result<Streamed, StreamError> {
    progress(StreamStage::Survey);
    let mut survey = survey::Survey::new(files, options)?;
    let split = survey.sample_split();
    let log = std::mem::take(&mut survey.log);
    let sample_options = ReplayOptions {
        split,
        invoice_usd: None,
        resamples: options.resamples.min(SAMPLE_RESAMPLES),
        // They would take longer than all the rest.
        knn_rows_max: 0,
        ..options.clone()
    };
    let input = ReplayInput {
        log: &log,
        evidence: EvidenceKind::LoggedWithPropensities,
        rows: RowCounts {
            read: survey.tally.rows_read,
            rejected: survey.tally.rows_rejected,
            duplicates: 0,
            conflicts: 0,
        },
        catalogue_digest,
    };
    let table = table(&input, &sample_options)?;
    let stage = |stage| progress(StreamStage::Fit(stage));
    let mut forecasts = Forecasts::default();
    let fitted = fit(&input, &table, &sample_options, &mut forecasts, &stage)?;
    let (judged, sample) = judge_fitted(&input, &sample_options, &fitted)?;
    progress(StreamStage::Judging);
    let target = judging::target(&survey, &fitted, &judged, options)?;
    let scorer = scorer::Scorer::new(&fitted, &survey, &target)?;
    let sums = judging::judge(files, &survey, &scorer, &fitted, &target, options)?;
    let judged_all = (&target, &sums);
    let evaluation = judging::evaluation(&sample, &survey, &fitted, &judged, judged_all, options);
    Ok(Streamed {
        evaluation,
        sample,
        router: fitted.router.clone(),
    })
}

impl From<EvidenceError> for StreamError {
    fn from(error: EvidenceError) -> Self {
        Self::Evidence(error)
    }
}
