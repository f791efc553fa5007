//! Nearest-neighbour bandit.

use super::PolicyError;
use super::predictor_bandit::{PredictorBandit, PredictorRule, UCB_WIDTH};
use super::reward::Reward;
use crate::predictor::{Predictor, PredictorConfig, PredictorKind};

/// The highest upper confidence bound among the outcomes of similar contexts.
///
/// Per arm, the k most similar contexts it answered give a Beta posterior shrunk to the arm's own
/// mean; the score is mean + width·√variance, so that an arm without neighbours here is tried.
/// `explore` puts another rule, inverse-gap weighting for instance, over the same neighbours.
///
/// Guan & Jiang 2018, "Nonparametric stochastic contextual bandits", algorithm 1 (k-NN UCB),
/// arXiv 1801.01750; "simple kNN matches learned routers", arXiv 2505.12601.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `config` | [`PredictorConfig`] of knn | | `neighbours` (50), `shrink` (10), `rows_max`, prior |
/// | `explore` | UCB of width 1 | | how neighbours' outcomes become probabilities |
/// | `reward` | quality | | what is maximised |
///
/// ```
/// use plimsoll::{Context, KnnBandit, Outcome, Policy, Quality};
/// let mut policy = KnnBandit::default().policy(2, 2)?;
/// let (here, there) = (Context::new(vec![1.0, 0.0])?, Context::new(vec![0.0, 1.0])?);
/// for i in 0..400 {
///     let (context, arm) = (if i % 2 == 0 { &here } else { &there }, i / 2 % 2);
///     let quality = Some(Quality::new(if i % 2 == arm { 1.0 } else { 0.0 })?);
///     policy.update(context, &Outcome { quality, ..Outcome::of_arm(arm) })?;
/// }
/// assert_eq!(policy.probabilities(&here)?, [1.0, 0.0]);
/// assert_eq!(policy.probabilities(&there)?, [0.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnnBandit {
    /// Settings of the neighbours; the `kind` is set.
    pub config: PredictorConfig,
    /// How outcomes become probabilities.
    pub explore: PredictorRule,
    /// What is maximised.
    pub reward: Reward,
}

impl Default for KnnBandit {
    fn default() -> Self {
        Self {
            config: PredictorConfig::new(PredictorKind::Knn),
            explore: PredictorRule::Ucb { width: UCB_WIDTH },
            reward: Reward::default(),
        }
    }
}

impl KnnBandit {
    pub(crate) const NAME: &'static str = "knn-bandit";

    /// Over no outcomes yet, for `dimensions` features.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn policy(self, arms: usize, dimensions: usize) -> Result<PredictorBandit, PolicyError> {
        let kind = PredictorKind::Knn;
        let config = PredictorConfig {
            kind,
            ..self.config
        };
        let predictor = Predictor::prior(&config, arms, dimensions)?;
        PredictorBandit::new(predictor, self.explore, self.reward)
    }
}
