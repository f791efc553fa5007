//! Estimated propensities against an outside fit and against known truth.

use ndarray::{Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{FLOOR, PropensityError, PropensityModel, choose_penalty, cross_fit, floored};

fn low_discrepancy() -> (Array2<f64>, Vec<usize>) {
    let part =
        |i: usize, step: f64| (f64::from(u32::try_from(i + 1).expect("small")) * step).fract();
    let x = Array2::from_shape_fn((300, 3), |(i, j)| match j {
        0 => part(i, 0.618_033_988_749_894_9),
        1 => part(i, 0.754_877_666_246_692_7) * 10.0,
        _ => part(i, 0.569_840_290_998_053_2) - 0.5,
    });
    let arms = (0..300)
        .map(|i| {
            let u = part(i, 0.819_172_513_396_164_5);
            if u < 0.2 + 0.5 * x[[i, 0]] {
                0
            } else if u < 0.85 - 0.03 * x[[i, 1]] + 0.2 * x[[i, 0]] {
                1
            } else {
                2
            }
        })
        .collect();
    (x, arms)
}

/// scikit-learn 1.9.1: `LogisticRegression(C=0.5, tol=1e-12).fit(Z, y)`, Z standardised; its
/// `coef_` less the mean over classes, and `predict_proba` of the first two rows.
#[test]
fn coefficients_equal_scikit_learns() {
    let (x, arms) = low_discrepancy();
    let model = PropensityModel::fit(x.view(), &arms, 3, 2.0).expect("a fit");
    let expect = [
        [
            0.450_228_506_579_735_34,
            -0.055_722_778_978_437_86,
            0.048_604_971_655_688_53,
        ],
        [
            -0.236_992_454_153_167_94,
            -0.292_444_080_032_346_84,
            -0.066_976_235_414_133_43,
        ],
        [
            -0.213_236_052_426_567_43,
            0.348_166_859_010_784_7,
            0.018_371_263_758_444_906,
        ],
    ];
    let weights = model.weights();
    for (arm, row) in expect.iter().enumerate() {
        for (j, expect) in row.iter().enumerate() {
            let got = weights[[j, arm]] - weights.row(j).sum() / 3.0;
            assert!(
                (got - expect).abs() < 1e-5,
                "arm {arm}, feature {j}: {got} {expect}"
            );
        }
    }
    let got = model.predict(x.view()).expect("predictions");
    let expect = [
        [
            0.517_246_559_070_721_9,
            0.240_505_206_635_413_9,
            0.242_248_234_293_864_25,
        ],
        [
            0.284_064_291_608_445_9,
            0.477_977_803_802_503_9,
            0.237_957_904_589_050_33,
        ],
    ];
    for (i, row) in expect.iter().enumerate() {
        for (a, expect) in row.iter().enumerate() {
            assert!(
                (got[[i, a]] - expect).abs() < 1e-5,
                "{} {expect}",
                got[[i, a]]
            );
        }
    }
}

/// Rows of a known logging policy on four features, one of them constant.
fn drawn(n: usize, seed: u64) -> (Array2<f64>, Vec<usize>, Array2<f64>, Vec<u8>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let x = Array2::from_shape_fn((n, 4), |(_, j)| {
        let u: f64 = rng.random();
        [u, 1000.0 * u, f64::from(u8::from(u < 0.3)), 7.0][j]
    });
    let mut truth = Array2::zeros((n, 3));
    let mut arms = Vec::new();
    for i in 0..n {
        let scores = [
            0.0,
            1.5 * x[[i, 0]] - 0.5,
            1.2 * x[[i, 2]] - 0.001 * x[[i, 1]],
        ];
        let sum: f64 = scores.iter().map(|s: &f64| s.exp()).sum();
        for a in 0..3 {
            truth[[i, a]] = scores[a].exp() / sum;
        }
        let u: f64 = rng.random();
        let arm = usize::from(u > truth[[i, 0]]) + usize::from(u > truth[[i, 0]] + truth[[i, 1]]);
        arms.push(arm);
    }
    let fold = (0..n)
        .map(|i| u8::try_from(i % 5).expect("small"))
        .collect();
    (x, arms, truth, fold)
}

#[test]
fn known_propensities_are_recovered() {
    let error = |n: usize| {
        let (x, arms, truth, fold) = drawn(n, 11);
        let e = cross_fit(x.view(), &arms, 3, &fold, 1.0).expect("propensities");
        for (a, sum) in e.sum_axis(Axis(0)).iter().enumerate() {
            let times = arms.iter().filter(|&&arm| arm == a).count();
            assert!((sum - super::count(times)).abs() < 1e-6 * super::count(n));
        }
        for row in e.rows() {
            assert!((row.sum() - 1.0).abs() < 1e-12);
        }
        let squares: f64 = (&e - &truth).iter().map(|d| d * d).sum();
        (squares / super::count(3 * n)).sqrt()
    };
    let (few, many) = (error(500), error(20_000));
    assert!(few < 0.06, "{few}");
    assert!(many < 0.01, "{many}");
}

#[test]
fn separated_arms_keep_the_floor() {
    let n = 200;
    let x = Array2::from_shape_fn((n, 1), |(i, _)| super::count(i));
    let arms: Vec<usize> = (0..n).map(|i| usize::from(i >= 100)).collect();
    let fold: Vec<u8> = (0..n).map(|i| u8::from(i % 2 == 0)).collect();
    let e = cross_fit(x.view(), &arms, 2, &fold, 1e-6).expect("propensities");
    let least = e.iter().copied().fold(1.0, f64::min);
    assert!((least - FLOOR).abs() < 1e-12, "{least}");
    assert!(
        e.rows()
            .into_iter()
            .all(|row| (row.sum() - 1.0).abs() < 1e-12)
    );
    let many = floored(Array2::from_shape_fn((1, 200), |(_, a)| {
        f64::from(u8::from(a == 0))
    }));
    assert!((many[[0, 1]] - 0.0025).abs() < 1e-15 && (many.sum() - 1.0).abs() < 1e-12);
}

#[test]
fn threads_do_not_change_a_bit() {
    let (x, arms, _, fold) = drawn(400, 5);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("pool");
        pool.install(|| cross_fit(x.view(), &arms, 3, &fold, 1.0))
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn bad_input_is_named() {
    let x = Array2::zeros((4, 1));
    let fit =
        |arms: &[usize], k| PropensityModel::fit(x.view(), arms, k, 1.0).expect_err("refused");
    assert_eq!(fit(&[], 2), PropensityError::Empty);
    assert_eq!(
        fit(&[0, 1, 0, 1], 3),
        PropensityError::NeverChosen { arm: 2 }
    );
    assert_eq!(
        fit(&[0, 1, 0, 5], 2),
        PropensityError::Arm {
            row: 3,
            got: 5,
            arms: 2
        }
    );
    assert!(matches!(
        fit(&[0, 1], 2),
        PropensityError::Length {
            got: 4,
            expected: 2,
            ..
        }
    ));
    let mut bad = x.clone();
    bad[[2, 0]] = f64::NAN;
    let refused = PropensityModel::fit(bad.view(), &[0, 1, 0, 1], 2, 1.0).expect_err("refused");
    assert_eq!(refused, PropensityError::NotFinite { row: 2, column: 0 });
    let one = cross_fit(x.view(), &[0, 1, 0, 1], 2, &[3; 4], 1.0).expect_err("refused");
    assert_eq!(one, PropensityError::OneFold);
}

/// Where features say nothing of the choice and are many, a strong penalty is chosen, and unseen
/// rows get the arms' shares; where one feature decides, it is still found.
#[test]
fn the_penalty_keeps_noise_from_being_learned() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let (n, d) = (240, 80);
    let x = Array2::from_shape_simple_fn((n, d), || random.random::<f64>() - 0.5);
    let fold: Vec<u8> = (0..n)
        .map(|i| u8::try_from(i % 5).expect("small"))
        .collect();
    let noise: Vec<usize> = (0..n)
        .map(|_| usize::from(random.random::<f64>() < 0.5))
        .collect();
    let penalty = choose_penalty(x.view(), &noise, 2, &fold).expect("a penalty");
    assert!(penalty >= 100.0, "{penalty}");
    let e = cross_fit(x.view(), &noise, 2, &fold, penalty).expect("propensities");
    assert!(e.iter().all(|p| (0.3..0.7).contains(p)));
    let told: Vec<usize> = (0..n).map(|i| usize::from(x[[i, 7]] > 0.0)).collect();
    let penalty = choose_penalty(x.view(), &told, 2, &fold).expect("a penalty");
    let e = cross_fit(x.view(), &told, 2, &fold, penalty).expect("propensities");
    let right = (0..n).filter(|&i| e[[i, told[i]]] > 0.5).count();
    assert!(right > n * 4 / 5, "{right}");
}
