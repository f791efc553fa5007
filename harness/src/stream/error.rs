//! Why a log could not be streamed.

use plimsoll_datasets::ReadError;

use crate::error::EvidenceError;

/// Why a streaming replay came to no evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log cannot support the evaluation.
    #[error(transparent)]
    Evidence(EvidenceError),
    /// Some rows lack their propensity.
    #[error("{missing} of {rows} rows have no propensity")]
    MissingPropensities {
        /// Rows without one.
        missing: u64,
        /// Rows that can be used.
        rows: u64,
    },
    /// Options that a streamed log cannot serve.
    #[error(
        "a streamed log cannot be split by `{split}` or shown by other columns than task and tenant"
    )]
    Options {
        /// The split asked for.
        split: String,
    },
}

impl StreamError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read(error) => error.code(),
            Self::Evidence(error) => error.code(),
            Self::MissingPropensities { .. } => "P0350",
            Self::Options { .. } => "P0351",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Read(error) => error.help(),
            Self::Evidence(error) => error.help(),
            Self::MissingPropensities { .. } => {
                "log the probability with which each arm was chosen, or leave out the rows that \
                 lack it if they are a random part of the traffic; without propensities a log \
                 of this size supports no estimate"
                    .to_owned()
            }
            Self::Options { .. } => {
                "use a split by hash and the default segments, or evaluate fewer than a million \
                 rows at a time"
                    .to_owned()
            }
        }
    }
}
