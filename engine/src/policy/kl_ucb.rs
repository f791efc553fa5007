//! KL-UCB.

use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::mean_bandit::{MeanBandit, MeanConfig, MeanRule};
use super::reward::within;
use crate::math;

/// Default of [`KlUcb::c`]: that of the paper's experiments.
pub const KL_UCB_C: f64 = 0.0;

/// Newton steps: they converge from one side and quadratically; more change no bit that matters.
const STEPS: usize = 16;

/// The arm of highest bound max{q : n_a·kl(x̄_a, q) ≤ ln t + c·ln ln t}; arms never tried first.
///
/// kl(p, q) = p ln(p/q) + (1−p) ln((1−p)/(1−q)). Tighter than [`Ucb1`](crate::Ucb1) where means
/// are near 0 or 1, as qualities are, and asymptotically optimal for yes-or-no outcomes.
/// Deterministic up to ties. With forgetting, n and t are discounted sums.
///
/// Garivier & Cappé 2011, "The KL-UCB algorithm for bounded stochastic bandits and beyond",
/// algorithm 1, arXiv 1102.2490.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `c` | 0 | \[0, 1e3\] | weight of ln ln t: the proof takes 3, the paper recommends 0 |
///
/// ```
/// use plimsoll::{Context, KlUcb, MeanConfig, Outcome, Policy, Quality};
/// let mut policy = KlUcb::default().policy(2, MeanConfig::default())?;
/// for (arm, quality) in [(0, 0.2), (1, 0.9), (0, 0.1), (1, 0.8)] {
///     let quality = Some(Quality::new(quality)?);
///     policy.update(&Context::default(), &Outcome { quality, ..Outcome::of_arm(arm) })?;
/// }
/// assert_eq!(policy.probabilities(&Context::default())?, [0.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KlUcb {
    /// Weight of ln ln t.
    pub c: f64,
}

impl Default for KlUcb {
    fn default() -> Self {
        Self { c: KL_UCB_C }
    }
}

impl KlUcb {
    pub(crate) const NAME: &'static str = "kl-ucb";

    /// Over running means.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn policy(self, arms: usize, config: MeanConfig) -> Result<MeanBandit, PolicyError> {
        MeanBandit::new(arms, MeanRule::KlUcb(self), config)
    }

    pub(crate) fn check(self) -> Result<(), PolicyError> {
        within("c", self.c, 0.0..=1e3, "[0, 1e3]")
    }

    /// The bound of an arm with outcomes worth `weight`, of `total`.
    pub(crate) fn index(self, mean: f64, weight: f64, total: f64) -> f64 {
        if weight > 0.0 {
            let log = math::ln(total.max(1.0));
            let level = log + self.c * math::ln(log.max(1.0));
            upper(mean, level / weight)
        } else {
            f64::INFINITY
        }
    }
}

/// max{q ∈ [p, 1] : kl(p, q) ≤ level}, by Newton's method in w = −ln(1 − q).
///
/// kl is convex in w with slope 1 − p/q, and w starts beyond the root: every step stays there.
fn upper(p: f64, level: f64) -> f64 {
    if level <= 0.0 || p >= 1.0 {
        return p.min(1.0);
    }
    // kl ≥ 2(q − p)² (Pinsker), and kl ≥ (1 − p)·w − ln 2.
    let mut w = (level + std::f64::consts::LN_2) / (1.0 - p);
    let pinsker = p + (0.5 * level).sqrt();
    if pinsker < 1.0 {
        w = w.min(-libm::log1p(-pinsker));
    }
    let least = -libm::log1p(-p);
    for _ in 0..STEPS {
        let q = -libm::expm1(-w);
        let next = w - (kl(p, q, w) - level) / (1.0 - p / q);
        if !(next < w && next > least) {
            break;
        }
        w = next;
    }
    -libm::expm1(-w)
}

/// Relative entropy of Bernoulli(p) to Bernoulli(q), with w = −ln(1 − q), q > 0.
fn kl(p: f64, q: f64, w: f64) -> f64 {
    let success = if p > 0.0 { p * math::ln(p / q) } else { 0.0 };
    success + (1.0 - p) * (libm::log1p(-p) + w)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_where_the_divergence_reaches_the_level() {
        for p in [0.0, 1e-9, 0.01, 0.3, 0.5, 0.9, 0.999, 1.0 - 1e-9] {
            for level in [1e-12, 1e-6, 1e-3, 0.1, 1.0, 5.0, 30.0] {
                let (mut low, mut high) = (p, 1.0 - f64::EPSILON / 2.0);
                for _ in 0..200 {
                    let mid = f64::midpoint(low, high);
                    if kl(p, mid, -libm::log1p(-mid)) <= level {
                        low = mid;
                    } else {
                        high = mid;
                    }
                }
                let got = upper(p, level);
                assert!((got - low).abs() < 1e-7, "p {p} level {level}: {got} {low}");
            }
        }
        assert_eq!((upper(1.0, 0.5), upper(0.25, 0.0)), (1.0, 0.25));
    }
}
