//! A weighted mean that is updated one outcome at a time and may forget.

use serde::{Deserialize, Serialize};

use super::Prediction;

/// Total weight and weighted mean of the outcomes seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    weight: f64,
    mean: f64,
}

impl Tally {
    /// A belief worth `weight` outcomes.
    pub(crate) fn stated(mean: f64, weight: f64) -> Self {
        Self { weight, mean }
    }

    /// The share that leaves at most `weight` outcomes.
    pub(crate) fn discount(&self, weight: f64) -> f64 {
        if self.weight > weight {
            weight / self.weight
        } else {
            1.0
        }
    }

    /// The same knowledge, worth `share` of its outcomes.
    pub(crate) fn times(mut self, share: f64) -> Self {
        self.weight *= share;
        self
    }

    /// Learns one outcome; what was known before counts `keep` times as much.
    pub(crate) fn push(&mut self, keep: f64, value: f64, weight: f64) {
        self.weight = self.weight * keep + weight;
        if self.weight > 0.0 {
            // The mean moves instead of two sums growing: no precision is lost after 10⁹ outcomes.
            self.mean += (value - self.mean) * (weight / self.weight);
        }
    }

    /// Adds another tally, outcome for outcome.
    pub(crate) fn merge(&mut self, other: Self) {
        self.push(1.0, other.mean, other.weight);
    }

    /// Lets everything seen count `keep` times as much.
    pub(crate) fn decay(&mut self, keep: f64) {
        self.weight *= keep;
    }

    /// Weight of what was seen.
    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    /// Mean and variance of a Beta posterior with `strength` prior outcomes of mean `prior`.
    pub(crate) fn posterior(&self, prior: f64, strength: f64) -> Prediction {
        let total = strength + self.weight;
        if total <= 0.0 {
            return Prediction {
                mean: prior,
                variance: prior * (1.0 - prior),
            };
        }
        let mean = ((strength * prior + self.weight * self.mean) / total).clamp(0.0, 1.0);
        // The variance never vanishes: a hundred perfect answers are no proof of perfection.
        let spread = (mean * (1.0 - mean)).max(0.25 / (total + 1.0));
        Prediction {
            mean,
            variance: spread / (total + 1.0),
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        (0.0..=1e300).contains(&self.weight) && (0.0..=1.0).contains(&self.mean)
    }
}
