//! Tuning that proves what it promises, and the certificate it leaves behind.
//!
//! [`tune`] cuts a log into three disjoint parts by cluster. Predictors are fitted on the first;
//! predictors, rules and thresholds are compared on the second, which leaves one path from the
//! safest policy to the cheapest; the third tests that path once, by fixed-sequence Learn-then-Test
//! (Angelopoulos, Bates, Candès, Jordan & Lei 2021, arXiv:2110.01052): each policy at level δ, in
//! order, until the first that fails. The last that passed is certified: whatever the first two
//! parts suggested, a policy truly below the line is certified in at most δ of all logs, because
//! the first such policy on the path is the only one that can go wrong.
//!
//! [`check`] replays a certified router, as it was stored, on a newer log, with a bound that may be
//! read after every request, so that looking again at a growing log costs nothing.
//!
//! ```
//! use plimsoll::{ObjectiveConfig, PolicyConfig, PredictorChoice, Seed};
//! use plimsoll_datasets::{Input, ReadOptions, read};
//! use plimsoll_harness::certificate::{TuneOptions, Tuning, tune};
//! use plimsoll_harness::{ReplayInput, RowCounts};
//!
//! let mut rows = String::from("request_id,model,task,quality,cost_usd\n");
//! for i in 0..1200 {
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
//! let mut policy = PolicyConfig::new(ObjectiveConfig::retain(0.95));
//! policy.predictor.kind = PredictorChoice::Tasks;
//! let options = TuneOptions::new(policy, Seed(1));
//! let Tuning::Certified(certified) = tune(&input, &options, &|_| ())? else {
//!     panic!("twelve hundred requests suffice here");
//! };
//! assert!(certified.certificate.bound.low >= 0.0);
//! assert!(certified.certificate.savings.fraction.low > 0.2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod error;
mod evidence;
mod fresh;
mod labels;
mod options;
mod parts;
mod path;
mod record;
mod replayed;
mod segments;
mod sequence;
mod traffic;
mod tuning;

pub use check::{CheckOptions, check};
pub use error::CertificateError;
pub use evidence::binomial_p;
pub use options::{Certified, TuneOptions, TuneStage, Tuning};
pub use parts::Shares;
pub use path::{STEP_SAVING, STEPS_MAX};
pub use record::{
    ArmTraffic, Bound, CERTIFICATE_SCHEMA, Certificate, CertifiedSegment, Check, CheckRows,
    Digests, Expiry, Files, LabelArm, LabelPlan, LabelRequest, LabelSegment, Look, LookedAt,
    NextStep, Part, Parts, PolicyLine, SegmentMode, SegmentStatus, Shift, Shortfall, Standing,
    Tested, TestedPolicy, TrafficShare,
};
pub use traffic::{EXPIRY_DAYS, PRICE_SHIFT_MAX, PSI_MAX, RequestFilter};
pub use tuning::tune;
