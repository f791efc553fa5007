//! What a predictor is told of a new arm.

use super::tally::Tally;
use crate::policy::ArmPrior;

/// The numbers of an [`ArmPrior`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Belief {
    pub(super) quality: f64,
    pub(super) strength: f64,
    /// An arm that exists.
    pub(super) like: Option<usize>,
}

impl Belief {
    pub(super) fn of(prior: &ArmPrior) -> Self {
        Self {
            quality: prior.quality,
            strength: prior.strength,
            like: prior.like,
        }
    }

    /// The share of `known` outcomes that leaves at most `strength` of them.
    pub(super) fn share_of(&self, known: f64) -> f64 {
        Tally::stated(self.quality, known).discount(self.strength)
    }

    /// The new arm's own tally, and what of the other arm's outcomes is left.
    pub(super) fn tally(&self, of: impl Fn(usize) -> Tally) -> (Tally, f64) {
        match self.like {
            Some(like) => {
                let known = of(like);
                let share = known.discount(self.strength);
                (known.times(share), share)
            }
            None => (Tally::stated(self.quality, self.strength), 0.0),
        }
    }
}
