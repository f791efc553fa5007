//! Whether the weights of a log can be those of the target policy.

use super::robust::Robust;
use crate::judge::Clusters;

/// Confidence of the interval of the mean weight.
const CONFIDENCE: f64 = 0.99;

/// Whether a log covers a target policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The interval of mean(w) contains 1, as it must; this does not prove support.
    Plausible,
    /// It does not: arms that the policy plays were never logged, or propensities are wrong.
    Broken,
}

impl Support {
    /// By the 99 % cluster-robust interval of mean(w), whose mean is 1 with full support.
    ///
    /// Weights of 0 alone are no support at all.
    #[must_use]
    pub fn of(weights: &[f64], clusters: Option<&Clusters>) -> Self {
        let contains = Robust::mean(weights, clusters)
            .and_then(|mean| mean.interval(CONFIDENCE))
            .is_some_and(|interval| interval.low <= 1.0 + 1e-9 && interval.high >= 1.0 - 1e-9);
        if contains {
            Self::Plausible
        } else {
            Self::Broken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ROBUSTNESS.md O04: propensities that are off move the mean weight away from 1.
    #[test]
    fn o04_mean_weights_tell_wrong_propensities() {
        let weights = |scale: f64| -> Vec<f64> {
            (0..400)
                .map(|i| if i % 4 == 0 { 4.0 * scale } else { 0.0 })
                .collect()
        };
        assert_eq!(Support::of(&weights(1.0), None), Support::Plausible);
        assert_eq!(Support::of(&weights(0.6), None), Support::Broken);
        assert_eq!(Support::of(&weights(1.5), None), Support::Broken);
        assert_eq!(Support::of(&[0.0; 50], None), Support::Broken);
        assert_eq!(Support::of(&[1.0; 50], None), Support::Plausible);
    }
}
