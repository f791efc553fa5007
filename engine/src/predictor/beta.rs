//! Beta–Bernoulli: one mean per arm, whatever the context.
//!
//! Posterior: Beta(α₀ + Σ w r, β₀ + Σ w (1−r)) with α₀ = m₀s, β₀ = (1−m₀)s. With forgetting the
//! sums decay by γ at each outcome of the arm; the prior does not.

use serde::{Deserialize, Serialize};

use super::arrival::Belief;
use super::tally::Tally;
use super::{Prediction, PredictorConfig, TrainingRows, share};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Beta {
    arms: Vec<Tally>,
}

impl Beta {
    pub(super) fn prior(arms: usize) -> Self {
        Self {
            arms: vec![Tally::default(); arms],
        }
    }

    pub(super) fn fit(config: &PredictorConfig, rows: &TrainingRows<'_>) -> Self {
        let mut beta = Self::prior(rows.arms);
        for arm in 0..rows.arms {
            for (row, quality) in rows.labelled(arm) {
                beta.update(config, arm, quality, rows.weight(row));
            }
        }
        beta
    }

    pub(super) fn predict(&self, config: &PredictorConfig, out: &mut Vec<Prediction>) {
        let posterior = |t: &Tally| t.posterior(config.prior_mean, config.prior_strength);
        out.extend(self.arms.iter().map(posterior));
    }

    pub(super) fn update(&mut self, config: &PredictorConfig, arm: usize, r: f64, weight: f64) {
        self.arms[arm].push(config.forgetting, r, weight);
    }

    pub(super) fn discount_to(&mut self, outcomes: f64) {
        for arm in &mut self.arms {
            arm.decay(share(outcomes, arm.weight()));
        }
    }

    pub(super) fn add_arm(&mut self, belief: &Belief) {
        self.arms.push(belief.tally(|like| self.arms[like]).0);
    }

    pub(super) fn is_sound(&self, arms: usize) -> bool {
        self.arms.len() == arms && self.arms.iter().all(Tally::is_sound)
    }
}
