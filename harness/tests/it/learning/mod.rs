//! Learning replays on small logs whose truth is known.

use std::sync::{Arc, Mutex};

use plimsoll::{
    ArmId, Context, Distribution, ExplorationChoice, ExplorationConfig, ObjectiveConfig,
    PolicyConfig, PredictorChoice, Propensity, Quality, Seed, Usd,
};
use plimsoll_datasets::{
    EvidenceKind, Input, Outcome, OutcomeLog, ReadOptions, Request, SAMPLE_NAME, read, sample_log,
};
use plimsoll_harness::learning::{
    ArmChange, At, Change, Delay, EngineLearner, FixedArm, Injection, LearnerStart, LearningError,
    LearningOptions, LearningPolicy, LearningReport, Observation, Order, Wait, engine_learner,
    replay,
};
use plimsoll_harness::{ReplayInput, RowCounts};

fn input(log: &OutcomeLog, evidence: EvidenceKind) -> ReplayInput<'_> {
    ReplayInput {
        log,
        evidence,
        rows: RowCounts::default(),
        catalogue_digest: None,
    }
}

fn outcome(arm: usize, quality: f64, cost: &str) -> Outcome {
    Outcome {
        arm: u32::try_from(arm).expect("few arms"),
        quality: Some(Quality::new(quality).expect("a quality")),
        cost: Some(cost.parse().expect("an amount")),
        input_tokens: None,
        output_tokens: None,
        cached_input_tokens: None,
        reasoning_tokens: None,
        propensity: None,
        served: None,
        latency_ms: None,
        status: None,
    }
}

/// Rows of (quality, cost) per arm; arms are named a, b, c …
fn table(rows: &[Vec<(f64, &str)>]) -> OutcomeLog {
    let arms = (0..rows[0].len())
        .map(|a| ArmId::new(["a", "b", "c", "d"][a]).expect("a name"))
        .collect();
    let requests = rows.iter().enumerate().map(|(i, row)| Request {
        id: format!("r{i}"),
        outcomes: row
            .iter()
            .enumerate()
            .map(|(arm, (quality, cost))| outcome(arm, *quality, cost))
            .collect(),
        ..Request::default()
    });
    OutcomeLog {
        arms,
        requests: requests.collect(),
        digest: "0".repeat(64),
    }
}

/// A number in [0, 1) that depends on its arguments only.
fn uniform(i: usize, what: u64) -> f64 {
    let mut x = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (what << 48) ^ 0x4d;
    for _ in 0..3 {
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x ^= x >> 27;
    }
    f64::from(u32::try_from(x >> 32).expect("32 bits")) / f64::from(u32::MAX)
}

/// `a` is cheap and right at chance `cheap`, `b` dear and right at chance 0.95.
fn two_arms(n: usize, cheap: f64) -> OutcomeLog {
    let good = |i, what, p| f64::from(u8::from(uniform(i, what) < p));
    let row = |i| vec![(good(i, 1, cheap), "0.001"), (good(i, 2, 0.95), "0.010")];
    table(&(0..n).map(row).collect::<Vec<_>>())
}

fn policy(line: f64) -> PolicyConfig {
    let mut policy = PolicyConfig::new(ObjectiveConfig {
        quality: Some(line),
        relative_to: None,
        retain: None,
        ..ObjectiveConfig::retain(0.9)
    });
    policy.exploration = ExplorationConfig {
        kind: ExplorationChoice::Epsilon,
        epsilon: 0.1,
        share_max: 0.1,
        ..ExplorationConfig::default()
    };
    policy
}

fn options(line: f64) -> LearningOptions {
    LearningOptions {
        seeds: 4,
        ..LearningOptions::new(policy(line), Seed(11))
    }
}

fn run(log: &OutcomeLog, options: &LearningOptions) -> Result<LearningReport, LearningError> {
    let full = input(log, EvidenceKind::FullInformation);
    replay(&full, &engine_learner(&options.policy), options)
}

fn injected(option: &'static str, text: &str) -> Vec<Injection> {
    vec![Injection::parse(option, text).expect("an injection")]
}

/// What a scripted learner was asked and told.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Asked,
    Cost(usize, Usd),
    Label(usize, f64, String),
    Changed(usize, ArmChange),
}

/// Plays a list of arms and writes everything down.
#[derive(Clone)]
struct Script {
    arms: usize,
    plays: Vec<usize>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl LearningPolicy for Script {
    fn name(&self) -> String {
        "script".to_owned()
    }

    fn distribution(&self, _: &Context) -> Result<Distribution, LearningError> {
        let mut told = self.told.lock().expect("one thread");
        let asked = told.iter().filter(|t| **t == Told::Asked).count();
        told.push(Told::Asked);
        Ok(Distribution::certain(self.plays[asked % self.plays.len()], self.arms).expect("an arm"))
    }

    fn feedback(&mut self, context: &Context, seen: &Observation) -> Result<(), LearningError> {
        assert_eq!(seen.propensity, Propensity::ONE);
        let mut told = self.told.lock().expect("one thread");
        if let Some(cost) = seen.cost {
            told.push(Told::Cost(seen.arm, cost));
        }
        if let Some(quality) = seen.quality {
            let task = context.task.clone().unwrap_or_default();
            told.push(Told::Label(seen.arm, quality.get(), task));
        }
        Ok(())
    }

    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError> {
        self.told
            .lock()
            .expect("one thread")
            .push(Told::Changed(arm, change));
        Ok(())
    }

    fn fork(&self) -> Box<dyn LearningPolicy> {
        Box::new(self.clone())
    }
}

/// Replays a script once and gives what it was told, with the report.
fn scripted(
    log: &OutcomeLog,
    plays: &[usize],
    options: &LearningOptions,
) -> Result<(Vec<Told>, LearningReport), LearningError> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let script = Script {
        arms: log.arms.len(),
        plays: plays.to_vec(),
        told: Arc::clone(&told),
    };
    let factory = |_: &LearnerStart<'_>| Ok(script.fork());
    let options = LearningOptions {
        seeds: 1,
        warm_up: 0.0,
        ..options.clone()
    };
    let report = replay(
        &input(log, EvidenceKind::FullInformation),
        &factory,
        &options,
    )?;
    let told = told.lock().expect("done").clone();
    Ok((told, report))
}

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

#[test]
fn arms_appear_and_vanish() {
    let good = |i, what, p| f64::from(u8::from(uniform(i, what) < p));
    let row = |i| {
        vec![
            (good(i, 1, 0.9), "0.001"),
            (good(i, 2, 0.95), "0.010"),
            (good(i, 3, 0.92), "0.004"),
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

/// One arm per request: `b` with chance 1 − ε, else `a`.
fn logged(n: usize, epsilon: f64) -> OutcomeLog {
    let mut log = two_arms(n, 0.9);
    for (i, request) in log.requests.iter_mut().enumerate() {
        let arm = usize::from(uniform(i, 9) >= epsilon);
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
