//! Replay: a recorded log in, an evaluation out.

mod fit;
mod judging;
mod plays;
mod router;

pub(crate) use fit::{Fitted, column, fit, line, predictor_rows, standard_errors, training_rows};
pub(crate) use judging::{Judged, judge_fitted};
pub(crate) use plays::{Baseline, arm_play, served, tuned_play, tuned_probabilities};
pub(crate) use router::router;

use judging::judge;
use plimsoll::{ArmId, PolicyConfig, Router, Seed, Usd};
use plimsoll_datasets::{EvidenceKind, OutcomeLog, Split};

use crate::candidate::Forecasts;
use crate::error::EvidenceError;
use crate::evaluation::{Evaluation, RowCounts};
use crate::promise::Play;
use crate::study::KNN_ROWS_MAX;
use crate::table::{ArmChoice, OutcomeTable};

/// The baseline that means what production did.
pub const LOGGED: &str = "logged";

/// Default number of bootstrap resamples.
pub const RESAMPLES: usize = 2000;

/// Default confidence of two-sided intervals.
pub const INTERVAL_CONFIDENCE: f64 = 0.95;

/// Largest relative difference between the logged cost and an invoice.
pub const INVOICE_TOLERANCE: f64 = 0.02;

/// A validated log and what its reader found.
#[derive(Clone, Debug)]
pub struct ReplayInput<'a> {
    /// The log.
    pub log: &'a OutcomeLog,
    /// What kind of evidence it is.
    pub evidence: EvidenceKind,
    /// Rows read and refused.
    pub rows: RowCounts,
    /// BLAKE3 of the price catalogue, when one was used.
    pub catalogue_digest: Option<String>,
}

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The policy.
    pub policy: PolicyConfig,
    /// Its text, for the manifest.
    pub policy_toml: String,
    /// The arm to compare with; `None` or `best-single`: the best arm on the training rows;
    /// [`LOGGED`]: what production did.
    pub baseline: Option<String>,
    /// How rows are split.
    pub split: Split,
    /// The split as the user wrote it, for the manifest.
    pub split_text: String,
    /// The seed.
    pub seed: Seed,
    /// Bootstrap resamples.
    pub resamples: usize,
    /// Confidence of two-sided intervals.
    pub interval_confidence: f64,
    /// Whether prompts may stand in the evaluation.
    pub show_text: bool,
    /// Further columns to report by.
    pub segments: Vec<String>,
    /// Segments, as `column=value`, that may fall below the line without a veto.
    pub waived: Vec<String>,
    /// What the provider charged for the log's served rows.
    pub invoice_usd: Option<Usd>,
    /// Most requests of a log on which nearest neighbours are tried without being asked for.
    pub knn_rows_max: usize,
    /// The command, for the manifest.
    pub command: String,
}

impl ReplayOptions {
    /// A replay with default intervals, against the best single arm.
    #[must_use]
    pub fn new(policy: PolicyConfig, split: Split, seed: Seed) -> Self {
        Self {
            policy,
            policy_toml: String::new(),
            baseline: None,
            split_text: split.to_string(),
            split,
            seed,
            resamples: RESAMPLES,
            interval_confidence: INTERVAL_CONFIDENCE,
            show_text: false,
            segments: Vec::new(),
            waived: Vec::new(),
            invoice_usd: None,
            knn_rows_max: KNN_ROWS_MAX,
            command: String::new(),
        }
    }
}

/// Where a replay stands, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Features and costs are fitted.
    Features,
    /// Predictors are cross-fitted: `done` of `total`.
    Predictors {
        /// Finished predictors.
        done: usize,
        /// All predictors.
        total: usize,
    },
    /// The policy is judged on the untouched rows.
    Judging,
}

/// An evaluation and the policy it judged, ready to serve.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The evaluation.
    pub evaluation: Evaluation,
    /// The fitted policy.
    pub router: Router,
    /// Ids of the evaluated requests, shape (n).
    pub request_ids: Vec<String>,
    /// Cluster of each evaluated request, shape (n).
    pub cluster: Vec<usize>,
    /// The policy's expected quality and cost per evaluated request, shape (n).
    pub play: Play,
    /// The baseline's.
    pub baseline: Play,
}

/// Evaluates a policy on a fully observed log.
///
/// Predictors, calibration, λ or τ are chosen on the training rows alone; the evaluated rows are
/// looked at once, by the router that would serve.
///
/// # Errors
/// [`EvidenceError`] when the log cannot support the evaluation.
pub fn replay(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Replay, EvidenceError> {
    replay_with(input, options, &mut Forecasts::default(), progress)
}

/// [`replay`], keeping forecasts for the next policy on the same rows: predictors are most of the
/// time, and do not depend on rule or floor.
///
/// # Errors
/// As [`replay`].
pub fn replay_with(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
    forecasts: &mut Forecasts,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Replay, EvidenceError> {
    let table = table(input, options)?;
    let fitted = fit(input, &table, options, forecasts, progress)?;
    progress(Stage::Judging);
    judge(input, options, &fitted)
}

pub(crate) fn table(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
) -> Result<OutcomeTable, EvidenceError> {
    let arms = &options.policy.arms;
    let names = |ids: &[ArmId]| ids.iter().map(ToString::to_string).collect();
    let choice = ArmChoice {
        include: arms.include.as_deref().map(names).unwrap_or_default(),
        exclude: names(&arms.exclude),
        coverage_min: arms.coverage_min,
    };
    OutcomeTable::new(input.log, input.evidence, &choice)
}
