//! What may be wrong with the rows and the predictors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
