//! A simulator whose truth is known: what a learner is worth live, against what a log says of it.

use std::sync::{Arc, Mutex};

use ndarray::Array2;
use plimsoll::{
    Distribution, FeatureMap, FeatureMapConfig, ObjectiveConfig, PolicyConfig, RawContext,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::super::policy::{ArmChange, EpsilonGreedy, LearnerStart};
use super::*;

const ARMS: usize = 3;
/// Chance of a good answer, by kind of request and arm.
const QUALITY: [[f64; ARMS]; 2] = [[0.9, 0.5, 0.95], [0.2, 0.6, 0.9]];
const COST: [f64; ARMS] = [0.001, 0.002, 0.01];
/// What the log chose, by kind of request.
const SKEWED: [[f64; ARMS]; 2] = [[0.6, 0.2, 0.2], [0.15, 0.15, 0.7]];
const EVEN: [[f64; ARMS]; 2] = [[1.0 / 3.0; ARMS]; 2];
const ROUNDS: usize = 60;

fn arms() -> Vec<ArmId> {
    ["a", "b", "c"]
        .map(|n| ArmId::new(n).expect("a name"))
        .to_vec()
}

fn options() -> LearningOptions {
    LearningOptions {
        horizon: Some(ROUNDS),
        ..LearningOptions::new(PolicyConfig::new(ObjectiveConfig::retain(0.9)), Seed(1))
    }
}

/// A learner that really learns: with a line of 0.55, its choice depends on what it saw.
fn learner(arms: &[ArmId]) -> Box<dyn LearningPolicy> {
    let features =
        FeatureMap::fit(FeatureMapConfig::default(), [RawContext::default()]).expect("a map");
    let (quality, cost) = (
        Array2::from_elem((0, ARMS), None),
        Array2::from_elem((0, ARMS), None),
    );
    let start = LearnerStart {
        arms,
        present: &[true; ARMS],
        features: &features,
        contexts: &[],
        quality: quality.view(),
        cost: cost.view(),
        list_cost: &COST,
        line: 0.55,
        seed: Seed(0),
    };
    Box::new(EpsilonGreedy::new(&start, 0.3))
}

/// A log of `n` rounds; ids differ between logs, so that acceptance does too.
fn log(n: usize, seed: u64, logging: &[[f64; ARMS]; 2]) -> Vec<LoggedEvent> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n)
        .map(|i| {
            let kind = usize::from(rng.random::<f64>() < 0.5);
            let u: f64 = rng.random();
            let arm = if u < logging[kind][0] {
                0
            } else if u < logging[kind][0] + logging[kind][1] {
                1
            } else {
                2
            };
            let good = rng.random::<f64>() < QUALITY[kind][arm];
            LoggedEvent {
                request: format!("{seed}-{i}"),
                time_us: None,
                context: Context::new(vec![float(kind)]).expect("finite"),
                arm,
                propensity: Propensity::new(logging[kind][arm]).expect("positive"),
                quality: Quality::new(f64::from(u8::from(good))).expect("a quality"),
                cost: Usd::from_f64(COST[arm] * (1.0 + float(kind))).expect("an amount"),
            }
        })
        .collect()
}

/// Mean quality and cost over the learner's first rounds, live.
fn live(seed: u64) -> (f64, f64) {
    let arms = arms();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut learner = learner(&arms);
    let (mut quality, mut cost) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        let kind = usize::from(rng.random::<f64>() < 0.5);
        let context = Context::new(vec![float(kind)]).expect("finite");
        let distribution = learner.distribution(&context).expect("probabilities");
        let arm = distribution.sample(rng.random());
        let r = f64::from(u8::from(rng.random::<f64>() < QUALITY[kind][arm]));
        let paid = COST[arm] * (1.0 + float(kind));
        let shown = Observation {
            arm,
            propensity: Propensity::new(distribution.probabilities()[arm]).expect("positive"),
            quality: Quality::new(r).ok(),
            cost: Usd::from_f64(paid),
            output_tokens: None,
        };
        learner.feedback(&context, &shown).expect("learned");
        quality += r / float(ROUNDS);
        cost += paid / float(ROUNDS);
    }
    (quality, cost)
}

/// Notes what the learner's choice is truly worth in each of its rounds.
struct Judged {
    inner: Box<dyn LearningPolicy>,
    rounds: Arc<Mutex<Vec<f64>>>,
}

impl Judged {
    /// Mean quality of the learner's present choice over requests of both kinds.
    fn worth(&self) -> f64 {
        let of = |kind: usize| {
            let context = Context::new(vec![float(kind)]).expect("finite");
            let distribution = self.inner.distribution(&context).expect("probabilities");
            let chances = distribution.probabilities().iter();
            chances.zip(QUALITY[kind]).map(|(p, q)| p * q).sum::<f64>()
        };
        f64::midpoint(of(0), of(1))
    }
}

impl LearningPolicy for Judged {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn distribution(&self, context: &Context) -> Result<Distribution, LearningError> {
        self.inner.distribution(context)
    }
    fn feedback(&mut self, context: &Context, seen: &Observation) -> Result<(), LearningError> {
        if seen.cost.is_some() {
            // A round is over; its choice was the one before its label.
            let worth = self.worth();
            self.rounds.lock().expect("one thread").push(worth);
        }
        self.inner.feedback(context, seen)
    }
    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError> {
        self.inner.arm_changed(arm, change)
    }
    fn fork(&self) -> Box<dyn LearningPolicy> {
        Box::new(Self {
            inner: self.inner.fork(),
            rounds: Arc::clone(&self.rounds),
        })
    }
}

/// Runs on own logs, each with what its own history was truly worth.
fn simulated(
    runs: u64,
    logging: &[[f64; ARMS]; 2],
    acceptance: Acceptance,
) -> Vec<(LoggedRun, f64)> {
    let arms = arms();
    (0..runs)
        .map(|seed| {
            let events = log(900, 10_000 + seed, logging);
            let rounds = Arc::new(Mutex::new(Vec::new()));
            let judged = Box::new(Judged {
                inner: learner(&arms),
                rounds: Arc::clone(&rounds),
            });
            let run = simulate(&events, &arms, judged, acceptance, &options(), Seed(seed))
                .expect("a run");
            let rounds = rounds.lock().expect("done");
            (run, rounds.iter().sum::<f64>() / float(rounds.len()))
        })
        .collect()
}

/// Mean and standard error.
fn moments(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let n = float(values.len());
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

const DR_NS: Acceptance = Acceptance::DrNs(DrNs {
    quantile: 0.0,
    multiplier_max: 1.0,
});

fn truth() -> ((f64, f64), (f64, f64)) {
    let runs: Vec<(f64, f64)> = (0..4000).map(live).collect();
    (
        moments(runs.iter().map(|r| r.0)),
        moments(runs.iter().map(|r| r.1)),
    )
}

/// Largest distance between two means, in standard errors of their difference.
fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).abs() / a.1.hypot(b.1)
}

#[test]
fn dr_ns_and_weighted_rejection_are_unbiased_for_the_learner_live() {
    let (quality, cost) = truth();
    for acceptance in [DR_NS, Acceptance::Weighted] {
        let runs = simulated(600, &SKEWED, acceptance);
        assert!(
            runs.iter().all(|r| r.0.accepted == ROUNDS),
            "{acceptance:?}"
        );
        let said = moments(runs.iter().map(|r| r.0.quality));
        assert!(
            distance(said, quality) < 3.0,
            "{acceptance:?} {said:?} {quality:?}"
        );
        let said = moments(runs.iter().map(|r| r.0.cost_usd));
        assert!(
            distance(said, cost) < 3.0,
            "{acceptance:?} {said:?} {cost:?}"
        );
        // The error of one run is about the worth of the history that it lived through.
        let holds = |r: &&(LoggedRun, f64)| (r.0.quality - r.1).abs() <= 1.96 * r.0.quality_error;
        let covered = float(runs.iter().filter(holds).count()) / 600.0;
        eprintln!("{acceptance:?}: covers {covered}");
        assert!(
            (0.92..=0.99).contains(&covered),
            "{acceptance:?} covers {covered}"
        );
    }
}

#[test]
fn dr_ns_is_sharper_than_rejection_about_the_history_it_lived_through() {
    let error = |acceptance| {
        let runs = simulated(400, &SKEWED, acceptance);
        let squares = runs
            .iter()
            .map(|r| (r.0.quality - r.1).powi(2))
            .sum::<f64>();
        (squares / 400.0).sqrt()
    };
    let (robust, rejection) = (error(DR_NS), error(Acceptance::Weighted));
    eprintln!("RMSE: DR-ns {robust:.4}, rejection {rejection:.4}");
    assert!(robust < 0.9 * rejection, "{robust} {rejection}");
}

#[test]
fn matching_is_unbiased_for_uniform_logging_only() {
    let (quality, _) = truth();
    let even = simulated(600, &EVEN, Acceptance::Matching);
    let said = moments(even.iter().map(|r| r.0.quality));
    assert!(distance(said, quality) < 3.0, "{said:?} {quality:?}");
    // Uncorrected on a log that chose by request, it is off by more than chance could explain.
    let skewed = simulated(600, &SKEWED, Acceptance::Matching);
    let said = moments(skewed.iter().map(|r| r.0.quality));
    eprintln!("uncorrected matching: {said:?}, truth {quality:?}");
    assert!(distance(said, quality) > 5.0, "{said:?} {quality:?}");
    // So it is refused.
    let arms = arms();
    let events = log(50, 1, &SKEWED);
    let refused = simulate_history(
        &events,
        &arms,
        learner(&arms),
        Acceptance::Matching,
        &options(),
        Seed(1),
    );
    assert_eq!(refused.map_err(|e| e.code()), Err("P0329"));
}

#[test]
fn the_interval_over_seeds_holds_the_learners_expected_value() {
    let (quality, _) = truth();
    let arms = arms();
    let logs = 300_u64;
    let holds = |log_seed: &u64| {
        let events = log(900, 50_000 + log_seed, &SKEWED);
        let runs: Vec<LoggedRun> = (0..6)
            .map(|seed| {
                simulate(
                    &events,
                    &arms,
                    learner(&arms),
                    DR_NS,
                    &options(),
                    Seed(seed),
                )
                .expect("a run")
            })
            .collect();
        let interval = over_seeds(&runs, |r| r.quality, |r| r.quality_error);
        (interval.low..=interval.high).contains(&quality.0)
    };
    let covered = float((0..logs).filter(holds).count()) / 300.0;
    eprintln!("interval over 6 seeds covers {covered}");
    assert!(covered >= 0.93, "{covered}");
}

#[test]
fn a_larger_quantile_accepts_more_and_says_what_it_cuts() {
    let arms = arms();
    let events = log(3000, 5, &SKEWED);
    let options = LearningOptions {
        horizon: None,
        ..options()
    };
    let run = |quantile| {
        let settings = Acceptance::DrNs(DrNs {
            quantile,
            multiplier_max: 1.0,
        });
        simulate(&events, &arms, learner(&arms), settings, &options, Seed(2)).expect("a run")
    };
    let (careful, bold) = (run(0.0), run(0.3));
    assert!(bold.accepted > careful.accepted, "{bold:?} {careful:?}");
    assert!(bold.cut > 0 && careful.cut <= 2, "{bold:?} {careful:?}");
    assert!(bold.multiplier > careful.multiplier);
    assert!(careful.effective > 100.0 && careful.effective <= 3000.0);
}

#[test]
fn a_fixed_choice_reduces_dr_ns_to_the_logged_means() {
    // The logging policy itself as target: w = 1, so the correction cancels what r̂ expects but
    // for its own mean, and every event is accepted in turn.
    struct Same;
    impl LearningPolicy for Same {
        fn name(&self) -> String {
            "same".to_owned()
        }
        fn distribution(&self, context: &Context) -> Result<Distribution, LearningError> {
            let kind = usize::from(context.features[0] > 0.5);
            Ok(Distribution::new(SKEWED[kind].to_vec()).expect("sums to 1"))
        }
        fn feedback(&mut self, _: &Context, _: &Observation) -> Result<(), LearningError> {
            Ok(())
        }
        fn arm_changed(&mut self, _: usize, _: ArmChange) -> Result<(), LearningError> {
            Ok(())
        }
        fn fork(&self) -> Box<dyn LearningPolicy> {
            Box::new(Same)
        }
    }
    let events = log(2000, 9, &SKEWED);
    let options = LearningOptions {
        horizon: None,
        ..options()
    };
    let run = simulate(&events, &arms(), Box::new(Same), DR_NS, &options, Seed(3)).expect("a run");
    // c is 1 as soon as one event is accepted: then all are.
    assert!(run.accepted > 1950 && run.cut == 0, "{run:?}");
    let mean = events.iter().map(|e| e.quality.get()).sum::<f64>() / 2000.0;
    assert!(
        (run.quality - mean).abs() < 3.0 * run.quality_error,
        "{run:?} {mean}"
    );
}
