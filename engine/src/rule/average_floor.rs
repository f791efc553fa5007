//! R2: the mean quality stays above the line.

use serde::{Deserialize, Serialize};

use super::{Answered, ArmScore, RuleError, Verdict, within};
use crate::units::ArmId;

/// Largest λ: beyond it cost no longer counts beside quality.
pub const LAMBDA_MAX: f64 = 1e12;

/// R2: argmin E\[c\]/scale − λ·q, with λ one of two values so that any average can be met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AverageFloor {
    /// λ ≥ 0 used with probability 1 − `share_high`, in relative cost per quality.
    pub lambda_low: f64,
    /// λ ≥ 0 used with probability `share_high`.
    pub lambda_high: f64,
    /// Share of requests decided under `lambda_high`, in [0, 1].
    pub share_high: f64,
    /// Reference cost in US dollars, > 0: what costs are divided by.
    pub cost_scale: f64,
}

impl AverageFloor {
    pub(super) fn check(&self) -> Result<(), RuleError> {
        let rule = self;
        let lambda = 0.0..=LAMBDA_MAX;
        let (low, high) = (rule.lambda_low, rule.lambda_high);
        within(lambda.contains(&low), "lambda_low", low, "[0, 1e12]")?;
        within(lambda.contains(&high), "lambda_high", high, "[0, 1e12]")?;
        let share = rule.share_high;
        within((0.0..=1.0).contains(&share), "share_high", share, "[0, 1]")?;
        let scale = rule.cost_scale;
        within(
            (1e-15..=1e15).contains(&scale),
            "cost_scale",
            scale,
            "[1e-15, 1e15]",
        )
    }

    /// R2's components scaled to 1 − `share`, and one for the anchor arm where it may answer.
    pub(super) fn judge_anchored(
        &self,
        scores: &[ArmScore],
        arm: &ArmId,
        share: f64,
        out: &mut Verdict,
    ) {
        self.judge(scores, out);
        let ranked = matches!(out.read(), Answered::Ranked { .. });
        if ranked && share > 0.0 && scores.iter().any(|s| s.arm == *arm && s.eligible) {
            let only = |s: &ArmScore| {
                if s.arm == *arm {
                    0.0
                } else {
                    f64::NEG_INFINITY
                }
            };
            out.scale(1.0 - share);
            out.add(share, scores.iter().map(only));
        }
    }

    pub(super) fn judge(&self, scores: &[ArmScore], out: &mut Verdict) {
        let parts = [
            (self.lambda_low, 1.0 - self.share_high),
            (self.lambda_high, self.share_high),
        ];
        out.ranked(false);
        for (lambda, share) in parts.into_iter().filter(|(_, share)| *share > 0.0) {
            let utility = |s: &ArmScore| match s.expected_cost {
                Some(cost) if s.eligible => self.utility(lambda, s.quality, cost),
                _ => f64::NEG_INFINITY,
            };
            out.add(share, scores.iter().map(utility));
        }
        // All components rule out the same arms.
        if out.is_void() {
            out.nothing();
        }
    }

    /// (λq − c/scale)/(1 + λ): the rule's aim turned around and kept near [−1, 1].
    #[must_use]
    pub fn utility(&self, lambda: f64, quality: f64, cost_usd: f64) -> f64 {
        (lambda * quality - cost_usd / self.cost_scale) / (1.0 + lambda)
    }
}
