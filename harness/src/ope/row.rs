//! One logged row as estimators see it.

use super::OpeError;

/// Largest size of a weight, an outcome or a prediction: products of four still are finite.
pub const MAGNITUDE_MAX: f64 = 1e60;

/// A logged decision, its outcome, and what target policy and predictor say about it.
///
/// | part | symbol | meaning |
/// |---|---|---|
/// | `weight` | w = π(a\|x)/p | importance weight of the logged arm a, p its propensity |
/// | `outcome` | r | quality or cost; any range |
/// | `predicted_logged` | q̂(x, a) | predicted outcome of the logged arm |
/// | `predicted_target` | Σ_b π(b\|x) q̂(x, b) | predicted outcome under the target policy |
/// | `matched` | π(a\|x) = 1 | the target certainly takes the logged arm |
///
/// Predictions must come from a predictor that has not seen the row (cross-fitting); without one
/// they are 0, and the doubly robust estimators become IPS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedRow {
    weight: f64,
    outcome: f64,
    predicted_logged: f64,
    predicted_target: f64,
    matched: bool,
}

impl LoggedRow {
    /// A row without predictions, not matched.
    ///
    /// # Errors
    /// For a negative or huge weight, and for numbers that are not finite.
    pub fn new(weight: f64, outcome: f64) -> Result<Self, OpeError> {
        if !(0.0..=MAGNITUDE_MAX).contains(&weight) {
            return Err(OpeError::Row {
                what: "the weight",
                got: weight,
                allowed: "from 0 to 1e60",
            });
        }
        Ok(Self {
            weight,
            outcome: number("the outcome", outcome)?,
            predicted_logged: 0.0,
            predicted_target: 0.0,
            matched: false,
        })
    }

    /// With predicted outcomes of the logged arm, q̂(x, a), and under the target, Σ_b π(b|x) q̂(x, b).
    ///
    /// # Errors
    /// For numbers that are not finite.
    pub fn predicted(mut self, logged: f64, target: f64) -> Result<Self, OpeError> {
        self.predicted_logged = number("the prediction for the logged arm", logged)?;
        self.predicted_target = number("the prediction under the target", target)?;
        Ok(self)
    }

    /// With the mark that the target certainly takes the logged arm.
    #[must_use]
    pub const fn matching(mut self, matched: bool) -> Self {
        self.matched = matched;
        self
    }

    /// The row of a log with `propensity` p of the arm `logged`, for `target` probabilities
    /// π(·|x) and `predictions` q̂(x, ·), both of length K.
    ///
    /// # Errors
    /// When `logged` is no arm, lengths differ, or p is not in (0, 1]; as [`new`](Self::new).
    pub fn of(
        target: &[f64],
        predictions: &[f64],
        logged: usize,
        propensity: f64,
        outcome: f64,
    ) -> Result<Self, OpeError> {
        if target.len() != predictions.len() {
            return Err(OpeError::Shape {
                column: "predictions",
                got: predictions.len(),
                expected: target.len(),
            });
        }
        let Some(&chosen) = target.get(logged) else {
            return Err(OpeError::Action {
                row: 0,
                got: logged,
                arms: target.len(),
            });
        };
        if !(propensity > 0.0 && propensity <= 1.0) {
            return Err(OpeError::Row {
                what: "the propensity",
                got: propensity,
                allowed: "in (0, 1]",
            });
        }
        let direct = target.iter().zip(predictions).map(|(p, q)| p * q).sum();
        Ok(Self::new(chosen / propensity, outcome)?
            .predicted(predictions[logged], direct)?
            .matching(chosen >= 1.0))
    }

    /// The importance weight w.
    #[must_use]
    pub const fn weight(&self) -> f64 {
        self.weight
    }

    /// The outcome r.
    #[must_use]
    pub const fn outcome(&self) -> f64 {
        self.outcome
    }

    /// The logged arm's predicted outcome.
    #[must_use]
    pub const fn predicted_logged(&self) -> f64 {
        self.predicted_logged
    }

    /// The predicted outcome under the target policy.
    #[must_use]
    pub const fn predicted_target(&self) -> f64 {
        self.predicted_target
    }

    /// Whether the target certainly takes the logged arm.
    #[must_use]
    pub const fn matched(&self) -> bool {
        self.matched
    }

    /// The residual r − q̂(x, a).
    #[must_use]
    pub fn residual(&self) -> f64 {
        self.outcome - self.predicted_logged
    }
}

fn number(what: &'static str, got: f64) -> Result<f64, OpeError> {
    if got.abs() <= MAGNITUDE_MAX {
        Ok(got)
    } else {
        Err(OpeError::Row {
            what,
            got,
            allowed: "a number of size up to 1e60",
        })
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "results are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_computed_from_the_log() {
        let row = LoggedRow::of(&[0.25, 0.75], &[1.0, 3.0], 1, 0.5, 2.0).unwrap();
        assert_eq!(row.weight(), 1.5);
        assert_eq!(row.predicted_target(), 2.5);
        assert_eq!(row.residual(), -1.0);
        assert!(!row.matched());
        assert!(
            LoggedRow::of(&[0.0, 1.0], &[1.0, 3.0], 1, 0.5, 2.0)
                .unwrap()
                .matched()
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let of = |propensity, outcome| LoggedRow::of(&[1.0], &[0.0], 0, propensity, outcome);
        for (propensity, outcome) in [
            (0.0, 1.0),
            (-0.5, 1.0),
            (1.5, 1.0),
            (f64::NAN, 1.0),
            (0.5, f64::NAN),
            (0.5, f64::INFINITY),
            (1e-61, 1.0),
        ] {
            let error = of(propensity, outcome).unwrap_err();
            assert_eq!(error.code(), "P0340", "{error}");
        }
        assert_eq!(
            LoggedRow::of(&[1.0], &[0.0], 1, 0.5, 1.0)
                .unwrap_err()
                .code(),
            "P0344"
        );
        assert_eq!(
            LoggedRow::of(&[1.0], &[], 0, 0.5, 1.0).unwrap_err().code(),
            "P0344"
        );
        assert!(
            LoggedRow::new(1.0, 1.0)
                .unwrap()
                .predicted(f64::NAN, 0.0)
                .is_err()
        );
    }
}
