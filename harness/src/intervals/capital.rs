//! Betting capital for outcomes with a known lower end and no known upper one.

use crate::bounds::Looks;

/// Share of the capital that follows the plug-in bet; the rest is spread over [`FRACTIONS`].
const PLUG_IN_SHARE: f64 = 0.7;
/// Constant bets, as fractions of m: what the plug-in bet misses while rare large values are
/// still unseen. Geometric, because the best fraction is m·√(2 ln(1/α)/n)/σ of an unknown σ.
const FRACTIONS: [f64; 5] = [0.5, 0.17, 0.06, 0.02, 0.007];
/// Width at which the bisection in m stops, relative to values above 1. The end taken is the safe
/// one, so this is all that is lost.
const PRECISION: f64 = 1e-6;
/// c: at most this share of the capital is ever at stake.
const STAKE_MAX: f64 = 0.75;
/// Outcomes that the prior (mean ½ above 0, variance ¼) counts for at first.
const PRIOR: f64 = 4.0;
/// Outcomes after which it counts for half: outcomes of another scale outweigh it soon.
const PRIOR_HALF_LIFE: f64 = 10.0;

/// Lower confidence bound for the mean of outcomes that are ≥ 0 and have no known upper end,
/// such as importance-weighted rewards w·r.
///
/// The bound of [`betting_lower_above`] with a floor of 0.
#[must_use]
pub fn betting_lower_nonnegative(
    values: &[f64],
    weights: Option<&[f64]>,
    alpha: f64,
    looks: Looks,
) -> Option<f64> {
    betting_lower_above(values, 0.0, weights, alpha, looks)
}

/// Lower confidence bound at level `alpha` for the mean of outcomes x ≥ `floor`.
///
/// Capital K_t(m) = Σ_j s_j Π_{i≤t} (1 + λ_{ij} w_i (x_i − m)), a mixture with shares s_j of
/// - the predictable plug-in bet λ_t = min(√(2 ln(1/α)/(n σ̂²_{t−1})), ¾/(m − floor)), with n
///   replaced by t·ln(1 + t) for [`Looks::Anytime`], and
/// - constant fractions λ = f/(m − floor).
///
/// Every factor is ≥ 1 − ¾ whatever x is, so K is a non-negative martingale at the true mean, and
/// every m with max_t K_t(m) ≥ 1/α is rejected (Ville). K falls in m: the bound is found by
/// bisection. No upper end, no bound on the importance weights is needed; heavy tails make the
/// bound lower, never wrong. Waudby-Smith & Ramdas (JRSSB 2024), doi:10.1093/jrsssb/qkad009;
/// Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro (2022), arXiv:2210.10768; mixtures of
/// constant bets: Karampatziakis, Mineiro & Ramdas (ICML 2021), arXiv:2102.09540.
///
/// Assumes that each outcome's mean, given those before, is the one sought: independent rows, or
/// a logging policy that learned from earlier rows with logged propensities. With clusters,
/// `values` are cluster means and `weights` in (0, 1] the sizes over the largest; then only
/// clusters need be independent and the mean is per request.
///
/// The bets are tuned for outcomes whose spread is of the order of 1; validity does not depend on
/// it. `None` without outcomes, for values below the floor or not finite, for weights outside
/// (0, 1] or another number of them, and for a level outside (0, 1).
#[must_use]
pub fn betting_lower_above(
    values: &[f64],
    floor: f64,
    weights: Option<&[f64]>,
    alpha: f64,
    looks: Looks,
) -> Option<f64> {
    let sound = !values.is_empty()
        && alpha > 0.0
        && alpha < 1.0
        && weights
            .is_none_or(|w| w.len() == values.len() && w.iter().all(|w| *w > 0.0 && *w <= 1.0));
    sound.then_some(())?;
    mixture_lower(&[Stream { values, floor }], weights, alpha, looks)
}

/// Outcomes of one estimator of the mean sought, none below `floor`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream<'a> {
    /// x, shape (n).
    pub values: &'a [f64],
    /// Known before the data.
    pub floor: f64,
}

/// [`betting_lower_above`] with the capital spread evenly over several estimators of one mean: a
/// mixture of capitals is a capital, so the best need not be known before.
///
/// `weights` and `alpha` were checked by the caller.
pub(crate) fn mixture_lower(
    streams: &[Stream<'_>],
    weights: Option<&[f64]>,
    alpha: f64,
    looks: Looks,
) -> Option<f64> {
    is_sound(streams).then_some(())?;
    // The mean lies above every floor, and no bet gains where no outcome exceeds m.
    let floor = streams.iter().map(|s| s.floor).reduce(f64::max)?;
    let top = streams
        .iter()
        .flat_map(|s| s.values)
        .copied()
        .reduce(f64::max)?;
    let rounds = rounds(streams, weights, alpha, looks);
    let (mut low, mut high) = (floor, top.max(floor));
    // Above the mean of the outcomes next to nothing is rejected: one look saves many.
    let guess = streams.first().map_or(high, |s| average(s.values, weights));
    if guess > low && guess < high && !reaches(streams, &rounds, guess, alpha) {
        high = guess;
    }
    // The lower end is the safe one, at any precision.
    while high - low > PRECISION * high.abs().max(1.0) {
        let middle = low.midpoint(high);
        if reaches(streams, &rounds, middle, alpha) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}

fn average(values: &[f64], weights: Option<&[f64]>) -> f64 {
    match weights {
        None => values.iter().sum::<f64>() / count(values.len()),
        Some(weights) => {
            let sum: f64 = values.iter().zip(weights).map(|(x, w)| x * w).sum();
            sum / weights.iter().sum::<f64>()
        }
    }
}

/// Whether "the mean is at most `m`" is rejected at level `alpha`; `false` when it cannot be
/// tested.
pub(super) fn rejects(
    streams: &[Stream<'_>],
    weights: Option<&[f64]>,
    m: f64,
    alpha: f64,
    looks: Looks,
) -> bool {
    is_sound(streams)
        && streams.iter().all(|stream| stream.floor < m)
        && reaches(streams, &rounds(streams, weights, alpha, looks), m, alpha)
}

fn is_sound(streams: &[Stream<'_>]) -> bool {
    streams.iter().all(|stream| {
        stream.floor.is_finite()
            && stream
                .values
                .iter()
                .all(|x| x.is_finite() && *x >= stream.floor)
    })
}

fn rounds(
    streams: &[Stream<'_>],
    weights: Option<&[f64]>,
    alpha: f64,
    looks: Looks,
) -> Vec<Vec<Step>> {
    streams
        .iter()
        .map(|stream| steps(*stream, weights, alpha, looks))
        .collect()
}

/// Whether the mixture's capital against a mean of `m` ever reaches 1/α.
fn reaches(streams: &[Stream<'_>], rounds: &[Vec<Step>], m: f64, alpha: f64) -> bool {
    let mut capitals: Vec<Capital> = streams
        .iter()
        .map(|stream| Capital::new(m - stream.floor))
        .collect();
    let threshold = count(streams.len()) / alpha;
    let length = rounds.first().map_or(0, Vec::len);
    (0..length).any(|t| {
        let total: f64 = capitals
            .iter_mut()
            .zip(rounds)
            .map(|(capital, steps)| capital.after(&steps[t]))
            .sum();
        total >= threshold
    })
}

/// One outcome as the bets see it.
struct Step {
    /// x − floor.
    above: f64,
    /// w.
    weight: f64,
    /// The plug-in bet without its cap; made from earlier outcomes only.
    bet: f64,
}

fn steps(stream: Stream<'_>, weights: Option<&[f64]>, alpha: f64, looks: Looks) -> Vec<Step> {
    let numerator = 2.0 * alpha.recip().ln();
    let n = count(stream.values.len());
    // The floor of a shifted estimator lies below 0; the prior's mean of ½ does not move with it.
    let center = 0.5 - stream.floor.min(0.0);
    let (mut sum, mut total, mut squares, mut variance) = (0.0, 0.0, 0.0, 0.25);
    stream
        .values
        .iter()
        .enumerate()
        .map(|(index, x)| {
            let t = count(index + 1);
            let horizon = match looks {
                Looks::Once => n,
                Looks::Anytime => t * t.ln_1p(),
            };
            let step = Step {
                above: x - stream.floor,
                weight: weights.map_or(1.0, |w| w[index]),
                bet: (numerator / (horizon * variance)).sqrt(),
            };
            sum += step.weight * step.above;
            total += step.weight;
            let prior = PRIOR * PRIOR_HALF_LIFE / (PRIOR_HALF_LIFE + t);
            let mean = (sum + center * prior) / (total + prior);
            squares += (step.weight * (step.above - mean)).powi(2);
            variance = (squares + 0.25 * prior) / (t + prior);
            step
        })
        .collect()
}

/// The capital against a mean of `m` above the floor.
struct Capital {
    m: f64,
    plug_in: f64,
    constant: [f64; FRACTIONS.len()],
}

impl Capital {
    fn new(m: f64) -> Self {
        Self {
            m,
            plug_in: PLUG_IN_SHARE,
            constant: [(1.0 - PLUG_IN_SHARE) / count(FRACTIONS.len()); FRACTIONS.len()],
        }
    }

    /// What is held after one more outcome.
    fn after(&mut self, step: &Step) -> f64 {
        let gain = step.weight * (step.above - self.m);
        let share = gain / self.m;
        self.plug_in = kept(self.plug_in * (1.0 + step.bet.min(STAKE_MAX / self.m) * gain));
        let mut total = self.plug_in;
        for (held, fraction) in self.constant.iter_mut().zip(FRACTIONS) {
            *held = kept(*held * (1.0 + fraction * share));
            total += *held;
        }
        total
    }
}

/// A capital that is as good as lost is lost: losing is safe, subnormal arithmetic is slow.
fn kept(capital: f64) -> f64 {
    if capital < 1e-290 { 0.0 } else { capital }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// Means of 1 with ever heavier tails: 1/p with chance p.
    fn heavy(seed: u64, n: usize, p: f64) -> Vec<f64> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        (0..n)
            .map(|_| {
                if rng.random::<f64>() < p {
                    1.0 / p
                } else {
                    0.0
                }
            })
            .collect()
    }

    #[test]
    fn heavy_tails_make_the_bound_low_never_wrong() {
        for p in [0.5, 0.05, 0.005] {
            let runs = 400;
            let lows: Vec<f64> = (0..runs)
                .map(|seed| {
                    betting_lower_nonnegative(&heavy(seed, 300, p), None, 0.05, Looks::Once)
                        .expect("bound")
                })
                .collect();
            let wrong = lows.iter().filter(|low| **low > 1.0).count();
            // 5 % of 400 is 20, its standard error 4.4.
            assert!(wrong <= 33, "p = {p}: {wrong} of {runs} lie above the mean");
            let mean = lows.iter().sum::<f64>() / count(lows.len());
            assert!(mean > 0.2 * p.sqrt(), "p = {p}: {mean}");
        }
    }

    #[test]
    fn the_bound_moves_with_a_shift() {
        let values = heavy(1, 500, 0.2);
        let low = betting_lower_nonnegative(&values, None, 0.05, Looks::Once).expect("bound");
        let shifted: Vec<f64> = values.iter().map(|x| x - 0.5).collect();
        let low_shifted =
            betting_lower_above(&shifted, -0.5, None, 0.05, Looks::Once).expect("bound");
        // The prior's mean moves with the floor, so the bets differ a little.
        assert!(
            (low - 0.5 - low_shifted).abs() < 0.02,
            "{low} {low_shifted}"
        );
        let anytime = betting_lower_nonnegative(&values, None, 0.05, Looks::Anytime);
        assert!(anytime.expect("bound") < low);
    }

    #[test]
    fn degenerate_outcomes() {
        let bound = |values: &[f64]| betting_lower_nonnegative(values, None, 0.05, Looks::Once);
        assert_eq!(bound(&[]), None);
        assert_eq!(bound(&[-0.1]), None);
        assert_eq!(bound(&[f64::INFINITY]), None);
        assert_eq!(bound(&[0.0; 50]), Some(0.0));
        let sure = bound(&[1.0; 500]).expect("bound");
        assert!(sure > 0.98 && sure < 1.0, "{sure}");
        let weighted =
            |w: &[f64]| betting_lower_above(&[1.0, 0.5], 0.0, Some(w), 0.05, Looks::Once);
        assert!(weighted(&[1.0, 0.5]).is_some());
        assert_eq!(weighted(&[1.0, 0.0]), None);
        assert_eq!(weighted(&[1.0, 2.0]), None);
        assert_eq!(weighted(&[1.0]), None);
        assert_eq!(
            betting_lower_nonnegative(&[1.0], None, 1.0, Looks::Once),
            None
        );
    }
}
