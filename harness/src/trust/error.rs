//! Why a logged sample is refused.

/// The parts of a [`LoggedSample`](super::LoggedSample) do not fit together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// No row.
    #[error("a logged sample needs at least one row")]
    Empty,
    /// Two parts differ in length.
    #[error("`{part}` has {got} rows, the sample has {expected}")]
    Length {
        /// The part.
        part: String,
        /// Its rows.
        got: usize,
        /// Rows of the sample.
        expected: usize,
    },
    /// A row's arm is not one of the arms.
    #[error("row {row} names arm {got}, the sample has {arms} arms")]
    Arm {
        /// The row, from 0.
        row: usize,
        /// The index given.
        got: usize,
        /// Number of arms.
        arms: usize,
    },
    /// A value outside its range.
    #[error("`{part}` of row {row} is {got}, allowed is {allowed}")]
    Value {
        /// What the value is.
        part: String,
        /// The row, from 0.
        row: usize,
        /// The value given.
        got: f64,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl SampleError {
    /// The stable code that `plimsoll explain` knows.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::Length { .. } => "P0345",
            Self::Arm { .. } | Self::Value { .. } => "P0346",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Empty => "give a log with at least one request".to_owned(),
            Self::Length { .. } => {
                "give every part in the order of the same rows, one value each".to_owned()
            }
            Self::Arm { .. } => "list every arm that the log chose, compared or not".to_owned(),
            Self::Value { .. } => "correct the row at its source, or leave it out".to_owned(),
        }
    }
}
