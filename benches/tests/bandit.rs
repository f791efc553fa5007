//! Off-policy estimates of a simulated table turned into bandit logs, against the exact values.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use plimsoll::Seed;
use plimsoll_benches::bandit::{
    Draw, Experiment, Logging, Method, Population, Score, Scores, VALUES,
};
use plimsoll_datasets::{Input, ReadOptions, SimulateConfig, read, simulate};
use plimsoll_harness::ope::Estimator;

const DRAWS: u64 = 80;

fn population() -> &'static Population {
    static POPULATION: LazyLock<Population> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.csv");
        let config = SimulateConfig {
            requests: 1_200,
            seed: Seed(5),
            ..SimulateConfig::default()
        };
        simulate(&config, &path, None, &|_| ()).expect("a log");
        let input = Input::parse(&path.to_string_lossy());
        let log = read(&input, &ReadOptions::default()).expect("a log");
        Population::new("simulated", &log, None, 0.97, 5).expect("a population")
    });
    &POPULATION
}

/// Every test reads the same draws.
fn scores(logging: Logging) -> &'static Scores {
    static SCORES: LazyLock<BTreeMap<Logging, Scores>> = LazyLock::new(|| {
        Logging::ALL
            .into_iter()
            .map(|logging| (logging, drawn(logging)))
            .collect()
    });
    &SCORES[&logging]
}

fn drawn(logging: Logging) -> Scores {
    let experiment = Experiment {
        population: population(),
        logging,
        rows: population().rows(),
        draws: DRAWS,
        seed: 7,
    };
    experiment.run(&Method::all()).expect("scores")
}

fn of(scores: &Scores, method: Method) -> [Score; 3] {
    let found = scores.methods.iter().find(|(m, _)| *m == method);
    found.expect("every method is scored").1
}

/// Standard error of the mean over draws.
fn monte_carlo_error(score: &Score) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "few draws")]
    let draws = score.draws as f64;
    score.deviation / draws.sqrt()
}

#[test]
fn ips_and_dr_are_unbiased_for_quality_and_cost() {
    for logging in Logging::ALL {
        let scores = scores(logging);
        for estimator in [Estimator::Ips, Estimator::Dr] {
            let values = of(scores, Method::Plain(estimator));
            // Savings are a ratio, whose bias is of order 1/n.
            for (name, score) in VALUES.iter().zip(&values).take(2) {
                let error = monte_carlo_error(score);
                assert_eq!(score.draws, DRAWS);
                assert!(
                    score.bias.abs() < 3.5 * error,
                    "{logging}, {estimator}, {name}: bias {} with error {error}",
                    score.bias
                );
            }
            let savings = &values[2];
            assert!(savings.bias.abs() < 0.01 + 3.5 * monte_carlo_error(savings));
        }
    }
}

#[test]
fn intervals_of_consistent_estimators_cover() {
    for logging in Logging::ALL {
        let scores = scores(logging);
        for estimator in [Estimator::Snips, Estimator::Dr, Estimator::Sndr] {
            for (name, score) in VALUES.iter().zip(of(scores, Method::Plain(estimator))) {
                // 80 draws at 95 % fall below 0.86 once in a thousand times.
                assert!(
                    score.coverage >= 0.86,
                    "{logging}, {estimator}, {name}: {}",
                    score.coverage
                );
            }
        }
    }
}

#[test]
fn the_chosen_interval_of_quality_covers() {
    for logging in Logging::ALL {
        let quality = of(scores(logging), Method::Chosen)[0];
        // One draw in a hundred or so is refused, as its mean weight is too far from 1.
        assert!(quality.draws >= 74, "{logging}: {}", quality.draws);
        assert!(quality.coverage >= 0.86, "{logging}: {}", quality.coverage);
    }
}

#[test]
fn doubly_robust_is_the_best_of_the_consistent_estimators() {
    let mut near = 0;
    for logging in Logging::ALL {
        let scores = scores(logging);
        let own = of(scores, Method::Plain(Estimator::Dr));
        for value in [0, 2] {
            let consistent = scores.methods.iter().filter(|(m, _)| m.is_consistent());
            let least = consistent
                .map(|(_, values)| values[value].rmse)
                .fold(f64::INFINITY, f64::min);
            near += usize::from(own[value].rmse <= 1.05 * least);
        }
    }
    assert!(near >= 4, "near the least error on {near} of 6");
}

#[test]
fn replay_is_biased_unless_the_log_is_uniform() {
    let cost = |logging| of(scores(logging), Method::Plain(Estimator::Replay))[1];
    let (even, uneven) = (cost(Logging::Uniform), cost(Logging::Contextual));
    assert!(even.bias.abs() < 3.5 * monte_carlo_error(&even));
    assert!(uneven.bias.abs() > 5.0 * monte_carlo_error(&uneven));
}

#[test]
fn logging_policies_have_full_support() {
    for logging in Logging::ALL {
        let probabilities = logging.probabilities(population());
        for row in probabilities.outer_iter() {
            assert!((row.sum() - 1.0).abs() < 1e-12, "{logging}");
            assert!(row.iter().all(|p| *p >= 0.02 - 1e-12), "{logging}");
        }
    }
}

#[test]
fn copies_of_a_row_share_fold_and_half() {
    let population = population();
    let logging = Logging::Uniform.probabilities(population);
    let draw = Draw::new(population, &logging, 1_000, [7, 3]);
    let mut seen = vec![None; population.rows()];
    let mut copies = 0;
    for i in 0..draw.len() {
        let here = (draw.fold[i], draw.half[i]);
        copies += usize::from(seen[draw.rows[i]].is_some());
        assert_eq!(*seen[draw.rows[i]].get_or_insert(here), here);
    }
    assert!(copies > 100, "{copies} rows are drawn again");
}

#[test]
fn threads_do_not_change_a_bit() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        let experiment = Experiment {
            population: population(),
            logging: Logging::Contextual,
            rows: population().rows(),
            draws: 6,
            seed: 1,
        };
        let scores = pool.install(|| experiment.run(&Method::all()).expect("scores"));
        // As text: what a method does not estimate is NaN.
        format!("{scores:?}")
    };
    assert_eq!(run(1), run(2));
}
