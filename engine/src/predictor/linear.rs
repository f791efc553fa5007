//! Bayesian ridge regression per arm.
//!
//! A = Λ₀ + Σ γ^{t−s} w x xᵀ, b = Σ γ^{t−s} w (r − m₀) x, θ = A⁻¹b, mean = m₀ + xᵀθ,
//! variance = σ² xᵀA⁻¹x. x carries an intercept of its own, whose entry of the diagonal Λ₀ is the
//! prior's strength; the others are λ₀. σ² is the posterior mean of the noise variance.

use serde::{Deserialize, Serialize};

use super::arrival::Belief;
use super::config::VARIANCE_INFLATION_MAX;
use super::{
    Detail, Posterior, Precision, PredictScratch, Prediction, PredictorConfig, PredictorError,
    TrainingRows, share,
};

/// Noise variance before any outcome: that of a fair coin.
const NOISE_PRIOR: f64 = 0.25;
/// Outcomes the noise prior counts for.
const NOISE_PRIOR_COUNT: f64 = 2.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Linear {
    /// Distinct precision matrices: arms observed on the same rows share one until they part.
    precisions: Vec<Precision>,
    /// Per arm, its precision matrix.
    shared: Vec<usize>,
    arms: Vec<Posterior>,
}

/// The features with an intercept at the end.
pub(super) fn with_intercept(x: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len() + 1);
    out.extend_from_slice(x);
    out.push(1.0);
    out
}

/// As [`with_intercept`], in space that is reused.
pub(super) fn extended<'a>(x: &[f64], out: &'a mut Vec<f64>) -> &'a [f64] {
    out.clear();
    out.extend_from_slice(x);
    out.push(1.0);
    out
}

/// Diagonal of Λ₀.
pub(super) fn ridge(config: &PredictorConfig, dimensions: usize) -> Vec<f64> {
    let mut ridge = vec![config.ridge; dimensions + 1];
    ridge[dimensions] = config.prior_strength;
    ridge
}

impl Linear {
    pub(super) fn prior(config: &PredictorConfig, arms: usize, dimensions: usize) -> Self {
        Self {
            precisions: vec![Precision::prior(&ridge(config, dimensions))],
            shared: vec![0; arms],
            arms: vec![Posterior::prior(dimensions + 1); arms],
        }
    }

    pub(super) fn fit(
        config: &PredictorConfig,
        rows: &TrainingRows<'_>,
        dimensions: usize,
    ) -> Result<Self, PredictorError> {
        let mut linear = Self::prior(config, rows.arms, dimensions);
        linear.precisions.clear();
        let ridge = ridge(config, dimensions);
        // The rows seen by the first arm of each shared matrix.
        let mut patterns: Vec<Vec<usize>> = Vec::new();
        for arm in 0..rows.arms {
            let seen: Vec<usize> = rows.labelled(arm).map(|(row, _)| row).collect();
            let known = patterns.iter().position(|pattern| *pattern == seen);
            linear.shared[arm] = if let Some(known) = known {
                known
            } else {
                let precision =
                    batch(config, rows, &seen, &ridge).ok_or(PredictorError::Singular { arm })?;
                linear.precisions.push(precision);
                patterns.push(seen);
                patterns.len() - 1
            };
            let posterior = &mut linear.arms[arm];
            let mut x = vec![1.0; dimensions + 1];
            for (row, quality) in rows.labelled(arm) {
                x[..dimensions].copy_from_slice(&rows.contexts[row].features);
                let y = quality - config.prior_mean;
                posterior.push(config.forgetting, &x, y, rows.weight(row));
            }
            posterior.solve(linear.precisions[linear.shared[arm]].factor());
        }
        Ok(linear)
    }

    pub(super) fn predict(
        &self,
        config: &PredictorConfig,
        detail: Detail,
        x: &[f64],
        scratch: &mut PredictScratch,
        out: &mut Vec<Prediction>,
    ) {
        let PredictScratch {
            x: own,
            solve,
            spreads,
            ..
        } = scratch;
        let x = extended(x, own);
        spreads.clear();
        spreads.resize(self.precisions.len(), None);
        for (posterior, &shared) in self.arms.iter().zip(&self.shared) {
            let variance = match detail {
                Detail::Means => 0.0,
                Detail::Full => {
                    let spread = *spreads[shared].get_or_insert_with(|| {
                        self.precisions[shared].factor().quadratic(x, solve)
                    });
                    let noise = posterior.noise(NOISE_PRIOR_COUNT, NOISE_PRIOR);
                    (noise * spread)
                        .min(VARIANCE_INFLATION_MAX * NOISE_PRIOR / config.prior_strength)
                }
            };
            let mean = (config.prior_mean + posterior.predict(x)).clamp(0.0, 1.0);
            out.push(Prediction { mean, variance });
        }
    }

    pub(super) fn update(
        &mut self,
        config: &PredictorConfig,
        x: &[f64],
        arm: usize,
        r: f64,
        weight: f64,
    ) {
        let ridge = ridge(config, x.len());
        let x = with_intercept(x);
        let owners = self
            .shared
            .iter()
            .filter(|s| **s == self.shared[arm])
            .count();
        if owners > 1 {
            self.precisions
                .push(self.precisions[self.shared[arm]].clone());
            self.shared[arm] = self.precisions.len() - 1;
        }
        let precision = &mut self.precisions[self.shared[arm]];
        precision.update(&ridge, config.forgetting, &x, weight);
        let posterior = &mut self.arms[arm];
        posterior.push(config.forgetting, &x, r - config.prior_mean, weight);
        posterior.solve(precision.factor());
    }

    /// Answers the first arm whose matrix could not be factorised.
    pub(super) fn discount_to(
        &mut self,
        config: &PredictorConfig,
        dimensions: usize,
        outcomes: f64,
    ) -> Result<(), PredictorError> {
        let ridge = ridge(config, dimensions);
        // Arms that share a matrix have seen the same rows.
        let mut shares: Vec<Option<f64>> = vec![None; self.precisions.len()];
        for (arm, (posterior, shared)) in self.arms.iter_mut().zip(&self.shared).enumerate() {
            let share = share(outcomes, posterior.weight());
            posterior.discount(&ridge, share);
            if shares[*shared].replace(share).is_none()
                && !self.precisions[*shared].discount(&ridge, share)
            {
                return Err(PredictorError::Singular { arm });
            }
        }
        Ok(())
    }

    pub(super) fn add_arm(&mut self, config: &PredictorConfig, dimensions: usize, belief: &Belief) {
        let ridge = ridge(config, dimensions);
        let (precision, mut posterior) = if let Some(like) = belief.like {
            let known = &self.arms[like];
            let share = belief.share_of(known.weight());
            let precision = self.precisions[self.shared[like]].times(&ridge, share);
            (precision, known.times(share))
        } else {
            let mut precision = Precision::prior(&ridge);
            let mut posterior = Posterior::prior(dimensions + 1);
            let x = with_intercept(&vec![0.0; dimensions]);
            let y = belief.quality - config.prior_mean;
            precision.update(&ridge, 1.0, &x, belief.strength);
            posterior.push(1.0, &x, y, belief.strength);
            (precision, posterior)
        };
        posterior.solve(precision.factor());
        self.precisions.push(precision);
        self.shared.push(self.precisions.len() - 1);
        self.arms.push(posterior);
    }

    pub(super) fn condition(&self) -> f64 {
        self.precisions
            .iter()
            .map(|p| p.factor().condition())
            .fold(1.0, f64::max)
    }

    pub(super) fn is_sound(&self, arms: usize, dimensions: usize) -> bool {
        let dim = dimensions + 1;
        self.arms.len() == arms
            && self.shared.len() == arms
            && self.shared.iter().all(|s| *s < self.precisions.len())
            && self.precisions.iter().all(|p| p.is_sound(dim))
            && self.arms.iter().all(|a| a.is_sound(dim))
    }
}

/// The precision matrix of an arm seen on these rows, each decayed by the later ones.
fn batch(
    config: &PredictorConfig,
    rows: &TrainingRows<'_>,
    seen: &[usize],
    ridge: &[f64],
) -> Option<Precision> {
    let mut matrix = Vec::with_capacity(seen.len() * ridge.len());
    for &row in seen {
        matrix.extend_from_slice(&rows.contexts[row].features);
        matrix.push(1.0);
    }
    let mut weights: Vec<f64> = seen.iter().map(|&row| rows.weight(row)).collect();
    if config.forgetting < 1.0 {
        let mut decay = 1.0;
        for weight in weights.iter_mut().rev() {
            *weight *= decay;
            decay *= config.forgetting;
        }
    }
    let plain = rows.weights.is_none() && config.forgetting >= 1.0;
    Precision::batch(ridge, &matrix, (!plain).then_some(&weights))
}
