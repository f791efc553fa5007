//! What classic bandits maximise.

use serde::{Deserialize, Serialize};

use super::PolicyError;

/// Default of [`Reward::cost_weight`]: quality alone counts.
pub const COST_WEIGHT: f64 = 0.0;
/// Default of [`Reward::cost_scale`], in US dollars.
pub const COST_SCALE: f64 = 1e-3;

/// reward = quality − `cost_weight` · cost/`cost_scale`.
///
/// Quality is learned, cost is known: a policy learns quality only and subtracts the request's
/// own expected cost, so that a change of price counts at once and a missing label costs nothing.
/// An arm without a price is not chosen where costs count.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `cost_weight` | 0 | \[0, 1e9\] | quality that one `cost_scale` is worth |
/// | `cost_scale` | 0.001 | \[1e-12, 1e12\] | unit of cost, in US dollars |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    /// Quality that one `cost_scale` is worth.
    pub cost_weight: f64,
    /// Unit of cost, in US dollars.
    pub cost_scale: f64,
}

impl Default for Reward {
    fn default() -> Self {
        Self {
            cost_weight: COST_WEIGHT,
            cost_scale: COST_SCALE,
        }
    }
}

impl Reward {
    /// Whether costs count at all.
    #[must_use]
    pub fn weighs_costs(&self) -> bool {
        self.cost_weight > 0.0
    }

    /// What an expected cost takes from the reward; `None`: the arm has no price and needs one.
    pub(crate) fn penalty(&self, cost: Option<f64>) -> Option<f64> {
        if self.weighs_costs() {
            cost.map(|cost| self.cost_weight * cost / self.cost_scale)
        } else {
            Some(0.0)
        }
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        within("cost_weight", self.cost_weight, 0.0..=1e9, "[0, 1e9]")?;
        within("cost_scale", self.cost_scale, 1e-12..=1e12, "[1e-12, 1e12]")
    }
}

/// Whether a parameter is in its range; written so that NaN is not.
pub(crate) fn within(
    name: &'static str,
    got: f64,
    range: std::ops::RangeInclusive<f64>,
    allowed: &'static str,
) -> Result<(), PolicyError> {
    if range.contains(&got) {
        Ok(())
    } else {
        Err(PolicyError::Parameter { name, got, allowed })
    }
}
