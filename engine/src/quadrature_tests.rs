//! Probabilities against closed forms and values of 20 to 40 digits.

use super::*;

fn best<B: Belief + Copy>(beliefs: &[B]) -> Vec<f64> {
    let mut out = vec![0.0; beliefs.len()];
    assert!(best_arm_probabilities(
        |arm| Some(beliefs[arm]),
        &mut Vec::new(),
        &mut out
    ));
    let sum: f64 = out.iter().sum();
    assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    out
}

fn check(got: &[f64], expect: &[f64], tolerance: f64) {
    for (got, want) in got.iter().zip(expect) {
        assert!(
            (got - want).abs() < tolerance,
            "{got} {want} {:e}",
            got - want
        );
    }
}

/// The sum before it is scaled to 1: how far off the integrals are together.
fn raw_sum<B: Belief + Copy>(beliefs: &[B]) -> f64 {
    let mut scratch = vec![0.0; beliefs.len() * PER_ARM];
    let mut out = vec![0.0; beliefs.len()];
    let belief = |arm: usize| Some(beliefs[arm]);
    let floor = survey(belief, &mut scratch).expect("beliefs");
    integrate(belief, floor, &mut scratch, &mut out);
    out.iter().sum()
}

fn normals(of: &[(f64, f64)]) -> Vec<Normal> {
    of.iter().map(|(m, s)| Normal::new(*m, s * s)).collect()
}

/// P(X₁ > X₂) = Φ((μ₁ − μ₂)/√(σ₁² + σ₂²)).
#[test]
fn two_normals_match_the_closed_form() {
    for gap in [0.0, 0.01, 0.3, 1.0, 4.0, 20.0] {
        for (s1, s2) in [
            (1.0, 1.0),
            (1.0, 0.3),
            (1.0, 1e-4),
            (1e-3, 2.0),
            (0.2, 0.21),
        ] {
            let spread: f64 = s1 * s1 + s2 * s2;
            let expect = math::normal_cdf(gap / spread.sqrt());
            let got = best(&normals(&[(gap, s1), (0.0, s2)]));
            check(&got, &[expect, 1.0 - expect], 1e-9);
        }
    }
}

/// Expected values: the integral at 40 digits by mpmath 1.3.
#[test]
fn several_normals_match_mpmath() {
    let got = best(&normals(&[(0.3, 0.2), (0.5, 0.1), (0.45, 0.3)]));
    check(
        &got,
        &[
            0.116_783_747_206_276_48,
            0.473_447_983_164_173_47,
            0.409_768_269_629_550_04,
        ],
        5e-9,
    );
    let arms = [
        (0.7, 0.05),
        (0.7, 0.001),
        (0.69, 0.02),
        (0.2, 0.5),
        (0.71, 1e-4),
    ];
    check(
        &best(&normals(&arms)),
        &[
            0.352_438_963_721_785_35,
            5.180_092_042_548_207e-24,
            0.088_673_424_064_061_6,
            0.146_518_057_299_023_87,
            0.412_369_554_917_588_25,
        ],
        5e-9,
    );
    let got = best(&normals(&[
        (0.0, 1.0),
        (0.0, 1.0),
        (0.0, 1.0),
        (0.0, 1.0),
        (1.0, 1.0),
    ]));
    check(
        &got[3..],
        &[0.126_575_284_381_816_12, 0.493_698_862_472_735_6],
        5e-9,
    );
    assert_eq!(got[0].to_bits(), got[3].to_bits());
}

/// P(X₁ > X₂) = Σ_{i<a₁} B(a₂+i, b₁+b₂) / ((b₁+i)·B(1+i, b₁)·B(a₂, b₂)) for whole a₁
/// (Miller 2014, "Formulas for Bayesian A/B testing").
fn first_beta_wins(one: (u32, f64), two: (f64, f64)) -> f64 {
    let log_beta = |a: f64, b: f64| libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    (0..one.0)
        .map(|i| {
            let i = f64::from(i);
            let log = log_beta(two.0 + i, one.1 + two.1)
                - math::ln(one.1 + i)
                - log_beta(1.0 + i, one.1)
                - log_beta(two.0, two.1);
            math::exp(log)
        })
        .sum()
}

#[test]
fn two_betas_match_the_closed_form() {
    for one in [
        (1, 1.0),
        (3, 0.5),
        (40, 7.0),
        (1_000, 1_200.0),
        (20_000, 19_000.0),
    ] {
        for two in [
            (1.0, 1.0),
            (0.5, 0.5),
            (8.0, 2.0),
            (950.0, 1_200.0),
            (2e4, 1.91e4),
        ] {
            let expect = first_beta_wins(one, two);
            let beliefs = [Beta::new(f64::from(one.0), one.1), Beta::new(two.0, two.1)];
            // The closed form itself loses digits in lgamma of large numbers.
            let tolerance = if one.0 < 1_000 { 1e-9 } else { 1e-8 };
            check(&best(&beliefs), &[expect, 1.0 - expect], tolerance);
        }
    }
}

/// Expected values by mpmath 1.3 at 20 digits.
#[test]
fn several_betas_match_mpmath() {
    let of = |all: [(f64, f64); 3]| best(&all.map(|(a, b)| Beta::new(a, b)));
    check(
        &of([(1.0, 1.0), (2.0, 3.0), (10.0, 4.0)]),
        &[
            0.274_929_971_988_795_3,
            0.070_308_123_249_296_58,
            0.654_761_904_761_900_5,
        ],
        1e-9,
    );
    check(
        &of([(0.5, 0.5), (0.7, 20.3), (300.5, 100.25)]),
        &[
            0.333_218_963_632_891_7,
            5.240_414_056_969_51e-13,
            0.666_781_036_366_567_2,
        ],
        1e-9,
    );
}

/// Expected values by mpmath 1.3 at 20 digits.
#[test]
fn shifted_beliefs_match_mpmath() {
    let beta = |a, b, shift| ShiftedBeta {
        beta: Beta::new(a, b),
        shift,
    };
    check(
        &best(&[
            beta(3.0, 2.0, 0.1),
            beta(8.0, 4.0, 0.0),
            beta(2.0, 2.0, 0.05),
        ]),
        &[
            0.211_016_077_058_337_55,
            0.614_373_739_979_397_8,
            0.174_610_182_962_258_5,
        ],
        1e-8,
    );
    let logit = |mean, sd: f64, shift| LogitNormal::new(mean, sd * sd, shift);
    check(
        &best(&[
            logit(0.5, 0.7, 0.1),
            logit(1.0, 0.3, 0.2),
            logit(-0.2, 1.4, 0.0),
        ]),
        &[
            0.337_989_191_619_347_7,
            0.311_103_329_838_122_33,
            0.350_907_478_542_529_96,
        ],
        1e-8,
    );
    // Without shifts the axis does not matter.
    let plain = best(&[Beta::new(3.0, 2.0), Beta::new(8.0, 4.0)]);
    check(
        &best(&[beta(3.0, 2.0, 0.0), beta(8.0, 4.0, 0.0)]),
        &plain,
        1e-8,
    );
}

#[test]
fn integrals_sum_to_one_before_they_are_scaled() {
    for arms in [2_u32, 10, 50, 200] {
        let spread: Vec<(f64, f64)> = (0..arms)
            .map(|i| (f64::from(i % 7) * 0.03, 0.01 + 0.05 * f64::from(i % 5)))
            .collect();
        let sum = raw_sum(&normals(&spread));
        assert!((sum - 1.0).abs() < 1e-9, "{arms} {sum}");
        let betas: Vec<Beta> = (0..arms)
            .map(|i| Beta::new(1.0 + f64::from(i % 4), 0.5 + f64::from(i % 3)))
            .collect();
        let sum = raw_sum(&betas);
        assert!((sum - 1.0).abs() < 1e-8, "{arms} {sum}");
    }
}

#[test]
fn points_ties_and_absurd_beliefs_are_answered() {
    check(
        &best(&normals(&[(0.5, 0.0), (0.5, 0.0)])),
        &[0.5, 0.5],
        0.0 + 1e-15,
    );
    check(
        &best(&normals(&[(0.5, 0.0), (0.6, 0.0)])),
        &[0.0, 1.0],
        1e-15,
    );
    check(&best(&normals(&[(0.5, 0.1)])), &[1.0], 1e-15);
    for absurd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, f64::MAX] {
        best(&normals(&[(0.5, 0.1), (absurd, 1.0)]));
        best(&normals(&[(0.5, 0.1), (0.5, absurd)]));
        best(&normals(&[(absurd, absurd)]));
    }
    best(&[
        Beta::new(1e-9, 1e-9),
        Beta::new(1e12, 1.0),
        Beta::new(1e15, 1e15),
    ]);
    let none = |_: usize| None::<Normal>;
    assert!(!best_arm_probabilities(
        none,
        &mut Vec::new(),
        &mut [0.0; 3]
    ));
}
