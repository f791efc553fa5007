//! Several policies on the same requests, and one decision among the arms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evaluation, Interval};

/// Several policies on the same evaluated rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Layout version, `SCHEMA_VERSION`.
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
    /// Layout version, `SCHEMA_VERSION`.
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
