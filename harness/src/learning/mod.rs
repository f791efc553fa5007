//! Learning policies: replay of a policy that goes on learning from the answers to its own choices.
//!
//! [`replay`] walks a log in time order. At each request the learner states its probabilities, one
//! arm is drawn, and only that arm's cost and label are shown to it: the cost at once, the label
//! after a delay, for some requests never. No label influences a decision before it is due.
//!
//! - **Full information**: every arm's answer is recorded, so the run is exact. Scenarios can be
//!   injected: an arm's quality drifts, its price changes, it appears or vanishes. Regret is
//!   counted against the cheapest feasible arm of each [`Phase`].
//! - **Logged with propensities**: a learner's own history is simulated by accepting logged events
//!   ([`DrNs`]): with probability `c·π/p` an event is what the learner would have lived through.
//!   DR-ns (Dudík et al. 2012) draws on the rejected events as well.
//!
//! Everything random is keyed by the seed and by what it is drawn for; seeds run in parallel and
//! give the same bytes on any number of threads.
//!
//! ```
//! use plimsoll::{ObjectiveConfig, PolicyConfig, Seed};
//! use plimsoll_datasets::{Input, ReadOptions, read};
//! use plimsoll_harness::learning::{LearningOptions, engine_learner, replay};
//! use plimsoll_harness::{ReplayInput, RowCounts};
//!
//! let mut rows = String::from("request_id,model,task,quality,cost_usd\n");
//! for i in 0..600 {
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
//! let policy = PolicyConfig::new(ObjectiveConfig::retain(0.9));
//! let options = LearningOptions { seeds: 3, ..LearningOptions::new(policy.clone(), Seed(1)) };
//! let report = replay(&input, &engine_learner(&policy), &options)?;
//! let learner = &report.learners[0];
//! assert!(learner.cost_usd.median < report.learners[1].cost_usd.median);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod detect;
mod engine;
mod error;
mod feedback;
mod full;
mod keyed;
mod logged;
mod options;
mod policy;
mod replay;
mod report;
mod summary;
mod world;

pub use detect::{PAGE_HINKLEY_DRIFT, PAGE_HINKLEY_THRESHOLD, PageHinkley, recovered};
pub use engine::{BURN_IN_PER_ARM, EngineLearner, engine_learner};
pub use error::LearningError;
pub use logged::{Acceptance, DrNs, LoggedEvent, LoggedRun, simulate_history};
pub use options::{At, Change, Delay, Injection, LearningOptions, Order, Wait};
pub use policy::{
    ArmChange, EpsilonGreedy, FixedArm, LearnerStart, LearningPolicy, Observation, UniformChoice,
};
pub use replay::{
    ACCEPTED_MIN, LOGGED_MISSING_MAX, LearnerFactory, REPLAYED_MIN, SERIES_POINTS, replay,
};
pub use report::{
    Band, FeedbackCounts, LEARNING_SCHEMA_VERSION, LearnerReport, LearningArm, LearningCounts,
    LearningManifest, LearningReport, LoggedEstimate, LoggedLearner, Phase, PhaseArm, SeriesPoint,
    Shock, ShockTimes, Times, UsdBand,
};
