//! Whole runs: what is learnt, and that nothing else decides it.

use std::sync::{Arc, Mutex};

use plimsoll::Seed;
use plimsoll_datasets::{EvidenceKind, Input, ReadOptions, SAMPLE_NAME, read, sample_log};
use plimsoll_harness::learning::{
    EngineLearner, LearnerStart, LearningOptions, LearningPolicy, LearningReport, Order, replay,
};

use super::{injected, options, policy, run, two_arms};
use crate::logs::input;

#[test]
fn a_good_cheap_arm_is_found_warm_and_cold() {
    let log = two_arms(1500, 0.93);
    for warm_up in [0.2, 0.0] {
        let options = LearningOptions {
            warm_up,
            ..options(0.88)
        };
        let report = run(&log, &options).expect("a report");
        let learner = &report.learners[0];
        assert!(
            learner.shares[0].median > 0.7,
            "{warm_up} {:?}",
            learner.shares
        );
        assert!(learner.quality.median > 0.88, "{:?}", learner.quality);
        // The fixed reference is the best single arm; the learner undercuts it.
        let fixed = &report.learners[1];
        if warm_up > 0.0 {
            assert!(learner.cost_usd.high < fixed.cost_usd.low, "{}", fixed.name);
        }
        assert_eq!(report.learners.len(), 4);
    }
}

#[test]
fn equal_seeds_give_equal_bytes_on_any_number_of_threads() {
    let read = read(
        &Input::bytes(SAMPLE_NAME, sample_log()),
        &ReadOptions::default(),
    )
    .expect("read");
    let options = LearningOptions {
        seeds: 6,
        label_share: 0.5,
        delay: "exp:20".parse().expect("a delay"),
        injections: injected("drift", "small:0.5:-0.2"),
        ..options(0.85)
    };
    let bytes = |threads: usize, order: Order| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        let options = LearningOptions {
            order,
            ..options.clone()
        };
        pool.install(|| serde_json::to_string(&run(&read.log, &options).expect("a report")))
            .expect("JSON")
    };
    for order in [Order::Time, Order::Shuffled] {
        let one = bytes(1, order);
        assert_eq!(one, bytes(2, order));
        assert_eq!(one, bytes(5, order));
    }
    let other = LearningOptions {
        seed: Seed(12),
        ..options.clone()
    };
    let other = serde_json::to_string(&run(&read.log, &other).expect("a report")).expect("JSON");
    assert_ne!(bytes(1, Order::Time), other);
}

#[test]
fn a_report_reads_back_and_refuses_what_it_does_not_know() {
    let report = run(&two_arms(300, 0.9), &options(0.8)).expect("a report");
    let mut json = serde_json::to_value(&report).expect("JSON");
    let back: LearningReport = serde_json::from_value(json.clone()).expect("reads back");
    assert_eq!(back.learners[0].cost_usd, report.learners[0].cost_usd);
    json["extra"] = serde_json::json!(1);
    assert!(serde_json::from_value::<LearningReport>(json).is_err());
}

#[test]
fn a_fork_goes_on_as_a_restored_snapshot_does() {
    let log = two_arms(400, 0.9);
    let checked = Arc::new(Mutex::new(0));
    let factory = |start: &LearnerStart<'_>| {
        let learner = EngineLearner::new(&policy(0.85), start)?;
        let router = learner.router().expect("warm");
        let restored = plimsoll::Router::restore(&router.snapshot()).expect("restored");
        assert_eq!(restored.state_hash(), router.state_hash());
        let fork = learner.fork();
        let context = &start.contexts[0];
        assert_eq!(
            fork.distribution(context)?.probabilities(),
            restored
                .distribution(context)
                .expect("probabilities")
                .probabilities()
        );
        *checked.lock().expect("one thread") += 1;
        Ok(Box::new(learner) as Box<dyn LearningPolicy>)
    };
    let full = input(&log, EvidenceKind::FullInformation);
    replay(&full, &factory, &options(0.85)).expect("a report");
    assert_eq!(*checked.lock().expect("done"), 1);
}
