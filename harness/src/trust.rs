//! Whether a log with propensities can carry a verdict.
//!
//! Off-policy estimates divide by the propensities p that the log recorded. When those are wrong,
//! too small, or leave out what the judged policy wants to do, an estimate is confidently wrong.
//! Nothing here looks at rewards (but for the labels that are missing): the checks compare what
//! was chosen with what the log says it would choose.
//!
//! For weights w_i = π(a_i|x_i)/p_i of any policy π, and s_i the probability that π puts on arms
//! which the log could have chosen, right propensities give E\[w_i | x_i\] = s_i. Every check of
//! propensities is a test of Σ_i (w_i − s_i) f(x_i) = 0, for a policy and a covariate:
//!
//! | check | policy π | covariate f |
//! |---|---|---|
//! | mean weight | the judged policy, and each arm alone | 1 |
//! | balance | each arm alone | tasks, tenants, hours, … ([`Covariate`]) |
//! | calibration | each arm alone | the propensity, where all of it is known: two arms |
//!
//! **What cannot be tested.** Only the chosen arm's propensity is recorded. With two arms the other
//! one follows; with more, wrong propensities whose errors cancel within every group that a
//! covariate tells apart pass every test. No test sees a reason for a choice that is in no column.
//! And a log that never gave an arm a chance, but does not say so, looks like one whose
//! propensities are wrong: both fail a gate, and neither can be repaired by statistics.

mod balance;
mod covariate;
mod error;
pub(crate) mod gates;
mod missing;
mod null;
mod overlap;
mod sample;

#[cfg(test)]
mod simulation;

pub use balance::{BALANCE_LEVEL, balance};
pub use covariate::{COVARIATES_MAX, Covariate, GROUP_ROWS_MIN};
pub use error::SampleError;
pub use gates::{CLIPPED_MASS_MAX, ESS_MIN, UNSUPPORTED_SHARE_MAX, WEIGHT_SHARE_MAX, gates};
pub use missing::{
    DEPENDENCE_LEVEL, Labels, Missing, UNLABELLED_GAP_MAX, UNLABELLED_SHARE_MAX, missing_labels,
};
pub use overlap::{
    MEAN_WEIGHT_LEVEL, SUPPORT_MIN, Weights, clip_default, overlap, weight_summary, weights,
};
pub use sample::LoggedSample;

use crate::evaluation::{ArmOverlap, BalanceRow, Gate, MissingLabels, WeightSummary};

/// Everything that a log with propensities says about itself; parts of a
/// [`Trust`](crate::Trust) panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Every arm's overlap.
    pub overlap: Vec<ArmOverlap>,
    /// The judged policy's weights.
    pub weights: WeightSummary,
    /// Tests of the propensities against covariates, the least p-value first.
    pub balance: Vec<BalanceRow>,
    /// Arms that lack labels.
    pub missing: Vec<MissingLabels>,
    /// What must hold for a verdict.
    pub gates: Vec<Gate>,
}

/// Runs every check. `labels` are those of all evaluated requests, also of those that the sample
/// leaves out because their label is missing. `clip` is the weight above which the clipped
/// estimator clips; `None`: [`clip_default`].
///
/// # Errors
/// [`SampleError`] when the parts of the sample do not fit together.
pub fn assess(
    sample: &LoggedSample<'_>,
    labels: &Labels<'_>,
    clip: Option<f64>,
) -> Result<Assessment, SampleError> {
    sample.check()?;
    let weights = weights(sample);
    let overlap = overlap(sample);
    let summary = weight_summary(sample, &weights, clip);
    let balance = balance(sample);
    let missing = missing_labels(labels)?;
    let gates = gates(sample, &overlap, &weights, &summary, &balance, &missing);
    Ok(Assessment {
        overlap,
        weights: summary,
        balance,
        missing: missing.arms,
        gates,
    })
}
