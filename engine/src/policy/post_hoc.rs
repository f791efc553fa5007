//! What an answer's own signal says about its quality, once the answer is there.

use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, CalibrationError, CalibrationKind, CalibrationRow};

/// A fitted reading of one arm's signal.
///
/// A *signal* is any number in \[0, 1\] that is known once an answer is there and rises with its
/// quality: a judge's score, the share of samples that agree, a verifier's verdict, the mean
/// probability of the answer's tokens. With p the quality expected before the call and
/// c = calibration(signal), the quality expected after it is `p + weight·(c − p)`.
///
/// `reliability` ρ says how much the signal will tell: the share of p(1 − p), the variance of a
/// quality that is 0 or 1, by which it moves the expectation. 0 is worthless, 1 reveals the truth.
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `calibration` | none | | signal → quality |
/// | `weight` | 0 | \[0, 1\] | trust in the signal against what was expected before |
/// | `reliability` | 0 | \[0, 1\] | what a call is hoped to reveal |
///
/// ```
/// use plimsoll::{CalibrationKind, PostHoc, PostHocRow};
/// // A judge who is right nine times in ten, on answers of which half are good.
/// let row = |i: u32| {
///     let (good, wrong) = (f64::from(i % 2), i % 20 < 2);
///     let signal = if wrong { 1.0 - good } else { good };
///     PostHocRow { expected: 0.5, signal, observed: good, weight: 1.0 }
/// };
/// let rows: Vec<_> = (0..2_000).map(row).collect();
/// let judge = PostHoc::fit(CalibrationKind::Platt, &rows)?;
/// // E[q | signal] is 0.9 or 0.1: it explains 0.4² of a variance of 0.25.
/// assert!((judge.reliability - 0.64).abs() < 0.02);
/// assert!((judge.quality(0.5, 1.0) - 0.9).abs() < 0.01);
/// # Ok::<(), plimsoll::CalibrationError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostHoc {
    /// From signal to quality.
    pub calibration: Calibration,
    /// Trust in the signal against what was expected before, in [0, 1].
    pub weight: f64,
    /// Share of the variance p(1 − p) that the signal explains, in [0, 1].
    pub reliability: f64,
}

/// One answer that was judged both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PostHocRow {
    /// Quality expected before the call, in [0, 1].
    pub expected: f64,
    /// Signal of the answer, in [0, 1].
    pub signal: f64,
    /// Observed quality, in [0, 1].
    pub observed: f64,
    /// Weight ≥ 0.
    pub weight: f64,
}

impl PostHoc {
    /// A signal that tells nothing: the state of an arm of which no signal is known.
    pub const WORTHLESS: Self = Self {
        calibration: Calibration::None,
        weight: 0.0,
        reliability: 0.0,
    };

    /// A signal that is the quality itself.
    pub const PERFECT: Self = Self {
        calibration: Calibration::None,
        weight: 1.0,
        reliability: 1.0,
    };

    /// Fits to rows that the predictor did not see; no rows give [`PostHoc::WORTHLESS`].
    ///
    /// With o the observed quality, `weight` is the least-squares w of o − p = w·(c − p), clipped
    /// to [0, 1], and ρ = (w²·Σ(c − p)² − u²·Σ(m − p)²)/Σp(1 − p), where m is the mean of o and u
    /// its weight as w is that of c: what correcting p by a constant gains is not the signal's.
    /// They are found with every row's c and m from the other half of the rows, so that a signal is
    /// not believed for having been fitted; the calibration kept is fitted on all.
    ///
    /// # Errors
    /// [`CalibrationError::Row`] when a number is out of range.
    pub fn fit(kind: CalibrationKind, rows: &[PostHocRow]) -> Result<Self, CalibrationError> {
        let part = 0.0..=1.0;
        if let Some(row) = rows.iter().position(|row| !part.contains(&row.expected)) {
            return Err(CalibrationError::Row { row });
        }
        let calibration = calibrate(kind, rows.iter())?;
        let (mut sums, mut constant) = (Sums::default(), Sums::default());
        for half in 0..2 {
            let (own, others): (Vec<_>, Vec<_>) = rows
                .iter()
                .enumerate()
                .partition(|(i, _)| half_of(*i) == half);
            let others = others.into_iter().map(|(_, row)| row);
            let typical = mean(others.clone());
            let other = calibrate(kind, others)?;
            for (_, row) in own {
                sums.add(row, other.apply(row.signal));
                constant.add(row, typical.unwrap_or(row.expected));
            }
        }
        let own = sums.reliability() - constant.reliability();
        Ok(Self {
            calibration,
            weight: sums.weight(),
            reliability: own.clamp(0.0, 1.0),
        })
    }

    /// The quality expected of an answer with this signal, where `expected` was before.
    #[must_use]
    pub fn quality(&self, expected: f64, signal: f64) -> f64 {
        let calibrated = self.calibration.apply(signal);
        (expected + self.weight * (calibrated - expected)).clamp(0.0, 1.0)
    }

    pub(super) fn is_sound(&self) -> bool {
        let part = 0.0..=1.0;
        self.calibration.is_sound()
            && part.contains(&self.weight)
            && part.contains(&self.reliability)
    }
}

/// Thue–Morse halves: a table whose rows alternate in any rhythm is still split evenly.
fn half_of(row: usize) -> u32 {
    row.count_ones() % 2
}

/// Mean of what was observed; `None` without weight.
fn mean<'a>(rows: impl Iterator<Item = &'a PostHocRow>) -> Option<f64> {
    let add =
        |(sum, weight), row: &PostHocRow| (sum + row.weight * row.observed, weight + row.weight);
    let (sum, weight) = rows.fold((0.0, 0.0), add);
    (weight > 0.0).then(|| sum / weight)
}

fn calibrate<'a>(
    kind: CalibrationKind,
    rows: impl Iterator<Item = &'a PostHocRow>,
) -> Result<Calibration, CalibrationError> {
    let row = |row: &PostHocRow| CalibrationRow {
        predicted: row.signal,
        observed: row.observed,
        weight: row.weight,
    };
    Calibration::fit(kind, &rows.map(row).collect::<Vec<_>>())
}

/// What the least squares need.
#[derive(Default)]
struct Sums {
    /// Σ w(o − p)(c − p).
    both: f64,
    /// Σ w(c − p)².
    moved: f64,
    /// Σ w·p(1 − p).
    variance: f64,
}

impl Sums {
    fn add(&mut self, row: &PostHocRow, calibrated: f64) {
        let move_by = calibrated - row.expected;
        self.both += row.weight * (row.observed - row.expected) * move_by;
        self.moved += row.weight * move_by * move_by;
        self.variance += row.weight * row.expected * (1.0 - row.expected);
    }

    fn weight(&self) -> f64 {
        if self.moved > 0.0 {
            (self.both / self.moved).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    fn reliability(&self) -> f64 {
        let weight = self.weight();
        if self.variance > 0.0 {
            weight * weight * self.moved / self.variance
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::unit_interval_of;
    use crate::units::Seed;

    fn draw(what: &str, i: usize) -> f64 {
        unit_interval_of(&format!("{what} {i}"), Seed(11))
    }

    /// 4,000 answers, good with probability `expected`; `signal` sees the truth.
    fn rows(signal: impl Fn(usize, f64) -> f64) -> Vec<PostHocRow> {
        (0..4_000)
            .map(|i| {
                let expected = 0.2 + 0.6 * draw("context", i);
                let observed = f64::from(u8::from(draw("answer", i) < expected));
                let signal = signal(i, observed);
                let weight = 1.0;
                PostHocRow {
                    expected,
                    signal,
                    observed,
                    weight,
                }
            })
            .collect()
    }

    #[test]
    fn a_worthless_signal_is_not_believed() {
        for kind in [
            CalibrationKind::Platt,
            CalibrationKind::Isotonic,
            CalibrationKind::None,
        ] {
            let fitted = PostHoc::fit(kind, &rows(|i, _| draw("noise", i))).expect("fits");
            assert!(fitted.weight < 0.1, "{fitted:?}");
            assert!(fitted.reliability < 0.01, "{fitted:?}");
        }
    }

    /// A predictor that is wrong is set right by a constant; a signal of noise is no reason to call.
    #[test]
    fn noise_is_not_believed_where_the_predictor_is_wrong() {
        let mut rows = rows(|i, _| draw("noise", i));
        for (i, row) in rows.iter_mut().enumerate() {
            row.expected = draw("wrong", i);
        }
        let noise = PostHoc::fit(CalibrationKind::Platt, &rows).expect("fits");
        assert!(noise.reliability < 0.01, "{noise:?}");
        for (i, row) in rows.iter_mut().enumerate() {
            row.signal = 0.5 * (row.observed + draw("noise", i));
        }
        let signal = PostHoc::fit(CalibrationKind::Platt, &rows).expect("fits");
        assert!(signal.reliability > 0.5, "{signal:?}");
    }

    #[test]
    fn a_perfect_signal_is_believed_whole() {
        for kind in [CalibrationKind::Platt, CalibrationKind::None] {
            let fitted = PostHoc::fit(kind, &rows(|_, truth| truth)).expect("fits");
            assert!(
                fitted.weight > 0.99 && fitted.reliability > 0.97,
                "{fitted:?}"
            );
            assert!(fitted.quality(0.3, 1.0) > 0.99 && fitted.quality(0.7, 0.0) < 0.01);
        }
    }

    #[test]
    fn rows_out_of_range_are_refused_and_no_rows_tell_nothing() {
        let good = rows(|_, truth| truth)[0];
        for bad in [
            PostHocRow {
                expected: 1.5,
                ..good
            },
            PostHocRow {
                signal: f64::NAN,
                ..good
            },
            PostHocRow {
                observed: -0.1,
                ..good
            },
            PostHocRow {
                weight: f64::INFINITY,
                ..good
            },
        ] {
            let refused = PostHoc::fit(CalibrationKind::Platt, &[good, bad]);
            assert_eq!(refused, Err(CalibrationError::Row { row: 1 }), "{bad:?}");
        }
        let empty = PostHoc::fit(CalibrationKind::Isotonic, &[]);
        assert_eq!(empty, Ok(PostHoc::WORTHLESS));
    }
}
