//! The regression against batch solves of the same outcomes.

use super::*;

struct Numbers(u64);

impl Numbers {
    /// In [−½, ½).
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        crate::math::count(self.0 >> 40) / crate::math::count(1 << 24) - 0.5
    }
}

/// A, b and D by their definition.
struct Batch {
    gram: Symmetric,
    b: Vec<f64>,
    ridge: Vec<f64>,
}

impl Batch {
    fn new(config: Ridge, dim: usize) -> Self {
        Self {
            gram: Symmetric::zeros(dim),
            b: vec![0.0; dim],
            ridge: vec![config.ridge; dim],
        }
    }

    fn learn(&mut self, config: Ridge, at: usize, x: &[f64], r: f64, weight: f64) {
        let keep = config.forgetting;
        self.gram.update(keep, weight, x);
        self.b.iter_mut().for_each(|b| *b *= keep);
        axpy(weight * r, x, &mut self.b);
        self.ridge.iter_mut().for_each(|d| *d *= keep);
        let dim = x.len();
        self.ridge[at % dim] = config.ridge;
    }

    /// Largest errors of θ and of xᵀA⁻¹x, relative to the largest weight and to the value.
    fn errors(&self, arm: &LinearArm, rows: &[Vec<f64>]) -> (f64, f64) {
        let ridge = &self.ridge;
        let factor = self.gram.factor(1.0, ridge).expect("positive definite");
        let mut theta = self.b.clone();
        factor.solve(&mut theta);
        let size = theta.iter().fold(0.0_f64, |most, t| most.max(t.abs()));
        let gap = |(a, b): (&f64, &f64)| (a - b).abs() / size;
        let off = theta.iter().zip(arm.theta()).map(gap).fold(0.0, f64::max);
        let (mut x32, mut scratch) = (Vec::new(), Vec::new());
        let wrong = |x: &Vec<f64>| {
            single(1.0, x, &mut x32);
            let exact = factor.quadratic(x, &mut scratch);
            (arm.predict(x, &x32, &mut Vec::new()).1 - exact).abs() / exact
        };
        (off, rows.iter().map(wrong).fold(0.0, f64::max))
    }
}

fn rows(n: usize, dim: usize, numbers: &mut Numbers) -> Vec<Vec<f64>> {
    (0..n)
        .map(|_| (0..dim).map(|_| numbers.next()).collect())
        .collect()
}

/// ROBUSTNESS.md E05: 10⁶ rank-1 updates against a batch solve, with and without forgetting.
#[test]
fn e05_a_million_updates_equal_a_batch_solve() {
    for (dim, forgetting, n) in [(9, 1.0, 1_000_000), (33, 1.0, 60_001), (17, 0.997, 60_003)] {
        let config = Ridge {
            ridge: 1.0,
            forgetting,
        };
        let (mut arm, mut batch) = (LinearArm::prior(config, dim), Batch::new(config, dim));
        let (mut numbers, mut scratch) = (Numbers(5), Scratch::default());
        let truth: Vec<f64> = (0..dim).map(|_| numbers.next()).collect();
        let mut x = vec![0.0; dim];
        for at in 0..n {
            for x in &mut x {
                *x = numbers.next();
            }
            let r = dot(&truth, &x) + numbers.next();
            arm.learn(config, &x, r, 1.0, &mut scratch);
            batch.learn(config, at, &x, r, 1.0);
        }
        let tests = rows(20, dim, &mut numbers);
        let (theta, variance) = batch.errors(&arm, &tests);
        // Between two blocks, steps of single precision are on top.
        assert!(
            theta < 1e-7 && variance < 1e-4,
            "d={dim} {theta:e} {variance:e}"
        );
        arm.settle(&mut scratch);
        let (theta, _) = batch.errors(&arm, &tests);
        assert!(theta < 1e-9, "d={dim} settled: {theta:e}");
        assert!(arm.is_sound(dim));
    }
}

/// ROBUSTNESS.md E06: 10⁹ outcomes, a thousand at a time, leave θ within 10⁻⁸ of a batch solve
/// that is summed with the rounding of each step carried on (Kahan), and learning goes on.
#[test]
fn e06_a_thousand_million_outcomes_leave_no_drift() {
    let (dim, weight) = (4, 1_000.0);
    let config = Ridge {
        ridge: 1.0,
        forgetting: 1.0,
    };
    let mut arm = LinearArm::prior(config, dim);
    let (mut numbers, mut scratch) = (Numbers(8), Scratch::default());
    let mut sums = vec![(0.0_f64, 0.0_f64); dim * (dim + 1)];
    let add = |sum: &mut (f64, f64), value: f64| {
        let y = value - sum.1;
        let next = sum.0 + y;
        *sum = (next, (next - sum.0) - y);
    };
    for _ in 0..1_000_000 {
        let x: Vec<f64> = (0..dim).map(|_| numbers.next()).collect();
        let r = 0.3 + 0.5 * x[0] + 0.2 * numbers.next();
        arm.learn(config, &x, r, weight, &mut scratch);
        for i in 0..dim {
            for j in 0..dim {
                add(&mut sums[i * dim + j], weight * x[i] * x[j]);
            }
            add(&mut sums[dim * dim + i], weight * r * x[i]);
        }
    }
    assert_eq!(arm.outcomes(), 1_000_000);
    let mut batch = Batch::new(config, dim);
    for i in 0..dim {
        for j in 0..=i {
            let mut unit = vec![0.0; dim];
            unit[i] = 1.0;
            if i == j {
                batch.gram.update(1.0, sums[i * dim + i].0, &unit);
            } else {
                // xᵢxⱼ = ((xᵢ + xⱼ)² − xᵢ² − xⱼ²)/2 puts one off-diagonal entry in place.
                let value = sums[i * dim + j].0;
                let mut other = vec![0.0; dim];
                other[j] = 1.0;
                let both: Vec<f64> = unit.iter().zip(&other).map(|(a, b)| a + b).collect();
                batch.gram.update(1.0, value, &both);
                batch.gram.update(1.0, -value, &unit);
                batch.gram.update(1.0, -value, &other);
            }
        }
        batch.b[i] = sums[dim * dim + i].0;
    }
    let (theta, variance) = batch.errors(&arm, &rows(20, dim, &mut numbers));
    assert!(theta < 1e-8 && variance < 1e-4, "{theta:e} {variance:e}");
    let before = arm.mean(&[0.5; 4]);
    arm.learn(config, &[0.5; 4], 1.0, 1e9, &mut scratch);
    assert!(arm.mean(&[0.5; 4]) > before + 0.01, "learning is stuck");
}

/// E04 and E07: collinear, constant, zero and absurdly scaled features, and huge weights.
#[test]
fn e04_bad_features_leave_finite_numbers() {
    let config = Ridge {
        ridge: 1.0,
        forgetting: 0.99,
    };
    for scale in [1e-300, 1e-12, 1.0, 1e6, 1e12] {
        for weight in [0.0, 1.0, 1e12] {
            let mut arm = LinearArm::prior(config, 5);
            let (mut numbers, mut scratch) = (Numbers(3), Scratch::default());
            let mut x32 = Vec::new();
            for _ in 0..200 {
                let a = numbers.next();
                let x = [a * scale, 2.0 * a * scale, 0.0, 1.0, numbers.next()];
                arm.learn(config, &x, a.abs(), weight, &mut scratch);
                single(1.0, &x, &mut x32);
                let (mean, variance) = arm.predict(&x, &x32, &mut Vec::new());
                assert!(mean.is_finite(), "{scale:e} {weight:e}");
                assert!(
                    variance >= 0.0 && variance.is_finite(),
                    "{scale:e} {weight:e}"
                );
            }
            assert!(arm.is_sound(5), "{scale:e} {weight:e}");
        }
    }
}

/// The ridge comes back: after ten thousand outcomes along one direction, the variance of another
/// stays within what λ and γᵈ allow.
#[test]
fn forgetting_gives_the_ridge_back() {
    let (dim, config) = (
        6,
        Ridge {
            ridge: 2.0,
            forgetting: 0.9,
        },
    );
    let mut arm = LinearArm::prior(config, dim);
    let mut scratch = Scratch::default();
    let mut x = vec![0.0; dim];
    x[0] = 1.0;
    for _ in 0..10_000 {
        arm.learn(config, &x, 1.0, 1.0, &mut scratch);
    }
    let mut other = vec![0.0; dim];
    other[3] = 1.0;
    let mut x32 = Vec::new();
    single(1.0, &other, &mut x32);
    let (_, variance) = arm.predict(&other, &x32, &mut Vec::new());
    let most = (0..dim).fold(1.0 / config.ridge, |v, _| v / config.forgetting);
    assert!(
        (0.49..=most * 1.0001).contains(&variance),
        "{variance} {most}"
    );
}

#[test]
fn a_like_arm_knows_the_same_and_is_less_sure() {
    let config = Ridge {
        ridge: 1.0,
        forgetting: 1.0,
    };
    let mut arm = LinearArm::prior(config, 2);
    let mut scratch = Scratch::default();
    for i in 0..1_001 {
        let x = [1.0, if i % 2 == 0 { 1.0 } else { -1.0 }];
        arm.learn(config, &x, 0.5 + 0.25 * x[1], 1.0, &mut scratch);
    }
    let young = arm.discounted(config, 10.0);
    let (x, mut x32) = ([1.0, 1.0], Vec::new());
    single(1.0, &x, &mut x32);
    assert!((young.mean(&x) - 0.75).abs() < 0.1);
    assert!(
        young.predict(&x, &x32, &mut Vec::new()).1
            > 50.0 * arm.predict(&x, &x32, &mut Vec::new()).1
    );
    assert_eq!(young.outcomes(), 0);
    assert!(young.spread(&x32, &mut Vec::new()) <= young.spread_max(2.0));
}

/// ω|x|² is never below the variance, is near it in the widest direction, and is found again from
/// a state that does not hold it.
#[test]
fn no_variance_is_above_its_bound() {
    for (forgetting, dim) in [(1.0, 3), (1.0, 20), (0.999, 6)] {
        let config = Ridge {
            ridge: 0.5,
            forgetting,
        };
        let (mut numbers, mut scratch) = (Numbers(5), Scratch::default());
        let mut arm = LinearArm::prior(config, dim);
        let (mut x32, mut work) = (Vec::new(), Vec::new());
        for round in 0..6_000_u32 {
            // The last coordinate is always small: A is wide in one direction.
            let mut x: Vec<f64> = (0..dim).map(|_| numbers.next()).collect();
            x[dim - 1] *= 0.05;
            arm.learn(config, &x, 0.5, 1.0, &mut scratch);
            if round % 97 == 0 {
                let mut unit = vec![0.0; dim];
                unit[dim - 1] = 1.0;
                for x in [&unit, &x] {
                    single(1.0, x, &mut x32);
                    let (spread, most) = (arm.spread(&x32, &mut work), arm.spread_max(dot(x, x)));
                    assert!(spread <= most, "{round}: {spread} > {most}");
                }
            }
        }
        // Measured when 4,096 outcomes were learned, and forgetting loosens it by 1/γ each time.
        let mut unit = vec![0.0; dim];
        unit[dim - 1] = 1.0;
        single(1.0, &unit, &mut x32);
        let loose = 3.0 / (4_096..6_000).fold(1.0, |keep: f64, _| keep * forgetting);
        let ratio = arm.spread_max(1.0) / arm.spread(&x32, &mut work);
        assert!(ratio < loose, "{ratio} {loose}");
        let known = arm.widest.0;
        arm.widest = Widest::default();
        arm.measure();
        assert!(arm.widest.0 <= 1.01 * known, "{} {known}", arm.widest.0);
    }
}
