//! Worlds that change under a learner: drift, prices, arms that come and go.

use plimsoll::PredictorChoice;
use plimsoll_datasets::EvidenceKind;
use plimsoll_harness::learning::{
    ArmChange, At, Change, FixedArm, Injection, LearnerStart, LearningError, LearningOptions,
    LearningPolicy, replay,
};

use super::script::{Told, scripted};
use super::{SEED, injected, options, policy, run, table, two_arms};
use crate::logs::{coin, input};

#[test]
fn drift_is_detected_and_routed_around() {
    let log = two_arms(6000, 0.93);
    // A learner that forgets: half of what it knows of an arm is of its last 70 answers.
    let mut forgetful = policy(0.88);
    forgetful.predictor.kind = PredictorChoice::Beta;
    forgetful.predictor.forgetting = Some(0.99);
    let options = LearningOptions {
        policy: forgetful,
        seeds: 10,
        injections: injected("drift", "a:0.5:-0.4"),
        ..options(0.88)
    };
    let report = run(&log, &options).expect("a report");
    let (before, after) = (&report.phases[0], &report.phases[1]);
    assert_eq!(
        (before.benchmark.as_str(), after.benchmark.as_str()),
        ("a", "b")
    );
    assert!((before.arms[0].quality - after.arms[0].quality - 0.4).abs() < 0.02);
    assert_eq!(after.starts_with, ["quality of a falls by 0.4"]);
    let learner = &report.learners[0];
    let shock = &learner.shocks[0];
    let detected = shock.detected.as_ref().expect("a drift");
    assert_eq!(
        (detected.seeds, shock.false_alarms),
        (10, Some(0.0)),
        "{shock:?}"
    );
    let times = detected.requests.expect("detected");
    assert!(times.low > 10.0 && times.high < 300.0, "{times:?}");
    assert!(shock.rerouted.seeds == 10, "{:?}", shock.rerouted);
    // Who weighs every answer alike sees it later, and then stays away; who never learns never
    // recovers.
    let greedy = &report.learners[2].shocks[0];
    assert_eq!(greedy.recovered.seeds, 10, "{greedy:?}");
    let recovery = greedy.recovered.requests.expect("recovered").median;
    assert!(
        recovery > times.median && recovery < 1500.0,
        "{recovery} {times:?}"
    );
    let uniform = &report.learners[3].shocks[0];
    assert_eq!(uniform.recovered.seeds, 0, "{uniform:?}");
    // Flips are keyed by seed: not every seed sees the same world, the mean fall is as asked.
    assert!(report.learners[3].quality.high > report.learners[3].quality.low);
}

#[test]
fn drift_by_more_than_there_is_is_refused() {
    let options = LearningOptions {
        injections: injected("drift", "a:0.5:-0.99"),
        ..options(0.8)
    };
    let error = run(&two_arms(200, 0.5), &options).expect_err("too much");
    assert_eq!(error.code(), "P0322");
    assert!(error.to_string().contains("mean quality"), "{error}");
}

#[test]
fn arms_appear_and_vanish() {
    let row = |i| {
        vec![
            (coin(SEED, i, 1, 0.9), "0.001"),
            (coin(SEED, i, 2, 0.95), "0.010"),
            (coin(SEED, i, 3, 0.92), "0.004"),
        ]
    };
    let log = table(&(0..4000).map(row).collect::<Vec<_>>());
    let options = LearningOptions {
        injections: vec![
            Injection {
                arm: "a".to_owned(),
                at: At::Share(0.3),
                change: Change::Appears,
            },
            Injection {
                arm: "b".to_owned(),
                at: At::Share(0.75),
                change: Change::Vanishes,
            },
        ],
        ..options(0.85)
    };
    let report = run(&log, &options).expect("a report");
    let benchmarks: Vec<&str> = report.phases.iter().map(|p| p.benchmark.as_str()).collect();
    assert_eq!(benchmarks, ["c", "a", "a"]);
    assert!(!report.phases[0].arms[0].in_service && !report.phases[2].arms[1].in_service);
    for learner in &report.learners {
        for point in &learner.series {
            // n = 3200: a appears at 960, b vanishes at 2400; the points lie on both.
            if point.request <= 960 {
                assert!(
                    point.shares[0].high <= 0.0,
                    "{} {}",
                    learner.name,
                    point.request
                );
            }
            if point.request > 2454 {
                assert!(
                    point.shares[1].high <= 0.0,
                    "{} {}",
                    learner.name,
                    point.request
                );
            }
        }
    }
    let last = report.learners[0].series.last().expect("points");
    assert!(
        last.shares[0].median > 0.5,
        "the new arm is taken up: {:?}",
        last.shares
    );
    let appeared = &report.learners[0].shocks[0];
    assert_eq!(appeared.rerouted.seeds, 4, "{appeared:?}");
    assert!(appeared.detected.is_none());
}

#[test]
fn a_policy_that_uses_an_absent_arm_is_refused() {
    let log = two_arms(100, 0.9);
    let options = LearningOptions {
        injections: injected("arm-vanishes", "a:0.5"),
        ..options(0.8)
    };
    let error = scripted(&log, &[0], &options).expect_err("an absent arm");
    assert!(
        matches!(&error, LearningError::Probabilities { position: 50, .. }),
        "{error}"
    );
    // Neither may the last arm go.
    let both = LearningOptions {
        injections: [
            injected("arm-vanishes", "a:0.5"),
            injected("arm-vanishes", "b:0.6"),
        ]
        .concat(),
        ..options
    };
    assert_eq!(run(&log, &both).expect_err("no arm").code(), "P0328");
}

#[test]
fn prices_change_exactly_and_are_told_or_not() {
    let log = two_arms(2000, 0.95);
    let mut options = LearningOptions {
        injections: injected("price", "a:0.5:20"),
        ..options(0.85)
    };
    let (told, report) = scripted(&log, &[0], &options).expect("a report");
    // A thousand at 0.001, a thousand at 0.02.
    assert_eq!(report.learners[0].cost_usd.median.to_string(), "21");
    assert!(told.contains(&Told::Changed(0, ArmChange::Repriced(20.0))));
    assert_eq!(report.phases[0].benchmark, "a");
    assert_eq!(report.phases[1].benchmark, "b");
    let announced = run(&log, &options).expect("a report").learners[0].shocks[0].clone();
    options.prices_announced = false;
    let (told, _) = scripted(&log, &[0], &options).expect("a report");
    assert!(!told.iter().any(|t| matches!(t, Told::Changed(..))));
    let noticed = run(&log, &options).expect("a report").learners[0].shocks[0].clone();
    let after = |shock: &plimsoll_harness::learning::Shock| {
        shock.rerouted.requests.map_or(f64::INFINITY, |t| t.median)
    };
    assert_eq!(announced.rerouted.seeds, 4, "{announced:?}");
    assert!(
        after(&noticed) > after(&announced),
        "{noticed:?} {announced:?}"
    );
}

#[test]
fn a_fixed_arm_that_vanishes_falls_back_on_the_others() {
    let log = two_arms(400, 0.9);
    let factory =
        |start: &LearnerStart<'_>| Ok(Box::new(FixedArm::new(start, 0)) as Box<dyn LearningPolicy>);
    let options = LearningOptions {
        warm_up: 0.0,
        injections: injected("arm-vanishes", "a:0.5"),
        ..options(0.8)
    };
    let full = input(&log, EvidenceKind::FullInformation);
    let report = replay(&full, &factory, &options).expect("a report");
    // Half of the traffic, exactly, in every seed.
    assert_eq!(report.learners[0].cost_usd.low.to_string(), "2.2");
    assert_eq!(report.learners[0].cost_usd.high.to_string(), "2.2");
}
