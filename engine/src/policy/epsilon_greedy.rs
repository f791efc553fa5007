//! ε-greedy.

use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::mean_bandit::{MeanBandit, MeanConfig, MeanRule};
use super::predictor_bandit::{PredictorBandit, PredictorRule};
use super::reward::{Reward, within};
use crate::predictor::Predictor;

/// Default of [`EpsilonGreedy::epsilon`].
pub const EPSILON_GREEDY_EPSILON: f64 = 0.1;

/// With probability ε any arm alike, otherwise the best so far; ties share.
///
/// p_a = ε_t/K + (1 − ε_t)·\[a is best\]/(number of best arms). With `hold`, ε_t = ε·min(1, hold/t)
/// after t outcomes, which is the εₙ-greedy of the paper: its regret grows like ln t where a
/// constant ε pays for exploring for ever.
///
/// Auer, Cesa-Bianchi & Fischer 2002, "Finite-time analysis of the multiarmed bandit problem",
/// figure 3, doi:10.1023/A:1013689704352.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `epsilon` | 0.1 | \[0, 1\] | share of requests that explore |
/// | `hold` | none | ≥ 1 | outcomes after which ε falls like 1/t; none: it stays |
///
/// ```
/// use plimsoll::{Context, EpsilonGreedy, MeanConfig, Outcome, Policy, Quality};
/// let mut policy = EpsilonGreedy::default().policy(2, MeanConfig::default())?;
/// let good = Outcome { quality: Some(Quality::new(1.0)?), ..Outcome::of_arm(1) };
/// policy.update(&Context::default(), &good)?;
/// let p = policy.probabilities(&Context::default())?;
/// assert!(p[0] == 0.05 && (p[1] - 0.95).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpsilonGreedy {
    /// ε, the share of requests that explore.
    pub epsilon: f64,
    /// Outcomes after which ε falls like 1/t; `None`: it stays.
    #[serde(default)]
    pub hold: Option<u64>,
}

impl Default for EpsilonGreedy {
    fn default() -> Self {
        Self {
            epsilon: EPSILON_GREEDY_EPSILON,
            hold: None,
        }
    }
}

impl EpsilonGreedy {
    pub(crate) const NAME: &'static str = "epsilon-greedy";
    /// Over a predictor.
    pub(crate) const CONTEXTUAL: &'static str = "contextual-epsilon-greedy";

    /// Over running means.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn policy(self, arms: usize, config: MeanConfig) -> Result<MeanBandit, PolicyError> {
        MeanBandit::new(arms, MeanRule::EpsilonGreedy(self), config)
    }

    /// Over a predictor of quality: the best arm is the best for the context.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range.
    pub fn over(
        self,
        predictor: Predictor,
        reward: Reward,
    ) -> Result<PredictorBandit, PolicyError> {
        PredictorBandit::new(predictor, PredictorRule::EpsilonGreedy(self), reward)
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        within("epsilon", self.epsilon, 0.0..=1.0, "[0, 1]")?;
        let hold = crate::math::count(self.hold.unwrap_or(1));
        within("hold", hold, 1.0..=f64::MAX, "[1, ∞)")
    }

    /// ε after `outcomes`.
    pub(crate) fn share(&self, outcomes: u64) -> f64 {
        match self.hold {
            Some(hold) if outcomes > hold => {
                self.epsilon * (crate::math::count(hold) / crate::math::count(outcomes))
            }
            _ => self.epsilon,
        }
    }
}
