//! Predictors written outside the crate.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Prediction, PredictorError};
use crate::context::Context;
use crate::policy::{ArmPrior, PolicyError};
use crate::sealed::bytes;
use crate::units::Quality;

/// A predictor of quality of your own: wrap it with [`Predictor::custom`](super::Predictor::custom)
/// and use it wherever a predictor goes.
///
/// Snapshots hold its [`state`](Self::state) under its [`name`](Self::name), and the policy around
/// it takes that name: give [`Router::restore_with`](crate::Router::restore_with) a loader that
/// knows it and calls, for instance, [`RulePolicy::restore`](crate::RulePolicy::restore).
///
/// Equal states and contexts give equal bits: no clock, no randomness, no hash maps in
/// iteration order.
pub trait QualityPredictor: fmt::Debug + Send + Sync {
    /// Name of the kind: snapshots find their loader by it, so it differs from every built-in
    /// policy's, for instance by a prefix.
    fn name(&self) -> &str;

    /// K, the number of arms.
    fn arms(&self) -> usize;

    /// d, the number of features a context must have.
    fn dimensions(&self) -> usize;

    /// Appends one prediction per arm to `out`, which comes empty. The context has d usable
    /// features. Predictions out of range are refused, not repaired.
    fn predict(&self, context: &Context, out: &mut Vec<Prediction>);

    /// Learns one outcome of one arm. Arm, weight and context have been checked.
    fn update(&mut self, context: &Context, arm: usize, quality: Quality, weight: f64);

    /// Adds arm K with a prior; answers false, and changes nothing, if it cannot.
    fn add_arm(&mut self, prior: &ArmPrior) -> bool {
        let _ = prior;
        false
    }

    /// The whole state as bytes; equal states give equal bytes.
    /// [`encode_state`](crate::encode_state) makes them of any type with serde.
    fn state(&self) -> Vec<u8>;

    /// An independent copy.
    fn fork(&self) -> Box<dyn QualityPredictor>;
}

/// A predictor from outside, or its state while it waits to be loaded.
#[derive(Debug)]
pub(super) enum Custom {
    Ready(Box<dyn QualityPredictor>),
    Stored(Stored),
}

/// A stored state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    name: String,
    #[serde(with = "bytes")]
    state: Vec<u8>,
}

impl Custom {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Ready(predictor) => predictor.name(),
            Self::Stored(stored) => &stored.name,
        }
    }

    pub(super) fn predict(
        &self,
        arms: usize,
        context: &Context,
        out: &mut Vec<Prediction>,
    ) -> Result<(), PredictorError> {
        if let Self::Ready(predictor) = self {
            predictor.predict(context, out);
        }
        if out.len() == arms {
            return Ok(());
        }
        Err(PredictorError::Shape {
            what: "predictions of the custom predictor",
            expected: arms,
            got: out.len(),
        })
    }

    pub(super) fn update(&mut self, context: &Context, arm: usize, quality: Quality, weight: f64) {
        if let Self::Ready(predictor) = self {
            predictor.update(context, arm, quality, weight);
        }
    }

    pub(super) fn add_arm(&mut self, prior: &ArmPrior) -> Result<(), PredictorError> {
        let added = match self {
            Self::Ready(predictor) => predictor.add_arm(prior),
            Self::Stored(_) => false,
        };
        if added {
            return Ok(());
        }
        Err(PredictorError::Custom {
            predictor: self.name().to_owned(),
            what: "take another arm",
        })
    }

    /// Whether it is loaded, and counts what the predictor around it counts.
    pub(super) fn is_sound(&self, arms: usize, dimensions: usize) -> bool {
        match self {
            Self::Ready(own) => own.arms() == arms && own.dimensions() == dimensions,
            Self::Stored(_) => false,
        }
    }

    pub(super) fn load(&mut self, make: &CustomLoader<'_>) -> Result<(), PolicyError> {
        if let Self::Stored(Stored { name, state }) = self {
            *self = Self::Ready(make(name, state)?);
        }
        Ok(())
    }

    fn stored(&self) -> Stored {
        match self {
            Self::Ready(predictor) => Stored {
                name: predictor.name().to_owned(),
                state: predictor.state(),
            },
            Self::Stored(stored) => stored.clone(),
        }
    }
}

/// Makes a custom predictor of its name and the bytes of [`QualityPredictor::state`].
pub type CustomLoader<'a> =
    dyn Fn(&str, &[u8]) -> Result<Box<dyn QualityPredictor>, PolicyError> + 'a;

impl Clone for Custom {
    fn clone(&self) -> Self {
        match self {
            Self::Ready(predictor) => Self::Ready(predictor.fork()),
            Self::Stored(stored) => Self::Stored(stored.clone()),
        }
    }
}

/// Equal states learn and predict alike.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.stored() == other.stored()
    }
}

impl Serialize for Custom {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.stored().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Custom {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Stored::deserialize(from).map(Self::Stored)
    }
}
