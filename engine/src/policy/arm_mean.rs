//! What a context-free bandit knows of one arm: a mean that forgets, and how stale it is.

use serde::{Deserialize, Serialize};

use crate::predictor::{Prediction, VARIANCE_INFLATION_MAX};

/// A weighted running mean of quality beside a prior that never fades.
///
/// Forgetting by γ < 1 has three traps. (1) The prior is kept apart, so that it does not decay
/// with the outcomes. (2) Staleness counts from the later of the last outcome and the last play:
/// an outcome without a label is a play, so that an arm whose labels are late is not taken for
/// forgotten. (3) Staleness makes an arm at most
/// [`VARIANCE_INFLATION_MAX`](crate::VARIANCE_INFLATION_MAX) times less certain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArmMean {
    pub(crate) prior_mean: f64,
    pub(crate) prior_strength: f64,
    weight: f64,
    mean: f64,
    /// Outcomes of all arms when this one learned last.
    learned: u64,
    /// Outcomes of all arms when this one answered last, with a label or without.
    played: u64,
}

/// What counts of an arm now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    /// Weight of the outcomes, faded.
    pub(crate) weight: f64,
    /// Their mean; 0 without any.
    pub(crate) mean: f64,
    /// Weight with the prior.
    pub(crate) total: f64,
    /// Mean with the prior.
    pub(crate) posterior: f64,
}

impl ArmMean {
    pub(crate) const fn prior(mean: f64, strength: f64, clock: u64) -> Self {
        Self {
            prior_mean: mean,
            prior_strength: strength,
            weight: 0.0,
            mean: 0.0,
            learned: clock,
            played: clock,
        }
    }

    /// The arm after outcomes worth `weight` with this mean.
    pub(crate) const fn with_evidence(mut self, weight: f64, mean: f64) -> Self {
        (self.weight, self.mean) = (weight, mean);
        self
    }

    /// The arm answered; outcome number `clock` of all arms.
    pub(crate) fn push(&mut self, forgetting: f64, clock: u64, quality: Option<f64>, weight: f64) {
        self.played = clock;
        let Some(quality) = quality else { return };
        self.weight = self.weight * kept(forgetting, clock - self.learned) + weight;
        self.learned = clock;
        if self.weight > 0.0 {
            // The mean moves instead of two sums growing: no digits are lost after 10⁹ outcomes.
            self.mean += (quality - self.mean) * (weight / self.weight);
        }
    }

    /// What counts when `clock` outcomes were learned.
    pub(crate) fn evidence(&self, forgetting: f64, clock: u64) -> Evidence {
        let weight = self.weight * kept(forgetting, clock - self.played.max(self.learned));
        let total = weight + self.prior_strength;
        let posterior = if total > 0.0 {
            (weight * self.mean + self.prior_strength * self.prior_mean) / total
        } else {
            self.prior_mean
        };
        Evidence {
            weight,
            mean: self.mean,
            total,
            posterior: posterior.clamp(0.0, 1.0),
        }
    }

    pub(crate) fn is_sound(&self, clock: u64) -> bool {
        (0.0..=1.0).contains(&self.prior_mean)
            && (0.0..=1e300).contains(&self.prior_strength)
            && (0.0..=1e300).contains(&self.weight)
            && (0.0..=1.0).contains(&self.mean)
            && self.learned <= clock
            && self.played <= clock
    }
}

impl Evidence {
    /// As a prediction: Beta variance m(1−m)/(n+1), which never vanishes.
    pub(crate) fn prediction(&self) -> Prediction {
        let spread = (self.posterior * (1.0 - self.posterior)).max(0.25 / (self.total + 1.0));
        Prediction {
            mean: self.posterior,
            variance: spread / (self.total + 1.0),
        }
    }
}

/// γ to the age, not below 1/200.
fn kept(forgetting: f64, age: u64) -> f64 {
    if forgetting >= 1.0 {
        return 1.0;
    }
    libm::pow(forgetting, crate::math::count(age)).max(1.0 / VARIANCE_INFLATION_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prior_survives_forgetting() {
        let mut arm = ArmMean::prior(0.5, 2.0, 0);
        for clock in 1..=10_000 {
            arm.push(0.9, clock, Some(1.0), 1.0);
        }
        let known = arm.evidence(0.9, 10_000);
        // Σ 0.9ⁱ = 10 outcomes, and the prior still counts for two.
        assert!((known.weight - 10.0).abs() < 1e-9 && (known.total - 12.0).abs() < 1e-9);
        assert!((known.posterior - 11.0 / 12.0).abs() < 1e-9);
    }

    #[test]
    fn staleness_counts_from_the_last_play() {
        let mut arm = ArmMean::prior(0.5, 2.0, 0);
        arm.push(0.99, 1, Some(1.0), 10.0);
        let unplayed = arm.evidence(0.99, 101).weight;
        assert!((unplayed - 10.0 * libm::pow(0.99, 100.0)).abs() < 1e-12);
        // Played at 100, its label still to come.
        arm.push(0.99, 100, None, 1.0);
        assert!((arm.evidence(0.99, 101).weight - 9.9).abs() < 1e-12);
    }

    #[test]
    fn staleness_is_capped() {
        let mut arm = ArmMean::prior(0.5, 0.0, 0);
        arm.push(0.9, 1, Some(0.25), 1000.0);
        let known = arm.evidence(0.9, u64::MAX);
        assert!((known.weight - 5.0).abs() < 1e-12 && (known.posterior - 0.25).abs() < 1e-12);
    }
}
