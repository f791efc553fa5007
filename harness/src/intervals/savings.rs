//! Finite-sample intervals of a ratio of two means, such as the cost of a policy over a baseline's.

use super::capital::{Stream, betting_lower_above, rejects};
use super::weighted::{WeightedRewards, by_cluster};
use crate::bounds::Looks;
use crate::judge::Clusters;

/// Two non-negative outcomes of each request, such as the costs of a policy and of its baseline,
/// with ends known beforehand.
#[derive(Clone, Copy, Debug)]
pub struct PairedCosts<'a> {
    /// C_π, shape (n), in [0, `policy_max`].
    pub policy: &'a [f64],
    /// C_b, shape (n), in [0, `baseline_max`].
    pub baseline: &'a [f64],
    /// Most that a request can cost under the policy: price × output limit, not the observed
    /// maximum, which makes the interval approximate.
    pub policy_max: f64,
    /// The same under the baseline.
    pub baseline_max: f64,
    /// Dependent groups of rows; `None`: rows are independent.
    pub clusters: Option<&'a Clusters>,
}

/// Steps of the first, coarse search over ρ.
const GRID: u32 = 24;
/// Halvings of one such step: ρ is found to `ratio_max`/(24·2¹⁸), below 10⁻⁶, on the safe side.
const HALVINGS: u32 = 18;

impl PairedCosts<'_> {
    /// Bounds, each at level `alpha`, for ρ = E\[C_π\]/E\[C_b\]; savings are 1 − ρ.
    ///
    /// ρ is kept unless a capital rejects "E[ρ C_b − C_π] ≤ 0" (then ρ is too high: the policy is
    /// cheaper) or "E[C_π − ρ C_b] ≤ 0" (too low). Both variables have a known lower end,
    /// −C_π,max and −ρ C_b,max, so [`betting_lower_above`](super::betting_lower_above) tests them:
    /// finite-sample, no linearisation, and what policy and baseline pay alike cancels row by row.
    /// The test of a ratio through a difference is Fieller's (1954),
    /// doi:10.1111/j.2517-6161.1954.tb00159.x.
    ///
    /// (0, `ratio_max`) where nothing is rejected. `None` without rows or when a cost is out of
    /// range.
    #[must_use]
    pub fn ratio(&self, ratio_max: f64, alpha: f64, looks: Looks) -> Option<(f64, f64)> {
        let high = self.ratio_upper(ratio_max, alpha, looks)?;
        let low = self.ratio_lower(ratio_max, alpha, looks)?;
        Some((low.min(high), high))
    }

    /// The lower end of [`ratio`](Self::ratio) alone.
    #[must_use]
    pub fn ratio_lower(&self, ratio_max: f64, alpha: f64, looks: Looks) -> Option<f64> {
        self.is_sound(ratio_max, alpha).then(|| {
            lowest_kept(ratio_max, |ratio| {
                self.is_positive(ratio, -1.0, alpha, looks)
            })
        })
    }

    /// The upper end of [`ratio`](Self::ratio) alone.
    #[must_use]
    pub fn ratio_upper(&self, ratio_max: f64, alpha: f64, looks: Looks) -> Option<f64> {
        self.is_sound(ratio_max, alpha).then(|| {
            highest_kept(ratio_max, |ratio| {
                self.is_positive(ratio, 1.0, alpha, looks)
            })
        })
    }

    fn is_sound(&self, ratio_max: f64, alpha: f64) -> bool {
        let n = self.policy.len();
        let within = |costs: &[f64], max: f64| {
            max > 0.0 && max.is_finite() && costs.iter().all(|c| (0.0..=max).contains(c))
        };
        n > 0
            && self.baseline.len() == n
            && within(self.policy, self.policy_max)
            && within(self.baseline, self.baseline_max)
            && self.clusters.is_none_or(|c| c.of.len() == n)
            && ratio_max > 0.0
            && ratio_max.is_finite()
            && alpha > 0.0
            && alpha < 1.0
    }

    /// Whether "E[sign·(ρ C_b − C_π)] ≤ 0" is rejected.
    fn is_positive(&self, ratio: f64, sign: f64, alpha: f64, looks: Looks) -> bool {
        // In units in which costs are of the order of 1, which the bets are tuned for.
        let unit = self.policy_max.max(self.baseline_max);
        let values: Vec<f64> = self
            .policy
            .iter()
            .zip(self.baseline)
            .map(|(policy, baseline)| sign * (ratio * baseline - policy) / unit)
            .collect();
        let floor = if sign > 0.0 {
            -self.policy_max
        } else {
            -ratio * self.baseline_max
        } / unit;
        one_stream_rejects(&values, floor, self.clusters, alpha, looks)
    }
}

impl WeightedRewards<'_> {
    /// Bounds, each at level `alpha`, for ρ = V_π/V_b of logged outcomes, for instance costs over
    /// their known maximum in place of rewards; savings are 1 − ρ.
    ///
    /// Against a baseline's arm, ρ is too high when the margin's upper bound at `retain` = ρ lies
    /// below 0, too low when its lower bound lies above: the tests of
    /// [`margin_upper`](Self::margin_upper) and [`margin_lower`](Self::margin_lower), turned round
    /// as in [`PairedCosts::ratio`].
    ///
    /// Without a baseline, V_b is the mean outcome of the log itself. Its weights are 1, so that
    /// (w_π − ρ) r ≥ −ρ tests "too low", and ρ r + w_π (1 − r) − 1 ≥ −1, which has the mean of
    /// (ρ − w_π) r because mean weights are 1, tests "too high".
    ///
    /// `None` as there.
    #[must_use]
    pub fn ratio(&self, ratio_max: f64, alpha: f64, looks: Looks) -> Option<(f64, f64)> {
        let high = self.ratio_upper(ratio_max, alpha, looks)?;
        let low = self.ratio_lower(ratio_max, alpha, looks)?;
        Some((low.min(high), high))
    }

    /// The lower end of [`ratio`](Self::ratio) alone.
    #[must_use]
    pub fn ratio_lower(&self, ratio_max: f64, alpha: f64, looks: Looks) -> Option<f64> {
        self.ratio_excluded(1.0, true, alpha, looks)?;
        Some(lowest_kept(ratio_max, |ratio| {
            self.ratio_excluded(ratio, true, alpha, looks) == Some(true)
        }))
    }

    /// The upper end of [`ratio`](Self::ratio) alone.
    #[must_use]
    pub fn ratio_upper(&self, ratio_max: f64, alpha: f64, looks: Looks) -> Option<f64> {
        self.ratio_excluded(1.0, false, alpha, looks)?;
        Some(highest_kept(ratio_max, |ratio| {
            self.ratio_excluded(ratio, false, alpha, looks) == Some(true)
        }))
    }

    /// Whether V_π ≤ ρ V_b is rejected, or V_π ≥ ρ V_b where not `above`.
    fn ratio_excluded(&self, ratio: f64, above: bool, alpha: f64, looks: Looks) -> Option<bool> {
        if self.baseline.is_some() {
            return self.margin_excludes_zero(ratio, above, alpha, looks);
        }
        let (values, floor) = self.against_log(ratio, above, alpha)?;
        Some(one_stream_rejects(
            &values,
            floor,
            self.clusters,
            alpha,
            looks,
        ))
    }

    /// Bounds, each at level `alpha`, for V_π − V_b where V_b is the mean outcome of the log
    /// itself, by the variables of [`ratio`](Self::ratio) at ρ = 1. A baseline is not looked at.
    ///
    /// `None` without rows, or when a length, reward or weight is out of range.
    #[must_use]
    pub fn change_from_log(&self, alpha: f64, looks: Looks) -> Option<(f64, f64)> {
        let end = |above: bool| {
            let (values, floor) = self.against_log(1.0, above, alpha)?;
            let (means, weights) = by_cluster(&values, floor, self.clusters, looks);
            betting_lower_above(&means, floor, weights.as_deref(), alpha, looks)
        };
        let high = (-end(false)?).clamp(-1.0, 1.0);
        Some((end(true)?.clamp(-1.0, 1.0).min(high), high))
    }

    /// Terms of V_π − ρ V_log, or of its negative where not `above`, and their least value.
    fn against_log(&self, ratio: f64, above: bool, alpha: f64) -> Option<(Vec<f64>, f64)> {
        (self.is_sound() && !self.rewards.is_empty() && alpha > 0.0 && alpha < 1.0).then_some(())?;
        let each = self.policy.iter().zip(self.rewards);
        let values = each.map(|(w, r)| {
            if above {
                (w - ratio) * r
            } else {
                ratio * r + w * (1.0 - r) - 1.0
            }
        });
        Some((values.collect(), if above { -ratio } else { -1.0 }))
    }
}

/// Whether "the mean of `values` is at most 0" is rejected.
fn one_stream_rejects(
    values: &[f64],
    floor: f64,
    clusters: Option<&Clusters>,
    alpha: f64,
    looks: Looks,
) -> bool {
    let (means, weights) = by_cluster(values, floor, clusters, looks);
    let stream = Stream {
        values: &means,
        floor,
    };
    rejects(&[stream], weights.as_deref(), 0.0, alpha, looks)
}

/// The lowest ratio that is not too low: a grid finds the cell from outside in, so that an isolated
/// rejection inside cannot shorten the interval; bisection finds the place in it.
fn lowest_kept(ratio_max: f64, too_low: impl Fn(f64) -> bool) -> f64 {
    let at = |step: u32| ratio_max * f64::from(step) / f64::from(GRID);
    // A ratio of 0 cannot be tested; the bisection stops there when nothing is rejected.
    let low = (1..=GRID).find(|step| !too_low(at(*step))).unwrap_or(GRID);
    edge(at(low), at(low - 1), &too_low)
}

/// The highest ratio that is not too high, found alike.
fn highest_kept(ratio_max: f64, too_high: impl Fn(f64) -> bool) -> f64 {
    let at = |step: u32| ratio_max * f64::from(step) / f64::from(GRID);
    let high = (1..=GRID)
        .rev()
        .find(|step| !too_high(at(*step)))
        .unwrap_or(0);
    if high == GRID {
        ratio_max
    } else {
        edge(at(high), at(high + 1), &too_high)
    }
}

/// Between a kept and a rejected ratio: the last that is rejected, which is the safe side.
fn edge(mut kept: f64, mut rejected: f64, rejects: &impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = kept.midpoint(rejected);
        if rejects(middle) {
            rejected = middle;
        } else {
            kept = middle;
        }
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// Costs of a policy that plays a model at 0.2 of the price on 70 % of requests.
    fn costs(seed: u64, n: usize) -> (Vec<f64>, Vec<f64>) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        (0..n)
            .map(|_| {
                let baseline = rng.random::<f64>().powi(3);
                let cheap = rng.random::<f64>() < 0.7;
                (baseline * if cheap { 0.2 } else { 1.0 }, baseline)
            })
            .unzip()
    }
    const TRUTH: f64 = 0.7 * 0.2 + 0.3;

    #[test]
    fn covers_and_tightens() {
        let bounds = |seed, n| {
            let (policy, baseline) = costs(seed, n);
            PairedCosts {
                policy: &policy,
                baseline: &baseline,
                policy_max: 1.0,
                baseline_max: 1.0,
                clusters: None,
            }
            .ratio(3.0, 0.025, Looks::Once)
            .expect("bounds")
        };
        let runs = 200;
        let mut covered = 0;
        for seed in 0..runs {
            let (low, high) = bounds(seed, 200);
            covered += u32::from(low <= TRUTH && TRUTH <= high);
        }
        // 95 % of 200 less three standard errors of 3.1.
        assert!(covered >= 181, "{covered} of {runs}");
        let (low, high) = bounds(1, 5000);
        assert!(high - low < 0.1 && low > 0.3 && high < 0.6, "{low} {high}");
    }

    #[test]
    fn equal_costs_give_a_ratio_around_one() {
        let (_, baseline) = costs(1, 1000);
        let same = PairedCosts {
            policy: &baseline,
            baseline: &baseline,
            policy_max: 1.0,
            baseline_max: 1.0,
            clusters: None,
        };
        let (low, high) = same.ratio(3.0, 0.025, Looks::Once).expect("bounds");
        assert!(
            low <= 1.0 && 1.0 <= high && high - low < 0.06,
            "{low} {high}"
        );
        let wrong = PairedCosts {
            policy_max: 0.1,
            ..same
        };
        assert_eq!(wrong.ratio(3.0, 0.025, Looks::Once), None);
    }
}
