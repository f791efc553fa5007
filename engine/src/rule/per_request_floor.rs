//! R1: every request by itself reaches the line.

use serde::{Deserialize, Serialize};

use super::{ArmScore, RuleError, Verdict, within};
use crate::math;

/// R1: argmin `E[c]` over `{a : P(q_a(x) ≥ τ) ≥ 1 − δ}`, normal approximation.
///
/// When no arm qualifies, the arm of highest predicted quality answers, flagged infeasible.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerRequestFloor {
    /// τ in [0, 1].
    pub quality: f64,
    /// δ in (0, 1): accepted probability of falling below τ.
    pub delta: f64,
}

impl PerRequestFloor {
    /// P(q ≥ τ) under a normal with the score's mean and variance.
    #[must_use]
    pub fn probability(&self, score: &ArmScore) -> f64 {
        let gap = score.quality - self.quality;
        if score.variance > 0.0 {
            math::normal_cdf(gap / score.variance.sqrt())
        } else {
            f64::from(u8::from(gap >= 0.0))
        }
    }

    /// Whether the arm may be chosen for its price.
    pub(crate) fn feasible(&self, score: &ArmScore) -> bool {
        score.eligible && self.probability(score) >= 1.0 - self.delta
    }

    pub(super) fn check(&self) -> Result<(), RuleError> {
        let (quality, delta) = (self.quality, self.delta);
        within((0.0..=1.0).contains(&quality), "quality", quality, "[0, 1]")?;
        within(delta > 0.0 && delta < 1.0, "delta", delta, "(0, 1)")
    }

    /// The rule with another floor.
    pub(super) fn at(&self, quality: f64) -> Self {
        Self { quality, ..*self }
    }

    pub(super) fn judge_if_any(&self, scores: &[ArmScore], out: &mut Verdict) {
        if scores.iter().any(|s| s.eligible) {
            self.judge(scores, out);
        } else {
            out.nothing();
        }
    }

    pub(super) fn judge(&self, scores: &[ArmScore], out: &mut Verdict) {
        out.cheapest(scores, |s| self.feasible(s));
    }
}
