//! What became of a decision.

use serde::{Deserialize, Serialize};

use crate::money::Usd;
use crate::units::{ArmId, Propensity, Quality};

/// An outcome to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// The arm that answered: the served one, which after a fallback is not the sampled one.
    pub arm: ArmId,
    /// Quality of the answer; `None`: only the cost is known.
    #[serde(default)]
    pub quality: Option<Quality>,
    /// What the call cost.
    #[serde(default)]
    pub cost: Option<Usd>,
    /// Output tokens, reasoning included.
    #[serde(default)]
    pub output_tokens: Option<u64>,
    /// How much the outcome counts; 1 unless the caller knows better.
    pub weight: f64,
    /// Probability with which the arm was chosen; weighs the average that controls λ.
    #[serde(default)]
    pub propensity: Option<Propensity>,
}

impl Feedback {
    /// The outcome of one answer, weight 1.
    #[must_use]
    pub fn new(arm: ArmId, quality: Quality) -> Self {
        Self {
            arm,
            quality: Some(quality),
            cost: None,
            output_tokens: None,
            weight: 1.0,
            propensity: None,
        }
    }
}
