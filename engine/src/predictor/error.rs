//! Why a predictor cannot do what was asked.

use crate::context::ContextError;
use crate::units::UnitError;

use super::WEIGHT_MAX;

/// Why a predictor could not be fitted, asked or updated. The predictor is unchanged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictorError {
    /// A setting is out of range.
    #[error("predictor setting `{name}` must be in {allowed}, got {got}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The value as given.
        got: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// There is no arm to predict for.
    #[error("a predictor needs at least one arm")]
    NoArms,
    /// The quality table does not fit the contexts.
    #[error("{what} must have {expected} entries, got {got}")]
    Shape {
        /// Which table.
        what: &'static str,
        /// Entries needed.
        expected: usize,
        /// Entries given.
        got: usize,
    },
    /// A context has another number of features than the others.
    #[error("row {row}: context has {got} features, expected {expected}")]
    Dimensions {
        /// Position of the row; 0 outside training.
        row: usize,
        /// Features needed.
        expected: usize,
        /// Features given.
        got: usize,
    },
    /// A context holds a value that cannot be used.
    #[error("row {row}: {source}")]
    Context {
        /// Position of the row; 0 outside training.
        row: usize,
        /// What is wrong with it.
        source: ContextError,
    },
    /// A quality is not in [0, 1].
    #[error("row {row}: {source}")]
    Quality {
        /// Position of the row.
        row: usize,
        /// What is wrong with it.
        source: UnitError,
    },
    /// A weight is not a usable number.
    #[error("row {row}: weight must be in [0, {WEIGHT_MAX:e}], got {got}")]
    Weight {
        /// Position of the row; 0 outside training.
        row: usize,
        /// The value as given.
        got: f64,
    },
    /// The arm's index is too large.
    #[error("arm {got} does not exist, there are {arms}")]
    Arm {
        /// The index as given.
        got: usize,
        /// Arms of the predictor.
        arms: usize,
    },
    /// An average is made of fitted predictors, it is not fitted itself.
    #[error("an average needs at least one fitted predictor, and averages do not nest")]
    NoMembers,
    /// A member of an average does not fit the first one.
    #[error("member {member} of the average counts other arms or features than the first one")]
    Members {
        /// Position of the member.
        member: usize,
    },
    /// A custom predictor cannot do what was asked.
    #[error("custom predictor `{predictor}` cannot {what}")]
    Custom {
        /// Its name.
        predictor: String,
        /// What was asked.
        what: &'static str,
    },
    /// The features are so far apart in scale that a factorisation failed.
    #[error("the features' scales differ too much to solve for arm {arm}")]
    Singular {
        /// The arm.
        arm: usize,
    },
}

impl PredictorError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "P0130",
            Self::NoArms => "P0131",
            Self::Shape { .. } => "P0132",
            Self::Dimensions { .. } => "P0133",
            Self::Context { .. } => "P0134",
            Self::Quality { .. } => "P0135",
            Self::Weight { .. } => "P0136",
            Self::Arm { .. } => "P0137",
            Self::Singular { .. } => "P0138",
            Self::NoMembers | Self::Members { .. } => "P0139",
            Self::Custom { .. } => "P0572",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "change the setting, or leave it out for its default",
            Self::NoArms => "name at least one arm, or check that the log has outcomes",
            Self::Shape { .. } => "give one entry per context and arm, row after row",
            Self::Dimensions { .. } => "make every context with the same feature map",
            Self::Context { .. } => "replace missing features by 0 and scale the others",
            Self::Quality { .. } => "rescale quality to [0, 1]; leave unlabelled outcomes out",
            Self::Weight { .. } => "weights are finite and not negative; 1 is the default",
            Self::Arm { .. } => "use the arm's index in the order in which the arms were given",
            Self::NoMembers | Self::Members { .. } => {
                "fit each member first, on the same arms and features"
            }
            Self::Custom { .. } => "implement it in the predictor, or use a built-in kind",
            Self::Singular { .. } => "scale features to about [-1, 1], or raise `ridge`",
        }
    }
}
