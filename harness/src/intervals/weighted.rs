//! Finite-sample bounds on what a policy would have earned, from logged rewards and weights.

use ndarray::ArrayView2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::capital::{Stream, mixture_lower, rejects};
use crate::bounds::Looks;
use crate::judge::Clusters;

/// Logged rewards as a target policy weighs them.
///
/// Valid at any n, for any weights: no upper end of them is assumed or estimated. What is assumed
/// is that the propensities are right, that rewards lie in [0, 1], and that clusters (or rows, when
/// there are none) are independent, or that each row's weights were known before its reward in the
/// order of the log ([`Looks::Anytime`]).
///
/// With coefficients s(x,a) and u = s(x,a_i)/p_i, the sought L = E[Σ_a s(x,a) q(x,a)] is the mean of
/// φ = u₊ r + u₋ (1 − r) − N(x), N(x) = Σ_a s₋(x,a): the negative part of s is paid in lost
/// instead of gained reward, which is unbiased because u₋ has mean N(x). φ ≥ −max N whatever the
/// weights are, so [`betting_lower_above`](super::betting_lower_above) applies.
#[derive(Clone, Copy, Debug)]
pub struct WeightedRewards<'a> {
    /// r in [0, 1], shape (n).
    pub rewards: &'a [f64],
    /// w_π = π(a_i|x_i)/p_i ≥ 0, shape (n).
    pub policy: &'a [f64],
    /// The arm to compare with; margins need it.
    pub baseline: Option<Baseline<'a>>,
    /// Dependent groups of rows; `None`: rows are independent.
    pub clusters: Option<&'a Clusters>,
    /// Narrower bounds; `None` when the logging policy is known at the logged arms only.
    pub predictions: Option<Predictions<'a>>,
}

/// Playing the baseline's arm always, on the same rows.
#[derive(Clone, Copy, Debug)]
pub struct Baseline<'a> {
    /// w_b = 1[a_i = b]/p_i ≥ 0, shape (n).
    pub weights: &'a [f64],
    /// π(b|x_i), the chance that the target policy plays the baseline's arm, in [0, 1], shape (n).
    /// Where it is 1 the policies earn the same, and their difference costs next to no width.
    pub agreement: &'a [f64],
}

/// Predicted rewards and what is known of the logging policy, for narrower bounds.
///
/// The doubly robust φ_k = φ − |u| h(x,a_i) + Σ_a |s(x,a)| h(x,a), with h = min(q̂, k p̃/|s|) where
/// s > 0 and min(1 − q̂, k p̃/|s|) where s < 0. Both added terms have one mean, whatever q̂ is, and
/// |u| h ≤ k p̃/p ≤ k, so that φ_k ≥ −k − max N still has a known lower end
/// (arXiv:2210.10768, §2.2). The capital is spread over φ and two sizes of k, so a useless q̂ costs
/// little and a good one saves much.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    /// q̂(x,a) in [0, 1], shape (n, K), fitted without the row's own cluster.
    pub rewards: ArrayView2<'a, f64>,
    /// π(a|x), shape (n, K).
    pub policy: ArrayView2<'a, f64>,
    /// p̃(x,a) ≤ p(x,a), shape (n, K): the logging policy's propensities, or a lower end of them
    /// that is known beforehand, such as an exploration floor; 0 where nothing is known. An
    /// estimate is not known: where it is too high, the bound is wrong.
    pub propensities: ArrayView2<'a, f64>,
    /// a_i, the logged arm's column, shape (n).
    pub logged: &'a [usize],
    /// The baseline's column; any value without a baseline.
    pub baseline: usize,
}

/// L = policy·V_π + baseline·V_b.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    pub(super) policy: f64,
    pub(super) baseline: f64,
}

impl Sought {
    /// −L.
    pub(super) fn mirrored(self) -> Self {
        Self {
            policy: -self.policy,
            baseline: -self.baseline,
        }
    }

    /// max over x of N(x).
    fn negative_max(self) -> f64 {
        if self.policy < 0.0 {
            1.0
        } else {
            -self.baseline
        }
    }

    /// N(x) = Σ_a s₋(x,a) where the target policy plays the baseline's arm with this chance.
    fn negative(self, agreement: f64) -> f64 {
        let others = (-self.policy).max(0.0) * (1.0 - agreement);
        others + (-self.policy * agreement - self.baseline).max(0.0)
    }
}

impl WeightedRewards<'_> {
    /// Lower bound for the policy value V = E[w_π r] at level `alpha`: s = π, φ = w_π r ≥ 0.
    ///
    /// Holds without full support, too: arms that were never logged count as reward 0.
    /// `None` without rows, or when a length, reward, weight or prediction is out of range.
    #[must_use]
    pub fn value_lower(&self, alpha: f64, looks: Looks) -> Option<f64> {
        let sought = Sought {
            policy: 1.0,
            baseline: 0.0,
        };
        Some(self.lower(sought, alpha, looks)?.clamp(0.0, 1.0))
    }

    /// Upper bound for V: s = −π, φ = w_π (1 − r) − 1, so 1 − the lower bound of E[w_π (1 − r)].
    ///
    /// Holds without full support, too, only counting what was never logged as reward 1.
    #[must_use]
    pub fn value_upper(&self, alpha: f64, looks: Looks) -> Option<f64> {
        let sought = Sought {
            policy: -1.0,
            baseline: 0.0,
        };
        Some((-self.lower(sought, alpha, looks)?).clamp(0.0, 1.0))
    }

    /// Lower bound for the margin θ = E[w_π r] − `retain`·E[w_b r] over a line at `retain` of the
    /// baseline's quality: s = π − retain·1[a = b], N = (retain − π(b|x))₊ ≤ retain.
    ///
    /// `None` also without a baseline and for a negative `retain`.
    #[must_use]
    pub fn margin_lower(&self, retain: f64, alpha: f64, looks: Looks) -> Option<f64> {
        let sought = self.margin(retain)?;
        Some(self.lower(sought, alpha, looks)?.clamp(-retain, 1.0))
    }

    /// Upper bound for the margin: s = retain·1[a = b] − π,
    /// N = 1 − π(b|x) + (π(b|x) − retain)₊ ≤ 1, mirrored.
    #[must_use]
    pub fn margin_upper(&self, retain: f64, alpha: f64, looks: Looks) -> Option<f64> {
        let sought = self.margin(retain)?;
        Some((-self.lower(sought.mirrored(), alpha, looks)?).clamp(-retain, 1.0))
    }

    pub(super) fn margin(&self, retain: f64) -> Option<Sought> {
        (self.baseline.is_some() && retain.is_finite() && retain >= 0.0).then_some(Sought {
            policy: 1.0,
            baseline: -retain,
        })
    }

    /// Sizes of k for the lower and the upper bound on `groups` groups of rows like these: of the
    /// margin at `retain`, or of the value. `None` without predictions.
    pub(crate) fn caps(
        &self,
        retain: Option<f64>,
        groups: usize,
        alpha: f64,
    ) -> Option<[[f64; 2]; 2]> {
        let predictions = self.predictions?;
        let value = Sought {
            policy: 1.0,
            baseline: 0.0,
        };
        let sought = retain.map_or(Some(value), |retain| self.margin(retain))?;
        let of = |sought| caps(predictions.natural_cap(sought), groups, alpha, Looks::Once);
        Some([of(sought), of(sought.mirrored())])
    }

    pub(super) fn is_sound(&self) -> bool {
        let n = self.policy.len();
        self.rewards.len() == n
            && self.policy.iter().all(|w| *w >= 0.0)
            && self.rewards.iter().all(|r| (0.0..=1.0).contains(r))
            && self.clusters.is_none_or(|c| c.of.len() == n)
            && self.baseline.is_none_or(|b| {
                b.weights.len() == n
                    && b.agreement.len() == n
                    && b.weights.iter().all(|w| *w >= 0.0)
                    && b.agreement.iter().all(|share| (0.0..=1.0).contains(share))
            })
            && self.predictions.is_none_or(|p| p.is_sound(n))
    }

    /// Lower bound for L.
    fn lower(&self, sought: Sought, alpha: f64, looks: Looks) -> Option<f64> {
        self.with_streams(sought, alpha, looks, |streams, weights| {
            mixture_lower(streams, weights, alpha, looks)
        })?
    }

    /// Whether a margin of 0 at `retain` is rejected: because the margin lies above
    /// (`margin_lower` > 0), or because it lies below (`margin_upper` < 0).
    pub(super) fn margin_excludes_zero(
        &self,
        retain: f64,
        above: bool,
        alpha: f64,
        looks: Looks,
    ) -> Option<bool> {
        let margin = self.margin(retain)?;
        let sought = if above { margin } else { margin.mirrored() };
        self.with_streams(sought, alpha, looks, |streams, weights| {
            rejects(streams, weights, 0.0, alpha, looks)
        })
    }

    /// What `judge` makes of φ, and of φ_k where there are predictions.
    pub(super) fn with_streams<T>(
        &self,
        sought: Sought,
        alpha: f64,
        looks: Looks,
        judge: impl FnOnce(&[Stream<'_>], Option<&[f64]>) -> T,
    ) -> Option<T> {
        (self.is_sound() && alpha > 0.0 && alpha < 1.0).then_some(())?;
        let terms: Vec<(f64, f64)> = (0..self.policy.len())
            .map(|i| {
                let (w_b, agreement) = self
                    .baseline
                    .map_or((0.0, 0.0), |b| (b.weights[i], b.agreement[i]));
                let u = sought.policy * self.policy[i] + sought.baseline * w_b;
                let r = self.rewards[i];
                let gained = if u >= 0.0 { u * r } else { -u * (1.0 - r) };
                (u, gained - sought.negative(agreement))
            })
            .collect();
        let floor = -sought.negative_max();
        let groups = self.clusters.map_or(terms.len(), |c| c.count);
        let plain = terms.iter().map(|(_, phi)| *phi).collect();
        let mut columns: Vec<(Vec<f64>, f64)> = vec![(plain, floor)];
        if let Some(predictions) = self.predictions {
            let natural = predictions.natural_cap(sought);
            for cap in caps(natural, groups, alpha, looks) {
                columns.push((predictions.robust(&terms, sought, cap)?, floor - cap));
            }
        }
        let mut weights = None;
        let means: Vec<(Vec<f64>, f64)> = columns
            .into_iter()
            .map(|(values, floor)| {
                let (means, sizes) = by_cluster(&values, floor, self.clusters, looks);
                weights = sizes;
                (means, floor)
            })
            .collect();
        let streams: Vec<Stream<'_>> = means
            .iter()
            .map(|(values, floor)| Stream {
                values,
                floor: *floor,
            })
            .collect();
        Some(judge(&streams, weights.as_deref()))
    }
}

/// Sizes of k. A capital may stake about √(2 ln(1/α)/n)/σ of itself, which a cap of the order of
/// √(n/(2 ln(1/α))) does not hinder unless σ is small; with looks to come n is unknown, and k must
/// not change, not even with the largest 1/p̃ seen so far. `natural` is the least k that cuts nothing: more of it would only hinder.
fn caps(natural: f64, groups: usize, alpha: f64, looks: Looks) -> [f64; 2] {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let scale = match looks {
        Looks::Once => (groups as f64 / (2.0 * alpha.recip().ln())).sqrt(),
        Looks::Anytime => return ANYTIME_CAPS,
    };
    let most = scale.min(natural);
    [0.5 * most, most]
}

impl Predictions<'_> {
    fn is_sound(&self, n: usize) -> bool {
        let shape = (n, self.rewards.ncols());
        let shares = [self.rewards, self.policy, self.propensities];
        self.logged.len() == n
            && self.logged.iter().all(|a| *a < shape.1)
            && shares
                .iter()
                .all(|m| m.dim() == shape && m.iter().all(|x| (0.0..=1.0).contains(x)))
    }

    /// The least k at which h is q̂ everywhere: the largest |s| q̂/p̃, or |s|(1 − q̂)/p̃. It looks at
    /// no outcome.
    fn natural_cap(&self, sought: Sought) -> f64 {
        let mut largest = 0.0_f64;
        for i in 0..self.rewards.nrows() {
            for arm in 0..self.rewards.ncols() {
                let predicted = self.paid(sought, i, arm);
                if predicted > 0.0 {
                    largest = largest.max(predicted / self.propensities[[i, arm]]);
                }
            }
        }
        largest
    }

    /// |s| q̂, or |s| (1 − q̂) where s < 0.
    fn paid(&self, sought: Sought, row: usize, arm: usize) -> f64 {
        let s = self.coefficient(sought, row, arm);
        let q = self.rewards[[row, arm]];
        s.abs() * if s >= 0.0 { q } else { 1.0 - q }
    }

    /// s(x, a).
    fn coefficient(&self, sought: Sought, row: usize, arm: usize) -> f64 {
        let baseline = if arm == self.baseline {
            sought.baseline
        } else {
            0.0
        };
        sought.policy * self.policy[[row, arm]] + baseline
    }

    /// φ_k of every row from its (u, φ); `None` where p̃ exceeds the logged propensity.
    fn robust(&self, terms: &[(f64, f64)], sought: Sought, cap: f64) -> Option<Vec<f64>> {
        let mut robust = Vec::with_capacity(terms.len());
        for (i, &(u, phi)) in terms.iter().enumerate() {
            let (mut expected, mut logged) = (0.0, 0.0);
            for arm in 0..self.rewards.ncols() {
                let s = self.coefficient(sought, i, arm);
                // |s| h, written without a division by s.
                let paid = (self.paid(sought, i, arm)).min(cap * self.propensities[[i, arm]]);
                expected += paid;
                if arm == self.logged[i] && s != 0.0 {
                    logged = u.abs() * paid / s.abs();
                }
            }
            // Rounding only; a p̃ above p is a wrong claim.
            (logged <= cap * (1.0 + 1e-9)).then_some(())?;
            robust.push(phi - logged.min(cap) + expected);
        }
        Some(robust)
    }
}

/// Means per cluster and sizes over the largest, in betting order.
///
/// A log is often sorted by task or time: for one look the order is a fixed random one, which the
/// outcomes do not touch; for several looks it stays that of the log, because later rows must not
/// move earlier ones.
pub(super) fn by_cluster(
    values: &[f64],
    floor: f64,
    clusters: Option<&Clusters>,
    looks: Looks,
) -> (Vec<f64>, Option<Vec<f64>>) {
    let groups = clusters.map_or(values.len(), |c| c.count);
    let mut order: Vec<usize> = (0..groups).collect();
    if looks == Looks::Once {
        order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(ORDER_SEED));
    }
    let Some(clusters) = clusters else {
        return (order.iter().map(|&i| values[i]).collect(), None);
    };
    let mut sums = vec![0.0; groups];
    for (&cluster, value) in clusters.of.iter().zip(values) {
        sums[cluster] += value;
    }
    let sizes = clusters.sizes();
    let largest = sizes.iter().copied().fold(1.0, f64::max);
    order.retain(|&c| sizes[c] > 0.0);
    (
        // Rounding of a mean must not fall below the floor.
        order
            .iter()
            .map(|&c| (sums[c] / sizes[c]).max(floor))
            .collect(),
        Some(order.iter().map(|&c| sizes[c] / largest).collect()),
    )
}

/// Sizes of k with looks to come: for evenly logged arms, and for arms that are tried rarely.
const ANYTIME_CAPS: [f64; 2] = [3.0, 12.0];
/// Keys the betting order; any constant will do.
const ORDER_SEED: u64 = 0x706c_696d_736f_6c6c;

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rand::RngExt;

    /// A log whose truth is known: on a share of requests the target's arm is rarely logged.
    struct Log {
        rewards: Vec<f64>,
        policy: Vec<f64>,
        baseline: Vec<f64>,
        agreement: Vec<f64>,
        /// 1/p of the logged arm.
        other: Vec<f64>,
        clusters: Clusters,
    }

    /// q̂, π and p of a log, by row and arm.
    struct Known {
        rewards: Array2<f64>,
        policy: Array2<f64>,
        propensities: Array2<f64>,
        logged: Vec<usize>,
    }

    /// Quality of the cheap arm (0) and of the baseline's (1); the target plays 0 on easy requests.
    const EASY: [f64; 2] = [0.97, 0.96];
    const HARD: [f64; 2] = [0.30, 0.92];
    const EASY_SHARE: f64 = 0.6;
    const VALUE: f64 = EASY_SHARE * EASY[0] + (1.0 - EASY_SHARE) * HARD[1];
    const BASELINE: f64 = EASY_SHARE * EASY[1] + (1.0 - EASY_SHARE) * HARD[1];

    fn log(seed: u64, sessions: usize, size: usize, rare: f64) -> Log {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let n = sessions * size;
        let mut log = Log {
            rewards: Vec::with_capacity(n),
            policy: Vec::with_capacity(n),
            baseline: Vec::with_capacity(n),
            agreement: Vec::with_capacity(n),
            other: Vec::with_capacity(n),
            clusters: Clusters {
                of: (0..n).map(|i| i / size).collect(),
                count: sessions,
            },
        };
        for _ in 0..sessions {
            // A session is of one kind and has one luck: its rows are strongly dependent.
            let easy = rng.random::<f64>() < EASY_SHARE;
            let luck = rng.random::<f64>();
            let thin = rng.random::<f64>() < 0.2;
            for _ in 0..size {
                let target = usize::from(!easy);
                let p_target = if thin { rare } else { 0.5 };
                let matched = rng.random::<f64>() < p_target;
                let arm = if matched { target } else { 1 - target };
                let p = if matched { p_target } else { 1.0 - p_target };
                let quality = if easy { EASY } else { HARD }[arm];
                log.rewards.push(f64::from(u8::from(luck < quality)));
                log.policy.push(if matched { 1.0 / p } else { 0.0 });
                log.baseline.push(if arm == 1 { 1.0 / p } else { 0.0 });
                log.other.push(1.0 / p);
                log.agreement.push(if easy { 0.0 } else { 1.0 });
            }
        }
        log
    }

    impl Log {
        fn rewards(&self, clustered: bool) -> WeightedRewards<'_> {
            WeightedRewards {
                rewards: &self.rewards,
                policy: &self.policy,
                baseline: Some(Baseline {
                    weights: &self.baseline,
                    agreement: &self.agreement,
                }),
                clusters: clustered.then_some(&self.clusters),
                predictions: None,
            }
        }
    }

    impl Known {
        /// `slip`: how much the predictions are off.
        fn of(log: &Log, rare: f64, slip: f64) -> Self {
            let n = log.rewards.len();
            let target = |i: usize| usize::from(log.agreement[i] > 0.5);
            let logged: Vec<usize> = (0..n).map(|i| usize::from(log.baseline[i] > 0.0)).collect();
            // The weight tells the propensity of the logged arm, and there are two arms.
            let p = |i: usize, arm: usize| {
                let p_logged = if logged[i] == target(i) {
                    log.policy[i].recip()
                } else if log.baseline[i] > 0.0 {
                    log.baseline[i].recip()
                } else {
                    log.other[i].recip()
                };
                if arm == logged[i] {
                    p_logged
                } else {
                    1.0 - p_logged
                }
            };
            assert!((0..n).all(|i| p(i, target(i)) >= rare - 1e-9));
            Self {
                rewards: Array2::from_shape_fn((n, 2), |(i, arm)| {
                    let quality = if target(i) == 0 { EASY } else { HARD };
                    (quality[arm] - slip).clamp(0.0, 1.0)
                }),
                policy: Array2::from_shape_fn(
                    (n, 2),
                    |(i, arm)| {
                        if arm == target(i) { 1.0 } else { 0.0 }
                    },
                ),
                propensities: Array2::from_shape_fn((n, 2), |(i, arm)| p(i, arm) * (1.0 - 1e-12)),
                logged,
            }
        }

        fn predictions(&self) -> Predictions<'_> {
            Predictions {
                rewards: self.rewards.view(),
                policy: self.policy.view(),
                propensities: self.propensities.view(),
                logged: &self.logged,
                baseline: 1,
            }
        }
    }

    /// Least share of covering bounds that 400 runs of a valid 95 % bound show: 95 % less three
    /// standard errors of 1.09 points.
    const COVERED: f64 = 0.917;
    const RUNS: u64 = 400;

    fn coverage(holds: impl Fn(u64) -> bool) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "400 runs")]
        let share = (0..RUNS).filter(|seed| holds(*seed)).count() as f64 / RUNS as f64;
        share
    }

    #[test]
    fn bounds_of_value_and_margin_cover_under_thin_overlap() {
        let margin = VALUE - 0.95 * BASELINE;
        for size in [1, 5] {
            let bound = |name: &str, holds: &dyn Fn(&WeightedRewards<'_>) -> bool| {
                let covered = coverage(|seed| {
                    let log = log(seed, 200, size, 0.02);
                    holds(&log.rewards(size > 1))
                });
                assert!(
                    covered >= COVERED,
                    "{name} with {size} rows each: {covered}"
                );
            };
            bound("value_lower", &|r| {
                r.value_lower(0.05, Looks::Once).expect("bound") <= VALUE
            });
            bound("value_upper", &|r| {
                r.value_upper(0.05, Looks::Once).expect("bound") >= VALUE
            });
            bound("margin_lower", &|r| {
                r.margin_lower(0.95, 0.05, Looks::Once).expect("bound") <= margin
            });
            bound("margin_upper", &|r| {
                r.margin_upper(0.95, 0.05, Looks::Once).expect("bound") >= margin
            });
        }
    }

    #[test]
    fn predictions_narrow_the_bounds_and_may_be_wrong() {
        let margin = VALUE - 0.95 * BASELINE;
        for slip in [0.0, 0.4] {
            for size in [1, 4] {
                let mut covered = [0_u32; 4];
                let (mut plain, mut robust) = (0.0, 0.0);
                for seed in 0..RUNS {
                    let log = log(seed, 300, size, 0.02);
                    let known = Known::of(&log, 0.02, slip);
                    let without = log.rewards(size > 1);
                    let with = WeightedRewards {
                        predictions: Some(known.predictions()),
                        ..without
                    };
                    let low = with.value_lower(0.05, Looks::Once).expect("bound");
                    let high = with.value_upper(0.05, Looks::Once).expect("bound");
                    let over = with.margin_lower(0.95, 0.05, Looks::Once).expect("bound");
                    let under = with.margin_upper(0.95, 0.05, Looks::Once).expect("bound");
                    let holds = [low <= VALUE, high >= VALUE, over <= margin, under >= margin];
                    for (count, held) in covered.iter_mut().zip(holds) {
                        *count += u32::from(held);
                    }
                    plain += without.value_lower(0.05, Looks::Once).expect("bound");
                    robust += low;
                }
                #[expect(clippy::cast_precision_loss, reason = "400 runs")]
                let least = COVERED * RUNS as f64;
                assert!(
                    covered.iter().all(|c| f64::from(*c) >= least),
                    "{slip} {size}: {covered:?}"
                );
                assert!(slip > 0.0 || robust > plain, "{size}: {plain} {robust}");
            }
        }
    }

    #[test]
    fn a_propensity_floor_above_the_propensity_is_refused() {
        let log = log(1, 100, 1, 0.1);
        let known = Known::of(&log, 0.1, 0.0);
        let ones = Array2::from_elem(known.policy.dim(), 1.0);
        let claim = WeightedRewards {
            predictions: Some(Predictions {
                propensities: ones.view(),
                ..known.predictions()
            }),
            ..log.rewards(false)
        };
        // Caps of 2 and 4 bind on weights of 10 only.
        assert_eq!(claim.value_lower(0.05, Looks::Once), None);
    }

    /// ROBUSTNESS.md O11: fifty looks at a growing log.
    #[test]
    fn o11_an_anytime_bound_survives_fifty_looks() {
        let survives = |looks: Looks| {
            coverage(|seed| {
                let log = log(seed, 1000, 1, 0.1);
                (1..=50).all(|look| {
                    let n = look * 20;
                    let seen = WeightedRewards {
                        rewards: &log.rewards[..n],
                        policy: &log.policy[..n],
                        baseline: None,
                        clusters: None,
                        predictions: None,
                    };
                    seen.value_lower(0.05, looks).expect("bound") <= VALUE
                })
            })
        };
        let (anytime, once) = (survives(Looks::Anytime), survives(Looks::Once));
        assert!(anytime >= COVERED, "{anytime}");
        assert!(once < anytime, "looking again must cost: {once} {anytime}");
    }

    /// ROBUSTNESS.md O10: a log with each row ten times says nothing new.
    #[test]
    fn o10_repeated_rows_in_a_cluster_do_not_tighten() {
        let once = log(3, 300, 1, 0.1);
        let n = once.rewards.len();
        let repeat = |x: &[f64]| -> Vec<f64> { (0..10 * n).map(|i| x[i / 10]).collect() };
        let ten = Log {
            rewards: repeat(&once.rewards),
            policy: repeat(&once.policy),
            baseline: repeat(&once.baseline),
            agreement: repeat(&once.agreement),
            other: repeat(&once.other),
            clusters: Clusters {
                of: (0..10 * n).map(|i| i / 10).collect(),
                count: n,
            },
        };
        for bound in [
            |r: &WeightedRewards<'_>| r.value_lower(0.05, Looks::Once),
            |r: &WeightedRewards<'_>| r.value_upper(0.05, Looks::Once),
            |r: &WeightedRewards<'_>| r.margin_lower(0.95, 0.05, Looks::Once),
            |r: &WeightedRewards<'_>| r.margin_upper(0.95, 0.05, Looks::Once),
        ] {
            let single = bound(&once.rewards(true)).expect("bound");
            let repeated = bound(&ten.rewards(true)).expect("bound");
            assert!((single - repeated).abs() < 1e-9, "{single} {repeated}");
        }
    }

    #[test]
    fn more_rows_tighten_and_agreement_is_nearly_free() {
        let width = |n| {
            let log = log(1, n, 1, 0.1);
            let rewards = log.rewards(false);
            let value = rewards.value_upper(0.05, Looks::Once).expect("bound")
                - rewards.value_lower(0.05, Looks::Once).expect("bound");
            let margin = rewards
                .margin_upper(0.95, 0.05, Looks::Once)
                .expect("bound")
                - rewards
                    .margin_lower(0.95, 0.05, Looks::Once)
                    .expect("bound");
            (value, margin)
        };
        let ((few, _), (many, _)) = (width(300), width(10_000));
        assert!(many < 0.4 * few, "{few} {many}");
        // A policy that always plays the baseline's arm.
        let log = log(1, 2000, 1, 0.1);
        let same = WeightedRewards {
            policy: &log.baseline,
            baseline: Some(Baseline {
                weights: &log.baseline,
                agreement: &vec![1.0; log.rewards.len()],
            }),
            ..log.rewards(false)
        };
        let low = same.margin_lower(0.95, 0.05, Looks::Once).expect("bound");
        assert!(low > 0.03, "0.05 of the baseline's quality is won: {low}");
    }

    #[test]
    fn unusable_rows_give_no_bound() {
        let log = log(1, 20, 1, 0.1);
        let good = log.rewards(false);
        assert!(good.value_lower(0.05, Looks::Once).is_some());
        let none = |r: WeightedRewards<'_>| {
            assert_eq!(r.value_lower(0.05, Looks::Once), None);
            assert_eq!(r.margin_upper(0.95, 0.05, Looks::Once), None);
        };
        none(WeightedRewards {
            rewards: &log.rewards[1..],
            ..good
        });
        none(WeightedRewards {
            policy: &[f64::NAN; 20],
            ..good
        });
        none(WeightedRewards {
            rewards: &[1.1; 20],
            ..good
        });
        none(WeightedRewards {
            rewards: &[],
            policy: &[],
            baseline: None,
            clusters: None,
            predictions: None,
        });
        assert_eq!(good.value_lower(0.0, Looks::Once), None);
        assert_eq!(good.margin_lower(-1.0, 0.05, Looks::Once), None);
        let alone = WeightedRewards {
            baseline: None,
            ..good
        };
        assert_eq!(alone.margin_lower(0.95, 0.05, Looks::Once), None);
    }
}
