//! Whether the weights of a log can be those of the target policy.

use super::robust::Robust;
use crate::judge::Clusters;

/// Confidence at which an interval of mean(w) without 1 breaks support.
const BROKEN_AT: f64 = 0.99;
/// Confidence at which it makes support doubtful.
const DOUBTFUL_AT: f64 = 0.9;

/// Whether a log covers a target policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The 90 % interval of mean(w) contains 1, as it should; this does not prove support.
    Plausible,
    /// Only the 99 % interval does. Asymptotic intervals are off by whatever is missing; the
    /// finite-sample bounds of weighted rewards hold without support.
    Doubtful,
    /// Neither does: arms that the policy plays were never logged, or propensities are wrong.
    Broken,
}

impl Support {
    /// By cluster-robust intervals of mean(w), whose mean is 1 with full support.
    ///
    /// Weights of 0 alone are no support at all.
    #[must_use]
    pub fn of(weights: &[f64], clusters: Option<&Clusters>) -> Self {
        Self::of_mean(Robust::mean(weights, clusters))
    }

    /// The same from mean(w) and its standard error; `None`: there are no weights.
    pub(crate) fn of_mean(mean: Option<Robust>) -> Self {
        let contains = |confidence| {
            mean.and_then(|mean| mean.interval(confidence))
                .is_some_and(|interval| interval.low <= 1.0 + 1e-9 && interval.high >= 1.0 - 1e-9)
        };
        if contains(DOUBTFUL_AT) {
            Self::Plausible
        } else if contains(BROKEN_AT) {
            Self::Doubtful
        } else {
            Self::Broken
        }
    }

    /// The worse of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Broken, _) | (_, Self::Broken) => Self::Broken,
            (Self::Doubtful, _) | (_, Self::Doubtful) => Self::Doubtful,
            _ => Self::Plausible,
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
        assert_eq!(Support::of(&weights(0.83), None), Support::Doubtful);
        assert_eq!(Support::of(&weights(0.6), None), Support::Broken);
        assert_eq!(Support::of(&weights(1.5), None), Support::Broken);
        assert_eq!(Support::of(&[0.0; 50], None), Support::Broken);
        assert_eq!(Support::of(&[1.0; 50], None), Support::Plausible);
    }
}
