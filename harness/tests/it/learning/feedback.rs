//! What a learner is told, and when.

use std::sync::{Arc, Mutex};

use plimsoll::{Context, Distribution, Quality};
use plimsoll_datasets::{EvidenceKind, OutcomeLog};
use plimsoll_harness::learning::{
    ArmChange, Delay, EngineLearner, LearnerStart, LearningError, LearningOptions, LearningPolicy,
    Observation, Wait, replay,
};

use super::script::{Told, scripted};
use super::{options, policy, run, table, two_arms};
use crate::logs::input;

#[test]
fn three_requests_are_replayed_as_by_hand() {
    let log = table(&[
        vec![(1.0, "0.000000000001"), (1.0, "0.01")],
        vec![(0.0, "0.002"), (1.0, "0.02")],
        vec![(1.0, "0.003"), (0.5, "0.03")],
    ]);
    // Means: a 2/3 at 0.005 in total, b 2.5/3 at 0.06: at a line of 0.8 the benchmark is b.
    let (told, report) = scripted(&log, &[0, 1, 0], &options(0.8)).expect("a report");
    let (one, two, three) = ("0.000000000001", "0.02", "0.003");
    let cost = |arm, text: &str| Told::Cost(arm, text.parse().expect("an amount"));
    let label = |arm, q| Told::Label(arm, q, String::new());
    assert_eq!(
        told,
        [
            Told::Asked,
            cost(0, one),
            label(0, 1.0),
            Told::Asked,
            cost(1, two),
            label(1, 1.0),
            Told::Asked,
            cost(0, three),
        ]
    );
    let learner = &report.learners[0];
    assert_eq!(learner.cost_usd.median.to_string(), "0.023000000001");
    // 0.023000000001 − 0.06, exactly.
    assert_eq!(
        learner.cost_regret_usd.median.to_string(),
        "-0.036999999999"
    );
    // b's 1 + 1 + 0.5 against 1 + 1 + 1.
    assert!((learner.quality_regret.median - -0.5).abs() < 1e-12);
    assert!((learner.quality.median - 1.0).abs() < 1e-12);
    assert!((learner.shares[0].median - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(report.phases[0].benchmark, "b");
    assert!(report.phases[0].feasible);
    let points = &learner.series;
    assert_eq!(
        points.iter().map(|p| p.request).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!((points[1].cost_usd.median - 0.020_000_000_001).abs() < 1e-15);
    assert!((points[1].quality_regret.median).abs() < 1e-12);
    assert_eq!(
        (learner.feedback.seen, learner.feedback.pending),
        (2.0, 1.0)
    );
    // At a line of 0.6 the cheaper arm is the benchmark; at 0.9 none is feasible, so the best is.
    let benchmark = |line| {
        let report = scripted(&log, &[0], &options(line)).expect("a report").1;
        (
            report.phases[0].benchmark.clone(),
            report.phases[0].feasible,
        )
    };
    assert_eq!(benchmark(0.6), ("a".to_owned(), true));
    assert_eq!(benchmark(0.9), ("b".to_owned(), false));
}

/// Requests whose task is their position, a minute apart.
fn numbered(n: usize) -> OutcomeLog {
    let mut log = two_arms(n, 0.7);
    for (i, request) in log.requests.iter_mut().enumerate() {
        request.task = Some(i.to_string());
        request.timestamp_us = Some(i64::try_from(i).expect("few") * 60_000_000);
    }
    // The order is by time, not as it stands.
    log.requests.reverse();
    log
}

#[test]
fn no_label_is_seen_before_it_is_due() {
    let log = numbered(200);
    let delays = [
        (Delay::NONE, 1),
        ("7".parse::<Delay>().expect("a delay"), 8),
        // Five minutes are five requests.
        ("5m".parse().expect("a delay"), 5),
    ];
    for (delay, wanted) in delays {
        let options = LearningOptions {
            delay,
            ..options(0.8)
        };
        let (told, report) = scripted(&log, &[0, 1], &options).expect("a report");
        assert_eq!(report.manifest.order, "time");
        let (mut asked, mut labels, mut costs) = (0_usize, 0_usize, 0_usize);
        for event in &told {
            match event {
                Told::Asked => asked += 1,
                Told::Cost(..) => {
                    costs += 1;
                    assert_eq!(costs, asked, "a cost is told at once");
                }
                Told::Label(_, _, task) => {
                    let of: usize = task.parse().expect("a position");
                    assert_eq!(of, labels, "labels come in order");
                    assert_eq!(asked, of + wanted, "{delay}: the label of {of}");
                    labels += 1;
                }
                Told::Changed(..) => panic!("nothing changes"),
            }
        }
        assert_eq!((asked, labels), (200, 200 - wanted));
    }
}

#[test]
fn labels_that_are_not_due_influence_nothing() {
    // The last half of the labels is turned around: with a delay of 30, nothing differs before 131.
    let plain = two_arms(200, 0.7);
    let mut turned = plain.clone();
    for request in &mut turned.requests[100..] {
        for outcome in &mut request.outcomes {
            let quality = outcome.quality.expect("labelled").get();
            outcome.quality = Some(Quality::new(1.0 - quality).expect("a quality"));
        }
    }
    let chances = |log: &OutcomeLog| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let factory = |start: &LearnerStart<'_>| {
            Ok(Box::new(Watched {
                inner: Box::new(EngineLearner::new(&policy(0.8), start)?),
                seen: Arc::clone(&seen),
            }) as Box<dyn LearningPolicy>)
        };
        let options = LearningOptions {
            seeds: 1,
            warm_up: 0.0,
            delay: "30".parse().expect("a delay"),
            ..options(0.8)
        };
        replay(
            &input(log, EvidenceKind::FullInformation),
            &factory,
            &options,
        )
        .expect("a report");
        Arc::into_inner(seen)
            .expect("one owner")
            .into_inner()
            .expect("done")
    };
    let (a, b) = (chances(&plain), chances(&turned));
    let first = (0..200)
        .find(|&t| a[t] != b[t])
        .expect("labels matter in the end");
    assert!(first >= 131, "{first}");
}

/// Writes down the probabilities of another learner.
struct Watched {
    inner: Box<dyn LearningPolicy>,
    seen: Arc<Mutex<Vec<Vec<f64>>>>,
}

impl LearningPolicy for Watched {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn distribution(&self, context: &Context) -> Result<Distribution, LearningError> {
        let distribution = self.inner.distribution(context)?;
        let chances = distribution.probabilities().to_vec();
        self.seen.lock().expect("one thread").push(chances);
        Ok(distribution)
    }

    fn feedback(&mut self, context: &Context, seen: &Observation) -> Result<(), LearningError> {
        self.inner.feedback(context, seen)
    }

    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError> {
        self.inner.arm_changed(arm, change)
    }

    fn fork(&self) -> Box<dyn LearningPolicy> {
        Box::new(Self {
            inner: self.inner.fork(),
            seen: Arc::clone(&self.seen),
        })
    }
}

#[test]
fn delayed_partial_and_censored_labels_are_counted() {
    let log = two_arms(1000, 0.9);
    let mut options = LearningOptions {
        warm_up: 0.0,
        label_share: 0.3,
        delay: Delay {
            wait: Wait::Requests(100),
            exponential: true,
        },
        censor_after: Some(Wait::Requests(100)),
        ..options(0.8)
    };
    let counts = run(&log, &options).expect("a report").learners[0].feedback;
    let all = counts.seen + counts.unlabelled + counts.censored + counts.pending;
    assert!((all - 1000.0).abs() < 1e-9);
    assert!((counts.unlabelled - 700.0).abs() < 45.0, "{counts:?}");
    assert!(
        (counts.censored - 300.0 * (-1.0_f64).exp()).abs() < 30.0,
        "{counts:?}"
    );
    assert!(counts.pending > 0.0 && counts.seen > 100.0);
    // Fewer labels, slower learning: ε-greedy knows less of the cheap arm.
    options.label_share = 0.0;
    let none = run(&log, &options).expect("a report").learners[0].feedback;
    assert_eq!((none.seen, none.unlabelled), (0.0, 1000.0));
    // Units must agree.
    options.censor_after = Some(Wait::TimeUs(1));
    assert_eq!(run(&log, &options).expect_err("units").code(), "P0322");
    options.delay = "10m".parse().expect("a delay");
    assert_eq!(
        run(&log, &options).expect_err("no timestamps").code(),
        "P0324"
    );
}
