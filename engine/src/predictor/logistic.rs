//! Logistic regression per arm with a Laplace posterior; quality is a fractional response.
//!
//! Batch: minimise Σ w·loss(r, σ(m̄ + xᵀm)) + ½ mᵀΛ₀m by quasi-Newton steps whose matrix
//! c·Gram + Λ₀ follows the mean curvature c. Online: `A += w p(1−p) x xᵀ`, `m += w A⁻¹x (r − p)`.
//! Mean `σ(η/√(1 + πv/8))` with `v = xᵀA⁻¹x` (moderated output, doi:10.1162/neco.1992.4.5.720).
//! m̄ is the logit of the prior mean; x carries an intercept with the prior's strength.

use serde::{Deserialize, Serialize};

use super::arrival::Belief;
use super::config::VARIANCE_INFLATION_MAX;
use super::linear::{extended, ridge, with_intercept};
use super::{
    Precision, PredictScratch, Prediction, PredictorConfig, PredictorError, TrainingRows, share,
};
use crate::linalg::{Symmetric, are_usable, axpy, dot};
use crate::math;

/// Most quasi-Newton steps of a batch fit.
const STEPS_MAX: usize = 40;
/// A batch fit stops when no linear predictor of a training row moves more than this.
const STEP_TOLERANCE: f64 = 1e-5;
/// Halvings of a step that would raise the loss.
const HALVINGS_MAX: usize = 20;
/// Least curvature of one outcome, so that saturated outcomes still count as evidence.
const CURVATURE_MIN: f64 = 1e-3;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Logistic {
    arms: Vec<Arm>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Arm {
    precision: Precision,
    /// Weights m, shape (d + 1).
    m: Vec<f64>,
}

/// One arm's training data with an intercept.
struct Data {
    /// Shape (n, d + 1), row-major.
    x: Vec<f64>,
    r: Vec<f64>,
    w: Vec<f64>,
    offset: f64,
}

impl Logistic {
    pub(super) fn prior(config: &PredictorConfig, arms: usize, dimensions: usize) -> Self {
        let precision = Precision::prior(&prior_precision(config, dimensions));
        Self {
            arms: vec![
                Arm {
                    precision,
                    m: vec![0.0; dimensions + 1]
                };
                arms
            ],
        }
    }

    pub(super) fn fit(
        config: &PredictorConfig,
        rows: &TrainingRows<'_>,
        dimensions: usize,
    ) -> Result<Self, PredictorError> {
        let mut logistic = Self::prior(config, rows.arms, dimensions);
        let ridge = prior_precision(config, dimensions);
        let mut last: Option<(Vec<usize>, Symmetric)> = None;
        for arm in 0..rows.arms {
            let data = Data::of(config, rows, arm, dimensions);
            if data.r.is_empty() {
                continue;
            }
            let seen: Vec<usize> = rows.labelled(arm).map(|(row, _)| row).collect();
            let gram = match last.take() {
                Some((pattern, gram)) if pattern == seen => gram,
                _ => {
                    let mut gram = Symmetric::zeros(dimensions + 1);
                    gram.add_gram(&data.x, Some(&data.w));
                    gram
                }
            };
            logistic.arms[arm] =
                fit_arm(&data, &gram, &ridge).ok_or(PredictorError::Singular { arm })?;
            last = Some((seen, gram));
        }
        Ok(logistic)
    }

    /// Mean and variance of each arm's logit η.
    pub(super) fn logits(
        &self,
        config: &PredictorConfig,
        x: &[f64],
        scratch: &mut PredictScratch,
        out: &mut Vec<Prediction>,
    ) {
        let PredictScratch { x: own, solve, .. } = scratch;
        let x = extended(x, own);
        let offset = math::logit(config.prior_mean);
        // The spread of an arm without outcomes at an average context.
        let prior = 4.0 / config.prior_strength;
        out.extend(self.arms.iter().map(|arm| {
            let mean = offset + dot(&arm.m, x);
            let spread = arm.precision.factor().quadratic(x, solve);
            let variance = spread.min(VARIANCE_INFLATION_MAX * prior);
            Prediction { mean, variance }
        }));
    }

    pub(super) fn predict(
        &self,
        config: &PredictorConfig,
        x: &[f64],
        scratch: &mut PredictScratch,
        out: &mut Vec<Prediction>,
    ) {
        self.logits(config, x, scratch, out);
        for prediction in out {
            let Prediction {
                mean: eta,
                variance: spread,
            } = *prediction;
            let mean = math::sigmoid(eta / (1.0 + std::f64::consts::PI * spread / 8.0).sqrt());
            // No distribution on [0, 1] varies more than mean·(1 − mean).
            let slope = mean * (1.0 - mean);
            *prediction = Prediction {
                mean,
                variance: (slope * slope * spread).min(slope),
            };
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
        let ridge = prior_precision(config, x.len());
        let x = with_intercept(x);
        let Arm { precision, m } = &mut self.arms[arm];
        let p = math::sigmoid(math::logit(config.prior_mean) + dot(m, &x));
        let curvature = (p * (1.0 - p)).max(CURVATURE_MIN);
        precision.update(&ridge, config.forgetting, &x, weight * curvature);
        let mut step: Vec<f64> = x.iter().map(|x| weight * (r - p) * x).collect();
        precision.factor().solve(&mut step);
        axpy(1.0, &step, m);
    }

    /// `seen`: outcomes of each arm. Answers the first arm that could not be factorised.
    pub(super) fn discount_to(
        &mut self,
        config: &PredictorConfig,
        dimensions: usize,
        seen: &[u64],
        outcomes: f64,
    ) -> Result<(), PredictorError> {
        let ridge = prior_precision(config, dimensions);
        for (arm, (known, seen)) in self.arms.iter_mut().zip(seen).enumerate() {
            let share = share(outcomes, math::count(*seen));
            if !known.precision.discount(&ridge, share) {
                return Err(PredictorError::Singular { arm });
            }
        }
        Ok(())
    }

    /// `known`: outcomes that the arm taken over has learned and not forgotten.
    pub(super) fn add_arm(
        &mut self,
        config: &PredictorConfig,
        dimensions: usize,
        belief: &Belief,
        known: f64,
    ) {
        let ridge = prior_precision(config, dimensions);
        let arm = if let Some(like) = belief.like {
            let Arm { precision, m } = &self.arms[like];
            let precision = precision.times(&ridge, belief.share_of(known));
            let m = m.clone();
            Arm { precision, m }
        } else {
            let offset = math::logit(config.prior_mean);
            let intercept = stated_intercept(offset, ridge[dimensions], belief);
            let p = math::sigmoid(offset + intercept);
            let mut precision = Precision::prior(&ridge);
            let x = with_intercept(&vec![0.0; dimensions]);
            let curvature = (p * (1.0 - p)).max(CURVATURE_MIN);
            precision.update(&ridge, 1.0, &x, belief.strength * curvature);
            let mut m = vec![0.0; dimensions + 1];
            m[dimensions] = intercept;
            Arm { precision, m }
        };
        self.arms.push(arm);
    }

    pub(super) fn condition(&self) -> f64 {
        self.arms
            .iter()
            .map(|a| a.precision.factor().condition())
            .fold(1.0, f64::max)
    }

    pub(super) fn is_sound(&self, arms: usize, dimensions: usize) -> bool {
        let dim = dimensions + 1;
        self.arms.len() == arms
            && self
                .arms
                .iter()
                .all(|a| a.precision.is_sound(dim) && a.m.len() == dim && are_usable(&a.m))
    }
}

/// The m that maximises the posterior of `strength` outcomes of mean `quality`: the root of
/// strength·(quality − σ(offset + m)) = ridge·m, by bisection.
fn stated_intercept(offset: f64, ridge: f64, belief: &Belief) -> f64 {
    let (mut low, mut high) = (-40.0_f64, 40.0_f64);
    for _ in 0..100 {
        let m = f64::midpoint(low, high);
        let slope = belief.strength * (belief.quality - math::sigmoid(offset + m)) - ridge * m;
        if slope > 0.0 { low = m } else { high = m }
    }
    f64::midpoint(low, high)
}

/// Diagonal of Λ₀: an outcome carries at most a quarter of a unit of information about η.
fn prior_precision(config: &PredictorConfig, dimensions: usize) -> Vec<f64> {
    let mut ridge = ridge(config, dimensions);
    ridge[dimensions] /= 4.0;
    ridge
}

impl Data {
    fn of(
        config: &PredictorConfig,
        rows: &TrainingRows<'_>,
        arm: usize,
        dimensions: usize,
    ) -> Self {
        let offset = math::logit(config.prior_mean);
        let mut data = Self {
            x: Vec::new(),
            r: Vec::new(),
            w: Vec::new(),
            offset,
        };
        data.x.reserve(rows.contexts.len() * (dimensions + 1));
        for (row, quality) in rows.labelled(arm) {
            data.x.extend_from_slice(&rows.contexts[row].features);
            data.x.push(1.0);
            data.r.push(quality);
            data.w.push(rows.weight(row));
        }
        let mut decay = 1.0;
        for weight in data.w.iter_mut().rev() {
            *weight *= decay;
            decay *= config.forgetting;
        }
        data
    }

    /// Linear predictors of all rows.
    fn eta(&self, m: &[f64]) -> Vec<f64> {
        self.x
            .chunks_exact(m.len())
            .map(|x| self.offset + dot(x, m))
            .collect()
    }

    /// Σ w·cross-entropy + ½ mᵀΛ₀m.
    fn loss(&self, eta: &[f64], m: &[f64], ridge: &[f64]) -> f64 {
        let fit: f64 = eta
            .iter()
            .zip(&self.r)
            .zip(&self.w)
            .map(|((eta, r), w)| w * (softplus(*eta) - r * eta))
            .sum();
        fit + 0.5 * m.iter().zip(ridge).map(|(m, l)| l * m * m).sum::<f64>()
    }
}

/// ln(1 + eˣ).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + math::ln(1.0 + math::exp(-x.abs()))
}

fn fit_arm(data: &Data, gram: &Symmetric, ridge: &[f64]) -> Option<Arm> {
    let dim = ridge.len();
    let total: f64 = data.w.iter().sum();
    let mut m = vec![0.0; dim];
    let mut eta = data.eta(&m);
    let mut loss = data.loss(&eta, &m, ridge);
    for _ in 0..STEPS_MAX {
        let (mut step, curvature) = gradient(data, &eta, &m, ridge);
        let scale = (curvature / total.max(f64::MIN_POSITIVE)).clamp(CURVATURE_MIN, 0.25);
        gram.factor(scale, ridge)?.solve(&mut step);
        let mut moved = None;
        let mut length = 1.0;
        for _ in 0..HALVINGS_MAX {
            let mut tried = m.clone();
            axpy(length, &step, &mut tried);
            let tried_eta = data.eta(&tried);
            let tried_loss = data.loss(&tried_eta, &tried, ridge);
            if tried_loss <= loss {
                moved = Some((tried, tried_eta, tried_loss));
                break;
            }
            length /= 2.0;
        }
        let Some((next, next_eta, next_loss)) = moved else {
            break;
        };
        let change = next_eta
            .iter()
            .zip(&eta)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        (m, eta, loss) = (next, next_eta, next_loss);
        if change < STEP_TOLERANCE {
            break;
        }
    }
    let weights: Vec<f64> = eta
        .iter()
        .zip(&data.w)
        .map(|(eta, w)| {
            let p = math::sigmoid(*eta);
            w * (p * (1.0 - p)).max(CURVATURE_MIN)
        })
        .collect();
    let precision = Precision::batch(ridge, &data.x, Some(&weights))?;
    Some(Arm { precision, m })
}

/// Negative gradient of the loss, and Σ w p(1−p).
fn gradient(data: &Data, eta: &[f64], m: &[f64], ridge: &[f64]) -> (Vec<f64>, f64) {
    let mut step: Vec<f64> = m.iter().zip(ridge).map(|(m, l)| -l * m).collect();
    let mut curvature = 0.0;
    for (i, x) in data.x.chunks_exact(m.len()).enumerate() {
        let p = math::sigmoid(eta[i]);
        curvature += data.w[i] * p * (1.0 - p);
        axpy(data.w[i] * (data.r[i] - p), x, &mut step);
    }
    (step, curvature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With one constant feature the optimum solves Σ(r − p) = λ₀m + …, found here by bisection.
    #[test]
    fn intercept_matches_the_scalar_optimum() {
        let contexts = vec![crate::Context::default(); 40];
        let quality: Vec<Option<f64>> =
            (0..40).map(|i| Some(f64::from(u8::from(i < 30)))).collect();
        let rows = TrainingRows {
            contexts: &contexts,
            arms: 1,
            quality: &quality,
            weights: None,
        };
        let config = PredictorConfig::new(super::super::PredictorKind::Logistic);
        let fitted = Logistic::fit(&config, &rows, 0).expect("fits");
        let (mut low, mut high) = (-10.0_f64, 10.0_f64);
        for _ in 0..200 {
            let m = f64::midpoint(low, high);
            let slope = 30.0 - 40.0 * math::sigmoid(m) - config.prior_strength / 4.0 * m;
            if slope > 0.0 { low = m } else { high = m }
        }
        assert!(
            (fitted.arms[0].m[0] - low).abs() < 1e-5,
            "{} {low}",
            fitted.arms[0].m[0]
        );
    }
}
