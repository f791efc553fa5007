//! Training rows, checked once.

use super::{PredictorError, WEIGHT_MAX};
use crate::context::Context;
use crate::units::Quality;

/// Outcomes to fit a predictor to.
#[derive(Clone, Copy, Debug)]
pub struct TrainingRows<'a> {
    /// One context per request, shape (n).
    pub contexts: &'a [Context],
    /// Number of arms K.
    pub arms: usize,
    /// Quality per request and arm in [0, 1], `None` where not observed; shape (n, K), row-major.
    pub quality: &'a [Option<f64>],
    /// Weight per request, shape (n); `None`: all 1.
    pub weights: Option<&'a [f64]>,
}

impl TrainingRows<'_> {
    /// Checks shapes and values; gives the number of features.
    pub(crate) fn check(&self) -> Result<usize, PredictorError> {
        if self.arms == 0 {
            return Err(PredictorError::NoArms);
        }
        let n = self.contexts.len();
        let shape = |what, expected: usize, got: usize| {
            if expected == got {
                Ok(())
            } else {
                Err(PredictorError::Shape {
                    what,
                    expected,
                    got,
                })
            }
        };
        shape("quality", n * self.arms, self.quality.len())?;
        shape("weights", n, self.weights.map_or(n, <[f64]>::len))?;
        let expected = self.contexts.first().map_or(0, |c| c.features.len());
        for (row, context) in self.contexts.iter().enumerate() {
            let got = context.features.len();
            if got != expected {
                return Err(PredictorError::Dimensions { row, expected, got });
            }
            context
                .validate()
                .map_err(|source| PredictorError::Context { row, source })?;
            let weight = self.weight(row);
            if !(0.0..=WEIGHT_MAX).contains(&weight) {
                return Err(PredictorError::Weight { row, got: weight });
            }
        }
        for (at, quality) in self.quality.iter().enumerate() {
            if let Some(value) = quality {
                let row = at / self.arms;
                Quality::new(*value).map_err(|source| PredictorError::Quality { row, source })?;
            }
        }
        Ok(expected)
    }

    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[row])
    }

    /// Rows and qualities where `arm` was observed, in order.
    pub(crate) fn labelled(&self, arm: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let column = self.quality.iter().skip(arm).step_by(self.arms);
        column
            .enumerate()
            .filter_map(|(row, quality)| Some((row, (*quality)?)))
    }
}
