//! Why a router was not made, did not decide, or did not learn.

use crate::context::ContextError;
use crate::cost::CostError;
use crate::policy::PolicyError;
use crate::units::ArmId;

/// Why parts do not make a router.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// There is no arm.
    #[error("a router needs at least one arm")]
    NoArms,
    /// Two arms have the same name.
    #[error("arm `{arm}` is there twice")]
    DuplicateArm {
        /// The name.
        arm: ArmId,
    },
    /// A part counts other arms or features than the router.
    #[error("{part} has {got}, the router needs {expected}")]
    Mismatch {
        /// Which part, and what is counted.
        part: &'static str,
        /// What the part has.
        got: usize,
        /// What is needed.
        expected: usize,
    },
    /// The rule weighs costs, and an arm has none.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Why no decision was taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// No arm may answer the request.
    #[error(
        "none of {arms} arms may answer: archived, not eligible, too small, or lacking a capability"
    )]
    NoEligibleArm {
        /// Arms of the router.
        arms: usize,
    },
    /// The context cannot be used.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The policy cannot judge the request.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Why an outcome was not learned. The router is unchanged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedbackError {
    /// The router does not have the arm.
    #[error("the router has no arm `{arm}`")]
    UnknownArm {
        /// The arm as given.
        arm: ArmId,
    },
    /// The context cannot be used.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// Feedback came by decision id, and a bare router keeps no open decisions.
    #[error("a bare router keeps no open decisions that feedback by id could name")]
    NoOpenDecisions,
    /// The policy cannot learn it.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The cost predictor cannot learn it.
    #[error(transparent)]
    Cost(#[from] CostError),
}

impl RouterError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoArms => "P0110",
            Self::DuplicateArm { .. } => "P0111",
            Self::Mismatch { .. } => "P0112",
            Self::Cost(error) => error.code(),
            Self::Policy(error) => error.code(),
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NoArms => "name at least one arm, or check that the log has outcomes",
            Self::DuplicateArm { .. } => "remove one of the two, or rename it",
            Self::Mismatch { .. } => "fit every part on the same arms and features",
            Self::Cost(error) => error.help(),
            Self::Policy(error) => error.help(),
        }
    }
}

impl DecideError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoEligibleArm { .. } => "P0115",
            Self::Context(error) => error.code(),
            Self::Policy(error) => error.code(),
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NoEligibleArm { .. } => {
                "relax the request's requirements, or add an arm that meets them"
            }
            Self::Context(error) => error.help(),
            Self::Policy(error) => error.help(),
        }
    }
}

impl FeedbackError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownArm { .. } => "P0116",
            Self::Context(error) => error.code(),
            Self::NoOpenDecisions => "P0565",
            Self::Policy(error) => error.code(),
            Self::Cost(error) => error.code(),
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::UnknownArm { .. } => "check the arm's spelling, or fit the router again with it",
            Self::Context(error) => error.help(),
            Self::NoOpenDecisions => "apply the event to a `Live`, which holds the router",
            Self::Policy(error) => error.help(),
            Self::Cost(error) => error.help(),
        }
    }
}
