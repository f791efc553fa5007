//! Cluster bandit.

use super::PolicyError;
use super::predictor_bandit::{PredictorBandit, PredictorRule, UCB_WIDTH};
use super::reward::Reward;
use crate::context::Context;
use crate::predictor::{Predictor, PredictorConfig, PredictorKind, TrainingRows};

/// A bandit per cluster of contexts, shrunk to the arm's own mean.
///
/// The centres are found once, by spherical k-means on contexts of past requests; no outcomes are
/// needed for it. A context consults its nearest clusters together: per arm a Beta posterior over
/// their outcomes, whose mean + width·√variance is the score. `explore` puts another rule over
/// the same clusters.
///
/// Avengers-Pro routes by k-means and a score per cluster, arXiv 2508.12631; as a bandit: Nguyen &
/// Lauw 2014, "Dynamic clustering of contextual multi-armed bandits", doi:10.1145/2661829.2662063.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `config` | [`PredictorConfig`] of clusters | | `clusters` (32), `nearest` (2), `shrink` (10), prior |
/// | `explore` | UCB of width 1 | | how clusters' outcomes become probabilities |
/// | `reward` | quality | | what is maximised |
///
/// ```
/// use plimsoll::{ClusterBandit, Context, Outcome, Policy, Quality};
/// let (here, there) = (Context::new(vec![1.0, 0.0])?, Context::new(vec![0.0, 1.0])?);
/// let mut bandit = ClusterBandit::default();
/// bandit.config.nearest = 1;
/// let mut policy = bandit.policy(2, &[here.clone(), there.clone()])?;
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
pub struct ClusterBandit {
    /// Settings of the clusters; the `kind` is set.
    pub config: PredictorConfig,
    /// How outcomes become probabilities.
    pub explore: PredictorRule,
    /// What is maximised.
    pub reward: Reward,
}

impl Default for ClusterBandit {
    fn default() -> Self {
        Self {
            config: PredictorConfig::new(PredictorKind::Clusters),
            explore: PredictorRule::Ucb { width: UCB_WIDTH },
            reward: Reward::default(),
        }
    }
}

impl ClusterBandit {
    pub(crate) const NAME: &'static str = "cluster-bandit";

    /// With centres found among these contexts, and no outcomes yet.
    ///
    /// # Errors
    /// [`PolicyError`] without arms, for contexts that do not fit together, or when a parameter is
    /// out of range.
    pub fn policy(self, arms: usize, contexts: &[Context]) -> Result<PredictorBandit, PolicyError> {
        let kind = PredictorKind::Clusters;
        let config = PredictorConfig {
            kind,
            ..self.config
        };
        let rows = TrainingRows {
            contexts,
            arms,
            quality: &vec![None; contexts.len() * arms],
            weights: None,
        };
        PredictorBandit::new(Predictor::fit(&config, &rows)?, self.explore, self.reward)
    }
}
