//! Error rates of the gates, by simulation with known truth.

use ndarray::Array2;
use plimsoll::ArmId;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::{Assessment, Covariate, Labels, LoggedSample, SampleError};
use crate::judge::Clusters;

/// A simulated log. Tasks are 0..`tasks`; hardness may or may not be a column.
struct Log {
    arms: Vec<ArmId>,
    chosen: Vec<Option<usize>>,
    propensity: Vec<f64>,
    target: Array2<f64>,
    quality: Vec<Option<f64>>,
    clusters: Clusters,
    covariates: Vec<Covariate>,
}

/// How a log comes about.
struct Design<'a> {
    n: usize,
    arms: usize,
    /// Rows per session; one draw decides the arm of a whole session when above 1.
    session: usize,
    /// True probabilities of the logging policy by (task, length), written into the slice.
    truth: &'a (dyn Fn(usize, f64, &mut [f64]) + Sync),
    /// What is logged instead of the true probability p of arm a in a task: (a, task, p).
    logged: &'a (dyn Fn(usize, usize, f64) -> f64 + Sync),
    /// The judged policy by task.
    target: &'a (dyn Fn(usize, &mut [f64]) + Sync),
    /// Probability that a label of an arm is missing.
    unlabelled: &'a (dyn Fn(usize) -> f64 + Sync),
}

const TASKS: usize = 5;

fn uniform(_: usize, _: f64, p: &mut [f64]) {
    let k = p.len();
    p.fill(1.0 / f64::from(u32::try_from(k).expect("few arms")));
}

fn honest(_: usize, _: usize, p: f64) -> f64 {
    p
}

fn complete(_: usize) -> f64 {
    0.0
}

/// Mostly the first arm, in odd tasks the last.
fn by_task(task: usize, p: &mut [f64]) {
    let k = p.len();
    p.fill(0.0);
    p[if task.is_multiple_of(2) { 0 } else { k - 1 }] = 1.0;
}

impl Log {
    fn draw(design: &Design<'_>, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(0x9E37_79B9) ^ 0xA5);
        let (n, k) = (design.n, design.arms);
        let mut tasks = vec![0; n];
        let mut lengths = vec![0.0; n];
        let mut log = Self {
            arms: (0..k)
                .map(|a| ArmId::new(format!("arm{a}")).expect("a name"))
                .collect(),
            chosen: Vec::new(),
            propensity: Vec::new(),
            target: Array2::zeros((n, k)),
            quality: Vec::new(),
            clusters: Clusters {
                of: (0..n).map(|i| i / design.session).collect(),
                count: n.div_ceil(design.session),
            },
            covariates: Vec::new(),
        };
        let mut p = vec![0.0; k];
        let (mut task, mut length, mut arm) = (0, 0.0, 0);
        for i in 0..n {
            if i % design.session == 0 {
                task = rng.random_range(0..TASKS);
                length = (0..6).map(|_| rng.random::<f64>()).sum::<f64>() - 3.0;
                (design.truth)(task, length, &mut p);
                arm = sample(&p, rng.random());
            }
            tasks[i] = task;
            lengths[i] = length;
            log.chosen.push(Some(arm));
            log.propensity.push((design.logged)(arm, task, p[arm]));
            let row = log.target.row_mut(i).into_slice().expect("contiguous");
            (design.target)(task, row);
            let missing = rng.random::<f64>() < (design.unlabelled)(arm);
            let quality = f64::from(u8::from(rng.random::<f64>() < 0.8));
            log.quality.push((!missing).then_some(quality));
        }
        for value in 0..TASKS {
            log.covariates.push(Covariate {
                name: format!("task = {value}"),
                values: tasks
                    .iter()
                    .map(|t| f64::from(u8::from(*t == value)))
                    .collect(),
            });
        }
        log.covariates.push(Covariate {
            name: "prompt length".to_owned(),
            values: lengths,
        });
        log.covariates.extend((0..4).map(|quarter| {
            Covariate {
                name: format!("quarter {quarter}"),
                values: (0..n)
                    .map(|i| f64::from(u8::from(i * 4 / n == quarter)))
                    .collect(),
            }
        }));
        log
    }

    fn sample(&self) -> LoggedSample<'_> {
        LoggedSample {
            arms: &self.arms,
            chosen: &self.chosen,
            propensity: &self.propensity,
            target: self.target.view(),
            eligible: None,
            clusters: &self.clusters,
            covariates: &self.covariates,
        }
    }
}

impl Log {
    fn labels(&self) -> Labels<'_> {
        Labels {
            arms: &self.arms,
            chosen: &self.chosen,
            quality: &self.quality,
            clusters: &self.clusters,
        }
    }

    fn assess(&self) -> Assessment {
        super::assess(&self.sample(), &self.labels(), None).expect("a sample")
    }
}

fn sample(p: &[f64], u: f64) -> usize {
    let mut sum = 0.0;
    for (arm, p) in p.iter().enumerate() {
        sum += p;
        if u < sum {
            return arm;
        }
    }
    p.iter().rposition(|p| *p > 0.0).expect("some arm")
}

fn failed(assessment: &Assessment) -> Vec<&str> {
    assessment
        .gates
        .iter()
        .filter(|g| !g.passed)
        .map(|g| g.name.as_str())
        .collect()
}

/// Share of `runs` logs that fail a gate of the given name (any gate when `None`).
fn failing(design: &Design<'_>, runs: u64, gate: Option<&str>) -> f64 {
    let fails: u32 = (0..runs)
        .into_par_iter()
        .map(|seed| {
            let log = Log::draw(design, seed);
            let assessment = log.assess();
            let failed = failed(&assessment);
            u32::from(gate.map_or(!failed.is_empty(), |gate| failed.contains(&gate)))
        })
        .sum();
    f64::from(fails) / f64::from(u32::try_from(runs).expect("few runs"))
}

/// Logs per design.
const RUNS: u64 = 200;

#[test]
fn correct_logs_seldom_fail_a_gate() {
    let epsilon = |share: f64| {
        move |task: usize, _: f64, p: &mut [f64]| {
            let k = f64::from(u32::try_from(p.len()).expect("few arms"));
            p.fill(share / k);
            let best = task % p.len();
            p[best] += 1.0 - share;
        }
    };
    let softmax = |task: usize, length: f64, p: &mut [f64]| {
        for (a, p) in p.iter_mut().enumerate() {
            let a = f64::from(u32::try_from(a).expect("few arms"));
            let task = f64::from(u32::try_from(task).expect("few tasks"));
            *p = (0.4 * length * (a - 1.0) / 2.0 + 0.2 * ((task + a) % 3.0)).exp();
        }
        let sum: f64 = p.iter().sum();
        for p in p {
            *p /= sum;
        }
    };
    let mix = |_: usize, p: &mut [f64]| {
        p.fill(0.0);
        p[0] = 0.5;
        p[1] = 0.5;
    };
    let (eps20, eps04) = (epsilon(0.2), epsilon(0.04));
    let designs: Vec<(&str, Design<'_>)> = vec![
        ("two arms alike", Design { ..BASE }),
        (
            "two arms, 10 % exploration",
            Design {
                truth: &eps20,
                target: &mix,
                ..BASE
            },
        ),
        ("eight arms alike", Design { arms: 8, ..BASE }),
        (
            "four arms by task, 5 % each",
            Design {
                arms: 4,
                truth: &eps20,
                target: &mix,
                ..BASE
            },
        ),
        (
            "four arms by task, 1 % each, n = 10,000",
            Design {
                n: 10_000,
                arms: 4,
                truth: &eps04,
                target: &mix,
                ..BASE
            },
        ),
        (
            "six arms, softmax",
            Design {
                arms: 6,
                truth: &softmax,
                target: &mix,
                ..BASE
            },
        ),
        (
            "three arms, sessions of 5",
            Design {
                n: 4000,
                arms: 3,
                session: 5,
                ..BASE
            },
        ),
        (
            "labels missing alike",
            Design {
                arms: 3,
                unlabelled: &|_| 0.01,
                ..BASE
            },
        ),
    ];
    let mut sum = 0.0;
    for (name, design) in &designs {
        let rate = failing(design, RUNS, None);
        assert!(rate <= 0.04, "{name}: {rate}");
        sum += rate;
    }
    // 2 % and two standard errors of 1,600 runs.
    let mean = sum / 8.0;
    assert!(mean <= 0.027, "{mean}");
}

const BASE: Design<'static> = Design {
    n: 2000,
    arms: 2,
    session: 1,
    truth: &uniform,
    logged: &honest,
    target: &by_task,
    unlabelled: &complete,
};

/// The first arm with probability 0.7.
fn seven_three(_: usize, _: f64, p: &mut [f64]) {
    p.fill(0.3);
    p[0] = 0.7;
}

/// Tasks 0 and 1 always go to the first arm, the others to the second.
fn fixed_by_task(task: usize, _: f64, p: &mut [f64]) {
    p.fill(0.0);
    p[usize::from(task > 1)] = 1.0;
}

fn caught(design: &Design<'_>, gate: &str, least: f64) {
    let rate = failing(design, RUNS, Some(gate));
    assert!(rate >= least, "{gate}: caught in {rate} of runs");
}

/// ROBUSTNESS.md O04: propensities off by a factor.
#[test]
fn o04_propensities_off_by_a_factor_are_caught() {
    for factor in [0.8, 1.25] {
        let logged = move |_: usize, _: usize, p: f64| p * factor;
        let off = Design {
            logged: &logged,
            ..BASE
        };
        caught(&off, "mean weight", 0.95);
    }
    // One arm of five only.
    let one = |arm: usize, _: usize, p: f64| if arm == 3 { p * 1.5 } else { p };
    let off = Design {
        arms: 5,
        logged: &one,
        ..BASE
    };
    caught(&off, "mean weight", 0.95);
}

/// ROBUSTNESS.md O04: each arm logged with the other's propensity.
#[test]
fn o04_swapped_propensities_are_caught() {
    let swapped = |_: usize, _: usize, p: f64| 1.0 - p;
    let off = Design {
        truth: &seven_three,
        logged: &swapped,
        ..BASE
    };
    caught(&off, "mean weight", 0.95);
}

/// ROBUSTNESS.md O04: right on average, wrong for every task.
#[test]
fn o04_arms_fixed_by_task_but_logged_as_even_are_caught() {
    let even = |_: usize, _: usize, _: f64| 0.5;
    let fixed = Design {
        truth: &fixed_by_task,
        logged: &even,
        ..BASE
    };
    caught(&fixed, "balance", 0.95);
    let leaning = |task: usize, _: f64, p: &mut [f64]| {
        p[0] = [0.35, 0.65, 0.35, 0.65, 0.5][task];
        p[1] = 1.0 - p[0];
    };
    let leaning = Design {
        truth: &leaning,
        logged: &even,
        ..BASE
    };
    caught(&leaning, "balance", 0.95);
}

/// With two arms, propensities that are too extreme are caught without any covariate.
#[test]
fn o04_overconfident_propensities_of_two_arms_are_caught() {
    let truth = |task: usize, _: f64, p: &mut [f64]| {
        p[0] = 0.3 + 0.1 * [0.0, 1.0, 2.0, 3.0, 4.0][task];
        p[1] = 1.0 - p[0];
    };
    let logged = |_: usize, _: usize, p: f64| (0.5 + 1.8 * (p - 0.5)).clamp(0.05, 0.95);
    let off = Design {
        truth: &truth,
        logged: &logged,
        ..BASE
    };
    let runs = 100_u32;
    let found: u32 = (0..u64::from(runs))
        .map(|seed| {
            let log = Log::draw(&off, seed);
            let sample = LoggedSample {
                covariates: &[],
                ..log.sample()
            };
            let assessment = super::assess(&sample, &log.labels(), None).expect("a sample");
            u32::from(failed(&assessment).contains(&"balance"))
        })
        .sum();
    assert!(found * 100 >= 95 * runs, "{found} of {runs}");
}

/// ROBUSTNESS.md O01: a log without chance supports only itself.
#[test]
fn o01_fixed_choices_logged_as_certain_have_no_support() {
    let fixed = Design {
        truth: &fixed_by_task,
        ..BASE
    };
    let assessment = Log::draw(&fixed, 1).assess();
    // By task 1, 2 and 4 the policy wants the other arm: three of five tasks.
    assert!((assessment.weights.unsupported_share - 0.6).abs() < 0.05);
    assert_eq!(failed(&assessment), ["support"]);
    // Almost certain is no better: the weights that must turn up are too heavy.
    let almost = |_: usize, _: usize, _: f64| 0.9999;
    let almost = Design {
        truth: &fixed_by_task,
        logged: &almost,
        ..BASE
    };
    caught(&almost, "effective sample size", 1.0);
    // A policy that does as the log did is supported.
    let same = |task: usize, p: &mut [f64]| fixed_by_task(task, 0.0, p);
    let same = Design {
        truth: &fixed_by_task,
        target: &same,
        ..BASE
    };
    let assessment = Log::draw(&same, 1).assess();
    assert_eq!(failed(&assessment), Vec::<&str>::new());
}

/// An arm that the log never chose is unsupported, whatever its propensity may have been.
#[test]
fn o01_an_arm_never_logged_is_unsupported() {
    let truth = |_: usize, _: f64, p: &mut [f64]| p.copy_from_slice(&[0.5, 0.5, 0.0]);
    let target = |_: usize, p: &mut [f64]| p.copy_from_slice(&[0.8, 0.0, 0.2]);
    let design = Design {
        arms: 3,
        truth: &truth,
        target: &target,
        ..BASE
    };
    let assessment = Log::draw(&design, 1).assess();
    assert!((assessment.weights.unsupported_share - 0.2).abs() < 1e-9);
    let support = &assessment.gates[0];
    assert!(
        !support.passed && support.measured.contains("arm2"),
        "{support:?}"
    );
    assert_eq!(assessment.overlap[2].mean_weight, None);
}

/// ROBUSTNESS.md O03: too little overlap.
#[test]
fn o03_thin_overlap_fails() {
    let thin = |_: usize, _: f64, p: &mut [f64]| p.copy_from_slice(&[0.004, 0.996]);
    let first = |_: usize, p: &mut [f64]| p.copy_from_slice(&[1.0, 0.0]);
    let thin = Design {
        truth: &thin,
        target: &first,
        ..BASE
    };
    caught(&thin, "effective sample size", 1.0);
    caught(&thin, "largest weight", 0.95);
    caught(&thin, "clipped weight", 0.95);
}

/// ROBUSTNESS.md O07: labels that are missing often, or for one arm more than for another.
#[test]
fn o07_missing_labels_fail() {
    let often = Design {
        unlabelled: &|_| 0.05,
        ..BASE
    };
    caught(&often, "labels", 0.95);
    let uneven = |arm: usize| if arm == 0 { 0.002 } else { 0.025 };
    let uneven = Design {
        unlabelled: &uneven,
        ..BASE
    };
    caught(&uneven, "labels", 0.95);
    let assessment = Log::draw(&often, 1).assess();
    for arm in &assessment.missing {
        assert!((arm.quality_high - arm.quality_low - arm.unlabelled_share).abs() < 1e-12);
        assert!((0.7..0.8).contains(&arm.quality_low), "{arm:?}");
    }
}

/// Equal input gives equal bytes on any number of threads.
#[test]
fn threads_do_not_change_a_bit() {
    let log = Log::draw(&Design { arms: 4, ..BASE }, 3);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("pool");
        pool.install(|| log.assess())
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let log = Log::draw(&Design { n: 50, ..BASE }, 1);
    let error = |sample: LoggedSample<'_>| -> SampleError {
        super::assess(&sample, &log.labels(), None).expect_err("refused")
    };
    let short = LoggedSample {
        propensity: &log.propensity[..49],
        ..log.sample()
    };
    assert_eq!(
        error(short).to_string(),
        "`propensity` has 49 rows, the sample has 50"
    );
    let zero = vec![0.0; 50];
    let zero = LoggedSample {
        propensity: &zero,
        ..log.sample()
    };
    let refused = error(zero);
    assert_eq!(
        refused.to_string(),
        "`propensity` of row 0 is 0, allowed is above 0, at most 1"
    );
    assert_eq!(refused.code(), "P0346");
    let far = vec![Some(2); 50];
    let far = LoggedSample {
        chosen: &far,
        ..log.sample()
    };
    assert_eq!(
        error(far).to_string(),
        "row 0 names arm 2, the sample has 2 arms"
    );
    let empty = LoggedSample {
        chosen: &[],
        ..log.sample()
    };
    assert_eq!(error(empty).code(), "P0345");
    let doubled = &log.target * 2.0;
    let doubled = LoggedSample {
        target: doubled.view(),
        ..log.sample()
    };
    assert!(
        error(doubled)
            .to_string()
            .contains("`target` of row 0 is 2")
    );
}
