//! Why a row, a setting or a tuning is refused.

/// What is wrong with the input of an off-policy estimate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeError {
    /// A number of a logged row that no estimator can use.
    #[error("{what} of a logged row must be {allowed}, got {got}")]
    Row {
        /// Which number.
        what: &'static str,
        /// The value as given.
        got: f64,
        /// The values that are possible.
        allowed: &'static str,
    },
    /// A setting λ, τ or clip outside its range.
    #[error("a setting of {family} must be in {allowed}, got {got}")]
    Setting {
        /// The family of estimators.
        family: &'static str,
        /// The value as given.
        got: f64,
        /// The range.
        allowed: &'static str,
    },
    /// A confidence that is no probability.
    #[error("the error probability δ must be in (0, 1), got {got}")]
    Level {
        /// The value as given.
        got: f64,
    },
    /// Nothing to choose from, or too few rows to choose on.
    #[error("tuning needs a grid and two rows: got {settings} settings and {rows} rows")]
    TooLittleToTune {
        /// Settings in the grid.
        settings: usize,
        /// Tuning rows.
        rows: usize,
    },
    /// The rows to tune on are also among the rows to estimate on.
    #[error(
        "{shared} rows are given both for tuning and for the estimate: a setting looks best on the rows that chose it"
    )]
    SameRows {
        /// Rows in both slices.
        shared: usize,
    },
    /// Columns of one log differ in length, or an action is no column of the target policy.
    #[error("column `{column}` has {got} entries, expected {expected}")]
    Shape {
        /// The column.
        column: &'static str,
        /// Its length.
        got: usize,
        /// What the other columns ask for.
        expected: usize,
    },
    /// An action index that is not below the number of arms.
    #[error("row {row} logs arm {got}, but the target policy has {arms} arms")]
    Action {
        /// The row, from 0.
        row: usize,
        /// The arm's index.
        got: usize,
        /// Number of arms, K.
        arms: usize,
    },
}

impl OpeError {
    /// The stable code that `plimsoll explain` knows.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Row { .. } => "P0340",
            Self::Setting { .. } | Self::Level { .. } => "P0341",
            Self::TooLittleToTune { .. } => "P0342",
            Self::SameRows { .. } => "P0343",
            Self::Shape { .. } | Self::Action { .. } => "P0344",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Row { .. } => {
                "leave the row out and count it, or repair the propensity, outcome or prediction \
                 it came from"
            }
            Self::Setting { .. } => "take settings from the estimator's default grid",
            Self::Level { .. } => "give a probability such as 0.05",
            Self::TooLittleToTune { .. } => {
                "hold out more rows for tuning, or fix the setting beforehand"
            }
            Self::SameRows { .. } => "split the rows by cluster first, and give each side once",
            Self::Shape { .. } => {
                "give one entry per row, and rows × arms entries for the target policy and the \
                 predictions"
            }
            Self::Action { .. } => "number the arms from 0 in the order of the policy's columns",
        }
    }
}
