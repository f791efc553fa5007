//! R4: the best quality that a budget per request pays for.

use serde::{Deserialize, Serialize};

use super::{ArmScore, RuleError, Verdict, within};
use crate::math;
use crate::money::Usd;

/// Default of [`Budget::alpha`].
pub const BUDGET_ALPHA: f64 = 0.01;
/// Default of [`Budget::lambda_cost`].
pub const BUDGET_LAMBDA_COST: f64 = 0.3;
/// Default of [`Budget::lambda_max`].
pub const BUDGET_LAMBDA_MAX: f64 = 5.0;
/// Default of [`Budget::step`].
pub const BUDGET_STEP: f64 = 0.05;
/// Default of [`Budget::newest`].
pub const BUDGET_NEWEST: f64 = 0.05;
/// Default of [`Budget::burst`].
pub const BUDGET_BURST: u32 = 50;
/// Largest budget per request: far beyond any bill, and its multiples still fit.
const BUDGET_MAX: Usd = Usd::from_pico(1_000_000_000_000_000_000_000_000);

/// R4: argmax q̂ + α√v − (λ_c + λ_t)·c̃ over the arms that the token bucket can pay.
///
/// c̃ = ln(c/low)/ln(high/low) within [0, 1], so that arms hundreds of times apart in price stay
/// comparable. After each answer whose cost c is known, labelled or not:
///
/// - λ_t ← \[λ_t + step·(EMA(c)/B − 1)\] within \[0, `lambda_max`\], EMA ← EMA + newest·(c − EMA);
/// - bucket ← min(bucket + B − c, burst·B): exact, in pico-dollars.
///
/// An arm expected to cost more than the bucket holds may not answer; when none is left, the
/// cheapest does, flagged infeasible. Spending of n answers therefore exceeds n·B by at most
/// burst·B, what calls cost beyond expectation, and what is still under way. To refuse instead of
/// answering over budget, reserve in a [`Ledger`](crate::Ledger).
///
/// Source: ParetoBandit (Taberner-Miller 2026, arXiv 2604.00136), whose defaults these are; the
/// bucket is ours.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `budget` | – | > 0 | B: dollars per request, on average |
/// | `alpha` | [`BUDGET_ALPHA`] | \[0, 10\] | optimism; .01 warm, .05 cold |
/// | `lambda_cost` | [`BUDGET_LAMBDA_COST`] | \[0, 1e6\] | λ_c: what cost always counts |
/// | `lambda_max` | [`BUDGET_LAMBDA_MAX`] | \[0, 1e6\] | most that pacing adds |
/// | `step` | [`BUDGET_STEP`] | (0, 10\] | how fast λ_t moves; tiny: no pacing |
/// | `newest` | [`BUDGET_NEWEST`] | (0, 1\] | share of the newest cost in EMA(c) |
/// | `burst` | [`BUDGET_BURST`] | 1.. | requests' worth of budget the bucket holds |
/// | `cost_low_usd`, `cost_high_usd` | – | 0 < low < high | costs at which c̃ is 0 and 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// B > 0: what a request may cost on average.
    pub budget: Usd,
    /// α ≥ 0.
    pub alpha: f64,
    /// λ_c ≥ 0.
    pub lambda_cost: f64,
    /// Largest λ_t.
    pub lambda_max: f64,
    /// Step of λ_t.
    pub step: f64,
    /// Share of the newest cost in the moving average.
    pub newest: f64,
    /// Requests' worth of budget that the bucket holds.
    pub burst: u32,
    /// Cost in US dollars at and below which c̃ = 0.
    pub cost_low_usd: f64,
    /// Cost in US dollars at and above which c̃ = 1.
    pub cost_high_usd: f64,
    /// λ_t.
    pub lambda: f64,
    /// EMA(c) in US dollars.
    pub average_usd: f64,
    /// What the bucket holds; below zero after calls that cost more than expected.
    pub bucket: Usd,
}

impl Budget {
    /// Pacing to `budget` per request between the costs of the cheapest and the dearest arm.
    #[must_use]
    pub fn new(budget: Usd, cost_low_usd: f64, cost_high_usd: f64) -> Self {
        Self {
            budget,
            alpha: BUDGET_ALPHA,
            lambda_cost: BUDGET_LAMBDA_COST,
            lambda_max: BUDGET_LAMBDA_MAX,
            step: BUDGET_STEP,
            newest: BUDGET_NEWEST,
            burst: BUDGET_BURST,
            cost_low_usd,
            cost_high_usd,
            lambda: 0.0,
            average_usd: budget.as_f64(),
            bucket: times(budget, BUDGET_BURST),
        }
    }

    pub(super) fn check(&self) -> Result<(), RuleError> {
        let budget = self.budget > Usd::ZERO && self.budget <= BUDGET_MAX;
        within(budget, "budget", self.budget.as_f64(), "(0, 1e12]")?;
        let part = |x: f64, most: f64| (0.0..=most).contains(&x);
        within(part(self.alpha, 10.0), "alpha", self.alpha, "[0, 10]")?;
        let cost = self.lambda_cost;
        within(part(cost, 1e6), "lambda_cost", cost, "[0, 1e6]")?;
        let most = self.lambda_max;
        within(part(most, 1e6), "lambda_max", most, "[0, 1e6]")?;
        let positive = |x: f64, most: f64| x > 0.0 && x <= most;
        within(positive(self.step, 10.0), "step", self.step, "(0, 10]")?;
        within(positive(self.newest, 1.0), "newest", self.newest, "(0, 1]")?;
        within(self.burst > 0, "burst", f64::from(self.burst), "[1, ∞)")?;
        let (low, high) = (self.cost_low_usd, self.cost_high_usd);
        within(positive(low, 1e12), "cost_low_usd", low, "(0, 1e12]")?;
        let above = high > low && high <= 1e12;
        within(above, "cost_high_usd", high, "(cost_low_usd, 1e12]")?;
        within(
            part(self.lambda, most),
            "lambda",
            self.lambda,
            "[0, lambda_max]",
        )?;
        let average = self.average_usd;
        within(part(average, 1e20), "average_usd", average, "[0, 1e20]")
    }

    /// c̃ of a cost in US dollars.
    #[must_use]
    pub fn relative_cost(&self, cost_usd: f64) -> f64 {
        let low = self.cost_low_usd;
        let range = math::ln(self.cost_high_usd / low);
        (math::ln(cost_usd.max(low) / low) / range).clamp(0.0, 1.0)
    }

    /// q̂ + α√v − (λ_c + λ_t)·c̃, divided by 1 + λ_c + λ_t so that it stays near [−1, 1].
    #[must_use]
    pub fn utility(&self, quality: f64, variance: f64, cost_usd: f64) -> f64 {
        let lambda = self.lambda_cost + self.lambda;
        let worth = quality + self.alpha * variance.max(0.0).sqrt();
        (worth - lambda * self.relative_cost(cost_usd)) / (1.0 + lambda)
    }

    /// Whether the bucket pays for a call of this expected cost.
    #[must_use]
    pub fn affords(&self, cost_usd: f64) -> bool {
        cost_usd <= self.bucket.as_f64()
    }

    /// Learns what an answer cost.
    pub fn pay(&mut self, cost: Usd) {
        let dollars = cost.as_f64();
        self.average_usd += self.newest * (dollars - self.average_usd);
        let gap = self.average_usd / self.budget.as_f64() - 1.0;
        self.lambda = (self.lambda + self.step * gap).clamp(0.0, self.lambda_max);
        let left = self.bucket.checked_add(self.budget - cost);
        self.bucket = left
            .unwrap_or(self.bucket)
            .min(times(self.budget, self.burst));
    }

    pub(super) fn judge(&self, scores: &[ArmScore], out: &mut Verdict) {
        let usable = |s: &&ArmScore| s.eligible && s.expected_cost.is_some();
        let utility = |s: &ArmScore| match s.expected_cost {
            Some(cost) if s.eligible && self.affords(cost) => {
                self.utility(s.quality, s.variance, cost)
            }
            _ => f64::NEG_INFINITY,
        };
        out.ranked(false);
        out.add(1.0, scores.iter().map(utility));
        if !out.is_void() {
            return;
        }
        if !scores.iter().any(|s| usable(&s)) {
            return out.nothing();
        }
        // The bucket is empty: whatever costs least.
        let cost_max = scores
            .iter()
            .filter_map(|s| s.expected_cost)
            .fold(f64::MIN_POSITIVE, f64::max);
        let cheapest = |s: &ArmScore| match s.expected_cost {
            Some(cost) if s.eligible => -cost / cost_max,
            _ => f64::NEG_INFINITY,
        };
        out.ranked(true);
        out.add(1.0, scores.iter().map(cheapest));
    }
}

fn times(budget: Usd, count: u32) -> Usd {
    Usd::from_pico(budget.pico().saturating_mul(i128::from(count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: B = 10 nano-dollars, step and EMA share .05, one call of 30.
    #[test]
    fn the_dual_variable_and_the_bucket_move_as_written() {
        let budget = Usd::from_pico(10_000);
        let mut rule = Budget::new(budget, 1e-9, 1e-7);
        assert_eq!(rule.bucket, Usd::from_pico(500_000));
        rule.pay(Usd::from_pico(30_000));
        assert!((rule.average_usd - 11e-9).abs() < 1e-24);
        assert!((rule.lambda - 0.005).abs() < 1e-15);
        assert_eq!(rule.bucket, Usd::from_pico(480_000));
        for _ in 0..100 {
            rule.pay(Usd::ZERO);
        }
        assert_eq!((rule.bucket, rule.lambda), (Usd::from_pico(500_000), 0.0));
        // ln(1e-8/1e-9)/ln(1e-7/1e-9) = ½, and beyond the range nothing changes.
        assert!((rule.relative_cost(1e-8) - 0.5).abs() < 1e-12);
        assert_eq!(
            (rule.relative_cost(0.0), rule.relative_cost(1.0)),
            (0.0, 1.0)
        );
    }
}
