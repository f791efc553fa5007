//! Labels on their way: delayed, partly given, censored.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use plimsoll::Seed;

use super::keyed::unit;
use super::options::{Delay, LearningOptions, Wait};

/// When a label arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Before the first decision at or after this moment, which is a position or a time.
    Due(i64),
    /// Nobody labels this answer.
    Unlabelled,
    /// It would take longer than anybody waits.
    Censored,
}

/// Labels that are not due yet, the earliest first; ties in order of their requests.
#[derive(Debug, Default)]
pub(super) struct Pending(BinaryHeap<Reverse<(i64, usize)>>);

impl Pending {
    pub(super) fn push(&mut self, due: i64, position: usize) {
        self.0.push(Reverse((due, position)));
    }

    /// The next label that is due at `now`.
    pub(super) fn pop(&mut self, now: i64) -> Option<usize> {
        let Reverse((due, _)) = self.0.peek()?;
        if *due > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, position))| position)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The clock that delays are measured on: positions, or event time.
pub(super) fn now(delay: Delay, position: usize, time_us: Option<i64>) -> i64 {
    match delay.wait {
        Wait::Requests(_) => i64::try_from(position).unwrap_or(i64::MAX),
        Wait::TimeUs(_) => time_us.unwrap_or(0),
    }
}

/// What becomes of the label of a request that is decided at `now`; keyed by seed and request.
///
/// A delay of N requests lets N others be decided before the label is seen.
pub(super) fn fate(options: &LearningOptions, seed: Seed, request: &str, now: i64) -> Fate {
    if unit("label", seed, request) >= options.label_share {
        return Fate::Unlabelled;
    }
    let (mean, least) = match options.delay.wait {
        Wait::Requests(n) => (n, 1),
        Wait::TimeUs(us) => (us, 0),
    };
    let wait = if options.delay.exponential {
        drawn(mean, unit("delay", seed, request))
    } else {
        mean
    };
    let limit = options.censor_after.map(|limit| match limit {
        Wait::Requests(n) | Wait::TimeUs(n) => n,
    });
    if limit.is_some_and(|limit| wait > limit) {
        return Fate::Censored;
    }
    let wait = i64::try_from(wait).unwrap_or(i64::MAX);
    Fate::Due(now.saturating_add(wait).saturating_add(least))
}

/// Inverse of the exponential distribution function at `u`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rounded wait; casts saturate"
)]
fn drawn(mean: u64, u: f64) -> u64 {
    (-(mean as f64) * (1.0 - u).ln()).round() as u64
}

#[cfg(test)]
mod tests {
    use plimsoll::{ObjectiveConfig, PolicyConfig};

    use super::*;

    fn options() -> LearningOptions {
        LearningOptions::new(PolicyConfig::new(ObjectiveConfig::retain(0.9)), Seed(1))
    }

    #[test]
    fn labels_come_in_order_and_not_before_they_are_due() {
        let mut pending = Pending::default();
        for (due, position) in [(5, 2), (3, 1), (5, 0)] {
            pending.push(due, position);
        }
        assert_eq!(pending.pop(2), None);
        assert_eq!(pending.pop(3), Some(1));
        assert_eq!(pending.pop(4), None);
        assert_eq!((pending.pop(9), pending.pop(9)), (Some(0), Some(2)));
        assert_eq!((pending.pop(9), pending.len()), (None, 0));
    }

    #[test]
    fn shares_means_and_censoring_are_as_asked() {
        let options = LearningOptions {
            label_share: 0.3,
            delay: Delay {
                wait: Wait::Requests(50),
                exponential: true,
            },
            censor_after: Some(Wait::Requests(50)),
            ..options()
        };
        let fates: Vec<Fate> = (0..20_000)
            .map(|i| fate(&options, Seed(4), &format!("r{i}"), 0))
            .collect();
        let share = |f: &dyn Fn(&Fate) -> bool| {
            f64::from(u32::try_from(fates.iter().filter(|x| f(x)).count()).expect("few")) / 20_000.0
        };
        // 70 % are not labelled; of the others e⁻¹ wait longer than the mean.
        let unlabelled = share(&|f| *f == Fate::Unlabelled);
        let censored = share(&|f| *f == Fate::Censored);
        assert!((unlabelled - 0.7).abs() < 0.012, "{unlabelled}");
        assert!(
            (censored - 0.3 * (-1.0_f64).exp()).abs() < 0.012,
            "{censored}"
        );
        let late = |f: &Fate| matches!(f, Fate::Due(at) if *at > 51);
        assert_eq!(fates.iter().filter(|f| late(f)).count(), 0);
    }
}
