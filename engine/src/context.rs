//! What is known about a request before an arm is chosen.

use serde::{Deserialize, Serialize};

use crate::units::ArmId;

/// Largest absolute value of a feature: its square still leaves room in every sum.
pub const FEATURE_ABS_MAX: f64 = 1e12;

/// What is known about one request before an arm is chosen.
///
/// ```
/// use plimsoll::Context;
/// let context = Context::new(vec![0.2, 0.7])?;
/// assert!(Context::new(vec![f64::NAN]).is_err());
/// # Ok::<(), plimsoll::ContextError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Features, shape (d), finite; without an intercept, which predictors add themselves.
    pub features: Vec<f64>,
    /// Task or category, if known.
    #[serde(default)]
    pub task: Option<String>,
    /// Tokens of the request as sent.
    #[serde(default)]
    pub input_tokens: Option<u64>,
    /// Capabilities the arm must have, for instance `tools` or `vision`.
    #[serde(default)]
    pub required: Vec<String>,
    /// Arms that may answer; `None`: all.
    #[serde(default)]
    pub eligible: Option<Vec<ArmId>>,
}

/// Why a request's description cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// A feature is not a usable number.
    #[error("feature {index} must be finite and within ±{FEATURE_ABS_MAX:e}, got {got}")]
    Feature {
        /// Position in the features.
        index: usize,
        /// The value as given.
        got: f64,
    },
    /// The caller's embedding has another length than those seen in training.
    #[error("embedding has {got} values, the feature map was fitted on {expected}")]
    EmbeddingLength {
        /// Values given.
        got: usize,
        /// Values the map knows.
        expected: usize,
    },
}

impl ContextError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Feature { .. } => "P0120",
            Self::EmbeddingLength { .. } => "P0121",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Feature { .. } => {
                "replace missing values by 0 and scale features to about [-1, 1] before routing"
            }
            Self::EmbeddingLength { .. } => {
                "use the embedding model that was used in training, or fit the features again"
            }
        }
    }
}

impl Context {
    /// A context of these features and nothing else.
    ///
    /// # Errors
    /// [`ContextError::Feature`] when a feature is NaN, infinite or beyond [`FEATURE_ABS_MAX`].
    pub fn new(features: Vec<f64>) -> Result<Self, ContextError> {
        let context = Self {
            features,
            ..Self::default()
        };
        context.validate()?;
        Ok(context)
    }

    /// Checks what the public fields cannot promise by themselves.
    ///
    /// # Errors
    /// [`ContextError::Feature`] when a feature is NaN, infinite or beyond [`FEATURE_ABS_MAX`].
    pub fn validate(&self) -> Result<(), ContextError> {
        check_features(&self.features)
    }
}

/// Every feature finite and of usable size.
pub(crate) fn check_features(features: &[f64]) -> Result<(), ContextError> {
    // Written so that NaN is not usable.
    let usable = |x: f64| x.abs() <= FEATURE_ABS_MAX;
    // Without a way out in between, all are compared side by side.
    if features.iter().fold(true, |all, x| all & usable(*x)) {
        return Ok(());
    }
    for (index, &got) in features.iter().enumerate() {
        if !usable(got) {
            return Err(ContextError::Feature { index, got });
        }
    }
    Ok(())
}
