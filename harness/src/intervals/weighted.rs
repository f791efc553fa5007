//! Finite-sample bounds on what a policy would have earned, from logged rewards and weights.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::capital::{Stream, mixture_lower};
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

impl WeightedRewards<'_> {
    /// Lower bound for the policy value V = E[w_π r] at level `alpha`: s = π, φ = w_π r ≥ 0.
    ///
    /// Holds without full support, too: arms that were never logged count as reward 0.
    /// `None` without rows, or when a length, reward or weight is out of range.
    #[must_use]
    pub fn value_lower(&self, alpha: f64, looks: Looks) -> Option<f64> {
        let terms = self.policy.iter().map(|w| (*w, 0.0));
        let low = self.lower(terms, 0.0, alpha, looks)?;
        Some(low.clamp(0.0, 1.0))
    }

    /// Upper bound for V: s = −π, φ = w_π (1 − r) − 1, so 1 − the lower bound of E[w_π (1 − r)].
    ///
    /// Holds without full support, too, only counting what was never logged as reward 1.
    #[must_use]
    pub fn value_upper(&self, alpha: f64, looks: Looks) -> Option<f64> {
        let terms = self.policy.iter().map(|w| (-w, 1.0));
        let low = self.lower(terms, 1.0, alpha, looks)?;
        Some((-low).clamp(0.0, 1.0))
    }

    /// Lower bound for the margin θ = E[w_π r] − `retain`·E[w_b r] over a line at `retain` of the
    /// baseline's quality: s = π − retain·1[a = b], N = (retain − π(b|x))₊ ≤ retain.
    ///
    /// `None` also without a baseline and for a negative `retain`.
    #[must_use]
    pub fn margin_lower(&self, retain: f64, alpha: f64, looks: Looks) -> Option<f64> {
        let baseline = self.baseline_for(retain)?;
        let terms = self.policy.iter().enumerate().map(|(i, w)| {
            let u = w - retain * baseline.weights[i];
            (u, (retain - baseline.agreement[i]).max(0.0))
        });
        let low = self.lower(terms, retain, alpha, looks)?;
        Some(low.clamp(-retain, 1.0))
    }

    /// Upper bound for the margin: s = retain·1[a = b] − π,
    /// N = 1 − π(b|x) + (π(b|x) − retain)₊ ≤ 1, mirrored.
    #[must_use]
    pub fn margin_upper(&self, retain: f64, alpha: f64, looks: Looks) -> Option<f64> {
        let baseline = self.baseline_for(retain)?;
        let terms = self.policy.iter().enumerate().map(|(i, w)| {
            let u = retain * baseline.weights[i] - w;
            let agreement = baseline.agreement[i];
            (u, 1.0 - agreement + (agreement - retain).max(0.0))
        });
        let low = self.lower(terms, 1.0, alpha, looks)?;
        Some((-low).clamp(-retain, 1.0))
    }

    /// The baseline, if it fits the rows.
    fn baseline_for(&self, retain: f64) -> Option<Baseline<'_>> {
        let n = self.policy.len();
        self.baseline.filter(|b| {
            retain >= 0.0
                && retain.is_finite()
                && b.weights.len() == n
                && b.agreement.len() == n
                && b.weights.iter().all(|w| *w >= 0.0)
                && b.agreement.iter().all(|share| (0.0..=1.0).contains(share))
        })
    }

    /// Lower bound for the mean of φ from terms (u, N), N ≤ `negative_max`.
    fn lower(
        &self,
        terms: impl Iterator<Item = (f64, f64)>,
        negative_max: f64,
        alpha: f64,
        looks: Looks,
    ) -> Option<f64> {
        let n = self.rewards.len();
        let sound = self.policy.len() == n
            && alpha > 0.0
            && alpha < 1.0
            && self.policy.iter().all(|w| *w >= 0.0)
            && self.rewards.iter().all(|r| (0.0..=1.0).contains(r))
            && self.clusters.is_none_or(|c| c.of.len() == n);
        sound.then_some(())?;
        let phi: Vec<f64> = self
            .rewards
            .iter()
            .zip(terms)
            .map(|(r, (u, negative))| if u >= 0.0 { u * r } else { -u * (1.0 - r) } - negative)
            .collect();
        let floor = -negative_max;
        let (values, weights) = by_cluster(&phi, floor, self.clusters, looks);
        let stream = Stream {
            values: &values,
            floor,
        };
        mixture_lower(&[stream], weights.as_deref(), alpha, looks)
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

/// Keys the betting order; any constant will do.
const ORDER_SEED: u64 = 0x706c_696d_736f_6c6c;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// A log whose truth is known: on a share of requests the target's arm is rarely logged.
    struct Log {
        rewards: Vec<f64>,
        policy: Vec<f64>,
        baseline: Vec<f64>,
        agreement: Vec<f64>,
        clusters: Clusters,
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
            let one = bound(&once.rewards(true)).expect("bound");
            let repeated = bound(&ten.rewards(true)).expect("bound");
            assert!((one - repeated).abs() < 1e-9, "{one} {repeated}");
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
            policy: &vec![f64::NAN; 20],
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
