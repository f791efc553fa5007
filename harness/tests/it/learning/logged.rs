//! Learners on a log that knows only what the served arm answered.

use plimsoll::Propensity;
use plimsoll_datasets::{EvidenceKind, OutcomeLog};
use plimsoll_harness::learning::{LearningOptions, engine_learner, replay};

use super::{SEED, injected, options, run, two_arms};
use crate::logs::{input, uniform};

/// One arm per request: `b` with chance 1 − ε, else `a`.
fn logged(n: usize, epsilon: f64) -> OutcomeLog {
    let mut log = two_arms(n, 0.9);
    for (i, request) in log.requests.iter_mut().enumerate() {
        let arm = usize::from(uniform(SEED, i, 9) >= epsilon);
        let chance = if arm == 1 { 1.0 - epsilon } else { epsilon };
        request.outcomes.retain(|o| o.arm as usize == arm);
        request.outcomes[0].propensity = Some(Propensity::new(chance).expect("positive"));
    }
    log
}

#[test]
fn a_logged_replay_estimates_what_the_full_table_says() {
    let log = logged(12_000, 0.4);
    let options = LearningOptions {
        seeds: 5,
        ..options(0.85)
    };
    let logged_input = input(&log, EvidenceKind::LoggedWithPropensities);
    let report =
        replay(&logged_input, &engine_learner(&options.policy), &options).expect("a report");
    assert_eq!((report.learners.len(), report.logged.len()), (0, 4));
    for learner in &report.logged {
        let (robust, rejection) = (&learner.dr_ns, &learner.rejection);
        assert!(
            robust.accepted.median >= rejection.accepted.median,
            "{}",
            learner.name
        );
        assert!(
            robust.cut_share < 0.001,
            "{}: {}",
            learner.name,
            robust.cut_share
        );
    }
    // Always b: 0.95 at 0.010; uniform: the mean of both arms.
    let always = &report.logged[1];
    assert_eq!(always.name, "always b");
    let holds = |i: &plimsoll_harness::Interval, x: f64| {
        let half = 1.5 * (i.high - i.point);
        (i.point - x).abs() <= half + 1e-9
    };
    assert!(
        holds(&always.dr_ns.quality, 0.95),
        "{:?}",
        always.dr_ns.quality
    );
    assert!(
        holds(&always.dr_ns.cost_usd, 0.010),
        "{:?}",
        always.dr_ns.cost_usd
    );
    let uniform = &report.logged[3];
    assert!(
        holds(&uniform.dr_ns.quality, 0.925),
        "{:?}",
        uniform.dr_ns.quality
    );
    assert!(
        holds(&uniform.dr_ns.cost_usd, 0.0055),
        "{:?}",
        uniform.dr_ns.cost_usd
    );
    // The same learner on the whole table, by full information.
    let whole = run(&two_arms(12_000, 0.9), &options).expect("a report");
    let exact = whole.learners[0].quality.median;
    assert!(
        holds(&report.logged[0].dr_ns.quality, exact),
        "{exact} {:?}",
        report.logged[0]
    );
}

#[test]
fn too_little_evidence_is_refused() {
    let options = options(0.85);
    let code = |log: &OutcomeLog, evidence, options: &LearningOptions| {
        replay(
            &input(log, evidence),
            &engine_learner(&options.policy),
            options,
        )
        .map(|_| ())
        .map_err(|e| e.code())
    };
    let with = EvidenceKind::LoggedWithPropensities;
    assert_eq!(
        code(&logged(1000, 0.4), EvidenceKind::Observational, &options),
        Err("P0320")
    );
    assert_eq!(code(&logged(100, 0.4), with, &options), Err("P0326"));
    // Hardly any exploration: a learner that wants the other arm accepts next to nothing.
    assert_eq!(code(&logged(1500, 0.004), with, &options), Err("P0326"));
    let mut missing = logged(1000, 0.4);
    for request in missing.requests.iter_mut().step_by(10) {
        request.outcomes[0].quality = None;
    }
    assert_eq!(code(&missing, with, &options), Err("P0327"));
    let scenario = LearningOptions {
        injections: injected("price", "a:0.5:2"),
        ..options.clone()
    };
    assert_eq!(code(&logged(1000, 0.4), with, &scenario), Err("P0323"));
    let unknown = LearningOptions {
        injections: injected("price", "z:0.5:2"),
        ..options
    };
    let full = EvidenceKind::FullInformation;
    assert_eq!(code(&two_arms(100, 0.9), full, &unknown), Err("P0321"));
}
