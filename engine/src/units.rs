//! Identities and units that hold an invariant: parsed once, trusted ever after.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of an arm: what requests are routed to (a model, possibly with an effort setting).
///
/// Cheap to clone; equal names are equal arms; ordered by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArmId(Arc<str>);

/// Quality of an answer, a finite number in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Quality(f64);

/// Probability with which a policy chose an arm: in (0, 1], so that dividing by it is safe.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Propensity(f64);

/// The only source of randomness: a decision is a function of state, context and seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

/// Why a value is not a valid unit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// A quality outside [0, 1] or not finite.
    #[error("quality must be in [0, 1], got {got}")]
    Quality {
        /// The value as given.
        got: f64,
    },
    /// A propensity outside (0, 1] or not finite.
    #[error("propensity must be in (0, 1], got {got}")]
    Propensity {
        /// The value as given.
        got: f64,
    },
    /// An arm without a name.
    #[error("an arm needs a name, got an empty text")]
    EmptyArm,
}

impl ArmId {
    /// The arm of that name.
    ///
    /// # Errors
    /// [`UnitError::EmptyArm`] when the name is empty.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, UnitError> {
        let name = name.into();
        if name.is_empty() {
            Err(UnitError::EmptyArm)
        } else {
            Ok(Self(name))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Quality {
    /// The quality `value`.
    ///
    /// # Errors
    /// [`UnitError::Quality`] when `value` is not a finite number in [0, 1].
    pub fn new(value: f64) -> Result<Self, UnitError> {
        if (0.0..=1.0).contains(&value) {
            // Adding zero turns -0.0 into 0.0, so that equal qualities have equal bits.
            Ok(Self(value + 0.0))
        } else {
            Err(UnitError::Quality { got: value })
        }
    }

    /// The value in [0, 1].
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Propensity {
    /// The propensity of a certain choice.
    pub const ONE: Self = Self(1.0);

    /// The propensity `value`.
    ///
    /// # Errors
    /// [`UnitError::Propensity`] when `value` is not in (0, 1].
    pub fn new(value: f64) -> Result<Self, UnitError> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(UnitError::Propensity { got: value })
        }
    }

    /// The value in (0, 1].
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for ArmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ArmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArmId({})", &self.0)
    }
}

impl TryFrom<String> for ArmId {
    type Error = UnitError;
    fn try_from(name: String) -> Result<Self, UnitError> {
        Self::new(name)
    }
}

impl From<ArmId> for String {
    fn from(arm: ArmId) -> Self {
        arm.0.as_ref().to_owned()
    }
}

impl TryFrom<f64> for Quality {
    type Error = UnitError;
    fn try_from(value: f64) -> Result<Self, UnitError> {
        Self::new(value)
    }
}

impl From<Quality> for f64 {
    fn from(quality: Quality) -> Self {
        quality.0
    }
}

impl TryFrom<f64> for Propensity {
    type Error = UnitError;
    fn try_from(value: f64) -> Result<Self, UnitError> {
        Self::new(value)
    }
}

impl From<Propensity> for f64 {
    fn from(propensity: Propensity) -> Self {
        propensity.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_units_exist() {
        for bad in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
            assert!(Quality::new(bad).is_err(), "{bad}");
            assert!(Propensity::new(bad).is_err(), "{bad}");
        }
        assert!(Propensity::new(0.0).is_err());
        assert_eq!(Quality::new(0.0).map(Quality::get), Ok(0.0));
        assert_eq!(ArmId::new(""), Err(UnitError::EmptyArm));
    }
}
