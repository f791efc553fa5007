//! R2's line held online.

use serde::{Deserialize, Serialize};

use super::{LAMBDA_MAX, RuleError, within};
use crate::math;

/// Least λ under relative steps, so that it can always grow again.
pub const LAMBDA_RELATIVE_MIN: f64 = 1e-3;
/// Default step of [`LambdaControl::relative`].
const RELATIVE_STEP: f64 = 0.2;
/// Default share of the newest outcome of [`LambdaControl::relative`].
const RELATIVE_NEWEST: f64 = 0.02;
/// Default λmax of [`LambdaControl::relative`].
const RELATIVE_MAX: f64 = 1e6;

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
///
/// What λ must be depends on prices: anything from a tenth to thousands. Steps of fixed size are
/// therefore far too slow on one pool of arms and far too coarse on another. With `relative`
/// ([`LambdaControl::relative`]) they are shares of λ instead,
/// λ ← clip(λ·exp(η(τ−q̄)/τ), [`LAMBDA_RELATIVE_MIN`], λmax): the same step serves every pool.
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
    /// Whether a step is a share of λ.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relative: bool,
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
            relative: false,
        }
    }

    /// Control towards `quality` by steps relative to λ, starting as if it were met.
    #[must_use]
    pub const fn relative(quality: f64) -> Self {
        Self {
            step: RELATIVE_STEP,
            newest: RELATIVE_NEWEST,
            lambda_max: RELATIVE_MAX,
            relative: true,
            ..Self::new(quality)
        }
    }

    /// Learns one outcome and gives the next λ.
    pub fn step(&mut self, lambda: f64, quality: f64, weight: f64) -> f64 {
        let share = (self.newest * weight).clamp(0.0, 1.0);
        self.average += share * (quality - self.average);
        let gap = (self.quality - self.average) / self.quality;
        if self.relative {
            // No single outcome may move λ by more than a factor e.
            let factor = math::exp((self.step * gap).clamp(-1.0, 1.0));
            let lambda = lambda.max(LAMBDA_RELATIVE_MIN) * factor;
            return lambda.max(LAMBDA_RELATIVE_MIN).min(self.lambda_max);
        }
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
