//! Why a router was not made, did not decide, or did not learn.

use crate::context::ContextError;
use crate::cost::CostError;
use crate::ledger::Denied;
use crate::policy::PolicyError;
use crate::spending::SpendError;
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
    /// The request's own cap on cost rules out every arm that could answer.
    #[error(
        "none of {arms} arms that may answer is expected to cost at most {cost_max_usd} USD{}",
        cheapest(*cheapest_usd)
    )]
    OverCostMax {
        /// The cap.
        cost_max_usd: f64,
        /// Least expected cost of those arms; `None`: they are unpriced.
        cheapest_usd: Option<f64>,
        /// Arms that could answer.
        arms: usize,
    },
    /// The policy holds no floor, and the request asks for one.
    #[error("policy `{policy}` cannot hold a quality floor for one request")]
    FloorNotHeld {
        /// Name of the policy.
        policy: String,
    },
    /// The next step of a cascade was asked of a policy that is none.
    #[error("policy `{policy}` makes one call per request: it is no cascade")]
    NotCascade {
        /// Name of the policy.
        policy: String,
    },
    /// Something that this request alone asks for is out of range.
    #[error("the request's `{name}` must be in {allowed}, got {got}")]
    Override {
        /// What.
        name: &'static str,
        /// The value as given.
        got: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Caps deny every arm that may answer: the first denial.
    #[error(transparent)]
    Capped(#[from] Denied),
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
    /// The ledger cannot book it.
    #[error(transparent)]
    Spending(#[from] SpendError),
}

fn cheapest(usd: Option<f64>) -> String {
    usd.map_or_else(
        || "; they are unpriced".to_owned(),
        |usd| format!("; the cheapest is expected to cost {usd}"),
    )
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
            Self::OverCostMax { .. } => "P0190",
            Self::FloorNotHeld { .. } => "P0191",
            Self::Override { .. } => "P0192",
            Self::NotCascade { .. } => "P0571",
            Self::Capped(error) => error.code(),
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
            Self::OverCostMax { .. } => "raise the request's `cost_max_usd`, or add a cheaper arm",
            Self::FloorNotHeld { .. } => "leave the floor out, or use a rule that predicts quality",
            Self::NotCascade { .. } => "use `decide`, or a router around a `Cascade`",
            Self::Override { .. } => "choose a value in the allowed range, or leave it out",
            Self::Capped(error) => error.help(),
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
            Self::Spending(error) => error.code(),
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
            Self::Spending(error) => error.help(),
        }
    }
}
