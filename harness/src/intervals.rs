//! Intervals: every method, its assumptions, and the choice between them.

mod capital;
mod weighted;

pub use capital::{betting_lower_above, betting_lower_nonnegative};
pub use weighted::{Baseline, WeightedRewards};
