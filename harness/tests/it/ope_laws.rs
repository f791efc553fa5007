//! Laws of the off-policy estimators: unbiased where they say so, errors that mean what they say,
//! and merging that no split can see.
#![expect(clippy::cast_precision_loss, reason = "counts are small")]

use plimsoll_harness::ope::tune::{MseBound, Rule, tuned};
use plimsoll_harness::ope::{
    Accumulator, Estimator, Family, LoggedRow, OutcomeRows, SavingsAccumulator, Weights,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const ARMS: usize = 3;

/// A log of contexts x in [0, 1) by a softened logging policy, with known truth.
struct Simulator {
    rng: Xoshiro256PlusPlus,
    /// Error of the predictor: 0 is the truth.
    bias: f64,
}

impl Simulator {
    fn quality(x: f64, arm: usize) -> f64 {
        0.2 + 0.3 * x + 0.15 * arm as f64
    }

    fn logging(x: f64) -> [f64; ARMS] {
        [0.5 - 0.3 * x, 0.3, 0.2 + 0.3 * x]
    }

    fn target(x: f64) -> [f64; ARMS] {
        if x < 0.5 {
            [0.7, 0.2, 0.1]
        } else {
            [0.1, 0.1, 0.8]
        }
    }

    /// E_x Σ π q, by the midpoint rule, which is exact for the two linear pieces.
    fn truth(outcome: impl Fn(f64, usize) -> f64) -> f64 {
        let at = |x: f64| {
            let target = Self::target(x);
            (0..ARMS)
                .map(|arm| target[arm] * outcome(x, arm))
                .sum::<f64>()
        };
        f64::midpoint(at(0.25), at(0.75))
    }

    /// Quality (a coin), cost (uniform around its mean) and the baseline's cost: always arm 2.
    fn draw(&mut self) -> OutcomeRows {
        let x: f64 = self.rng.random();
        let logging = Self::logging(x);
        let u: f64 = self.rng.random();
        let arm = if u < logging[0] {
            0
        } else if u < logging[0] + logging[1] {
            1
        } else {
            2
        };
        let quality = f64::from(u8::from(self.rng.random::<f64>() < Self::quality(x, arm)));
        let cost = cost(x, arm) * (0.5 + self.rng.random::<f64>());
        let row = |target: [f64; ARMS], mean: &dyn Fn(usize) -> f64, outcome: f64| {
            let predictions: Vec<f64> = (0..ARMS).map(|b| mean(b) + self.bias).collect();
            LoggedRow::of(&target, &predictions, arm, logging[arm], outcome).unwrap()
        };
        let by_cost = |b: usize| cost_of(x, b);
        OutcomeRows {
            quality: row(Self::target(x), &|b| Self::quality(x, b), quality),
            cost: row(Self::target(x), &by_cost, cost),
            baseline_cost: row([0.0, 0.0, 1.0], &by_cost, cost),
        }
    }
}

fn cost(x: f64, arm: usize) -> f64 {
    (1.0 + x) * [1.0, 2.0, 6.0][arm] * 1e-3
}

use cost as cost_of;

fn simulator(seed: u64, bias: f64) -> Simulator {
    Simulator {
        rng: Xoshiro256PlusPlus::seed_from_u64(seed),
        bias,
    }
}

/// Mean and standard deviation of `values`.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

#[test]
fn estimates_are_unbiased_and_their_errors_are_their_spread() {
    let truth = Simulator::truth(Simulator::quality);
    let repetitions = 2000;
    for (bias, estimator) in [
        (0.0, Estimator::Ips),
        (0.0, Estimator::Snips),
        (0.0, Estimator::Dm),
        (0.3, Estimator::Dr),
        (0.3, Estimator::Sndr),
        (0.3, Family::ClippedDr.uncorrected()),
        (0.3, Family::SwitchDr.uncorrected()),
        (0.3, Family::Dros.uncorrected()),
        (0.3, Family::SubGaussianDr.uncorrected()),
    ] {
        let mut simulator = simulator(1, bias);
        let (mut points, mut errors) = (vec![], vec![]);
        for _ in 0..repetitions {
            let mut accumulator = Accumulator::new(estimator);
            for _ in 0..400 {
                accumulator.push(&simulator.draw().quality);
            }
            let estimate = accumulator.estimate().unwrap();
            points.push(estimate.point);
            errors.push(estimate.standard_error.unwrap());
        }
        let (mean, spread) = moments(&points);
        let z = (mean - truth) / (spread / f64::from(repetitions).sqrt());
        // A ratio is biased by O(1/n), far below its spread.
        assert!(
            z.abs() < 4.0,
            "{estimator}: mean {mean}, truth {truth}, z {z}"
        );
        let ratio = moments(&errors).0 / spread;
        assert!((ratio - 1.0).abs() < 0.08, "{estimator}: {ratio}");
    }
}

#[test]
fn savings_have_the_error_of_a_ratio() {
    let truth = 1.0 - Simulator::truth(cost) / (1.5 * 6e-3);
    let (mut points, mut errors, mut covariances, mut qualities) = (vec![], vec![], vec![], vec![]);
    let mut simulator = simulator(2, 1e-3);
    for _ in 0..1500 {
        let mut accumulator = SavingsAccumulator::new(Estimator::Dr);
        for _ in 0..400 {
            accumulator.push(&simulator.draw());
        }
        let estimate = accumulator.estimate().unwrap();
        let savings = estimate.savings.unwrap();
        points.push(savings.point);
        errors.push(savings.standard_error.unwrap());
        qualities.push(estimate.quality.point);
        covariances.push(estimate.quality_savings.unwrap());
    }
    let (mean, spread) = moments(&points);
    assert!(
        (mean - truth).abs() < 4.0 * spread / 1500_f64.sqrt(),
        "{mean} {truth}"
    );
    let ratio = moments(&errors).0 / spread;
    assert!((ratio - 1.0).abs() < 0.08, "{ratio}");
    // The correlation of quality and savings is the one seen over repetitions.
    let (quality_mean, quality_spread) = moments(&qualities);
    let seen = points
        .iter()
        .zip(&qualities)
        .map(|(s, q)| (s - mean) * (q - quality_mean))
        .sum::<f64>()
        / (1499.0 * spread * quality_spread);
    let stated = moments(&covariances).0 / (spread * quality_spread);
    assert!((seen - stated).abs() < 0.08, "{seen} {stated}");
}

/// O10: rows repeated ten times are ten rows of one cluster, and shrink no error.
#[test]
fn o10_duplicates_in_clusters_shrink_no_error() {
    let mut simulator = simulator(3, 0.2);
    for estimator in [Estimator::Dr, Estimator::Snips, Estimator::Sndr] {
        let mut once = Accumulator::new(estimator);
        let mut tenfold = Accumulator::new(estimator);
        for _ in 0..500 {
            let row = simulator.draw().quality;
            once.push(&row);
            tenfold.push_cluster(&[row; 10]);
        }
        let (once, tenfold) = (once.estimate().unwrap(), tenfold.estimate().unwrap());
        assert!((once.point - tenfold.point).abs() < 1e-12);
        let errors = (
            once.standard_error.unwrap(),
            tenfold.standard_error.unwrap(),
        );
        assert!((errors.0 - errors.1).abs() < 1e-12, "{errors:?}");
        assert_eq!((tenfold.rows, tenfold.units), (5000, 500));
    }
}

#[test]
fn a_constant_has_no_spread() {
    let mut accumulator = Accumulator::new(Estimator::Ips);
    for _ in 0..100_000 {
        accumulator.push(&LoggedRow::new(1.0, 0.1).unwrap());
    }
    let estimate = accumulator.estimate().unwrap();
    assert!(estimate.standard_error.unwrap() < 1e-17, "{estimate:?}");
}

#[test]
fn tuning_lowers_the_error_where_weights_are_heavy() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    let mut squares = [0.0; 2];
    for _ in 0..200 {
        let rows: Vec<LoggedRow> = (0..600)
            .map(|_| {
                // Propensity 0.002 for the target's arm: weights of 500, mean 1; r around 0.5 of a
                // predictor that is nearly right.
                let weight = if rng.random::<f64>() < 0.002 {
                    500.0
                } else {
                    0.0
                };
                let outcome = f64::from(u8::from(rng.random::<f64>() < 0.5));
                LoggedRow::new(weight, outcome)
                    .unwrap()
                    .predicted(0.48, 0.48)
                    .unwrap()
            })
            .collect();
        let rule = Rule::Mse {
            bias: MseBound::Estimated,
        };
        let family = Family::SwitchDr;
        let best = tuned(family, family.grid(), rule, &rows[..200], &rows[200..]).unwrap();
        let mut plain = Accumulator::new(Estimator::Dr);
        rows[200..].iter().for_each(|row| plain.push(row));
        for (square, point) in squares.iter_mut().zip([
            best.estimate.unwrap().point,
            plain.estimate().unwrap().point,
        ]) {
            *square += (point - 0.5).powi(2);
        }
    }
    assert!(squares[0] < squares[1], "{squares:?}");
}

#[test]
fn no_data_gives_none() {
    assert_eq!(Accumulator::new(Estimator::Dr).estimate(), None);
    assert_eq!(SavingsAccumulator::new(Estimator::Snips).estimate(), None);
    assert_eq!(Weights::default().statistics(), None);
    let mut one = Accumulator::new(Estimator::Ips);
    one.push(&LoggedRow::new(1.0, 1.0).unwrap());
    assert_eq!(one.estimate().unwrap().standard_error, None);
}

fn row() -> impl Strategy<Value = LoggedRow> {
    (
        0.0..1000.0_f64,
        -5.0..5.0_f64,
        -1.0..1.0_f64,
        -1.0..1.0_f64,
        any::<bool>(),
    )
        .prop_map(|(weight, outcome, logged, target, matched)| {
            let row = LoggedRow::new(weight, outcome).unwrap();
            row.predicted(logged, target).unwrap().matching(matched)
        })
}

fn estimators() -> Vec<Estimator> {
    let mut all = vec![
        Estimator::Replay,
        Estimator::Ips,
        Estimator::Snips,
        Estimator::Dm,
        Estimator::Dr,
        Estimator::Sndr,
    ];
    for family in Family::ALL {
        all.push(family.at(0.5).unwrap());
    }
    all
}

proptest! {
    /// Any split into 1 to 64 parts, merged in any order, has the bits of one pass.
    #[test]
    fn merging_has_the_bits_of_one_pass(
        rows in prop::collection::vec(row(), 1..150),
        places in prop::collection::vec(0_usize..64, 150),
        order in Just((0..64).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        for estimator in estimators() {
            let mut once = Accumulator::new(estimator);
            let mut parts = vec![Accumulator::new(estimator); 64];
            for (row, &place) in rows.iter().zip(&places) {
                once.push(row);
                parts[place].push(row);
            }
            let mut merged = Accumulator::new(estimator);
            for &part in &order {
                merged.merge(&parts[part]);
            }
            prop_assert_eq!(merged.estimate(), once.estimate());
        }
        let mut once = SavingsAccumulator::new(Estimator::Sndr);
        let mut parts = vec![SavingsAccumulator::new(Estimator::Sndr); 4];
        for (index, window) in rows.windows(3).enumerate() {
            let rows = OutcomeRows { quality: window[0], cost: window[1], baseline_cost: window[2] };
            once.push(&rows);
            parts[places[index] % 4].push(&rows);
        }
        let mut merged = SavingsAccumulator::new(Estimator::Sndr);
        for part in parts.iter().rev() {
            merged.merge(part);
        }
        prop_assert_eq!(merged.estimate(), once.estimate());
    }
}
