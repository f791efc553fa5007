//! Plimsoll's harness: replays a recorded log through the engine and says what a policy would
//! have saved, what it risked, and how sure that is.
//!
//! [`replay`] is the way in: it splits the log, fits and tunes on the training rows alone, judges
//! once on the others and gives an [`Evaluation`], which is data: every report only draws it.
//! [`compare`] pairs several policies request by request, [`explain`] shows one decision.
//!
//! The parts can be used alone: [`bounds`] and [`bootstrap`] for intervals, [`promise`] and
//! [`tune`] for choosing a setting under a floor, [`judge`] for the verdict, [`hull`] and
//! [`metrics`] for the field's figures.
//!
//! ```
//! use plimsoll::{Aim, ObjectiveConfig, PolicyConfig, Seed};
//! use plimsoll_datasets::{Input, ReadOptions, Split, read};
//! use plimsoll_harness::{Decision, ReplayInput, ReplayOptions, RowCounts, replay};
//!
//! // Both arms answer easy requests; only the dear one answers hard ones.
//! let mut rows = String::from("request_id,model,task,quality,cost_usd\n");
//! for i in 0..2000 {
//!     let (task, cheap) = if i % 2 == 0 { ("easy", 1) } else { ("hard", 0) };
//!     rows += &format!("r{i},cheap,{task},{cheap},0.001\nr{i},dear,{task},1,0.010\n");
//! }
//! let log = read(&Input::bytes("log.csv", rows.as_bytes()), &ReadOptions::default())?;
//! let input = ReplayInput {
//!     log: &log.log,
//!     evidence: log.report.evidence.kind,
//!     rows: RowCounts::default(),
//!     catalogue_digest: None,
//! };
//! let objective = ObjectiveConfig { aim: Aim::Proof, ..ObjectiveConfig::retain(0.95) };
//! let policy = PolicyConfig::new(objective);
//! let mut options = ReplayOptions::new(policy, Split::parse("hash:0.7")?, Seed(1));
//! // An average floor spends its slack on hard requests; that has to be accepted by name.
//! options.waived = vec!["task=hard".to_owned()];
//! let evaluation = replay(&input, &options, &|_| ())?.evaluation;
//! assert_ne!(evaluation.verdict.decision, Decision::Hold);
//! assert!(evaluation.savings.fraction.low > 0.4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bootstrap;
pub mod bounds;
pub mod candidate;
pub mod certificate;
mod compare;
pub mod confounding;
mod described;
mod error;
mod evaluation;
mod explain;
mod floor;
pub mod forecast;
pub mod hull;
pub mod intervals;
pub mod judge;
pub mod learning;
mod logged;
pub mod metrics;
pub mod ope;
pub mod promise;
mod proof;
pub mod propensity;
mod replay;
mod sections;
pub mod stream;
pub mod study;
mod table;
pub mod trust;
pub mod tune;
mod weighed;

pub use candidate::Forecasts;
pub use compare::compare;
pub use error::EvidenceError;
pub use evaluation::{
    ArmCoverage, ArmOverlap, ArmShare, ArmValue, BalanceRow, CalibrationBin, ChangedAnswer,
    Comparison, Confounding, Decision, Diagnostics, Difference, EstimatorRow, Evaluation,
    ExplainedArm, Explanation, Floor, FrontierKind, FrontierPoint, GammaBounds, Gate, Interval,
    IntervalChoice, LoggedValue, Manifest, Metrics, MissingLabels, MixRow, OffPolicy, PolicyValue,
    PredictorRow, Projection, Reference, References, RequestCounts, RowCounts, SCHEMA_VERSION,
    Savings, SavingsAt, Segment, SensitivityRow, Trust, Verdict, WeightSummary, WorstCase,
};
pub use explain::explain;
pub use replay::{
    INTERVAL_CONFIDENCE, INVOICE_TOLERANCE, LOGGED, RESAMPLES, Replay, ReplayInput, ReplayOptions,
    Stage, replay, replay_with,
};
pub use table::{ArmChoice, LOGGED_ROWS_MIN, LoggedRows, OutcomeTable, UNPRICED_SHARE_MAX};
