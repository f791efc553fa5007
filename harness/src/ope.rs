//! Off-policy evaluation: what a target policy would have got on a log of another one.
//!
//! A [`LoggedRow`] is a logged decision with its importance weight, outcome and predictions. An
//! [`Estimator`] turns it into [`Terms`]; an [`Accumulator`] sums them exactly, so that streams,
//! threads and machines give one answer, and [`Joint`] and [`SavingsAccumulator`] do so for several
//! outcomes with their covariances. [`fused`] does seven estimators in one pass over columns in
//! memory, [`PoissonBootstrap`] resamples clusters. [`tune`] picks a clip, τ or λ on rows that are
//! then not used for the estimate.
//!
//! ```
//! use plimsoll_harness::ope::{Accumulator, Estimator, LoggedRow};
//!
//! // The log took arm 0 with probability 0.8; the target takes arm 1 half of the time.
//! let mut estimate = Accumulator::new(Estimator::Dr);
//! for (arm, propensity, outcome) in [(0, 0.8, 1.0), (1, 0.2, 0.0), (0, 0.8, 1.0)] {
//!     estimate.push(&LoggedRow::of(&[0.5, 0.5], &[0.9, 0.3], arm, propensity, outcome)?);
//! }
//! let value = estimate.estimate().expect("there are rows");
//! assert!((value.point - 0.3917).abs() < 1e-4);
//! # Ok::<(), plimsoll_harness::ope::OpeError>(())
//! ```

mod accumulator;
mod error;
mod estimator;
pub mod fused;
pub mod lower;
mod poisson;
mod row;
mod sum;
pub mod tune;
mod weights;

pub use accumulator::{
    Accumulator, Estimate, Joint, JointEstimates, OutcomeRows, SavingsAccumulator, SavingsEstimate,
};
pub use error::OpeError;
pub use estimator::{Estimator, Family, Setting, Sums, Terms};
pub use poisson::PoissonBootstrap;
pub use row::{LoggedRow, MAGNITUDE_MAX};
pub use sum::ExactSum;

pub use weights::{WeightStatistics, Weights};
