//! Why a learning policy cannot be replayed.

use crate::error::EvidenceError;

/// A learning replay is refused. Each variant says what to change or collect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LearningError {
    /// The log tells neither every arm's answer nor the chance of the one it holds.
    #[error(
        "a learning policy cannot be replayed on an observational log: it records neither every \
         arm's answer nor the probability of the one it holds"
    )]
    Observational,
    /// An option names an arm that the log does not have.
    #[error("{option}: the log has no arm `{got}` to compare")]
    UnknownArm {
        /// The option.
        option: &'static str,
        /// The name as given.
        got: String,
        /// Arms that can be named.
        known: Vec<String>,
    },
    /// An option is out of range or cannot be read.
    #[error("{option} must be {allowed}, got {got}")]
    Option {
        /// The option.
        option: &'static str,
        /// The value as given.
        got: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A scenario needs every arm's answer.
    #[error("{option} needs a fully observed log: this one holds one answer per request")]
    NeedsFullInformation {
        /// The option.
        option: &'static str,
    },
    /// An option in event time needs timestamps.
    #[error("{option} is in event time, but {missing} of {requests} requests have no timestamp")]
    NeedsTimestamps {
        /// The option.
        option: &'static str,
        /// Requests without a timestamp.
        missing: usize,
        /// All requests.
        requests: usize,
    },
    /// A policy gave probabilities that are none.
    #[error("`{policy}` gave no valid probabilities at request {position}: {what}")]
    Probabilities {
        /// The policy's name.
        policy: String,
        /// Position in the stream, from 0.
        position: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Too few requests to say anything.
    #[error("insufficient evidence: {what} {got}, the least is {least}")]
    TooFew {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many are needed.
        least: usize,
    },
    /// Logged outcomes without a label, a cost or a propensity.
    #[error(
        "insufficient evidence: {missing} of {requests} logged requests have no served outcome \
         with quality, cost and propensity; at most {most} may lack it"
    )]
    MissingOutcomes {
        /// Requests without.
        missing: usize,
        /// All requests.
        requests: usize,
        /// Most that may lack it.
        most: usize,
    },
    /// At some request no arm is in service.
    #[error("at request {position} of the replay no arm is in service")]
    NoArm {
        /// Position in the stream, from 0.
        position: usize,
    },
    /// Matching is asked for on a log that was not drawn uniformly.
    #[error(
        "matching drawn and logged arms is only valid for uniform logging, but propensities range \
         from {low} to {high}"
    )]
    NotUniform {
        /// Least propensity.
        low: f64,
        /// Largest propensity.
        high: f64,
    },
    /// The log cannot support any evaluation.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

impl LearningError {
    /// An error of the engine.
    pub(crate) fn engine(code: &'static str, error: &impl std::fmt::Display, help: &str) -> Self {
        EvidenceError::engine(code, error, help).into()
    }

    /// The stable code that `plimsoll explain` knows.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Observational => "P0320",
            Self::UnknownArm { .. } => "P0321",
            Self::Option { .. } => "P0322",
            Self::NeedsFullInformation { .. } => "P0323",
            Self::NeedsTimestamps { .. } => "P0324",
            Self::Probabilities { .. } => "P0325",
            Self::TooFew { .. } => "P0326",
            Self::MissingOutcomes { .. } => "P0327",
            Self::NoArm { .. } => "P0328",
            Self::NotUniform { .. } => "P0329",
            Self::Evidence(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Observational => "log the probability of each choice (`propensity`), or collect \
                                    every arm's answer for a sample of requests"
                .into(),
            Self::UnknownArm { known, .. } => {
                format!("name one of the compared arms: {}", known.join(", "))
            }
            Self::Option { .. } => "change the value, or leave the option out".into(),
            Self::NeedsFullInformation { .. } => {
                "leave the option out, or collect every arm's answer for a sample of requests"
                    .into()
            }
            Self::NeedsTimestamps { .. } => {
                "give a number of requests instead of a time, or log `timestamp`".into()
            }
            Self::Probabilities { .. } => {
                "a policy gives every arm in service a probability, others none, summing to 1"
                    .into()
            }
            Self::TooFew { .. } => {
                "collect more requests, or lower the warm-up share; of a logged \
                                    replay, a log that explores more accepts more"
                    .into()
            }
            Self::MissingOutcomes { .. } => {
                "record quality, cost_usd and propensity of the served \
                                             arm of every request, or leave rows without them out \
                                             if that does not depend on the arm"
                    .into()
            }
            Self::NoArm { .. } => "let another arm appear earlier, or one vanish later".into(),
            Self::NotUniform { .. } => "use weighted acceptance or DR-ns".into(),
            Self::Evidence(error) => error.help(),
        }
    }
}
