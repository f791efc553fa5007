//! What the log tried, what the policy wants, and the weights between them.

use super::LoggedSample;
use super::null::{Null, Rest, Rows, count};
use crate::evaluation::{ArmOverlap, Interval, WeightSummary};

/// Level of all mean-weight intervals together: each is at this level over their number
/// (Bonferroni), so that a correct log of many arms seldom fails.
pub const MEAN_WEIGHT_LEVEL: f64 = 0.005;

/// Least probability that other arms than the chosen one must have had together: below it (or when
/// an arm was never chosen at all) the policy's probability there counts as unsupported.
pub const SUPPORT_MIN: f64 = 1e-9;

/// Largest weights shown.
const LARGEST_SHOWN: usize = 10;

/// The judged policy's weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// w_i = π(a_i|x_i)/p_i, shape (n).
    pub weight: Vec<f64>,
    /// Probability of the policy on arms that the log could have chosen, s_i, shape (n).
    pub support: Vec<f64>,
    /// Effective sample size that the propensities lead to expect: at most
    /// (Σs)²/Σ E\[w²|x\]. The observed one is too large when the heavy weights did not turn up.
    pub ess_expected: f64,
    rest: Vec<Rest>,
}

/// The judged policy's weights on the sample's rows.
#[must_use]
pub fn weights(sample: &LoggedSample<'_>) -> Weights {
    let mut weights = Weights::of(sample, |row, arm| sample.target[[row, arm]]);
    let mass: f64 = weights.support.iter().sum();
    let null = Null::new(weights.rows(sample), None);
    weights.ess_expected = ratio(mass * mass, null.least_square);
    weights
}

impl Weights {
    /// Weights of any policy π(row, arm).
    fn of(sample: &LoggedSample<'_>, policy: impl Fn(usize, usize) -> f64) -> Self {
        let supported = supported(sample);
        let n = sample.rows();
        let (mut weight, mut support) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut rests = Vec::with_capacity(n);
        for row in 0..n {
            let chosen = sample.chosen[row];
            let here = chosen.map_or(0.0, |arm| policy(row, arm));
            let mut rest = Rest::default();
            for arm in (0..sample.arms.len()).filter(|&a| chosen != Some(a) && supported(row, a)) {
                let p = policy(row, arm);
                rest.arms += 1.0;
                rest.sum += p;
                rest.squares += p * p;
                rest.cubes += p * p * p;
            }
            weight.push(here / sample.propensity[row]);
            support.push(here + rest.sum);
            rests.push(rest);
        }
        Self {
            weight,
            support,
            ess_expected: 0.0,
            rest: rests,
        }
    }

    /// One arm as if a policy always chose it: w_i = 1\[a_i = a\]/p_i.
    pub(super) fn of_arm(sample: &LoggedSample<'_>, arm: usize) -> Self {
        Self::of(sample, |_, a| f64::from(u8::from(a == arm)))
    }

    pub(super) fn rows<'a>(&'a self, sample: &'a LoggedSample<'_>) -> Rows<'a> {
        Rows {
            weight: &self.weight,
            support: &self.support,
            rest: &self.rest,
            propensity: sample.propensity,
            clusters: sample.clusters,
        }
    }
}

/// Whether the log could have chosen an arm on a row, as far as it says.
fn supported<'a>(sample: &'a LoggedSample<'_>) -> impl Fn(usize, usize) -> bool + 'a {
    let mut seen = vec![false; sample.arms.len()];
    for &arm in sample.chosen.iter().flatten() {
        seen[arm] = true;
    }
    move |row, arm| {
        let chosen = sample.chosen[row] == Some(arm);
        let possible = seen[arm]
            && sample.eligible.is_none_or(|e| e[[row, arm]])
            && 1.0 - sample.propensity[row] > SUPPORT_MIN;
        chosen || possible
    }
}

/// Every arm's overlap.
///
/// The mean weight of an arm is Σ 1\[a_i = a\]/p_i over the number of rows on which the log could
/// have chosen it; 1 when propensities are right. Its interval is at [`MEAN_WEIGHT_LEVEL`] shared
/// by the arms and the policy.
#[must_use]
pub fn overlap(sample: &LoggedSample<'_>) -> Vec<ArmOverlap> {
    let n = sample.rows();
    (0..sample.arms.len())
        .map(|arm| {
            let logged: Vec<usize> = (0..n).filter(|&i| sample.chosen[i] == Some(arm)).collect();
            let policy_weight = |&i: &usize| sample.target[[i, arm]] / sample.propensity[i];
            let seen = !logged.is_empty();
            ArmOverlap {
                model: sample.arms[arm].to_string(),
                logged: logged.len() as u64,
                logged_share: count(logged.len()) / count(n),
                target_share: sample.target.column(arm).sum() / count(n),
                ess: ess(logged.iter().map(policy_weight)),
                mean_weight: seen.then(|| mean_weight(sample, &Weights::of_arm(sample, arm))),
                propensity_min: logged
                    .iter()
                    .map(|&i| sample.propensity[i])
                    .min_by(f64::total_cmp),
            }
        })
        .collect()
}

/// Σw/Σs with its interval.
fn mean_weight(sample: &LoggedSample<'_>, weights: &Weights) -> Interval {
    let mass: f64 = weights.support.iter().sum();
    if mass <= 0.0 {
        return Interval::default();
    }
    let alpha = MEAN_WEIGHT_LEVEL / (count(sample.arms.len()) + 1.0);
    let null = Null::new(weights.rows(sample), None);
    let point = 1.0 + null.statistic / mass;
    let (down, up) = null.reach(alpha);
    // Rounding alone must not exclude 1.
    let slack = 1e-9;
    Interval {
        point,
        low: (point - down / mass - slack).max(0.0),
        high: point + up / mass + slack,
    }
}

/// The weight at which clipping starts when nobody chose one: √n (Ionides 2008,
/// doi:10.1198/106186008X320456).
#[must_use]
pub fn clip_default(n: usize) -> f64 {
    count(n).sqrt()
}

/// Summary of the judged policy's weights.
#[must_use]
pub fn weight_summary(
    sample: &LoggedSample<'_>,
    weights: &Weights,
    clip: Option<f64>,
) -> WeightSummary {
    let n = sample.rows();
    let total: f64 = weights.weight.iter().sum();
    let clip = clip.unwrap_or_else(|| clip_default(n));
    let above: f64 = weights.weight.iter().map(|w| (w - clip).max(0.0)).sum();
    let mut largest = weights.weight.clone();
    largest.sort_by(|a, b| b.total_cmp(a));
    largest.truncate(LARGEST_SHOWN);
    let weight_max = largest.first().copied().unwrap_or(0.0);
    let ess = ess(weights.weight.iter().copied());
    WeightSummary {
        ess,
        ess_share: ess / count(n),
        weight_max,
        weight_max_share: ratio(weight_max, total),
        clip,
        clipped_mass: ratio(above, total),
        mean_weight: mean_weight(sample, weights),
        unsupported_share: (1.0 - weights.support.iter().sum::<f64>() / count(n)).max(0.0),
        largest,
    }
}

/// (Σw)²/Σw² (Kish 1965); 0 without weight.
fn ess(weights: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares) = weights.fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    ratio(sum * sum, squares)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
