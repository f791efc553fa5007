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
/// Most that the balance may owe, as quality per request of the horizon.
pub const FLOOR_DEBT_MAX: f64 = 0.2;
/// Most that the balance may hold, as quality per request of the horizon: what a long good time
/// leaves to spend.
pub const FLOOR_CREDIT_MAX: f64 = 0.05;

/// Debt, as quality per request of the horizon, beyond which no arm is tried.
const TRIAL_DEBT: f64 = 0.01;

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
/// | `horizon` | none | \[1, 1e9\] | H: requests over which a shortfall is made up |
///
/// Steps on q̄ alone hold the average *from now on*: what fell short while arms were being learned
/// or after a shock stays lost. With a horizon, τ in the step is τ − B/H (at most 1), where
/// B = Σw(q − τ) is the balance since the start, kept within −[`FLOOR_DEBT_MAX`]·H and
/// [`FLOOR_CREDIT_MAX`]·H: a shortfall is repaid over about H requests, and a surplus is spent. The
/// price: while a surplus is spent, short averages lie further below the line than without.
/// B is the virtual queue of Lyapunov optimisation, unclipped at 0 (Liu, Li, Shi & Ying 2021, arXiv
/// 2102.05295), and ln λ a proportional–integral controller of it, as in the PID Lagrangians of
/// Stooke, Achiam & Abbeel 2020, arXiv 2007.03964. With plant gain g = dE\[q\]/d ln λ the loop is
/// damped for H ≥ 4τ/(ηg): about 500 for τ = .75, η = .2 and g = .03.
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
    /// H: requests over which the balance is evened out; `None`: no balance is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<f64>,
    /// B = Σw(q − τ), in quality.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub balance: f64,
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
            horizon: None,
            balance: 0.0,
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
        let gap = (self.target(quality, weight) - self.average) / self.quality;
        if self.relative {
            // No single outcome may move λ by more than a factor e.
            let factor = math::exp((self.step * gap).clamp(-1.0, 1.0));
            let lambda = lambda.max(LAMBDA_RELATIVE_MIN) * factor;
            return lambda.max(LAMBDA_RELATIVE_MIN).min(self.lambda_max);
        }
        (lambda + self.step * gap).clamp(0.0, self.lambda_max)
    }

    /// Books one outcome and answers what q̄ is held to.
    fn target(&mut self, quality: f64, weight: f64) -> f64 {
        let Some(horizon) = self.horizon else {
            return self.quality;
        };
        let balance = self.balance + weight * (quality - self.quality);
        self.balance = balance.clamp(-FLOOR_DEBT_MAX * horizon, FLOOR_CREDIT_MAX * horizon);
        (self.quality - self.balance / horizon).min(1.0)
    }

    /// Whether the line is kept so well that an unproven arm may be tried.
    ///
    /// A balance makes up for the few trials an arm gets, so they wait only for a debt of a point
    /// per request of the horizon; without one they wait for the average.
    pub(crate) fn keeps_slack(&self) -> bool {
        match self.horizon {
            Some(horizon) => self.balance >= -TRIAL_DEBT * horizon,
            None => self.average >= self.quality,
        }
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
        )?;
        let horizon = self.horizon.unwrap_or(1.0);
        let long = (1.0..=1e9).contains(&horizon);
        within(long, "horizon", horizon, "[1, 1e9]")?;
        let (owed, held) = (FLOOR_DEBT_MAX * horizon, FLOOR_CREDIT_MAX * horizon);
        let bounded = (-owed..=held).contains(&self.balance);
        within(bounded, "balance", self.balance, "[-0.2 H, 0.05 H]")
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out a reference"
)]
fn is_zero(balance: &f64) -> bool {
    *balance == 0.0
}
