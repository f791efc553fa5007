//! The evaluation: everything a report shows, as data. Renderers only draw it.
//!
//! Serialised as JSON it is the public contract of `plimsoll replay --json`; its schema is
//! derived from these types. Every float is finite; what could not be computed is `null`.

mod comparison;
mod diagnostics;
mod off_policy;
mod references;
mod trust;

pub use comparison::{Comparison, Difference, ExplainedArm, Explanation};
pub use diagnostics::{
    ArmCoverage, CalibrationBin, Diagnostics, PredictorRow, RowCounts, SensitivityRow,
};
pub use off_policy::{Confounding, EstimatorRow, GammaBounds, LoggedValue, OffPolicy, WorstCase};
pub use references::{
    ArmShare, FrontierKind, FrontierPoint, Metrics, Reference, References, SavingsAt,
};
pub(crate) use trust::score_of;
pub use trust::{
    ArmOverlap, BalanceRow, Gate, IntervalChoice, MissingLabels, Trust, WeightSummary,
};

use plimsoll_datasets::EvidenceKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the JSON layout; grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// One policy judged on the rows it has not seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Layout version, [`SCHEMA_VERSION`].
    pub schema: u32,
    /// What kind of evidence the log is.
    #[schemars(with = "String")]
    pub evidence: EvidenceKind,
    /// How many requests went where.
    pub requests: RequestCounts,
    /// What the policy is compared with: every request answered by one arm.
    pub baseline: ArmValue,
    /// The line the user drew, and whether it held.
    pub floor: Floor,
    /// The policy's value on the evaluated requests.
    pub policy: PolicyValue,
    /// Money saved against the baseline.
    pub savings: Savings,
    /// Policy quality minus baseline quality, mean per evaluated request, paired.
    pub quality_change: Interval,
    /// Whether to ship, and why.
    pub verdict: Verdict,
    /// What else the same money or quality could have bought.
    pub references: References,
    /// The field's metrics, each named with its variant.
    pub metrics: Metrics,
    /// What may be wrong with the evidence.
    pub diagnostics: Diagnostics,
    /// How far the evidence can be trusted: overlap, weights, missing labels, gates. Empty when
    /// read from an evaluation that was saved before there was one.
    #[serde(default)]
    pub trust: Trust,
    /// What off-policy estimators say; absent for fully observed logs, which need none.
    pub off_policy: Option<OffPolicy>,
    /// The evaluation by task, tenant and other named columns.
    pub segments: Vec<Segment>,
    /// Share of requests per arm before and after.
    pub mix: Vec<MixRow>,
    /// Cost–quality points: single arms, the hull, the policy's sweep, the oracle, "you are here".
    pub frontier: Vec<FrontierPoint>,
    /// Savings per month; absent for logs without timestamps or shorter than seven days.
    pub projection: Option<Projection>,
    /// Requests whose answer would change, those that lose most quality first; at most 50.
    pub changed: Vec<ChangedAnswer>,
    /// How to get this evaluation again, byte for byte.
    pub manifest: Manifest,
}

/// A point estimate with its two-sided interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The estimate.
    pub point: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How many requests went where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestCounts {
    /// Requests on which predictors and thresholds were chosen.
    pub train: u64,
    /// Untouched requests on which the policy is judged.
    pub evaluated: u64,
    /// Requests left out because a compared arm has no usable outcome there.
    pub set_aside: u64,
}

/// One arm answering every evaluated request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmValue {
    /// The arm.
    pub model: String,
    /// Mean quality per evaluated request.
    pub quality: f64,
    /// Mean cost per evaluated request.
    pub cost_usd: f64,
}

/// The quality line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// `average-floor` or `per-request-floor`.
    pub rule: String,
    /// The line as a mean quality on the evaluated requests.
    pub quality: f64,
    /// The arm whose quality is to be kept, when the floor is relative.
    pub relative_to: Option<String>,
    /// Share of that arm's quality to keep, when the floor is relative.
    pub retain: Option<f64>,
    /// Confidence of the one-sided bound below, in (0, 1).
    pub confidence: f64,
    /// Policy quality minus floor: the estimate.
    pub margin: f64,
    /// One-sided lower bound of the margin at `confidence`; at least 0 means the floor is proven.
    pub margin_low: f64,
    /// One-sided upper bound of the margin at `confidence`; below 0 means the floor is broken.
    pub margin_high: f64,
    /// Whether any setting kept the line on the training rows; if none did, every request goes to
    /// the arm of highest quality.
    pub feasible: bool,
    /// Name of the bound, for instance `betting` or `clopper-pearson`.
    pub bound: String,
    /// Why this bound was chosen.
    pub bound_reason: String,
}

/// The judged policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyValue {
    /// One line a person can read, for instance `average-floor, knn (k=50), λ=0.0021`.
    pub name: String,
    /// The predictor in use (the chosen one under `auto`).
    pub predictor: String,
    /// Mean quality per evaluated request.
    pub quality: Interval,
    /// Mean cost per evaluated request.
    pub cost_usd: Interval,
}

/// Money saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Savings {
    /// Share of the baseline's cost; negative when the policy costs more.
    pub fraction: Interval,
    /// Mean US dollars per evaluated request.
    pub usd: Interval,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What to do.
    pub decision: Decision,
    /// Why, one sentence each, the weightiest first.
    pub reasons: Vec<String>,
}

/// What to do with the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Savings and the floor are both proven.
    Ship,
    /// The evidence speaks against it, or nothing is to be saved.
    Hold,
    /// The evidence proves neither.
    InsufficientEvidence,
}

/// One value of a segment column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The column, for instance `task`.
    pub column: String,
    /// The value, for instance `math`.
    pub value: String,
    /// Evaluated requests in it.
    pub requests: u64,
    /// Baseline quality there.
    pub baseline_quality: f64,
    /// Policy quality there.
    pub quality: Interval,
    /// Policy quality minus baseline quality there.
    pub quality_change: Interval,
    /// Savings fraction there.
    pub savings: Interval,
    /// Whether the floor is shown to be broken there, after correction for all segments.
    pub broken: bool,
    /// Whether the user accepts that, by name: else a broken segment vetoes "ship".
    #[serde(default)]
    pub waived: bool,
}

/// An arm's share of requests before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixRow {
    /// The arm.
    pub model: String,
    /// Share under the baseline.
    pub before: f64,
    /// Share under the policy.
    pub after: f64,
    /// The arm's mean quality over all evaluated requests.
    pub quality: f64,
    /// The arm's mean cost over all evaluated requests.
    pub cost_usd: f64,
}

/// Savings per month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// US dollars saved in 30 days at the log's own traffic.
    pub usd_per_month: Interval,
    /// Requests in 30 days at the log's own rate.
    pub requests_per_month: f64,
    /// Days between the first and the last request of the log.
    pub lookback_days: f64,
    /// What the figure cannot know, for instance seasons.
    pub note: String,
}

/// A request whose most likely arm differs from the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedAnswer {
    /// The request.
    pub request_id: String,
    /// Its task.
    pub task: Option<String>,
    /// The prompt, only when the user asked for text.
    pub prompt: Option<String>,
    /// The arm before.
    pub before: String,
    /// The most likely arm after.
    pub after: String,
    /// Quality before.
    pub quality_before: f64,
    /// Quality after.
    pub quality_after: f64,
    /// Cost before.
    pub cost_usd_before: f64,
    /// Cost after.
    pub cost_usd_after: f64,
}

/// What it takes to get the same bytes again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Plimsoll's version.
    pub version: String,
    /// BLAKE3 of the log.
    pub log_digest: String,
    /// BLAKE3 of the price catalogue; null when none was used.
    pub catalogue_digest: Option<String>,
    /// BLAKE3 of the policy as used.
    pub policy_digest: String,
    /// The policy as used, in TOML.
    pub policy_toml: String,
    /// The seed.
    pub seed: u64,
    /// The split, for instance `hash:0.7`.
    pub split: String,
    /// Resamples per interval.
    pub resamples: u32,
    /// Confidence of the two-sided intervals.
    pub interval_confidence: f64,
    /// Name of the interval method.
    pub interval_method: String,
    /// A command that gives this evaluation again; files by name only, never by path.
    pub command: String,
}
