//! UCB1.

use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::mean_bandit::{MeanBandit, MeanConfig, MeanRule};
use super::reward::within;

/// Default of [`Ucb1::exploration`]: that of the paper.
pub const UCB1_EXPLORATION: f64 = 2.0;

/// The arm of highest upper confidence bound x̄_a + √(ρ·ln t / n_a); arms never tried come first.
///
/// n_a: outcomes of the arm, t = Σn_a, x̄_a ∈ [0, 1] their mean. Deterministic up to ties, so that
/// its propensities are 1 and its log cannot evaluate other policies. With forgetting, n and t
/// are discounted sums (discounted UCB, Garivier & Moulines 2011, arXiv 0805.3415).
///
/// Auer, Cesa-Bianchi & Fischer 2002, figure 1, doi:10.1023/A:1013689704352.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `exploration` | 2 | \[0, 1e6\] | ρ; ½ is the least with logarithmic regret, and often better |
///
/// ```
/// use plimsoll::{Context, MeanConfig, Outcome, Policy, Quality, Ucb1};
/// let mut policy = Ucb1::default().policy(3, MeanConfig::default())?;
/// let good = Outcome { quality: Some(Quality::new(1.0)?), ..Outcome::of_arm(1) };
/// policy.update(&Context::default(), &good)?;
/// assert_eq!(policy.probabilities(&Context::default())?, [0.5, 0.0, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ucb1 {
    /// ρ of √(ρ·ln t / n).
    pub exploration: f64,
}

impl Default for Ucb1 {
    fn default() -> Self {
        Self {
            exploration: UCB1_EXPLORATION,
        }
    }
}

impl Ucb1 {
    pub(crate) const NAME: &'static str = "ucb1";

    /// Over running means.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn policy(self, arms: usize, config: MeanConfig) -> Result<MeanBandit, PolicyError> {
        MeanBandit::new(arms, MeanRule::Ucb1(self), config)
    }

    pub(crate) fn check(self) -> Result<(), PolicyError> {
        within("exploration", self.exploration, 0.0..=1e6, "[0, 1e6]")
    }

    /// The bound of an arm with outcomes worth `weight`, of `total`.
    pub(crate) fn index(self, mean: f64, weight: f64, total: f64) -> f64 {
        if weight > 0.0 {
            let log = crate::math::ln(total.max(1.0));
            mean + (self.exploration * log / weight).sqrt()
        } else {
            f64::INFINITY
        }
    }
}
