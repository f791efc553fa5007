//! A probability for each arm.

use serde::{Deserialize, Serialize};

use crate::random::unit_interval_of;
use crate::units::{Propensity, Seed};

/// How far from 1 the sum of a distribution may be.
pub const SUM_TOLERANCE: f64 = 1e-12;

/// Probabilities over the arms of a router: finite, ≥ 0, summing to 1 ± 10⁻¹².
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    probabilities: Vec<f64>,
}

/// Why numbers are not a distribution.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// There is no arm.
    #[error("a distribution needs at least one arm")]
    Empty,
    /// A probability is negative, NaN or infinite.
    #[error("probability {index} must be in [0, 1], got {got}")]
    Probability {
        /// Position of the arm.
        index: usize,
        /// The value as given.
        got: f64,
    },
    /// The probabilities do not sum to 1.
    #[error("probabilities must sum to 1, got {got}")]
    Sum {
        /// The sum.
        got: f64,
    },
}

impl DistributionError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "P0140",
            Self::Probability { .. } => "P0141",
            Self::Sum { .. } => "P0142",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Empty => "name at least one arm",
            Self::Probability { .. } => "give every arm a probability between 0 and 1",
            Self::Sum { .. } => "divide the probabilities by their sum",
        }
    }
}

impl Distribution {
    /// The distribution of these probabilities.
    ///
    /// # Errors
    /// [`DistributionError`] when they are no distribution.
    pub fn new(probabilities: Vec<f64>) -> Result<Self, DistributionError> {
        if probabilities.is_empty() {
            return Err(DistributionError::Empty);
        }
        for (index, &got) in probabilities.iter().enumerate() {
            if !(0.0..=1.0 + SUM_TOLERANCE).contains(&got) {
                return Err(DistributionError::Probability { index, got });
            }
        }
        let got: f64 = probabilities.iter().sum();
        if (got - 1.0).abs() > SUM_TOLERANCE {
            return Err(DistributionError::Sum { got });
        }
        Ok(Self { probabilities })
    }

    /// Non-negative weights, scaled to sum to 1.
    ///
    /// # Errors
    /// [`DistributionError`] when a weight is negative or not finite, or all are zero.
    pub fn from_weights(weights: &[f64]) -> Result<Self, DistributionError> {
        let total: f64 = weights.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Err(DistributionError::Sum { got: total });
        }
        Self::new(weights.iter().map(|w| w / total).collect())
    }

    /// All probability on one of `arms` arms.
    ///
    /// # Errors
    /// [`DistributionError::Empty`] when `arm` is not below `arms`.
    pub fn certain(arm: usize, arms: usize) -> Result<Self, DistributionError> {
        if arm >= arms {
            return Err(DistributionError::Empty);
        }
        let mut probabilities = vec![0.0; arms];
        probabilities[arm] = 1.0;
        Ok(Self { probabilities })
    }

    /// The probabilities, shape (K).
    #[must_use]
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The arm at `u` ∈ [0, 1) of the cumulated probabilities; never one of probability 0.
    #[must_use]
    pub fn sample(&self, u: f64) -> usize {
        sample(&self.probabilities, u)
    }

    /// The arm that `seed` draws for the request `key`: the same on every machine and thread.
    #[must_use]
    pub fn draw(&self, key: &str, seed: Seed) -> usize {
        self.sample(unit_interval_of(key, seed))
    }
}

/// The arm at `u` ∈ [0, 1) of cumulated probabilities; never one of probability 0.
pub(crate) fn sample(probabilities: &[f64], u: f64) -> usize {
    let mut left = u;
    let mut last = 0;
    for (arm, &p) in probabilities.iter().enumerate() {
        if p > 0.0 {
            // Rounding may leave a sliver above the last arm: it belongs to that arm.
            last = arm;
            if left < p {
                break;
            }
            left -= p;
        }
    }
    last
}

/// The probability of an arm that was drawn; rounding may have left it a hair above 1.
pub(crate) fn drawn(probabilities: &[f64], arm: usize) -> Result<Propensity, DistributionError> {
    let got = probabilities[arm];
    let is_one = (1.0..=1.0 + SUM_TOLERANCE).contains(&got);
    Propensity::new(if is_one { 1.0 } else { got })
        .map_err(|_| DistributionError::Probability { index: arm, got })
}
