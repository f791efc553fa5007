//! SquareCB.

use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::predictor_bandit::{PredictorBandit, PredictorRule};
use super::reward::{Reward, within};
use crate::predictor::{Predictor, PredictorConfig, PredictorKind};

/// Default of [`SquareCb::gamma_scale`].
pub const GAMMA_SCALE: f64 = 10.0;
/// Default of [`SquareCb::gamma_exponent`].
pub const GAMMA_EXPONENT: f64 = 0.5;

/// Inverse-gap weighting over a regression of quality: exact propensities in closed form.
///
/// With predictions û and the best û*: p_a = 1/(K + γ_t·(û* − û_a)) for arms below the best, the
/// rest to the best; ties share. γ_t = s·t^ρ after t outcomes. Regret is that of the regression
/// times √(K·T), whatever the contexts.
///
/// Foster & Rakhlin 2020, "Beyond UCB: optimal and efficient contextual bandits with regression
/// oracles", algorithm 1, arXiv 2002.04926; the paper's γ = √(K·T/Reg) is s·t^½ with s set by the
/// problem.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `gamma_scale` | 10 | (0, 1e12\] | s: larger explores less |
/// | `gamma_exponent` | 0.5 | \[0, 2\] | ρ: how fast exploring fades |
///
/// ```
/// use plimsoll::{Context, Outcome, Policy, Quality, Reward, SquareCb};
/// let mut policy = SquareCb::default().policy(2, 1, Reward::default())?;
/// let context = Context::new(vec![1.0])?;
/// assert_eq!(policy.probabilities(&context)?, [0.5, 0.5]);
/// for _ in 0..50 {
///     let good = Outcome { quality: Some(Quality::new(1.0)?), ..Outcome::of_arm(1) };
///     policy.update(&context, &good)?;
/// }
/// assert!(policy.probabilities(&context)?[1] > 0.9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SquareCb {
    /// s of γ_t = s·t^ρ.
    pub gamma_scale: f64,
    /// ρ of γ_t = s·t^ρ.
    pub gamma_exponent: f64,
}

impl Default for SquareCb {
    fn default() -> Self {
        Self {
            gamma_scale: GAMMA_SCALE,
            gamma_exponent: GAMMA_EXPONENT,
        }
    }
}

impl SquareCb {
    pub(crate) const NAME: &'static str = "square-cb";

    /// Over a ridge regression per arm that knows nothing yet, for `dimensions` features.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn policy(
        self,
        arms: usize,
        dimensions: usize,
        reward: Reward,
    ) -> Result<PredictorBandit, PolicyError> {
        let config = PredictorConfig::new(PredictorKind::Linear);
        self.over(Predictor::prior(&config, arms, dimensions)?, reward)
    }

    /// Over any predictor of quality.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range.
    pub fn over(
        self,
        predictor: Predictor,
        reward: Reward,
    ) -> Result<PredictorBandit, PolicyError> {
        PredictorBandit::new(predictor, PredictorRule::InverseGap(self), reward)
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        let scale = f64::MIN_POSITIVE..=1e12;
        within("gamma_scale", self.gamma_scale, scale, "(0, 1e12]")?;
        within("gamma_exponent", self.gamma_exponent, 0.0..=2.0, "[0, 2]")
    }

    /// γ after `outcomes`.
    pub(crate) fn gamma(&self, outcomes: u64) -> f64 {
        let t = crate::math::count(outcomes.max(1));
        self.gamma_scale * libm::pow(t, self.gamma_exponent)
    }
}
