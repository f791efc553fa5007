//! Why a policy cannot be made, asked or taught.

use crate::distribution::DistributionError;
use crate::exploration::ExplorationError;
use crate::predictor::PredictorError;
use crate::rule::RuleError;
use crate::units::ArmId;

/// Why a policy could not be made, asked or taught. The policy is unchanged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A parameter is out of range.
    #[error("policy parameter `{name}` must be in {allowed}, got {got}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value as given.
        got: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// There is no arm to choose from.
    #[error("a policy needs at least one arm")]
    NoArms,
    /// None of the eligible arms may be chosen.
    #[error("no eligible arm may be chosen")]
    NothingEligible,
    /// The arm's index is too large.
    #[error("arm {got} does not exist, there are {arms}")]
    Arm {
        /// The index as given.
        got: usize,
        /// Arms of the policy.
        arms: usize,
    },
    /// A part counts other arms than the policy.
    #[error("{part}: {got}, the policy needs {expected}")]
    Shape {
        /// Which part, and what is counted.
        part: &'static str,
        /// What the part has.
        got: usize,
        /// What is needed.
        expected: usize,
    },
    /// Principal components cannot be fitted: there are too few contexts, or they are too much alike.
    #[error("{part}: {got}, components of this rank need {needed}")]
    Components {
        /// What is counted.
        part: &'static str,
        /// What there is.
        got: usize,
        /// What is needed.
        needed: usize,
    },
    /// The context has another number of features than the policy's.
    #[error("context has {got} features, the policy needs {expected}")]
    Dimensions {
        /// Features needed.
        expected: usize,
        /// Features given.
        got: usize,
    },
    /// A weight is not a usable number.
    #[error("weight must be in [0, 1e12], got {got}")]
    Weight {
        /// The value as given.
        got: f64,
    },
    /// A new arm has the name of an old one.
    #[error("arm `{arm}` is there already")]
    DuplicateArm {
        /// The name.
        arm: ArmId,
    },
    /// The policy's arms cannot be added to.
    #[error("policy `{policy}` cannot take another arm")]
    FixedArms {
        /// Name of the policy.
        policy: String,
    },
    /// A cascade was told that it asked an arm twice for one request.
    #[error("arm {arm} was asked twice for one request")]
    AskedTwice {
        /// The arm.
        arm: usize,
    },
    /// The features are so far apart in scale that a number overflowed.
    #[error("the features' scales differ too much to score arm {arm}")]
    Singular {
        /// The arm.
        arm: usize,
    },
    /// The policy broke its promise: what it wrote are no probabilities.
    #[error("policy `{policy}` gave no distribution: {source}")]
    Distribution {
        /// Name of the policy.
        policy: String,
        /// What is wrong.
        source: DistributionError,
    },
    /// Bytes do not hold a state of this policy.
    #[error("the state of policy `{policy}` is invalid: {what}")]
    State {
        /// Name of the policy.
        policy: String,
        /// What is wrong.
        what: String,
    },
    /// The rule weighs costs, and the arm has none.
    #[error("arm `{arm}` is unpriced, and the policy weighs costs")]
    Unpriced {
        /// The arm's name.
        arm: ArmId,
    },
    /// The predictor cannot be used.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    /// The rule cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The exploration cannot be used.
    #[error(transparent)]
    Exploration(#[from] ExplorationError),
}

impl PolicyError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Parameter { .. } => "P0170",
            Self::NoArms => "P0171",
            Self::NothingEligible => "P0172",
            Self::Arm { .. } | Self::Shape { .. } => "P0173",
            Self::Dimensions { .. } => "P0174",
            Self::Components { .. } => "P0180",
            Self::Weight { .. } => "P0175",
            Self::DuplicateArm { .. } => "P0111",
            Self::FixedArms { .. } => "P0176",
            Self::Singular { .. } => "P0177",
            Self::AskedTwice { .. } => "P0570",
            Self::State { .. } => "P0178",
            Self::Unpriced { .. } => "P0179",
            Self::Distribution { source, .. } => source.code(),
            Self::Predictor(error) => error.code(),
            Self::Rule(error) => error.code(),
            Self::Exploration(error) => error.code(),
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Parameter { .. } => "choose a value in the allowed range",
            Self::NoArms => "name at least one arm",
            Self::NothingEligible => {
                "put an arm back in service, or drop a requirement of the request"
            }
            Self::Shape { .. } => "give each part one entry per arm, in the arms' order",
            Self::Arm { .. } => "use the arm's index in the order in which the arms were given",
            Self::Components { .. } => "fit on more contexts, or choose a smaller rank",
            Self::Dimensions { .. } => "make every context with the same feature map",
            Self::Weight { .. } => "weights are finite and not negative; 1 is the default",
            Self::DuplicateArm { .. } => "choose another name, or put the old arm back in service",
            Self::FixedArms { .. } => "make the policy again with all arms",
            Self::AskedTwice { .. } => "give the calls of this request, each once, in order",
            Self::Singular { .. } => "scale features to about [-1, 1], or raise the ridge",
            Self::State { .. } => "restore an earlier generation, or make the policy again",
            Self::Unpriced { .. } => {
                "add the arm to the price catalogue, record `cost_usd`, or exclude the arm"
            }
            Self::Distribution { .. } => {
                "correct the policy: probabilities are at least 0 and sum to 1"
            }
            Self::Predictor(error) => error.help(),
            Self::Rule(error) => error.help(),
            Self::Exploration(error) => error.help(),
        }
    }
}
