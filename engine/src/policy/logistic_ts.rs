//! Logistic Thompson sampling.

use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::predictor_bandit::{PredictorBandit, PredictorRule};
use super::reward::Reward;
use crate::predictor::{Predictor, PredictorConfig, PredictorKind};

/// Each arm with its probability to be the best for the context, by logistic regressions.
///
/// Per arm η = xᵀm + m̄ and q = σ(η), with η ~ N(xᵀm + m̄, xᵀΣx) by an online Laplace
/// approximation: Σ⁻¹ += w·p(1−p)·xxᵀ, m += w·Σx(r − p). Arms are independent given x, so the
/// probability ∫ f_a Π F_b is an integral over one number and is computed by quadrature to within
/// 10⁻⁸: the propensity of sampling weights from the approximate posterior, without sampling. Where
/// costs count, the integral runs over quality minus cost, and logits beyond ±30 count as ±30.
///
/// Chapelle & Li 2011, "An empirical evaluation of Thompson sampling", algorithm 3 (with the full
/// covariance in place of its diagonal).
///
/// Parameters are the regression's, in [`PredictorConfig`]: `prior_mean`, `prior_strength`,
/// `ridge`, `forgetting`.
///
/// ```
/// use plimsoll::{Context, LogisticThompson, Outcome, Policy, Quality, Reward};
/// let mut policy = LogisticThompson.policy(2, 1, Reward::default())?;
/// let context = Context::new(vec![1.0])?;
/// for _ in 0..50 {
///     let good = Outcome { quality: Some(Quality::new(1.0)?), ..Outcome::of_arm(1) };
///     policy.update(&context, &good)?;
/// }
/// assert!(policy.probabilities(&context)?[1] > 0.9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticThompson;

impl LogisticThompson {
    pub(crate) const NAME: &'static str = "logistic-thompson";

    /// Over logistic regressions that know nothing yet, for `dimensions` features.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn policy(
        self,
        arms: usize,
        dimensions: usize,
        reward: Reward,
    ) -> Result<PredictorBandit, PolicyError> {
        let config = PredictorConfig::new(PredictorKind::Logistic);
        self.with(&config, arms, dimensions, reward)
    }

    /// As [`policy`](Self::policy), with settings of the regressions; their `kind` is set.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn with(
        self,
        config: &PredictorConfig,
        arms: usize,
        dimensions: usize,
        reward: Reward,
    ) -> Result<PredictorBandit, PolicyError> {
        let kind = PredictorKind::Logistic;
        let config = PredictorConfig { kind, ..*config };
        let predictor = Predictor::prior(&config, arms, dimensions)?;
        PredictorBandit::new(predictor, PredictorRule::Thompson, reward)
    }
}
