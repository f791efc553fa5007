//! The precision matrix of a Bayesian ridge regression, and what an arm knows besides it.

use serde::{Deserialize, Serialize};

use crate::linalg::{Cholesky, Symmetric, are_usable, axpy, dot};
use crate::sealed::COUNT_MAX;

/// Rank-1 updates between two factorisations from the Gram matrix when nothing is forgotten.
const REFACTOR_EVERY: u64 = 4_096;
/// With forgetting the ridge is restored by factorising; this many entries of the matrix are
/// worth one update of delay, so that small matrices are exact after every update.
const REFACTOR_ENTRIES: u64 = 4_096;

/// A = diag(ridge) + Σ γ^{t−s} w x xᵀ and its Cholesky factor.
///
/// The Gram part is kept beside the factor. Factorising it again removes the rounding of many
/// rank-1 updates and, with γ < 1, gives back the ridge that scaling the factor takes away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Precision {
    gram: Symmetric,
    factor: Cholesky,
    /// Updates since the last factorisation.
    stale: u64,
}

impl Precision {
    /// No outcome yet: A = diag(ridge).
    pub(crate) fn prior(ridge: &[f64]) -> Self {
        let (gram, factor) = (Symmetric::zeros(ridge.len()), Cholesky::diagonal(ridge));
        Self {
            gram,
            factor,
            stale: 0,
        }
    }

    /// A from all rows at once, row-major, shape (n, d); `None` when it cannot be factorised.
    pub(crate) fn batch(ridge: &[f64], rows: &[f64], weights: Option<&[f64]>) -> Option<Self> {
        let mut gram = Symmetric::zeros(ridge.len());
        gram.add_gram(rows, weights);
        let factor = gram.factor(1.0, ridge)?;
        Some(Self {
            gram,
            factor,
            stale: 0,
        })
    }

    /// Adds one row.
    pub(crate) fn update(&mut self, ridge: &[f64], keep: f64, x: &[f64], weight: f64) {
        self.gram.update(keep, weight, x);
        self.stale += 1;
        if self.stale >= refactor_every(ridge.len(), keep)
            && let Some(factor) = self.gram.factor(1.0, ridge)
        {
            self.factor = factor;
            self.stale = 0;
            return;
        }
        // Rotations cannot fail, so they also stand in for a factorisation that did.
        #[expect(
            clippy::float_cmp,
            reason = "exactly one means that nothing is forgotten"
        )]
        if keep != 1.0 {
            self.factor.scale(keep);
        }
        let root = weight.sqrt();
        let mut scaled: Vec<f64> = x.iter().map(|x| root * x).collect();
        self.factor.update(&mut scaled);
    }

    /// Lets everything seen count `share` times as much; false, and no change, when the result
    /// cannot be factorised.
    pub(crate) fn discount(&mut self, ridge: &[f64], share: f64) -> bool {
        let Some(factor) = self.gram.factor(share, ridge) else {
            return false;
        };
        self.gram.scale(share);
        self.factor = factor;
        self.stale = 0;
        true
    }

    /// A = diag(ridge) + share·Gram.
    pub(crate) fn times(&self, ridge: &[f64], share: f64) -> Self {
        let mut gram = self.gram.clone();
        gram.update(share, 0.0, &vec![0.0; ridge.len()]);
        match gram.factor(1.0, ridge) {
            Some(factor) => Self {
                gram,
                factor,
                stale: 0,
            },
            // What cannot be factorised is no knowledge to take over.
            None => Self::prior(ridge),
        }
    }

    pub(crate) fn factor(&self) -> &Cholesky {
        &self.factor
    }

    pub(crate) fn is_sound(&self, dim: usize) -> bool {
        self.gram.is_sound(dim) && self.factor.is_sound(dim) && self.stale <= COUNT_MAX
    }
}

fn refactor_every(dim: usize, keep: f64) -> u64 {
    if keep < 1.0 {
        let entries = dim as u64 * dim as u64;
        (entries / REFACTOR_ENTRIES).max(1)
    } else {
        REFACTOR_EVERY
    }
}

/// What one regression knows besides its precision matrix (normal–inverse-gamma).
///
/// Targets are taken relative to a centre chosen by the caller, so that the prior mean is zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Posterior {
    /// b = Σ γ^{t−s} w y x.
    b: Vec<f64>,
    /// θ = A⁻¹b.
    theta: Vec<f64>,
    /// Σ γ^{t−s} w y².
    squares: f64,
    /// Σ γ^{t−s} w.
    weight: f64,
}

impl Posterior {
    pub(crate) fn prior(dim: usize) -> Self {
        Self {
            b: vec![0.0; dim],
            theta: vec![0.0; dim],
            squares: 0.0,
            weight: 0.0,
        }
    }

    /// Adds one outcome without solving for θ.
    pub(crate) fn push(&mut self, keep: f64, x: &[f64], y: f64, weight: f64) {
        #[expect(
            clippy::float_cmp,
            reason = "exactly one means that nothing is forgotten"
        )]
        if keep != 1.0 {
            self.b.iter_mut().for_each(|b| *b *= keep);
        }
        axpy(weight * y, x, &mut self.b);
        self.squares = self.squares * keep + weight * y * y;
        self.weight = self.weight * keep + weight;
    }

    /// Solves for θ.
    pub(crate) fn solve(&mut self, factor: &Cholesky) {
        self.theta.copy_from_slice(&self.b);
        factor.solve(&mut self.theta);
    }

    /// Lets everything seen count `share` times as much, beside the same ridge: θ and the noise
    /// stay. From (G + Λ₀)θ = b follows b′ = (sG + Λ₀)θ = s·b + (1 − s)·Λ₀θ.
    pub(crate) fn discount(&mut self, ridge: &[f64], share: f64) {
        let residual = (self.squares - dot(&self.b, &self.theta)).max(0.0);
        for ((b, theta), ridge) in self.b.iter_mut().zip(&self.theta).zip(ridge) {
            *b = share * *b + (1.0 - share) * ridge * theta;
        }
        self.squares = share * residual + dot(&self.b, &self.theta).max(0.0);
        self.weight *= share;
    }

    /// The same outcomes, each worth `share`; θ is to be solved for anew.
    pub(crate) fn times(&self, share: f64) -> Self {
        let mut other = self.clone();
        other.b.iter_mut().for_each(|b| *b *= share);
        other.squares *= share;
        other.weight *= share;
        other
    }

    pub(crate) fn predict(&self, x: &[f64]) -> f64 {
        dot(&self.theta, x)
    }

    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    /// Mean of the noise variance: (ν₀σ₀² + Σwy² − bᵀθ) / (ν₀ + Σw).
    pub(crate) fn noise(&self, prior_count: f64, prior_variance: f64) -> f64 {
        // Rounding may leave a perfect fit slightly below zero.
        let residual = (self.squares - dot(&self.b, &self.theta)).max(0.0);
        (prior_count * prior_variance + residual) / (prior_count + self.weight)
    }

    pub(crate) fn is_sound(&self, dim: usize) -> bool {
        self.b.len() == dim
            && self.theta.len() == dim
            && are_usable(&self.b)
            && are_usable(&self.theta)
            && (0.0..=f64::MAX).contains(&self.squares)
            && (0.0..=f64::MAX).contains(&self.weight)
    }
}
