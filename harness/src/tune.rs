//! Tuning: the setting of a rule that keeps the promise on the training rows most cheaply.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::judge::Clusters;
use crate::promise::{Play, Selection, cheapest};

/// Most λ of the grid: beyond it a relative cost of 1 counts less than 0.001 of quality.
const LAMBDA_MAX: f64 = 1000.0;
/// Least λ above 0.
const LAMBDA_MIN: f64 = 0.02;
/// Settings of λ between 0 and [`LAMBDA_MAX`].
const LAMBDA_STEPS: u32 = 90;
/// Settings of τ in [0, 1].
const TAU_STEPS: u32 = 100;

/// What is known about training rows when a rule is tuned.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Observed quality, shape (n, K).
    pub quality: ArrayView2<'a, f64>,
    /// Observed cost in US dollars, shape (n, K).
    pub cost: ArrayView2<'a, f64>,
    /// The line per row, shape (n).
    pub line: &'a Array1<f64>,
    /// Dependent rows.
    pub clusters: &'a Clusters,
    /// Standard errors by which the mean margin must clear 0.
    pub z: f64,
    /// The arm to fall back on.
    pub anchor: usize,
    /// Reference cost in US dollars, > 0.
    pub cost_scale: f64,
}

/// What a predictor expects of those rows.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Expected quality, shape (n, K).
    pub quality: ArrayView2<'a, f64>,
    /// Variance of the expectation, shape (n, K).
    pub variance: ArrayView2<'a, f64>,
    /// Expected cost in US dollars, shape (n, K).
    pub cost: ArrayView2<'a, f64>,
}

/// A tuned setting: `share` of requests under `setting`, the rest under `other`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// The setting used most cheaply.
    pub setting: Setting,
    /// Share of requests under it, in (0, 1].
    pub share: f64,
    /// What the others follow.
    pub other: Setting,
    /// Mean cost on the training rows, cross-fitted.
    pub cost: f64,
    /// Mean quality minus line on the training rows, cross-fitted.
    pub margin: f64,
}

/// One setting of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    /// R2: argmin of relative cost − λ·quality.
    Lambda(f64),
    /// R1: the cheapest arm with P(q ≥ τ) ≥ 1 − δ.
    Tau {
        /// τ.
        tau: f64,
        /// δ.
        delta: f64,
    },
    /// One arm for everything.
    Arm(usize),
}

/// The λ grid: 0, then evenly spaced logarithms.
#[must_use]
pub fn lambda_grid() -> Vec<f64> {
    let ratio = (LAMBDA_MAX / LAMBDA_MIN).ln() / f64::from(LAMBDA_STEPS - 1);
    std::iter::once(0.0)
        .chain((0..LAMBDA_STEPS).map(|i| LAMBDA_MIN * (ratio * f64::from(i)).exp()))
        .collect()
}

/// Every setting of a rule, and what each did on the training rows: whatever line, confidence or
/// clusters it is then tuned under.
#[derive(Clone, Debug)]
pub struct Sweep {
    settings: Vec<Setting>,
    plays: Vec<Play>,
    /// Settings that others may be mixed with.
    partners: Vec<usize>,
}

impl Sweep {
    /// The average floor, R2: λ, mixed with another λ or the anchor arm so that the line is met
    /// exactly.
    #[must_use]
    pub fn average_floor(rows: &Rows<'_>, expected: &Expected<'_>) -> Self {
        let mut settings: Vec<Setting> = lambda_grid().into_iter().map(Setting::Lambda).collect();
        settings.push(Setting::Arm(rows.anchor));
        let partners = (0..settings.len()).collect();
        Self::new(rows, expected, settings, partners)
    }

    /// The per-request floor, R1: the threshold τ at a fixed δ. A request is decided by one
    /// threshold: no mixing.
    #[must_use]
    pub fn per_request_floor(rows: &Rows<'_>, expected: &Expected<'_>, delta: f64) -> Self {
        let mut settings: Vec<Setting> = (0..=TAU_STEPS)
            .map(|i| Setting::Tau {
                tau: f64::from(i) / f64::from(TAU_STEPS),
                delta,
            })
            .collect();
        settings.push(Setting::Arm(rows.anchor));
        Self::new(rows, expected, settings, Vec::new())
    }

    fn new(
        rows: &Rows<'_>,
        expected: &Expected<'_>,
        settings: Vec<Setting>,
        partners: Vec<usize>,
    ) -> Self {
        let play = |setting: &Setting| setting.play(rows, expected);
        Self {
            plays: settings.par_iter().map(play).collect(),
            settings,
            partners,
        }
    }

    /// The cheapest setting that keeps the line of `rows`, which are the rows it was made from;
    /// `None` when even the anchor arm misses it.
    #[must_use]
    pub fn tune(&self, rows: &Rows<'_>) -> Option<Tuned> {
        select(rows, &self.plays, &self.partners).map(|s| tuned(&self.settings, &s))
    }
}

/// Tunes a fixed random mix of arms, ignoring contexts: the static-mix hull under the promise.
#[must_use]
pub fn static_mix(rows: &Rows<'_>) -> Option<Tuned> {
    let settings: Vec<Setting> = (0..rows.quality.ncols()).map(Setting::Arm).collect();
    let plays: Vec<Play> = (0..rows.quality.ncols())
        .map(|arm| Play {
            quality: rows.quality.column(arm).to_owned(),
            cost: rows.cost.column(arm).to_owned(),
        })
        .collect();
    let partners: Vec<usize> = (0..plays.len()).collect();
    select(rows, &plays, &partners).map(|s| tuned(&settings, &s))
}

fn tuned(settings: &[Setting], selection: &Selection) -> Tuned {
    Tuned {
        setting: settings[selection.option],
        share: selection.share,
        other: settings[selection.partner],
        cost: selection.cost,
        margin: selection.margin,
    }
}

fn select(rows: &Rows<'_>, plays: &[Play], partners: &[usize]) -> Option<Selection> {
    let Clusters { of, count } = rows.clusters;
    cheapest(plays, partners, rows.line, of, *count, rows.z)
}

impl Tuned {
    /// One setting for everything.
    #[must_use]
    pub fn pure(setting: Setting) -> Self {
        Self {
            setting,
            share: 1.0,
            other: setting,
            cost: 0.0,
            margin: 0.0,
        }
    }

    /// Probabilities of every arm, shape (n, K).
    #[must_use]
    pub fn probabilities(&self, expected: &Expected<'_>, cost_scale: f64) -> Array2<f64> {
        let first = self.setting.probabilities(expected, cost_scale);
        if self.share >= 1.0 {
            return first;
        }
        first * self.share + self.other.probabilities(expected, cost_scale) * (1.0 - self.share)
    }
}

impl Setting {
    /// Probabilities of every arm, shape (n, K); exact ties are shared evenly, as the engine does.
    #[must_use]
    pub fn probabilities(&self, expected: &Expected<'_>, cost_scale: f64) -> Array2<f64> {
        let mut out = Array2::zeros(expected.quality.dim());
        let mut utility = vec![0.0; expected.quality.ncols()];
        for (i, mut row) in out.outer_iter_mut().enumerate() {
            self.utilities(expected, i, cost_scale, &mut utility);
            let (best, share) = best_and_share(&utility);
            #[expect(clippy::float_cmp, reason = "a tie is an exactly equal utility")]
            for (p, u) in row.iter_mut().zip(&utility) {
                *p = if *u == best { share } else { 0.0 };
            }
        }
        out
    }

    /// Writes the utilities of a row's arms, shape (K).
    fn utilities(&self, expected: &Expected<'_>, row: usize, cost_scale: f64, out: &mut [f64]) {
        let (quality, cost) = (expected.quality.row(row), expected.cost.row(row));
        match *self {
            Self::Lambda(lambda) => {
                for ((out, q), c) in out.iter_mut().zip(quality).zip(cost) {
                    *out = (lambda * q - c / cost_scale) / (1.0 + lambda);
                }
            }
            Self::Tau { tau, delta } => {
                let variance = expected.variance.row(row);
                for (((out, q), v), c) in out.iter_mut().zip(quality).zip(variance).zip(cost) {
                    let is_feasible = clears(*q, *v, tau) >= 1.0 - delta;
                    *out = if is_feasible { -c } else { f64::NEG_INFINITY };
                }
                if out.iter().all(|u| *u == f64::NEG_INFINITY) {
                    out.iter_mut().zip(quality).for_each(|(out, q)| *out = *q);
                }
            }
            Self::Arm(arm) => {
                out.fill(f64::NEG_INFINITY);
                out[arm] = 1.0;
            }
        }
    }

    /// [`play`] of [`Self::probabilities`], without holding them: a sweep is most of tuning.
    fn play(&self, rows: &Rows<'_>, expected: &Expected<'_>) -> Play {
        let n = rows.quality.nrows();
        let (mut quality, mut cost) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut utility = vec![0.0; rows.quality.ncols()];
        for i in 0..n {
            self.utilities(expected, i, rows.cost_scale, &mut utility);
            let (best, share) = best_and_share(&utility);
            let (mut q, mut c) = (0.0, 0.0);
            for (arm, u) in utility.iter().enumerate() {
                #[expect(clippy::float_cmp, reason = "a tie is an exactly equal utility")]
                if *u == best {
                    q += share * rows.quality[[i, arm]];
                    c += share * rows.cost[[i, arm]];
                }
            }
            quality.push(q);
            cost.push(c);
        }
        Play {
            quality: quality.into(),
            cost: cost.into(),
        }
    }
}

/// The highest utility, and the share of each arm that has it.
fn best_and_share(utility: &[f64]) -> (f64, f64) {
    let best = utility.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    #[expect(clippy::float_cmp, reason = "a tie is an exactly equal utility")]
    let ties = utility.iter().filter(|u| **u == best).count();
    #[expect(clippy::cast_precision_loss, reason = "few arms")]
    let share = 1.0 / ties as f64;
    (best, share)
}

/// What probabilities of shape (n, K) earn and cost on observed rows, in expectation.
#[must_use]
pub fn play(
    probabilities: &Array2<f64>,
    quality: ArrayView2<'_, f64>,
    cost: ArrayView2<'_, f64>,
) -> Play {
    let expectation = |(p, x): (ArrayView1<'_, f64>, ArrayView1<'_, f64>)| p.dot(&x);
    Play {
        quality: probabilities
            .outer_iter()
            .zip(quality.outer_iter())
            .map(expectation)
            .collect(),
        cost: probabilities
            .outer_iter()
            .zip(cost.outer_iter())
            .map(expectation)
            .collect(),
    }
}

/// P(q ≥ τ) under a normal with this mean and variance.
fn clears(mean: f64, variance: f64, tau: f64) -> f64 {
    if variance > 0.0 {
        Normal::standard().cdf((mean - tau) / variance.sqrt())
    } else {
        f64::from(u8::from(mean >= tau))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn fixture() -> (Array2<f64>, Array2<f64>, Array2<f64>) {
        // Even rows are easy: both arms answer; odd rows need the dear arm.
        let quality =
            Array2::from_shape_fn((200, 2), |(i, a)| f64::from(u8::from(a == 1 || i % 2 == 0)));
        let cost = Array2::from_shape_fn((200, 2), |(_, a)| if a == 0 { 0.1 } else { 1.0 });
        let expected = quality.mapv(|q| 0.1 + 0.8 * q);
        (quality, cost, expected)
    }

    #[test]
    fn a_predictor_that_knows_saves_all_that_can_be_saved() {
        let (quality, cost, expected) = fixture();
        let variance = Array2::from_elem(quality.dim(), 1e-6);
        let line = Array1::from_elem(200, 0.99);
        let clusters = Clusters {
            of: (0..200).collect(),
            count: 200,
        };
        let rows = Rows {
            quality: quality.view(),
            cost: cost.view(),
            line: &line,
            clusters: &clusters,
            z: 1.645,
            anchor: 1,
            cost_scale: 1.0,
        };
        let known = Expected {
            quality: expected.view(),
            variance: variance.view(),
            cost: cost.view(),
        };
        let average = Sweep::average_floor(&rows, &known)
            .tune(&rows)
            .expect("feasible");
        let each = Sweep::per_request_floor(&rows, &known, 0.05)
            .tune(&rows)
            .expect("feasible");
        // The least cost without a loss is 0.55; a little more is saved from the slack of 0.01.
        assert!((0.5..=0.551).contains(&average.cost), "{average:?}");
        assert!((each.cost - 0.55).abs() < 1e-9, "{each:?}");
        let fixed = static_mix(&rows).expect("feasible");
        assert!(fixed.cost > 0.97, "{fixed:?}");
    }

    /// The sweep does not hold probabilities, but plays what they would.
    #[test]
    fn a_setting_plays_its_probabilities() {
        let (quality, cost, mut expected) = fixture();
        // The first row ties under every λ, all rows at λ = 0.
        expected.row_mut(0).fill(0.5);
        let cost = cost.mapv(|c| if c < 0.5 { 0.1 } else { 0.7 });
        let flat = Array2::from_elem(cost.dim(), 0.25);
        let variance = Array2::from_elem(quality.dim(), 0.01);
        let line = Array1::zeros(200);
        let clusters = Clusters {
            of: (0..200).collect(),
            count: 200,
        };
        let rows = Rows {
            quality: quality.view(),
            cost: cost.view(),
            line: &line,
            clusters: &clusters,
            z: 0.0,
            anchor: 1,
            cost_scale: 0.3,
        };
        let known = Expected {
            quality: expected.view(),
            variance: variance.view(),
            cost: flat.view(),
        };
        let tau = Setting::Tau {
            tau: 0.7,
            delta: 0.1,
        };
        for setting in [
            Setting::Lambda(0.0),
            Setting::Lambda(3.0),
            tau,
            Setting::Arm(0),
        ] {
            let fast = setting.play(&rows, &known);
            let probabilities = setting.probabilities(&known, 0.3);
            assert!(
                probabilities
                    .sum_axis(ndarray::Axis(1))
                    .iter()
                    .all(|p| (p - 1.0).abs() < 1e-12)
            );
            let slow = play(&probabilities, quality.view(), cost.view());
            assert_eq!((fast.quality, fast.cost), (slow.quality, slow.cost));
        }
    }

    #[test]
    fn ties_are_shared_and_infeasible_rows_get_the_best_arm() {
        let quality = array![[0.5, 0.5], [0.2, 0.6]];
        let variance = array![[0.0, 0.0], [0.0, 0.0]];
        let cost = array![[1.0, 1.0], [1.0, 9.0]];
        let expected = Expected {
            quality: quality.view(),
            variance: variance.view(),
            cost: cost.view(),
        };
        let tie = Setting::Lambda(2.0).probabilities(&expected, 1.0);
        assert_eq!(tie.row(0).to_vec(), [0.5, 0.5]);
        let strict = Setting::Tau {
            tau: 0.9,
            delta: 0.05,
        }
        .probabilities(&expected, 1.0);
        assert_eq!(strict.row(1).to_vec(), [0.0, 1.0]);
    }
}
