//! Why propensities cannot be estimated.

/// Propensities cannot be estimated from this input.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PropensityError {
    /// No row.
    #[error("propensities cannot be estimated from no rows")]
    Empty,
    /// Two parts differ in length.
    #[error("{part} are {got}, expected {expected}")]
    Length {
        /// The part.
        part: &'static str,
        /// Its length.
        got: usize,
        /// The length that it must have.
        expected: usize,
    },
    /// A feature that is not a finite number.
    #[error("feature {column} of row {row} is not a finite number")]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The feature, from 0.
        column: usize,
    },
    /// A row's arm is not one of the arms.
    #[error("row {row} names arm {got} of {arms}")]
    Arm {
        /// The row, from 0.
        row: usize,
        /// The index given.
        got: usize,
        /// Number of arms.
        arms: usize,
    },
    /// The penalty is negative or not finite.
    #[error("the penalty is {got}, allowed is a finite number of at least 0")]
    Penalty {
        /// The penalty given.
        got: f64,
    },
    /// An arm without a row has no propensity.
    #[error("arm {arm} was never chosen, so nothing says when it would be")]
    NeverChosen {
        /// The arm, from 0.
        arm: usize,
    },
    /// Cross-fitting needs rows to fit on and rows to predict.
    #[error("cross-fitting needs at least two folds")]
    OneFold,
}

impl PropensityError {
    /// The stable code that `plimsoll explain` knows.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NeverChosen { .. } => "P0348",
            _ => "P0347",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NeverChosen { .. } => {
                "leave the arm out of the comparison, or collect requests that it answered"
            }
            Self::NotFinite { .. } => "correct the feature at its source, or leave the row out",
            Self::Penalty { .. } => "give a penalty such as 1",
            _ => "give features, chosen arms and folds of the same rows in the same order",
        }
        .to_owned()
    }
}
