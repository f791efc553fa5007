//! Thompson sampling over running means.

use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::arm_mean::Evidence;
use super::mean_bandit::{MeanBandit, MeanConfig, MeanRule};
use super::reward::within;
use crate::quadrature::Beta;

/// Default of [`GaussianThompson::noise_variance`]: the largest variance on [0, 1].
pub const NOISE_VARIANCE: f64 = 0.25;

/// Each arm with its probability to be the best: q_a ~ Beta(s·m + Σwr, s·(1−m) + Σw(1−r)).
///
/// s and m are the prior's strength and mean. The probability P(q_a > q_b for all b ≠ a) =
/// ∫ f_a Π F_b is computed by quadrature, not sampled: the logged propensity is that of the draw
/// to within 10⁻⁸ of exact Thompson sampling. It is worked out once per state.
///
/// Thompson 1933, doi:10.2307/2332286; Agrawal & Goyal 2012, algorithm 1, arXiv 1111.1797
/// (qualities between 0 and 1 count as fractions of a success instead of being rounded at random).
///
/// It has no parameters of its own: the prior is in [`MeanConfig`].
///
/// ```
/// use plimsoll::{BetaThompson, Context, MeanConfig, Outcome, Policy, Quality};
/// let prior = MeanConfig { prior_strength: 2.0, ..MeanConfig::default() };
/// let mut policy = BetaThompson.policy(2, prior)?;
/// let good = Outcome { quality: Some(Quality::new(1.0)?), ..Outcome::of_arm(1) };
/// policy.update(&Context::default(), &good)?;
/// // P(Beta(2, 1) > Beta(1, 1)) = 2/3.
/// assert!((policy.probabilities(&Context::default())?[1] - 2.0 / 3.0).abs() < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BetaThompson;

/// Each arm with its probability to be the best: q_a ~ N(m_a, σ²/(s + n_a)), σ² known.
///
/// m_a: mean of the outcomes and the prior, s: the prior's strength, n_a: weight of the outcomes.
/// The probability is computed by quadrature as for [`BetaThompson`].
///
/// Agrawal & Goyal 2013, "Further optimal regret bounds for Thompson sampling", algorithm 2,
/// arXiv 1209.3353, which has σ² = 1.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `noise_variance` | 0.25 | (0, 1e6\] | σ² of one outcome: larger explores more |
///
/// ```
/// use plimsoll::{Context, GaussianThompson, MeanConfig, Outcome, Policy, Quality};
/// let mut policy = GaussianThompson::default().policy(2, MeanConfig::default())?;
/// let good = Outcome { quality: Some(Quality::new(1.0)?), ..Outcome::of_arm(1) };
/// policy.update(&Context::default(), &good)?;
/// assert!(policy.probabilities(&Context::default())?[1] > 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianThompson {
    /// σ², the variance of one outcome.
    pub noise_variance: f64,
}

impl Default for GaussianThompson {
    fn default() -> Self {
        Self {
            noise_variance: NOISE_VARIANCE,
        }
    }
}

impl BetaThompson {
    pub(crate) const NAME: &'static str = "beta-thompson";

    /// Over running means.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn policy(self, arms: usize, config: MeanConfig) -> Result<MeanBandit, PolicyError> {
        MeanBandit::new(arms, MeanRule::BetaThompson(self), config)
    }

    pub(crate) fn belief(arm: &Evidence) -> Beta {
        // Rounding may leave nothing of one side when the other has 10¹⁶ times as much.
        let side = |share: f64| (arm.total * share).max(1e-6);
        Beta::new(side(arm.posterior), side(1.0 - arm.posterior))
    }
}

impl GaussianThompson {
    pub(crate) const NAME: &'static str = "gaussian-thompson";

    /// Over running means.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn policy(self, arms: usize, config: MeanConfig) -> Result<MeanBandit, PolicyError> {
        MeanBandit::new(arms, MeanRule::GaussianThompson(self), config)
    }

    pub(crate) fn check(self) -> Result<(), PolicyError> {
        let range = f64::MIN_POSITIVE..=1e6;
        within("noise_variance", self.noise_variance, range, "(0, 1e6]")
    }

    pub(crate) fn variance(self, arm: &Evidence) -> f64 {
        self.noise_variance / arm.total
    }
}
