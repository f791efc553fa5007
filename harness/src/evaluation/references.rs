//! What else the same money could have bought: references, metrics, the frontier.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Interval;

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
