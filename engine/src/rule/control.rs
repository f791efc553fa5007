//! R2's line held online.

use serde::{Deserialize, Serialize};

use super::{LAMBDA_MAX, RuleError, within};

/// Default of [`LambdaControl::step`].
pub const LAMBDA_STEP: f64 = 0.2;
/// Default of [`LambdaControl::newest`].
pub const LAMBDA_NEWEST: f64 = 0.2;

/// Online control of λ: λ ← clip(λ + η(τ − q̄)/τ, 0, λmax), q̄ a moving average of quality.
///
/// With propensities, q̄ is importance-weighted: weight π/p with π the policy's own probability of
/// the arm, exploration and trials included. What the policy serves itself counts once, and an
/// answer logged under another policy for as much as this one would have asked for it.
///
/// The steps add up: Σ(τ − q̄) = τ(λ_T − λ_0)/η, so a larger η holds the average closer; the moving
/// average only delays, so it is short. In the worlds of `tests/engine/rules.rs` the mean of 500
/// requests is back within a point of the line at most 450 requests after a shock; with η = .05 and
/// a share of .01, up to 2,200.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `quality` | – | (0, 1\] | τ: the average to hold |
/// | `step` | [`LAMBDA_STEP`] | (0, 1e6\] | η: larger recovers sooner and spends less evenly |
/// | `newest` | [`LAMBDA_NEWEST`] | (0, 1\] | share of the newest outcome in q̄ |
/// | `lambda_max` | 100 | \[0, 1e12\] | beyond it cost no longer counts |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LambdaControl {
    /// τ in (0, 1]: the average quality to hold.
    pub quality: f64,
    /// η > 0: step per outcome.
    pub step: f64,
    /// Share of the newest outcome in the moving average, in (0, 1].
    pub newest: f64,
    /// λmax.
    pub lambda_max: f64,
    /// q̄.
    pub average: f64,
}

impl LambdaControl {
    /// Control towards `quality`, starting as if it were met.
    #[must_use]
    pub const fn new(quality: f64) -> Self {
        Self {
            quality,
            step: LAMBDA_STEP,
            newest: LAMBDA_NEWEST,
            lambda_max: 100.0,
            average: quality,
        }
    }

    /// Learns one outcome and gives the next λ.
    pub fn step(&mut self, lambda: f64, quality: f64, weight: f64) -> f64 {
        let share = (self.newest * weight).clamp(0.0, 1.0);
        self.average += share * (quality - self.average);
        let gap = (self.quality - self.average) / self.quality;
        (lambda + self.step * gap).clamp(0.0, self.lambda_max)
    }

    pub(crate) fn check(&self) -> Result<(), RuleError> {
        let part = |x: f64| x > 0.0 && x <= 1.0;
        within(part(self.quality), "quality", self.quality, "(0, 1]")?;
        within(
            self.step > 0.0 && self.step <= 1e6,
            "step",
            self.step,
            "(0, 1e6]",
        )?;
        within(part(self.newest), "newest", self.newest, "(0, 1]")?;
        let lambda = (0.0..=LAMBDA_MAX).contains(&self.lambda_max);
        within(lambda, "lambda_max", self.lambda_max, "[0, 1e12]")?;
        within(
            (0.0..=1.0).contains(&self.average),
            "average",
            self.average,
            "[0, 1]",
        )
    }
}
