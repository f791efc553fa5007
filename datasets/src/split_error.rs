//! Why a log cannot be split.

/// Why a log cannot be split.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// A text that names no split.
    #[error("`{got}` is no split")]
    Syntax {
        /// The text.
        got: String,
    },
    /// A share outside (0, 1).
    #[error("the training share must be in (0, 1), got {got}")]
    Share {
        /// The share.
        got: String,
    },
    /// A column that no request has.
    #[error("the log has no column `{column}` to split by")]
    MissingColumn {
        /// The column.
        column: String,
        /// Columns that can be split by.
        known: Vec<String>,
    },
    /// Requests without a value in the column.
    #[error("{missing} of {requests} requests have no `{column}`")]
    MissingValues {
        /// The column.
        column: String,
        /// Requests without a value.
        missing: usize,
        /// All requests.
        requests: usize,
    },
    /// One side would be empty.
    #[error("the split leaves no request to {side}")]
    EmptySide {
        /// `train on` or `evaluate`.
        side: &'static str,
    },
}

impl SplitError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "P0501",
            Self::Share { .. } => "P0502",
            Self::MissingColumn { .. } => "P0503",
            Self::MissingValues { .. } => "P0504",
            Self::EmptySide { .. } => "P0505",
        }
    }

    /// The column at fault, when one is.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::MissingColumn { column, .. } | Self::MissingValues { column, .. } => Some(column),
            _ => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Syntax { .. } => {
                "write `0.7` (by request), `time:0.7` or `group:COLUMN:0.7`".to_owned()
            }
            Self::Share { .. } => {
                "0.7 trains on 70 % of requests and judges on the rest".to_owned()
            }
            Self::MissingColumn { known, .. } if known.is_empty() => {
                "this log has no columns to group by: split by request instead".to_owned()
            }
            Self::MissingColumn { known, .. } => format!("the log has: {}", known.join(", ")),
            Self::MissingValues { column, .. } => {
                format!("fill `{column}` for every request, or split by request instead")
            }
            Self::EmptySide { .. } => {
                "use more requests (or groups, or times), or another share".to_owned()
            }
        }
    }
}
