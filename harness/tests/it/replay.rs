//! Whole replays on generated logs, by condition of the test matrix.

use plimsoll::{Aim, ArmId, ObjectiveConfig, PolicyConfig, RuleKind, Seed, Usd};
use plimsoll_datasets::{EvidenceKind, Outcome, OutcomeLog, Request, Split};
use plimsoll_harness::{
    Decision, EvidenceError, FrontierKind, Replay, ReplayInput, ReplayOptions, compare, explain,
    replay,
};

use crate::logs::{coin, outcome, uniform};

/// `arms` are (name, cost in USD, quality of easy, quality of hard requests).
fn log(n: usize, seed: u64, arms: &[(&str, &str, f64, f64)]) -> OutcomeLog {
    let mut names: Vec<ArmId> = arms
        .iter()
        .map(|a| ArmId::new(a.0).expect("a name"))
        .collect();
    names.sort();
    let requests = (0..n)
        .map(|i| {
            let hard = i % 3 == 0;
            let mut outcomes: Vec<Outcome> = arms
                .iter()
                .enumerate()
                .map(|(a, (name, cost, easy_quality, hard_quality))| {
                    let chance = if hard { *hard_quality } else { *easy_quality };
                    let right = coin(seed, i, a as u64, chance);
                    let arm = names
                        .iter()
                        .position(|n| n.as_str() == *name)
                        .expect("listed");
                    outcome(arm, right, cost)
                })
                .collect();
            outcomes.sort_by_key(|o| o.arm);
            Request {
                id: format!("r{i}"),
                prompt: Some(format!(
                    "secret-{i} {}",
                    if hard { "prove it" } else { "say hi" }
                )),
                task: Some(if hard { "hard" } else { "easy" }.to_owned()),
                outcomes,
                ..Request::default()
            }
        })
        .collect();
    OutcomeLog {
        arms: names,
        requests,
        digest: "test".into(),
    }
}

const PAIR: [(&str, &str, f64, f64); 2] =
    [("cheap", "0.001", 0.98, 0.3), ("dear", "0.02", 0.98, 0.9)];

fn options(objective: ObjectiveConfig) -> ReplayOptions {
    let split = Split::parse("hash:0.7").expect("a split");
    let mut options = ReplayOptions::new(PolicyConfig::new(objective), split, Seed(11));
    options.resamples = 300;
    options
}

fn input(log: &OutcomeLog) -> ReplayInput<'_> {
    crate::logs::input(log, EvidenceKind::FullInformation)
}

fn run(log: &OutcomeLog, options: &ReplayOptions) -> Result<Replay, EvidenceError> {
    replay(&input(log), options, &|_| ())
}

#[test]
fn a_policy_that_saves_ships_and_beats_its_references() {
    let log = log(3000, 1, &PAIR);
    let objective = ObjectiveConfig {
        aim: Aim::Proof,
        ..ObjectiveConfig::retain(0.95)
    };
    let mut options = options(objective);
    options.waived = vec!["task=hard".to_owned()];
    let e = run(&log, &options).expect("evaluates").evaluation;
    assert_eq!(
        e.verdict.decision,
        Decision::Ship,
        "{:?}",
        e.verdict.reasons
    );
    assert_eq!(e.baseline.model, "dear");
    assert!(e.savings.fraction.point > 0.55, "{:?}", e.savings);
    assert!(e.savings.fraction.point > e.references.static_mix_hull.savings + 0.3);
    assert!(e.policy.quality.point > e.references.cost_matched_random.quality);
    let oracle = e
        .references
        .oracle
        .as_ref()
        .expect("a fully observed log has one");
    assert!(oracle.quality >= e.policy.quality.point);
    assert!((e.baseline.cost_usd - 0.02).abs() < 1e-15);
    assert!(
        e.metrics.apgr.is_some_and(|apgr| apgr > 0.6),
        "{:?}",
        e.metrics
    );
}

#[test]
fn e09_equal_seeds_give_equal_bytes_on_any_number_of_threads() {
    let log = log(400, 2, &PAIR);
    let bytes = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("pool");
        let replay = pool
            .install(|| run(&log, &options(ObjectiveConfig::retain(0.95))))
            .expect("evaluates");
        (
            serde_json::to_string(&replay.evaluation).expect("json"),
            replay.router.snapshot(),
        )
    };
    let one = bytes(1);
    assert!(one == bytes(2) && one == bytes(8));
}

#[test]
fn e11_an_unattainable_floor_falls_back_to_the_best_arm_and_holds() {
    let log = log(900, 3, &PAIR);
    for rule in [RuleKind::AverageFloor, RuleKind::PerRequestFloor] {
        let objective = ObjectiveConfig::floor(rule, 0.999);
        let e = run(&log, &options(objective))
            .expect("evaluates")
            .evaluation;
        assert_ne!(e.verdict.decision, Decision::Ship);
        assert!(e.policy.name.contains("always dear"), "{}", e.policy.name);
        assert!((e.policy.cost_usd.point - 0.02).abs() < 1e-12);
    }
}

#[test]
fn a_per_request_floor_is_tuned_and_judged() {
    let log = log(2000, 4, &PAIR);
    let objective = ObjectiveConfig::floor(RuleKind::PerRequestFloor, 0.9);
    let e = run(&log, &options(objective))
        .expect("evaluates")
        .evaluation;
    assert_eq!(e.floor.bound, "clopper-pearson");
    assert!(e.diagnostics.tau.is_some() && e.diagnostics.lambda.is_none());
    assert!(
        e.floor.margin > -0.01 && e.savings.fraction.point > 0.4,
        "{:?}",
        e.savings
    );
}

#[test]
fn e12_a_free_arm_and_a_free_baseline_divide_by_nothing() {
    let free = [("cheap", "0", 0.94, 0.94), ("dear", "0.01", 0.95, 0.95)];
    let e = run(&log(900, 5, &free), &options(ObjectiveConfig::retain(0.9)));
    let e = e.expect("evaluates").evaluation;
    assert!((e.savings.fraction.point - 1.0).abs() < 1e-9);
    let all_free = [("cheap", "0", 0.5, 0.5), ("dear", "0", 0.95, 0.95)];
    let e = run(
        &log(900, 5, &all_free),
        &options(ObjectiveConfig::retain(0.9)),
    );
    let e = e.expect("evaluates").evaluation;
    assert!(e.savings.fraction.point.abs() < 1e-12);
    assert_ne!(e.verdict.decision, Decision::Ship);
}

#[test]
fn o05_the_same_rows_cannot_tune_and_judge() {
    for text in ["hash:1", "hash:0", "time:1"] {
        let error = Split::parse(text).expect_err("refused");
        assert!(error.to_string().contains("tuned and judged") || error.code() == "P0502");
    }
    let few = log(30, 6, &PAIR);
    let error = run(&few, &options(ObjectiveConfig::retain(0.9))).expect_err("too few");
    assert_eq!(error.code(), "P0306");
}

#[test]
fn o06_an_invoice_that_disagrees_is_not_enough_evidence() {
    let log = log(3000, 7, &PAIR);
    let objective = ObjectiveConfig {
        aim: Aim::Proof,
        ..ObjectiveConfig::retain(0.9)
    };
    let mut options = options(objective);
    options.invoice_usd = Some("60.5".parse().expect("money"));
    let near = run(&log, &options).expect("evaluates").evaluation;
    assert!(
        !near.verdict.reasons.iter().any(|r| r.contains("invoice")),
        "{:?}",
        near.verdict
    );
    options.invoice_usd = Some("80".parse().expect("money"));
    let far = run(&log, &options).expect("evaluates").evaluation;
    assert_eq!(far.verdict.decision, Decision::InsufficientEvidence);
    assert!(
        far.verdict.reasons[0].contains("invoice"),
        "{:?}",
        far.verdict.reasons
    );
}

#[test]
fn o06_unpriced_arms_are_refused_by_name() {
    let mut log = log(300, 8, &PAIR);
    for request in &mut log.requests {
        request.outcomes[0].cost = None;
    }
    let error = run(&log, &options(ObjectiveConfig::retain(0.9))).expect_err("unpriced");
    assert_eq!(error.code(), "P0304");
    assert!(
        error.to_string().contains("`cheap` on 100 % of its rows"),
        "{error}"
    );
    assert!(error.help().contains("cost_usd"));
}

#[test]
fn l18_a_few_unpriced_rows_are_set_aside_not_free() {
    let mut log = log(1000, 8, &PAIR);
    for request in log.requests.iter_mut().take(5) {
        request.outcomes[0].cost = None;
    }
    let e = run(&log, &options(ObjectiveConfig::retain(0.9)))
        .expect("evaluates")
        .evaluation;
    assert_eq!(e.requests.set_aside, 5);
    assert!(
        e.diagnostics
            .sensitivity
            .iter()
            .any(|row| row.change.contains("set aside"))
    );
}

#[test]
fn partly_observed_arms_are_named_and_a_log_of_them_is_refused() {
    let mut log = log(900, 9, &[PAIR[0], PAIR[1], ("third", "0.005", 0.9, 0.9)]);
    for (i, request) in log.requests.iter_mut().enumerate() {
        if i % 2 == 0 {
            request.outcomes.retain(|o| o.arm != 2);
        }
    }
    let e = run(&log, &options(ObjectiveConfig::retain(0.95)))
        .expect("evaluates")
        .evaluation;
    let third = e
        .diagnostics
        .arms
        .iter()
        .find(|a| a.model == "third")
        .expect("listed");
    assert!(!third.compared && third.left_out.is_some());
    assert!(e.diagnostics.warnings.iter().any(|w| w.contains("third")));

    for (i, request) in log.requests.iter_mut().enumerate() {
        request.outcomes.retain(|o| o.arm as usize == i % 3);
    }
    let mut input = input(&log);
    input.evidence = EvidenceKind::Observational;
    let error = replay(&input, &options(ObjectiveConfig::retain(0.95)), &|_| ())
        .expect_err("not fully observed");
    assert_eq!(error.code(), "P0305");
    assert!(error.to_string().contains("not fully observed"), "{error}");
    assert!(error.to_string().contains("no propensities"), "{error}");
    assert!(error.help().contains("collect"), "{}", error.help());
}

#[test]
fn o10_a_log_that_repeats_itself_proves_no_more() {
    let short = log(600, 10, &PAIR);
    let mut tenfold = short.clone();
    for copy in 1..10 {
        tenfold
            .requests
            .extend(short.requests.iter().map(|request| Request {
                id: format!("{}-copy-{copy}", request.id),
                ..request.clone()
            }));
    }
    let options = options(ObjectiveConfig::retain(0.97));
    let one = run(&short, &options).expect("evaluates").evaluation;
    let ten = run(&tenfold, &options).expect("evaluates").evaluation;
    assert_eq!(ten.diagnostics.cluster_by, "prompt");
    assert!(
        ten.diagnostics.clusters < 250,
        "{}",
        ten.diagnostics.clusters
    );
    let width = |e: &plimsoll_harness::Evaluation| e.policy.quality.high - e.policy.quality.low;
    assert!(
        width(&ten) > 0.7 * width(&one),
        "{} {}",
        width(&ten),
        width(&one)
    );
}

/// Labels of the two arms are shuffled between them, so that neither is better: with a floor at
/// the reference's full quality no policy truly keeps a margin, and shipping is an error.
#[test]
fn o15_shuffled_labels_are_rarely_shipped() {
    let (mut shipped, runs) = (0, 40);
    for seed in 0..runs {
        let mut log = log(300, 100 + seed, &PAIR);
        for (i, request) in log.requests.iter_mut().enumerate() {
            if uniform(seed, i, 99) < 0.5 {
                let first = request.outcomes[0].quality;
                request.outcomes[0].quality = request.outcomes[1].quality;
                request.outcomes[1].quality = first;
            }
        }
        let mut options = options(ObjectiveConfig {
            relative_to: Some("dear".into()),
            ..ObjectiveConfig::retain(1.0)
        });
        options.seed = Seed(seed);
        options.policy.predictor.kind = plimsoll::PredictorChoice::Tasks;
        options.resamples = 100;
        let e = run(&log, &options).expect("evaluates").evaluation;
        shipped += u32::from(e.verdict.decision == Decision::Ship);
    }
    // At most 5 % by promise; 6 of 40 has probability below 0.02 under it.
    assert!(shipped <= 5, "{shipped} of {runs} shipped");
}

#[test]
fn o16_nothing_to_save_is_said_and_is_no_error() {
    let dominated = [("cheap", "0.001", 0.95, 0.95), ("dear", "0.02", 0.4, 0.4)];
    let e = run(
        &log(900, 12, &dominated),
        &options(ObjectiveConfig::retain(0.99)),
    );
    let e = e.expect("evaluates").evaluation;
    assert_eq!(e.baseline.model, "cheap");
    assert_eq!(e.verdict.decision, Decision::Hold);
    assert!(
        e.verdict.reasons[0].contains("no savings available"),
        "{:?}",
        e.verdict.reasons
    );
}

#[test]
fn o18_constant_labels_are_no_quality_signal() {
    let same = [("cheap", "0.001", 1.0, 1.0), ("dear", "0.02", 1.0, 1.0)];
    let e = run(
        &log(900, 13, &same),
        &options(ObjectiveConfig::retain(0.99)),
    );
    let e = e.expect("evaluates").evaluation;
    assert_eq!(e.verdict.decision, Decision::InsufficientEvidence);
    assert!(e.verdict.reasons[0].contains("no quality signal"));
}

#[test]
fn l17_one_loud_tenant_is_shown_and_left_out_in_a_sensitivity_row() {
    let mut log = log(900, 14, &PAIR);
    for (i, request) in log.requests.iter_mut().enumerate() {
        request.tenant = Some(if i % 10 < 7 { "loud" } else { "quiet" }.to_owned());
    }
    let e = run(&log, &options(ObjectiveConfig::retain(0.95)))
        .expect("evaluates")
        .evaluation;
    assert!(
        e.diagnostics
            .warnings
            .iter()
            .any(|w| w.contains("one tenant"))
    );
    assert!(
        e.diagnostics
            .sensitivity
            .iter()
            .any(|r| r.change.contains("largest tenant"))
    );
    assert!(
        e.segments
            .iter()
            .any(|s| s.column == "tenant" && s.value == "loud")
    );
}

#[test]
fn l19_prompts_stay_out_unless_asked_for() {
    let log = log(900, 15, &PAIR);
    let mut options = options(ObjectiveConfig::retain(0.9));
    let quiet = run(&log, &options).expect("evaluates");
    let text = serde_json::to_string(&quiet.evaluation).expect("json");
    assert!(!text.contains("secret-"));
    assert!(!format!("{:?}", log.requests[0]).contains("secret-"));
    options.show_text = true;
    let shown = run(&log, &options).expect("evaluates").evaluation;
    assert!(shown.changed.iter().all(|c| c.prompt.is_some()) && !shown.changed.is_empty());
}

#[test]
fn o13_a_short_log_gives_no_monthly_figure() {
    let mut log = log(900, 16, &PAIR);
    let day = 86_400_000_000_i64;
    let stamp = |log: &mut OutcomeLog, days: i64| {
        for (i, request) in log.requests.iter_mut().enumerate() {
            request.timestamp_us = Some(days * day * i64::try_from(i).expect("small") / 899);
        }
    };
    stamp(&mut log, 6);
    let options = options(ObjectiveConfig::retain(0.9));
    assert_eq!(
        run(&log, &options)
            .expect("evaluates")
            .evaluation
            .projection,
        None
    );
    stamp(&mut log, 15);
    let month = run(&log, &options)
        .expect("evaluates")
        .evaluation
        .projection
        .expect("a month");
    assert!((month.requests_per_month - 1800.0).abs() < 1.0);
    assert!(month.usd_per_month.low <= month.usd_per_month.point);
}

#[test]
fn policies_are_compared_request_by_request() {
    let log = log(1200, 17, &PAIR);
    let strict = options(ObjectiveConfig::retain(0.99));
    let loose = options(ObjectiveConfig::retain(0.85));
    let pair = [
        ("strict".to_owned(), strict.clone()),
        ("loose".to_owned(), loose),
    ];
    let comparison = compare(&input(&log), &pair, &|_| ()).expect("compares");
    assert_eq!(comparison.names, ["strict", "loose"]);
    let difference = &comparison.differences[0];
    assert!(
        difference.savings.low > 0.0 && difference.quality.point < 0.0,
        "{difference:?}"
    );
    let same = [("a".to_owned(), strict.clone()), ("b".to_owned(), strict)];
    let none = &compare(&input(&log), &same, &|_| ())
        .expect("compares")
        .differences[0];
    assert_eq!((none.savings.low, none.savings.high), (0.0, 0.0));
}

#[test]
fn one_request_is_explained() {
    let log = log(900, 18, &PAIR);
    let options = options(ObjectiveConfig::retain(0.95));
    let explanation = explain(&input(&log), &options, "r7", &|_| ()).expect("explains");
    assert_eq!(explanation.arms.len(), 2);
    assert_eq!(explanation.arms[0].model, "cheap");
    assert!(
        explanation
            .arms
            .iter()
            .any(|a| a.model == explanation.chosen)
    );
    assert!(!explanation.reason.is_empty());
    let total: f64 = explanation.arms.iter().map(|a| a.probability).sum();
    assert!((total - 1.0).abs() < 1e-12);
    let error = explain(&input(&log), &options, "nobody", &|_| ()).expect_err("unknown");
    assert_eq!(error.code(), "P0308");
}

#[test]
fn unknown_and_left_out_baselines_are_told_apart() {
    let log = log(300, 19, &PAIR);
    let mut options = options(ObjectiveConfig::retain(0.95));
    options.baseline = Some("deer".into());
    assert_eq!(run(&log, &options).expect_err("unknown").code(), "P0302");
    options.policy.arms.exclude = vec![ArmId::new("dear").expect("a name")];
    assert_eq!(run(&log, &options).expect_err("one arm").code(), "P0309");
}

#[test]
fn the_baselines_cost_is_the_exact_total() {
    let mut log = log(300, 20, &PAIR);
    for request in &mut log.requests {
        request.outcomes[1].cost = Some(Usd::from_pico(150_000));
    }
    let mut options = options(ObjectiveConfig::retain(0.95));
    options.baseline = Some("dear".into());
    let e = run(&log, &options).expect("evaluates").evaluation;
    assert!((e.baseline.cost_usd - 1.5e-7).abs() < 1e-22);
}

/// Tuning works on arrays, serving goes through the router: both must decide alike. The frontier
/// point tuned to the policy's own floor comes from the arrays, "here" from the router.
#[test]
fn the_router_serves_what_was_tuned() {
    let log = log(900, 21, &[PAIR[0], PAIR[1], ("third", "0.005", 0.95, 0.6)]);
    for retain in [0.99, 0.95, 0.9] {
        let options = options(ObjectiveConfig::retain(retain));
        let e = run(&log, &options).expect("evaluates").evaluation;
        let of = |kind, retain: Option<f64>| {
            e.frontier
                .iter()
                .find(|p| p.kind == kind && p.retain == retain)
                .expect("a point")
        };
        let (here, tuned) = (
            of(FrontierKind::Here, None),
            of(FrontierKind::Sweep, Some(retain)),
        );
        assert!((here.quality.point - tuned.quality.point).abs() < 1e-12);
        assert!((here.cost_usd.point - tuned.cost_usd.point).abs() < 1e-12);
    }
}

#[test]
fn o12_a_segment_below_the_line_vetoes_unless_it_is_waived_by_name() {
    let log = log(3000, 1, &PAIR);
    let objective = ObjectiveConfig {
        aim: Aim::Proof,
        ..ObjectiveConfig::retain(0.95)
    };
    let mut options = options(objective);
    for (waived, want) in [
        ("", Decision::Hold),
        ("task=easy", Decision::Hold),
        ("task=hard", Decision::Ship),
    ] {
        options.waived = vec![waived.to_owned()];
        let e = run(&log, &options).expect("evaluates").evaluation;
        let hard = e.segments.iter().find(|s| s.value == "hard");
        assert!(hard.expect("a segment").broken);
        assert_eq!(e.verdict.decision, want, "{waived}: {:?}", e.verdict);
        let named = e.verdict.reasons.iter().any(|r| r.contains("task=hard"));
        assert_eq!(named, want == Decision::Hold);
    }
}
