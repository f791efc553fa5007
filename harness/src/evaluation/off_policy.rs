//! What off-policy estimators say, and what no estimator can know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Interval;

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
