//! The chosen interval of a sample.

use ndarray::Array2;

use super::choice::{Choice, Facts, Method, Purpose, choose};
use super::robust::{Robust, sums};
use super::savings::PairedCosts;
use super::support::Support;
use super::weighted::{WeightedRewards, by_cluster};
use crate::bootstrap::{Bootstrap, percentile_interval};
use crate::bounds::{
    Looks, betting_lower, betting_upper, clopper_pearson_lower, clopper_pearson_upper, rescale,
};
use crate::evaluation::Interval;
use crate::judge::Clusters;

/// Highest ratio that is looked at: ρ = 5 is a policy at five times the baseline's cost.
const RATIO_MAX: f64 = 5.0;

/// Data and the quantity sought of them.
#[derive(Clone, Copy, Debug)]
pub enum Sample<'a> {
    /// The mean of outcomes in [`low`, `high`].
    Bounded {
        /// Shape (n).
        values: &'a [f64],
        /// Least possible outcome.
        low: f64,
        /// Largest possible outcome.
        high: f64,
        /// Dependent groups.
        clusters: Option<&'a Clusters>,
    },
    /// The mean of outcomes without a known range.
    Unbounded {
        /// Shape (n).
        values: &'a [f64],
        /// Dependent groups.
        clusters: Option<&'a Clusters>,
    },
    /// The policy value of logged rewards.
    Value {
        /// Rewards and weights.
        rewards: WeightedRewards<'a>,
        /// One unbiased term per row for an asymptotic interval, such as doubly robust ones;
        /// `None`: w·r.
        terms: Option<&'a [f64]>,
    },
    /// E\[C_π\]/E\[C_b\] where both costs are known of each row.
    CostRatio(PairedCosts<'a>),
    /// V_π/V_b of logged outcomes; V_b is the log's own mean without a baseline.
    ValueRatio {
        /// Outcomes over their largest possible one, and weights.
        rewards: WeightedRewards<'a>,
        /// One unbiased term per row of V_π and of V_b in a common unit, such as doubly robust
        /// ones, for an asymptotic interval; `None`: w_π·r and w_b·r.
        terms: Option<[&'a [f64]; 2]>,
    },
}

/// How an interval is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What it is for.
    pub purpose: Purpose,
    /// Its confidence, two-sided for [`interval`], one-sided for [`lower_bound`].
    pub confidence: f64,
    /// Whether the data were looked at before, or will be again.
    pub looked_before: bool,
    /// Resamples, if it comes to that.
    pub bootstrap: Bootstrap,
}

/// The choice and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen<T> {
    /// Method and reason.
    pub choice: Choice,
    /// `None` when refused, or when the input is out of range.
    pub bound: Option<T>,
}

/// The two-sided interval that the data allow.
#[must_use]
pub fn interval(sample: &Sample<'_>, question: &Question) -> Chosen<Interval> {
    let choice = choose(&sample.facts(question));
    let tail = (1.0 - question.confidence) / 2.0;
    let bound = match choice.method {
        Method::Refused => None,
        Method::ClusterNormal => sample
            .robust()
            .and_then(|robust| robust.interval(question.confidence)),
        Method::ClusterBootstrap => sample.resampled(question),
        method => sample.finite(method, tail),
    };
    Chosen { choice, bound }
}

/// The one-sided lower bound that the data allow.
#[must_use]
pub fn lower_bound(sample: &Sample<'_>, question: &Question) -> Chosen<f64> {
    let choice = choose(&sample.facts(question));
    let alpha = 1.0 - question.confidence;
    let bound = match choice.method {
        Method::Refused => None,
        Method::ClusterNormal => sample.robust().and_then(|robust| robust.lower(alpha)),
        Method::ClusterBootstrap => {
            let twice = Question {
                confidence: 1.0 - 2.0 * alpha,
                ..*question
            };
            sample.resampled(&twice).map(|interval| interval.low)
        }
        method => sample.finite_end(method, End::Low, alpha),
    };
    Chosen { choice, bound }
}

impl<'a> Sample<'a> {
    /// What the choice depends on.
    #[must_use]
    pub fn facts(&self, question: &Question) -> Facts {
        let rows = self.rows();
        let clusters = self.clusters();
        let weights: &[&[f64]] = match self {
            Self::Value { rewards, .. } => &[rewards.policy],
            Self::ValueRatio { rewards, .. } => match rewards.baseline {
                Some(baseline) => &[rewards.policy, baseline.weights],
                None => &[rewards.policy],
            },
            _ => &[],
        };
        let mut facts = Facts {
            bounded: !matches!(self, Self::Unbounded { .. }),
            binary: false,
            clustered: clusters.is_some_and(|c| c.count < rows),
            weighted: !weights.is_empty(),
            ratio: matches!(self, Self::CostRatio(_) | Self::ValueRatio { .. }),
            looked_before: question.looked_before,
            rows: rows as u64,
            clusters: clusters.map_or(rows, |c| c.count) as u64,
            ess: count(rows),
            contributions: self.robust().map_or(0.0, |robust| robust.contributions),
            support: Support::Plausible,
            purpose: question.purpose,
        };
        if let Self::Bounded {
            values, low, high, ..
        } = self
        {
            facts.binary = (*low, *high) == (0.0, 1.0) && values.iter().all(|x| is_bit(*x));
        }
        for weights in weights {
            facts.ess = facts.ess.min(effective(weights));
            facts.support = facts.support.and(Support::of(weights, clusters));
            let spread = Robust::mean(weights, clusters).filter(|mean| mean.standard_error > 0.0);
            if let Some(mean) = spread {
                facts.contributions = facts.contributions.min(mean.contributions);
            }
        }
        facts
    }

    fn rows(&self) -> usize {
        match self {
            Self::Bounded { values, .. } | Self::Unbounded { values, .. } => values.len(),
            Self::Value { rewards, .. } | Self::ValueRatio { rewards, .. } => rewards.rewards.len(),
            Self::CostRatio(costs) => costs.policy.len(),
        }
    }

    fn clusters(&self) -> Option<&'a Clusters> {
        match self {
            Self::Bounded { clusters, .. } | Self::Unbounded { clusters, .. } => *clusters,
            Self::Value { rewards, .. } | Self::ValueRatio { rewards, .. } => rewards.clusters,
            Self::CostRatio(costs) => costs.clusters,
        }
    }

    /// The two columns whose sums' ratio is the estimate.
    fn columns(&self) -> Option<Vec<(f64, f64)>> {
        let n = self.rows();
        let fits = |column: &[f64]| column.len() == n;
        Some(match self {
            Self::Bounded { values, .. } | Self::Unbounded { values, .. } => {
                values.iter().map(|x| (*x, 1.0)).collect()
            }
            Self::Value {
                terms: Some(terms), ..
            } => fits(terms).then(|| terms.iter().map(|x| (*x, 1.0)).collect())?,
            Self::Value { rewards, .. } => fits(rewards.policy).then(|| {
                let weighted = rewards.policy.iter().zip(rewards.rewards);
                weighted.map(|(w, r)| (w * r, 1.0)).collect()
            })?,
            Self::ValueRatio {
                terms: Some([policy, baseline]),
                ..
            } => (fits(policy) && fits(baseline)).then(|| {
                let both = policy.iter().zip(*baseline);
                both.map(|(policy, baseline)| (*policy, *baseline))
                    .collect()
            })?,
            Self::ValueRatio { rewards, .. } => {
                let weight = |i: usize| rewards.baseline.map_or(1.0, |b| b.weights[i]);
                let known = rewards.baseline.is_none_or(|b| fits(b.weights));
                (fits(rewards.policy) && known).then(|| {
                    let both = rewards.policy.iter().zip(rewards.rewards).enumerate();
                    both.map(|(i, (w, r))| (w * r, weight(i) * r)).collect()
                })?
            }
            Self::CostRatio(costs) => fits(costs.baseline).then(|| {
                let both = costs.policy.iter().zip(costs.baseline);
                both.map(|(policy, baseline)| (*policy, *baseline))
                    .collect()
            })?,
        })
    }

    /// The columns summed by cluster.
    fn cluster_sums(&self) -> Option<Vec<(f64, f64)>> {
        let columns = self.columns()?;
        match self.clusters() {
            None => Some(columns),
            Some(clusters) => {
                (clusters.of.len() == columns.len()).then(|| sums(clusters, |i| columns[i]))
            }
        }
    }

    fn robust(&self) -> Option<Robust> {
        Robust::ratio(&self.cluster_sums()?)
    }

    fn resampled(&self, question: &Question) -> Option<Interval> {
        let sums = self.cluster_sums()?;
        let point = Robust::ratio(&sums)?.point;
        let columns =
            Array2::from_shape_fn(
                (sums.len(), 2),
                |(i, j)| {
                    if j == 0 { sums[i].0 } else { sums[i].1 }
                },
            );
        let draws = question.bootstrap.sums(columns.view());
        let ratios = draws.outer_iter().map(|row| row[0] / row[1]).collect();
        Some(percentile_interval(point, ratios, question.confidence))
    }

    /// Two finite-sample bounds, each at level `alpha`.
    fn finite(&self, method: Method, alpha: f64) -> Option<Interval> {
        let low = self.finite_end(method, End::Low, alpha)?;
        let high = self.finite_end(method, End::High, alpha)?;
        let point = self.robust().map_or(low, |robust| robust.point);
        // Two bounds that crossed say that the assumptions do not hold.
        (low <= high).then(|| Interval {
            point: point.clamp(low, high),
            low,
            high,
        })
    }

    /// One of them.
    fn finite_end(&self, method: Method, end: End, alpha: f64) -> Option<f64> {
        let looks = match method {
            Method::BettingSequence
            | Method::WeightedBettingSequence
            | Method::RatioBettingSequence => Looks::Anytime,
            _ => Looks::Once,
        };
        match (self, end) {
            (
                Self::Bounded {
                    values,
                    low,
                    high,
                    clusters,
                },
                _,
            ) if low < high && values.iter().all(|x| x >= low && x <= high) => {
                let bound = if method == Method::ClopperPearson {
                    let successes = values.iter().filter(|x| **x > 0.5).count() as u64;
                    let trials = values.len() as u64;
                    match end {
                        End::Low => clopper_pearson_lower(successes, trials, alpha)?,
                        End::High => clopper_pearson_upper(successes, trials, alpha)?,
                    }
                } else {
                    let unit: Vec<f64> = values.iter().map(|x| rescale(*x, *low, *high)).collect();
                    let (means, weights) = by_cluster(&unit, 0.0, *clusters, looks);
                    // A mean of numbers up to 1 may round to just above.
                    let means: Vec<f64> = means.iter().map(|x| x.min(1.0)).collect();
                    match end {
                        End::Low => betting_lower(&means, weights.as_deref(), alpha, looks)?,
                        End::High => betting_upper(&means, weights.as_deref(), alpha, looks)?,
                    }
                };
                Some(low + bound * (high - low))
            }
            (Self::Bounded { .. } | Self::Unbounded { .. }, _) => None,
            (Self::Value { rewards, .. }, End::Low) => rewards.value_lower(alpha, looks),
            (Self::Value { rewards, .. }, End::High) => rewards.value_upper(alpha, looks),
            (Self::CostRatio(costs), End::Low) => costs.ratio_lower(RATIO_MAX, alpha, looks),
            (Self::CostRatio(costs), End::High) => costs.ratio_upper(RATIO_MAX, alpha, looks),
            (Self::ValueRatio { rewards, .. }, End::Low) => {
                rewards.ratio_lower(RATIO_MAX, alpha, looks)
            }
            (Self::ValueRatio { rewards, .. }, End::High) => {
                rewards.ratio_upper(RATIO_MAX, alpha, looks)
            }
        }
    }
}

/// A side of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Low,
    High,
}

fn is_bit(x: f64) -> bool {
    x == 0.0 || (x - 1.0).abs() < f64::EPSILON
}

/// Kish's effective sample size.
fn effective(weights: &[f64]) -> f64 {
    let (sum, squares) = weights
        .iter()
        .fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    if squares > 0.0 {
        sum * sum / squares
    } else {
        0.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(purpose: Purpose) -> Question {
        Question {
            purpose,
            confidence: 0.95,
            looked_before: false,
            bootstrap: Bootstrap {
                resamples: 500,
                seed: 1,
            },
        }
    }

    #[test]
    fn rare_failures_get_the_exact_interval() {
        let values: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i % 20 != 0))).collect();
        let sample = Sample::Bounded {
            values: &values,
            low: 0.0,
            high: 1.0,
            clusters: None,
        };
        let chosen = interval(&sample, &question(Purpose::Description));
        assert_eq!(chosen.choice.method, Method::ClopperPearson);
        let bound = chosen.bound.expect("interval");
        assert!((bound.low - 0.909_9).abs() < 1e-3, "{bound:?}");
        let even: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i % 2 == 0))).collect();
        let sample = Sample::Bounded {
            values: &even,
            low: 0.0,
            high: 1.0,
            clusters: None,
        };
        let chosen = interval(&sample, &question(Purpose::Description));
        assert_eq!(chosen.choice.method, Method::ClusterNormal);
        let claim = lower_bound(&sample, &question(Purpose::Claim));
        assert_eq!(claim.choice.method, Method::ClopperPearson);
        assert!(claim.bound.expect("bound") < 0.45);
    }

    #[test]
    fn savings_are_resampled_when_ample_and_bet_on_when_not() {
        let baseline: Vec<f64> = (0..300)
            .map(|i| f64::from(1 + (i * 7) % 10) / 10.0)
            .collect();
        let policy: Vec<f64> = baseline
            .iter()
            .enumerate()
            .map(|(i, cost)| if i % 3 == 0 { *cost } else { 0.1 * cost })
            .collect();
        let costs = |n: usize| {
            Sample::CostRatio(PairedCosts {
                policy: &policy[..n],
                baseline: &baseline[..n],
                policy_max: 1.0,
                baseline_max: 1.0,
                clusters: None,
            })
        };
        let ample = interval(&costs(300), &question(Purpose::Description));
        assert_eq!(ample.choice.method, Method::ClusterBootstrap);
        let few = interval(&costs(30), &question(Purpose::Description));
        assert_eq!(few.choice.method, Method::RatioBetting);
        let (ample, few) = (ample.bound.expect("some"), few.bound.expect("some"));
        assert!(ample.low < 0.4 && ample.high > 0.4 && ample.high - ample.low < 0.15);
        assert!(few.low < 0.4 && few.high > 0.4 && few.high < 1.0, "{few:?}");
    }

    #[test]
    fn missing_support_is_refused() {
        let rewards = vec![1.0; 400];
        let weights: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let sample = Sample::Value {
            rewards: WeightedRewards {
                rewards: &rewards,
                policy: &weights,
                baseline: None,
                clusters: None,
                predictions: None,
            },
            terms: None,
        };
        let chosen = interval(&sample, &question(Purpose::Description));
        assert_eq!(
            (chosen.choice.method, chosen.bound),
            (Method::Refused, None)
        );
        let unbounded = Sample::Unbounded {
            values: &rewards[..20],
            clusters: None,
        };
        let chosen = interval(&unbounded, &question(Purpose::Description));
        assert_eq!(chosen.bound, None);
    }
}
