//! R3: not worse than a reference arm by more than a margin.

use serde::{Deserialize, Serialize};

use super::{ArmScore, RuleError, Verdict, within};
use crate::math;
use crate::units::ArmId;

/// R3: argmin `E[c]` over `{a : P(q_a(x) − q_ref(x) ≥ −ε) ≥ 1 − δ}` ∪ {ref}, normal approximation.
///
/// The condition is that the lower confidence bound of the difference,
/// `q_a − q_ref − z_{1−δ}·√(v_a + v_ref)`, stays above −ε; the two errors are taken as independent.
/// The reference is feasible by definition. Where it may not answer and no other arm is feasible,
/// the arm of highest expected quality answers, flagged infeasible.
///
/// Bounds from below never invite an untried arm: give the policy
/// [`Exploration`](crate::Exploration), as the explore-then-commit phase of the source does.
/// Source: cost-subsidised bandits, Sinha et al., AISTATS 2021, arXiv 2011.01488 (optimism and
/// Thompson sampling alone fail there); margin against a known arm: pairwise elimination,
/// arXiv 2501.10290.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `reference` | – | an arm | what the others are compared with |
/// | `margin` | – | \[0, 1\] | ε: quality that may be given away |
/// | `delta` | [`DELTA`](crate::DELTA) | (0, 1) | accepted probability of giving away more |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonInferiority {
    /// The arm that the others are compared with.
    pub reference: ArmId,
    /// ε in [0, 1].
    pub margin: f64,
    /// δ in (0, 1).
    pub delta: f64,
}

/// Expected qualities and their variances, shape (K).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) quality: f64,
    pub(crate) variance: f64,
}

impl NonInferiority {
    pub(super) fn check(&self) -> Result<(), RuleError> {
        let (margin, delta) = (self.margin, self.delta);
        within((0.0..=1.0).contains(&margin), "margin", margin, "[0, 1]")?;
        within(delta > 0.0 && delta < 1.0, "delta", delta, "(0, 1)")
    }

    /// P(q − q_ref ≥ −ε) of an arm other than the reference.
    pub(crate) fn chance(&self, arm: Known, reference: Known) -> f64 {
        let gap = arm.quality - reference.quality + self.margin;
        let variance = arm.variance + reference.variance;
        if variance > 0.0 {
            math::normal_cdf(gap / variance.sqrt())
        } else {
            f64::from(u8::from(gap >= 0.0))
        }
    }

    /// As [`chance`](Self::chance), of a score among `scores`; 1 for the reference itself.
    pub(crate) fn chance_of(&self, score: &ArmScore, scores: &[ArmScore]) -> f64 {
        if score.arm == self.reference {
            return 1.0;
        }
        let reference = scores.iter().find(|s| s.arm == self.reference);
        reference.map_or(0.0, |reference| self.chance(known(score), known(reference)))
    }

    /// Whether the arm may be chosen for its price.
    pub(crate) fn feasible(&self, score: &ArmScore, scores: &[ArmScore]) -> bool {
        score.eligible && self.chance_of(score, scores) >= 1.0 - self.delta
    }

    pub(super) fn judge(&self, scores: &[ArmScore], out: &mut Verdict) {
        out.cheapest(scores, |s| self.feasible(s, scores));
    }
}

fn known(score: &ArmScore) -> Known {
    Known {
        quality: score.quality,
        variance: score.variance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: z₀.₉₅ = 1.644 854; with variances .0004 + .0005 the bound is .88 − .90 − .049 346.
    #[test]
    fn the_bound_is_that_of_the_difference() {
        let rule = |margin| NonInferiority {
            reference: ArmId::new("reference").expect("a name"),
            margin,
            delta: 0.05,
        };
        let arm = Known {
            quality: 0.88,
            variance: 0.0004,
        };
        let reference = Known {
            quality: 0.90,
            variance: 0.0005,
        };
        assert!(rule(0.069_346).chance(arm, reference) >= 0.95);
        assert!(rule(0.069_345).chance(arm, reference) < 0.95);
    }
}
