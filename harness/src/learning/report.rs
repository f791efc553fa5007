//! The report of a learning replay: everything a renderer shows, as data.

use plimsoll::Usd;
use plimsoll_datasets::EvidenceKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evaluation::Interval;

/// Version of the JSON layout; grows when a field changes its meaning or goes away.
pub const LEARNING_SCHEMA_VERSION: u32 = 1;

/// Learning policies replayed on one log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearningReport {
    /// Layout version, [`LEARNING_SCHEMA_VERSION`].
    pub schema: u32,
    /// Always `learning`: tells this report from an evaluation.
    pub kind: String,
    /// What kind of evidence the log is.
    #[schemars(with = "String")]
    pub evidence: EvidenceKind,
    /// How many requests went where.
    pub requests: LearningCounts,
    /// The line that mean quality is to keep, in [0, 1].
    pub line: f64,
    /// Where the line comes from, as a sentence.
    pub line_reason: String,
    /// Runs; bands are over these.
    pub seeds: u64,
    /// Requests over which recent quality, shares and regret are averaged.
    pub window: u64,
    /// The arms; shares below are in this order.
    pub arms: Vec<LearningArm>,
    /// Stretches of the stream between injections, with the cheapest feasible arm of each; empty
    /// for logged replays. Of shuffled streams, the first seed's.
    pub phases: Vec<Phase>,
    /// The replayed policies, the engine's first; empty for logged replays.
    pub learners: Vec<LearnerReport>,
    /// What a logged replay estimates, the engine's policy first; empty for full information.
    pub logged: Vec<LoggedLearner>,
    /// What a reader should know about these numbers.
    pub notes: Vec<String>,
    /// How to get this report again, byte for byte.
    pub manifest: LearningManifest,
}

/// How many requests went where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearningCounts {
    /// Requests that learners start from.
    pub warm_up: u64,
    /// Requests replayed one by one.
    pub replayed: u64,
    /// Requests left out because an outcome, cost or propensity is missing.
    pub set_aside: u64,
}

/// One arm on the replayed requests, injections included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearningArm {
    /// The arm.
    pub model: String,
    /// Mean quality; of logged replays, over the requests that it answered.
    pub quality: f64,
    /// Mean cost; of logged replays, over the requests that it answered.
    pub cost_usd: f64,
}

/// A stretch of the stream in which nothing is injected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// First request, from 0.
    pub from: u64,
    /// One past the last request.
    pub to: u64,
    /// What happened at its start, as phrases.
    pub starts_with: Vec<String>,
    /// The cheapest arm in service whose mean quality meets the line: what regret is against.
    pub benchmark: String,
    /// Whether it meets the line; if no arm does, the benchmark is the one of highest quality.
    pub feasible: bool,
    /// Every arm.
    pub arms: Vec<PhaseArm>,
}

/// One arm in one phase, expected over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseArm {
    /// The arm.
    pub model: String,
    /// Whether it can be chosen.
    pub in_service: bool,
    /// Mean quality.
    pub quality: f64,
    /// Mean cost.
    pub cost_usd: f64,
}

/// Median and 10 % and 90 % quantiles over seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The median.
    pub median: f64,
    /// The 10 % quantile.
    pub low: f64,
    /// The 90 % quantile.
    pub high: f64,
}

/// Exact order statistics of an amount over seeds: nearest ranks to 50, 10 and 90 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsdBand {
    /// The median run's amount.
    #[schemars(with = "String")]
    pub median: Usd,
    /// The 10 % run's.
    #[schemars(with = "String")]
    pub low: Usd,
    /// The 90 % run's.
    #[schemars(with = "String")]
    pub high: Usd,
}

/// One policy, replayed under every seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnerReport {
    /// The policy.
    pub name: String,
    /// Mean quality per replayed request.
    pub quality: Band,
    /// Share of seeds whose mean quality kept the line.
    pub line_kept: f64,
    /// Total cost, exactly.
    pub cost_usd: UsdBand,
    /// Total cost minus that of the benchmark arm of each phase, exactly; negative: cheaper.
    pub cost_regret_usd: UsdBand,
    /// Sum of (benchmark's quality − own quality) over the requests; negative: better.
    pub quality_regret: Band,
    /// Share of requests per arm, in the report's order.
    pub shares: Vec<Band>,
    /// What became of the labels.
    pub feedback: FeedbackCounts,
    /// The run over time.
    pub series: Vec<SeriesPoint>,
    /// What was injected, and how long it took to notice and to recover.
    pub shocks: Vec<Shock>,
}

/// What became of the labels, mean per seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackCounts {
    /// Labels that the learner saw.
    pub seen: f64,
    /// Answers that nobody labels.
    pub unlabelled: f64,
    /// Labels that would have come after the window.
    pub censored: f64,
    /// Labels still due when the stream ended.
    pub pending: f64,
}

/// A moment of the stream, bands over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesPoint {
    /// Requests replayed so far.
    pub request: u64,
    /// Cost so far.
    pub cost_usd: Band,
    /// Cost regret so far.
    pub cost_regret_usd: Band,
    /// Quality regret so far.
    pub quality_regret: Band,
    /// Mean quality so far.
    pub quality: Band,
    /// Mean quality of the last `window` requests.
    pub recent_quality: Band,
    /// Share of each arm since the previous point.
    pub shares: Vec<Band>,
}

/// Something injected, and what followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shock {
    /// What, as a phrase.
    pub what: String,
    /// The arm.
    pub model: String,
    /// The request at which it happens, from 0.
    pub request: u64,
    /// Page–Hinkley alarm on the residuals of the arm's labels, as far as the learner saw them;
    /// drift only.
    pub detected: Option<ShockTimes>,
    /// Share of seeds with an alarm before the drift: false ones; drift only.
    pub false_alarms: Option<f64>,
    /// First request at which the arm's share of the last `window` ones is below half its share
    /// before (or above twice and 5 %, where the change speaks for the arm).
    pub rerouted: ShockTimes,
    /// First request from which quality below the line (of price changes: cost regret), averaged over
    /// the window, stays near its former level until the next shock.
    pub recovered: ShockTimes,
    /// The rules behind these three, in words.
    pub rules: Vec<String>,
}

/// Times after a shock, in requests, over seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShockTimes {
    /// Seeds in which it happened.
    pub seeds: u64,
    /// Seeds in which it did not before the next shock or the end.
    pub never: u64,
    /// Over the seeds in which it happened; absent without any.
    pub requests: Option<Times>,
}

/// Median and range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// Median.
    pub median: f64,
    /// Shortest.
    pub low: f64,
    /// Longest.
    pub high: f64,
}

/// One policy on a logged replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoggedLearner {
    /// The policy.
    pub name: String,
    /// DR-ns: every event counts, accepted ones teach (Dudík et al. 2012).
    pub dr_ns: LoggedEstimate,
    /// The mean of the accepted events alone, by weighted rejection.
    pub rejection: LoggedEstimate,
}

/// What the policy's first accepted requests are worth, mean per request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoggedEstimate {
    /// Mean quality, with a 95 % normal interval.
    pub quality: Interval,
    /// Mean cost in US dollars, with a 95 % normal interval.
    pub cost_usd: Interval,
    /// Events accepted: how long the learner's own history was.
    pub accepted: Band,
    /// Events used.
    pub events: Band,
    /// (Σw)²/Σw² of the importance weights `w = c·π/p`.
    pub effective: Band,
    /// Share of events whose acceptance chance `c·π/p` had to be cut at 1: a source of bias.
    pub cut_share: f64,
    /// The last acceptance multiplier c.
    pub multiplier: Band,
}

/// How to get a report again, byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearningManifest {
    /// Version of plimsoll.
    pub version: String,
    /// BLAKE3 of the log.
    pub log_digest: String,
    /// BLAKE3 of the price catalogue, when one was used.
    pub catalogue_digest: Option<String>,
    /// BLAKE3 of the policy's text.
    pub policy_digest: String,
    /// The policy's text.
    pub policy_toml: String,
    /// The first seed.
    pub seed: u64,
    /// Order of the requests: `time`, `log` or `shuffled`.
    pub order: String,
    /// How long labels take, how many there are, when they are given up.
    pub feedback: String,
    /// The command.
    pub command: String,
}
