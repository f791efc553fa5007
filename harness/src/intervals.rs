//! Intervals: every method, its assumptions, and the choice between them.
//!
//! [`choose`] names the method that data of a kind allow, with a reason; [`interval`] and
//! [`lower_bound`] run it. A [`Purpose::Claim`] always gets a bound that holds at any number of
//! rows; a [`Purpose::Description`] gets a narrower asymptotic interval where the data are ample.
//!
//! | method | holds | needs |
//! |---|---|---|
//! | Clopper–Pearson ([`bounds`](crate::bounds)) | always | independent 0/1 outcomes |
//! | betting ([`bounds`](crate::bounds)) | always | a known range, independent clusters |
//! | [`betting_lower_nonnegative`], [`WeightedRewards`] | always | right propensities, rewards in [0, 1] |
//! | [`hcope_lower`] | always | the same; kept for comparison |
//! | [`PairedCosts::ratio`], [`WeightedRewards::ratio`] | always | a known largest cost |
//! | [`Robust`], [`Bootstrap`](crate::bootstrap::Bootstrap) | in the limit | ample contributions, clusters, effective rows |
//!
//! The figures behind the limits are printed by the coverage simulation of the benches.

mod capital;
mod choice;
mod hcope;
mod robust;
mod sample;
mod savings;
mod sequence;
mod support;
mod weighted;

pub(crate) use capital::{Stream, mixture_lower};
pub use capital::{betting_lower_above, betting_lower_nonnegative};
pub use choice::{
    CLUSTERS_MIN, CONTRIBUTIONS_MIN, Choice, ESS_MIN, Facts, Method, Purpose, choose,
};
pub use hcope::hcope_lower;
pub use robust::Robust;
pub use sample::{Chosen, Question, Sample, interval, lower_bound};
pub use savings::PairedCosts;
pub use support::Support;
pub use weighted::{Baseline, Predictions, WeightedRewards};
