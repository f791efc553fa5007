//! How far the evidence of an evaluation can be trusted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Interval;

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

impl Trust {
    /// What the labels may be called: `quality`, or `judged quality` where the log names a judge,
    /// whose score nobody has checked against people.
    #[must_use]
    pub fn score(&self) -> &'static str {
        score_of(&self.judges)
    }
}

/// [`Trust::score`] of labels by these judges.
pub(crate) fn score_of(judges: &[String]) -> &'static str {
    if judges.is_empty() {
        "quality"
    } else {
        "judged quality"
    }
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
