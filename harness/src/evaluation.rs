//! The evaluation: everything a report shows, as data. Renderers only draw it.
//!
//! Serialised as JSON it is the public contract of `plimsoll replay --json`; its schema is
//! derived from these types. Every float is finite; what could not be computed is `null`.

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

/// What else the same money or quality could have bought; chosen on the training rows under the
/// same promise, judged on the evaluated rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct References {
    /// The arm of highest mean quality on the training rows.
    pub best_single: Reference,
    /// The cheapest fixed random mix of arms that keeps the promise ("Zero router").
    pub static_mix_hull: Reference,
    /// A fixed random mix that costs what the policy costs.
    pub cost_matched_random: Reference,
    /// The best arm per task; absent when the log has no tasks.
    pub per_task_table: Option<Reference>,
    /// The knn predictor under the same rule; absent when it is not applicable.
    pub knn: Option<Reference>,
    /// The cheapest best answer per request, known only afterwards. Inflated by luck when each
    /// arm was sampled once. Absent when only the served arm's answers are known.
    pub oracle: Option<Reference>,
}

/// One reference policy on the evaluated rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// One line on what it is.
    pub about: String,
    /// Mean quality per evaluated request.
    pub quality: f64,
    /// Mean cost per evaluated request.
    pub cost_usd: f64,
    /// Share of the baseline's cost saved.
    pub savings: f64,
    /// The arms and their shares, where a few describe it.
    pub mix: Vec<ArmShare>,
}

/// An arm and its share of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmShare {
    /// The arm.
    pub model: String,
    /// Share of requests in [0, 1].
    pub share: f64,
}

/// The field's metrics on the evaluated rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// AIQ as in the RouterBench paper: area under the non-decreasing hull over c_max − c_min.
    pub aiq: f64,
    /// AIQ as RouterBench's code computes it: divided by c_max.
    pub aiq_code: f64,
    /// LLMRouterBench: 1 − least cost matching the best arm over that arm's cost; null: no match.
    pub cost_save: Option<f64>,
    /// LLMRouterBench: highest quality over the best arm's, minus 1.
    pub perf_gain: f64,
    /// Least relative cost matching the best arm's quality; null when no point matches.
    pub qnc: Option<f64>,
    /// RouteLLM: only with two arms.
    pub apgr: Option<f64>,
    /// RouteLLM: least share of strong calls that recovers half of the gap; only with two arms.
    pub cpt50: Option<f64>,
    /// RouteLLM: the same for 80 % of the gap.
    pub cpt80: Option<f64>,
    /// RouterArena's score with β = 0.1; null when the cost is out of its scale.
    pub router_arena: Option<f64>,
    /// Savings on the policy's frontier at shares of the best arm's quality, λ read off the
    /// evaluated rows: optimistic, for comparison with published tables only.
    pub savings_at: Vec<SavingsAt>,
}

/// Savings at a share of the best arm's quality.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavingsAt {
    /// Share of the best arm's quality, in [0, 1].
    pub retain: f64,
    /// Share of the best arm's cost saved; null when no point reaches the quality.
    pub savings: Option<f64>,
}

/// What may be wrong with the evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diagnostics {
    /// Every arm of the log: how much of it was seen, and whether it was compared.
    pub arms: Vec<ArmCoverage>,
    /// Rows read, rejected, merged and quarantined.
    pub rows: RowCounts,
    /// Share of outcomes without a quality label, among compared arms.
    pub unlabelled_share: f64,
    /// Share of outcomes without a cost, among compared arms.
    pub unpriced_share: f64,
    /// Independent clusters among the evaluated requests (sessions, or requests themselves).
    pub clusters: u64,
    /// What a cluster is: `session_id` or `request_id`.
    pub cluster_by: String,
    /// λ of the average floor, in quality per relative cost; null under other rules.
    pub lambda: Option<f64>,
    /// τ of the per-request floor; null under other rules.
    pub tau: Option<f64>,
    /// Policy quality minus floor as cross-validation on the training rows saw it.
    pub train_margin: f64,
    /// Savings as cross-validation on the training rows saw them.
    pub train_savings: f64,
    /// Predictors tried on the training rows, the chosen one marked.
    pub predictors: Vec<PredictorRow>,
    /// Predicted against observed quality on the evaluated rows, in bins of predicted quality.
    pub calibration: Vec<CalibrationBin>,
    /// Mean absolute gap of the bins, weighted by size; null without predictions.
    pub calibration_error: Option<f64>,
    /// How the headline moves when one choice changes.
    pub sensitivity: Vec<SensitivityRow>,
    /// Things a reader should know, one sentence each.
    pub warnings: Vec<String>,
}

/// How far the evidence can be trusted.
///
/// Every renderer shows it whole; a gate that fails turns the verdict into "insufficient evidence".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Every compared arm: how often it was logged, how often the policy wants it.
    pub overlap: Vec<ArmOverlap>,
    /// Importance weights of the policy; null for fully observed logs, where nothing is weighted.
    pub weights: Option<WeightSummary>,
    /// Weighted against plain means of what was known before the arm was chosen: where they differ,
    /// the propensities are wrong. Empty for fully observed logs.
    pub balance: Vec<BalanceRow>,
    /// Missing labels by arm; only arms that miss some.
    pub missing: Vec<MissingLabels>,
    /// Independent clusters among the evaluated requests.
    pub clusters: u64,
    /// What a cluster is: `session_id`, `prompt` or `request_id`.
    pub cluster_by: String,
    /// Share of evaluated requests in the largest cluster.
    pub largest_cluster_share: f64,
    /// How often these evaluated rows have been looked at, this time included.
    pub looks: u64,
    /// Who scored the answers, as far as a column `judge`, `judge_model` or `judge_version` of the
    /// log says; empty: not recorded. A judge's score is not quality until people have checked it.
    #[serde(default)]
    pub judges: Vec<String>,
    /// Which interval was chosen for which quantity, and why.
    pub intervals: Vec<IntervalChoice>,
    /// What must hold for a verdict other than "insufficient evidence".
    pub gates: Vec<Gate>,
}

/// One arm's overlap between the logging and the judged policy on the evaluated requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmOverlap {
    /// The arm.
    pub model: String,
    /// Evaluated requests with an outcome of this arm.
    pub logged: u64,
    /// Share of evaluated requests that the log sent there.
    pub logged_share: f64,
    /// Share of evaluated requests that the policy sends there.
    pub target_share: f64,
    /// Effective sample size of the arm's weighted rows, (Σw)²/Σw².
    pub ess: f64,
    /// Mean of 1\[arm logged\]/propensity over the evaluated requests on which the log could have
    /// chosen the arm; 1 when the propensities are right; null for fully observed logs and for arms
    /// that were never logged.
    pub mean_weight: Option<Interval>,
    /// Least propensity with which the arm was logged; null for fully observed logs.
    pub propensity_min: Option<f64>,
}

/// Importance weights π(a|x)/p of the judged policy on the evaluated requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightSummary {
    /// Effective sample size (Σw)²/Σw².
    pub ess: f64,
    /// Effective sample size over the number of evaluated requests.
    pub ess_share: f64,
    /// Largest weight.
    pub weight_max: f64,
    /// Share of all weight on the heaviest request.
    pub weight_max_share: f64,
    /// The weight above which weights are clipped in the clipped estimators.
    pub clip: f64,
    /// Share of all weight above `clip`, which clipping would cut off.
    pub clipped_mass: f64,
    /// Mean weight per unit of the policy's supported probability, with an interval that must
    /// contain 1.
    pub mean_weight: Interval,
    /// Share of the policy's probability on requests where the log could not have chosen its arm.
    pub unsupported_share: f64,
    /// The heaviest requests' weights, largest first; at most 10.
    pub largest: Vec<f64>,
}

/// One check of the propensities: Ê\[1\[a\]/p · f(x)\] against Ê\[f(x)\], which agree when p is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BalanceRow {
    /// The arm.
    pub model: String,
    /// What was compared, for instance `task = code` or `input_tokens`.
    pub covariate: String,
    /// Weighted minus plain mean, in standard deviations of the covariate.
    pub difference: f64,
    /// Two-sided p-value with cluster-robust errors.
    pub p_value: f64,
    /// Whether it stays significant at 1 % after Holm's correction.
    pub broken: bool,
}

/// Missing labels of one arm, and what they could hide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MissingLabels {
    /// The arm.
    pub model: String,
    /// Its outcomes.
    pub outcomes: u64,
    /// Share without a label.
    pub unlabelled_share: f64,
    /// Its mean quality if every missing label were 0.
    pub quality_low: f64,
    /// Its mean quality if every missing label were 1.
    pub quality_high: f64,
}

/// An interval method and why it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntervalChoice {
    /// What the interval is for, for instance `savings`.
    pub quantity: String,
    /// The method, for instance `cluster bootstrap`.
    pub method: String,
    /// Why.
    pub reason: String,
}

/// A condition of trust.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Its name, for instance `effective sample size`.
    pub name: String,
    /// What was measured, with its limit, for instance `312, at least 100`.
    pub measured: String,
    /// Whether it holds.
    pub passed: bool,
    /// What it means, and what to do when it fails.
    pub about: String,
}

/// What off-policy estimators say on the evaluated requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OffPolicy {
    /// `logged`, or `estimated` when the log has none: then nothing is proven.
    pub propensities: String,
    /// Which estimator the headline uses, and why.
    pub chosen: String,
    /// Why.
    pub reason: String,
    /// Every estimator.
    pub estimators: Vec<EstimatorRow>,
    /// What an unmeasured confounder could do; only for estimated propensities.
    pub confounding: Option<Confounding>,
    /// What holds whatever the unseen answers were; only where something is unidentified.
    pub worst_case: Option<WorstCase>,
    /// What the log itself earned and spent: the logging policy's own value.
    pub logging: LoggedValue,
}

/// One estimator's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EstimatorRow {
    /// Name with its setting, for instance `switch-dr (τ = 10)`.
    pub name: String,
    /// Mean quality per request under the policy.
    pub quality: Interval,
    /// Mean cost per request under the policy.
    pub cost_usd: Interval,
    /// Savings fraction against the baseline.
    pub savings: Interval,
    /// Whether the headline uses it.
    pub chosen: bool,
    /// Why its figures are missing or must not be trusted; null when they may be read.
    pub caution: Option<String>,
}

/// How strong an unmeasured confounder would have to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confounding {
    /// Marginal sensitivity model: bounds when the odds of logging an arm may be off by Γ.
    pub bounds: Vec<GammaBounds>,
    /// Least Γ at which the margin over the floor may be 0 or less; null when it is so at Γ = 1,
    /// or not at the largest Γ tried.
    pub gamma_margin: Option<f64>,
    /// Least Γ at which the savings may be 0 or less.
    pub gamma_savings: Option<f64>,
}

/// Bounds at one strength of confounding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GammaBounds {
    /// Γ ≥ 1.
    pub gamma: f64,
    /// Least and greatest quality of the policy.
    pub quality: [f64; 2],
    /// Least and greatest margin over the floor.
    pub margin: [f64; 2],
    /// Least and greatest savings fraction.
    pub savings: [f64; 2],
}

/// Bounds that assume nothing about unseen answers but their range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorstCase {
    /// Share of requests whose answer under the policy was seen.
    pub observed_share: f64,
    /// Least and greatest quality of the policy.
    pub quality: [f64; 2],
}

/// The logging policy's own value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoggedValue {
    /// Mean quality of the served answers.
    pub quality: Interval,
    /// Mean cost of the served answers.
    pub cost_usd: Interval,
}

/// Rows read and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowCounts {
    /// Rows in the input.
    pub read: u64,
    /// Rows refused, each with a reason.
    pub rejected: u64,
    /// Identical rows merged into one.
    pub duplicates: u64,
    /// Rows refused because another row of the same request and arm contradicts them.
    pub conflicts: u64,
}

/// One arm's coverage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmCoverage {
    /// The arm.
    pub model: String,
    /// Requests with an outcome of this arm.
    pub requests: u64,
    /// Share of all requests.
    pub coverage: f64,
    /// Share of its outcomes without a label.
    pub unlabelled_share: f64,
    /// Share of its outcomes without a cost.
    pub unpriced_share: f64,
    /// Whether it takes part in the comparison.
    pub compared: bool,
    /// Why not.
    pub left_out: Option<String>,
}

/// A predictor as cross-validation on the training rows saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictorRow {
    /// Kind and settings.
    pub name: String,
    /// Savings under the promise, cross-validated.
    pub train_savings: f64,
    /// Whether it was chosen.
    pub chosen: bool,
}

/// One bin of predicted quality.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalibrationBin {
    /// Mean predicted quality.
    pub predicted: f64,
    /// Mean observed quality.
    pub observed: f64,
    /// Predictions in the bin.
    pub count: u64,
}

/// The headline under one changed choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SensitivityRow {
    /// What was changed.
    pub change: String,
    /// Savings fraction then.
    pub savings: f64,
    /// Policy quality minus floor then.
    pub margin: f64,
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

/// A point in the cost–quality plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrontierPoint {
    /// What the point is.
    pub kind: FrontierKind,
    /// The arm's name, or the setting.
    pub label: String,
    /// Mean quality per evaluated request.
    pub quality: Interval,
    /// Mean cost per evaluated request.
    pub cost_usd: Interval,
    /// Share of the baseline's cost saved.
    pub savings: f64,
    /// Share of the reference arm's quality that this point was tuned to retain; sweep points only.
    pub retain: Option<f64>,
    /// Whether the quality bound of this point clears its own floor on the evaluated rows.
    pub certified: bool,
}

/// What a frontier point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FrontierKind {
    /// One arm answering everything.
    Arm,
    /// A corner of the static-mix hull, by rising cost.
    Hull,
    /// The policy at another floor, tuned on the training rows.
    Sweep,
    /// The policy as judged.
    Here,
    /// The oracle.
    Oracle,
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

/// Several policies on the same evaluated rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Layout version, [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The policies' names as given, for instance their files' names, in the order given.
    pub names: Vec<String>,
    /// One evaluation per policy, in the same order.
    pub evaluations: Vec<Evaluation>,
    /// Every policy after the first against the first, paired by request.
    pub differences: Vec<Difference>,
}

/// One policy minus another, paired by request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The policy.
    pub name: String,
    /// The policy it is compared with.
    pub against: String,
    /// Quality difference per request.
    pub quality: Interval,
    /// Cost difference per request in US dollars.
    pub cost_usd: Interval,
    /// Difference of savings fractions.
    pub savings: Interval,
}

/// Why one request went where it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// Layout version, [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The request.
    pub request_id: String,
    /// Its task.
    pub task: Option<String>,
    /// Whether the predictors had seen this request when they decided.
    pub seen_in_training: bool,
    /// The arm chosen under the seed.
    pub chosen: String,
    /// Probability with which it was chosen.
    pub propensity: f64,
    /// The reason, one sentence.
    pub reason: String,
    /// Every arm, cheapest first.
    pub arms: Vec<ExplainedArm>,
}

/// One arm as the policy saw it for one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainedArm {
    /// The arm.
    pub model: String,
    /// Probability under the policy.
    pub probability: f64,
    /// Predicted quality.
    pub predicted_quality: f64,
    /// Predicted cost.
    pub expected_cost_usd: f64,
    /// Quality in the log, if observed.
    pub observed_quality: Option<f64>,
    /// Cost in the log, if observed.
    pub observed_cost_usd: Option<f64>,
}
