//! When a change is noticed, and when it is overcome.

use super::keyed::float;

/// Default of δ in [`PageHinkley`]: changes below it are tolerated.
pub const PAGE_HINKLEY_DRIFT: f64 = 0.05;
/// Default of the alarm threshold of [`PageHinkley`].
pub const PAGE_HINKLEY_THRESHOLD: f64 = 10.0;
/// Labels before the running mean is trusted.
const SETTLE: usize = 30;

/// Page–Hinkley test for a fall of a mean.
///
/// With x̄ₜ the running mean: `m_t = Σ (x_i − x̄_i + δ)`, `M_t = max m_i`; alarm when
/// `M_t − m_t > h`. δ is the fall that is tolerated, h trades false alarms for delay: with
/// observations of variance σ², a false alarm per excursion has probability about
/// exp(−2δh/σ²). Page 1954, doi:10.1093/biomet/41.1-2.100; Hinkley 1971,
/// doi:10.1093/biomet/58.3.509.
///
/// ```
/// use plimsoll_harness::learning::PageHinkley;
/// let mut test = PageHinkley::default();
/// let steady = (0..500).any(|i| test.push(f64::from(i % 2)));
/// let fallen = (0..100).position(|_| test.push(0.0));
/// assert!(!steady && fallen.is_some());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageHinkley {
    drift: f64,
    threshold: f64,
    count: usize,
    mean: f64,
    sum: f64,
    most: f64,
}

impl Default for PageHinkley {
    fn default() -> Self {
        Self::new(PAGE_HINKLEY_DRIFT, PAGE_HINKLEY_THRESHOLD)
    }
}

impl PageHinkley {
    /// A test that tolerates falls of `drift` and alarms above `threshold`.
    #[must_use]
    pub const fn new(drift: f64, threshold: f64) -> Self {
        Self {
            drift,
            threshold,
            count: 0,
            mean: 0.0,
            sum: 0.0,
            most: 0.0,
        }
    }

    /// Takes one observation; whether there is an alarm now.
    pub fn push(&mut self, x: f64) -> bool {
        self.count += 1;
        self.mean += (x - self.mean) / float(self.count);
        if self.count <= SETTLE {
            return false;
        }
        self.sum += x - self.mean + self.drift;
        self.most = self.most.max(self.sum);
        self.most - self.sum > self.threshold
    }
}

/// Requests after a shock from which the mean regret of the last `window` requests stays at most
/// `max(level, 0) + band`; `None` when it does not.
///
/// `regret` is per request, `shock` and `end` are positions in it, and `level` is the mean of the
/// `window` requests before the shock (of fewer, where there are fewer). Less than a window before
/// the end counts as not.
#[must_use]
pub fn recovered(
    regret: &[f64],
    shock: usize,
    end: usize,
    window: usize,
    band: f64,
) -> Option<usize> {
    let mut sums = Vec::with_capacity(regret.len() + 1);
    sums.push(0.0);
    for value in regret {
        sums.push(sums[sums.len() - 1] + value);
    }
    // The mean of the last `window` requests before position `t`.
    let mean = |t: usize| {
        let from = t.saturating_sub(window);
        (sums[t] - sums[from]) / float((t - from).max(1))
    };
    let bound = mean(shock).max(0.0) + band;
    let within = |t: &usize| mean(*t) <= bound;
    let outside = (shock + 1..=end).rev().find(|t| !within(t));
    match outside {
        None => Some(0),
        // A whole window within the band, or the last one was luck.
        Some(last) if last + window <= end => Some(last + 1 - shock),
        Some(_) => None,
    }
}

/// Requests after a shock at which an arm's share of the last `window` ones has halved, or, where
/// the change speaks `for_arm`, has doubled and exceeds 5 %; `None` when it does not before `end`,
/// or when the arm had no share worth halving.
pub(super) fn rerouted(
    chosen: &[usize],
    arm: usize,
    shock: usize,
    end: usize,
    window: usize,
    for_arm: bool,
) -> Option<usize> {
    let count = |from: usize, to: usize| chosen[from..to].iter().filter(|c| **c == arm).count();
    let share = |t: usize| {
        let from = t.saturating_sub(window);
        float(count(from, t)) / float((t - from).max(1))
    };
    let before = share(shock);
    if !for_arm && before < 0.02 {
        return None;
    }
    let moved = |t: &usize| {
        if for_arm {
            share(*t) > (2.0 * before).max(0.05)
        } else {
            share(*t) < before / 2.0
        }
    };
    (shock + 1..=end).find(moved).map(|t| t - shock)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn page_hinkley_alarms_late_enough_and_soon_enough() {
        let (mut false_alarms, mut delays) = (0, Vec::new());
        for seed in 0..500 {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut test = PageHinkley::default();
            let mut draw = |p: f64| f64::from(u8::from(rng.random::<f64>() < p));
            if (0..1000).any(|_| test.push(draw(0.9))) {
                false_alarms += 1;
            } else if let Some(delay) = (0..500).position(|_| test.push(draw(0.7))) {
                delays.push(delay);
            }
        }
        delays.sort_unstable();
        assert!(false_alarms <= 5, "{false_alarms} of 500");
        assert!(delays.len() >= 490, "{}", delays.len());
        let median = delays[delays.len() / 2];
        assert!((40..110).contains(&median), "{median}");
    }

    #[test]
    fn recovery_is_the_last_time_that_regret_was_out_of_band() {
        // Regret 0 before, 1 for 20 requests after the shock at 100, 0 again.
        let mut regret = vec![0.0; 300];
        regret[100..120].fill(1.0);
        // Windows of 10: the last one with a mean above 0.15 ends at 128, with one 1 in ten at 129.
        assert_eq!(recovered(&regret, 100, 300, 10, 0.15), Some(29));
        assert_eq!(recovered(&regret, 100, 125, 10, 0.15), None);
        assert_eq!(recovered(&vec![0.3; 50], 10, 50, 10, 0.05), Some(0));
    }

    #[test]
    fn rerouting_is_a_halved_or_doubled_share() {
        let mut chosen = vec![0; 400];
        chosen[250..].fill(1);
        assert_eq!(rerouted(&chosen, 0, 200, 400, 100, false), Some(101));
        assert_eq!(rerouted(&chosen, 1, 200, 400, 100, true), Some(56));
        assert_eq!(rerouted(&chosen, 2, 200, 400, 100, false), None);
    }
}
