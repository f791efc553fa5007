//! The rules over time: R2 after a shock, R3 against its reference, R4 within its budget.

use plimsoll::{
    ArmSpec, AverageFloor, Budget, Call, Context, CostPredictor, Decision, Exploration,
    ExplorationKind, Feedback, LambdaControl, NonInferiority, PerRequestFloor, Predictor,
    PredictorConfig, PredictorKind, Reason, Router, RouterError, RouterParts, Rule, RuleError,
    Seed, TrainingRows, Usd, Workspace,
};

use crate::common::{arm, arms};
use crate::worlds::{Parts, World, mean, share};

const COSTS: [f64; 3] = [0.0002, 0.001, 0.006];
const FLOOR: f64 = 0.85;

fn r2(control: Option<LambdaControl>, forgetting: f64) -> Parts {
    let mut parts = Parts::new(Rule::AverageFloor(AverageFloor {
        lambda_low: 5.0,
        lambda_high: 5.0,
        share_high: 0.0,
        cost_scale: COSTS[2],
    }));
    (parts.control, parts.forgetting) = (control, forgetting);
    parts
}

/// Must be shown 3: the arm that carries the traffic drops by 18 points at request 6,000. Over the
/// 5,000 requests that follow the first 1,000, the mean quality served is within a point of the
/// floor in each of 24 runs (3 worlds, 8 seeds, n = 12,000); the mean of 500 requests is back
/// within a point at most 500 requests after the shock.
#[test]
fn r2_holds_the_average_through_a_shock() {
    for means in [[0.70, 0.86, 0.95], [0.80, 0.93, 0.95], [0.60, 0.90, 0.94]] {
        for seed in 100..108 {
            let mut world = World::new(&means, &COSTS, 0.04, seed);
            let parts = r2(Some(LambdaControl::new(FLOOR)), 0.997);
            let mut router = world.router(3, PredictorKind::Linear, parts);
            world.run(&mut router, 0, 6_000);
            world.means[1] -= 0.18;
            let after = world.run(&mut router, 6_000, 6_000);
            let of = |from: usize, n: usize| mean(after[from..from + n].iter().map(|s| s.quality));
            let held = of(1_000, 5_000);
            assert!((held - FLOOR).abs() < 0.01, "{means:?} seed {seed}: {held}");
            let back = (0..=500).step_by(50).find(|t| of(*t, 500) >= FLOOR - 0.01);
            assert!(back.is_some(), "{means:?} seed {seed}: {}", of(500, 500));
            // It does not buy the floor by sending everything to the dearest arm.
            let cost = mean(after[1_000..].iter().map(|s| s.cost));
            assert!(cost < 0.85 * COSTS[2], "{means:?} seed {seed}: {cost}");
        }
    }
}

/// The same shock without control and without forgetting costs more than 5 points.
#[test]
fn without_control_the_same_shock_breaks_the_floor() {
    let mut world = World::new(&[0.70, 0.86, 0.95], &COSTS, 0.04, 100);
    let mut router = world.router(3, PredictorKind::Linear, r2(None, 1.0));
    world.run(&mut router, 0, 6_000);
    world.means[1] -= 0.18;
    let after = world.run(&mut router, 6_000, 2_000);
    let held = mean(after.iter().map(|s| s.quality));
    assert!(held < FLOOR - 0.05, "{held}");
}

fn usd(text: &str) -> Usd {
    text.parse().expect("an amount")
}

fn budget(pacing: bool, lambda_cost: f64) -> Parts {
    let mut rule = Budget::new(usd("0.002"), COSTS[0], COSTS[2]);
    rule.lambda_cost = lambda_cost;
    if !pacing {
        rule.lambda_max = 0.0;
        (rule.burst, rule.bucket) = (u32::MAX, usd("8000000"));
    }
    let mut parts = Parts::new(Rule::Budget(rule));
    parts.forgetting = 0.997;
    parts
}

/// Must be shown 3: over 10,000 requests and 8 seeds, spending is within 1 % of the budget, and not
/// more than 1 % above it over the first 2,000, where the same policy without pacing spends more
/// than twice as much.
#[test]
fn r4_holds_a_budget_that_is_overspent_without_pacing() {
    for seed in 100..108 {
        let spent = |pacing| {
            let mut world = World::new(&[0.60, 0.80, 0.97], &COSTS, 0.02, seed);
            let mut router = world.router(3, PredictorKind::Linear, budget(pacing, 0.05));
            let steps = world.run(&mut router, 0, 10_000);
            let of = |count: usize| mean(steps[..count].iter().map(|s| s.cost)) / 0.002;
            (of(2_000), of(10_000))
        };
        let (first, all) = spent(true);
        assert!((0.99..=1.01).contains(&all), "seed {seed}: {all}");
        assert!((0.90..=1.01).contains(&first), "seed {seed}: {first}");
        let (_, unpaced) = spent(false);
        assert!(unpaced > 2.0, "seed {seed}: {unpaced}");
    }
}

/// The budget holds when prices change mid-stream: the middle arm becomes four times as dear at
/// request 5,000, announced or not (4 seeds, within 2 % over the 5,000 requests that follow).
#[test]
fn e12_r4_holds_its_budget_through_a_price_change() {
    for seed in 100..104 {
        for announced in [true, false] {
            let mut world = World::new(&[0.60, 0.80, 0.97], &COSTS, 0.02, seed);
            let mut router = world.router(3, PredictorKind::Linear, budget(true, 0.05));
            world.run(&mut router, 0, 5_000);
            world.costs[1] *= 4.0;
            if announced {
                router.set_arm(world.spec(1)).expect("an arm");
            }
            let after = world.run(&mut router, 5_000, 5_000);
            let spent = mean(after.iter().map(|s| s.cost)) / 0.002;
            assert!(spent < 1.02, "seed {seed} announced {announced}: {spent}");
        }
    }
}

/// Costs are learned without labels, and at every single request no more than n·B + burst·B is
/// spent, whatever the pacing does.
#[test]
fn r4_never_spends_more_than_its_bucket_allows() {
    let world = World::new(&[0.60, 0.80, 0.97], &COSTS, 0.0, 5);
    let mut rule = Budget::new(usd("0.002"), COSTS[0], COSTS[2]);
    // Pacing that hardly reacts, and an optimism that wants what is dear and unknown: only the
    // bucket is left to hold the line.
    (rule.lambda_cost, rule.step, rule.burst) = (0.0, 1e-9, 10);
    rule.bucket = usd("0.02");
    let mut parts = Parts::new(Rule::Budget(rule));
    parts.exploration = Exploration::NONE;
    let mut router = world.router(3, PredictorKind::Beta, parts);
    let context = Context {
        features: vec![0.0],
        input_tokens: Some(1_000),
        ..Context::default()
    };
    // One label makes the dearest arm the best one.
    let label = Feedback::new(arm("arm-2"), crate::common::quality(1.0));
    router.feedback(&context, &label).expect("learns");
    let (mut spent, mut dear) = (0.0, 0);
    for key in 1..=3_000_u32 {
        let decision = router
            .decide(&context, &key.to_string(), Seed(2))
            .expect("decides");
        let found = router.arms().iter().position(|a| a.id == decision.arm);
        let index = found.expect("an arm");
        dear += u32::from(index == 2);
        let feedback = Feedback {
            quality: None,
            cost: Usd::from_f64(COSTS[index]),
            ..Feedback::new(decision.arm, crate::common::quality(0.0))
        };
        router.feedback(&context, &feedback).expect("learns");
        spent += COSTS[index];
        let most = 0.002 * f64::from(key) + 0.02;
        assert!(spent <= most + 1e-9, "{key}: {spent}");
    }
    assert!(spent > 0.9 * 6.0 && dear > 500, "{spent} {dear}");
    let policy = router.rule_policy().expect("a rule");
    assert_eq!(policy.predictor().outcomes(), [0, 0, 1]);
}

/// When the bucket pays for no arm, the cheapest answers and says so.
#[test]
fn r4_over_budget_is_flagged() {
    let world = World::new(&[0.60, 0.80, 0.97], &[0.004, 0.005, 0.006], 0.0, 5);
    let mut parts = budget(true, 0.05);
    parts.exploration = Exploration::NONE;
    let mut world = world;
    let mut router = world.router(3, PredictorKind::Beta, parts);
    world.run(&mut router, 0, 500);
    let context = Context::new(vec![0.0]).expect("finite");
    let decision = router.decide(&context, "k", Seed(1)).expect("decides");
    assert_eq!(decision.arm.as_str(), "arm-0");
    assert!(matches!(decision.reason, Reason::OverBudget { .. }));
    assert!(decision.reason.to_string().starts_with("over budget"));
}

/// R3: the cheapest arm within the margin takes over, one beyond it never does, and quality stays
/// above the reference less the margin from the first thousand requests on (8 seeds, n = 12,000).
#[test]
fn r3_finds_the_cheapest_arm_that_is_not_inferior() {
    for seed in 100..108 {
        let mut world = World::new(&[0.75, 0.89, 0.91], &COSTS, 0.04, seed);
        let mut parts = Parts::new(Rule::NonInferiority(NonInferiority {
            reference: arm("arm-2"),
            margin: 0.08,
            delta: 0.05,
        }));
        parts.exploration.kind = ExplorationKind::Epsilon { epsilon: 0.1 };
        parts.exploration.share_max = 0.1;
        let mut router = world.router(3, PredictorKind::Beta, parts);
        let steps = world.run(&mut router, 0, 12_000);
        let early = mean(steps[..1_000].iter().map(|s| s.quality));
        assert!(early >= 0.91 - 0.08, "seed {seed}: {early}");
        let late = &steps[10_000..];
        assert!(share(late, 1) > 0.8, "seed {seed}: {}", share(late, 1));
        let inferior = share(&steps[1_000..], 0);
        assert!(inferior < 0.1, "seed {seed}: {inferior}");
    }
}

/// Three arms with known qualities .70, .85, .95 (10,000 outcomes each), each twice as dear.
fn known(rule: Rule) -> Router {
    let specs: Vec<ArmSpec> = arms(3);
    let contexts = vec![Context::default(); 10_000];
    let means = [0.70, 0.85, 0.95];
    let quality: Vec<Option<f64>> = (0..30_000).map(|i| Some(means[i % 3])).collect();
    let rows = TrainingRows {
        contexts: &contexts,
        arms: 3,
        quality: &quality,
        weights: None,
    };
    let config = PredictorConfig::new(PredictorKind::Beta);
    let predictor = Predictor::fit(&config, &rows).expect("fits");
    made(specs, predictor, rule).expect("a router")
}

fn made(arms: Vec<ArmSpec>, predictor: Predictor, rule: Rule) -> Result<Router, RouterError> {
    Router::new(RouterParts {
        predictor,
        cost: CostPredictor::fit(&arms, []).expect("no rows"),
        arms,
        features: None,
        calibration: vec![],
        rule,
        exploration: Exploration::NONE,
        control: None,
    })
}

fn decide(router: &Router, floor: Option<f64>) -> Decision {
    let context = Context::default();
    let call = Call {
        floor,
        ..Call::new(&context, "k", Seed(1))
    };
    let mut work = Workspace::default();
    let choice = router.choose(&call, &mut work).expect("decides");
    router.decision(&call, choice, &work)
}

fn every_ranking_rule() -> [Rule; 5] {
    let average = AverageFloor {
        lambda_low: 0.1,
        lambda_high: 0.1,
        share_high: 0.0,
        cost_scale: 1e-5,
    };
    [
        Rule::PerRequestFloor(PerRequestFloor {
            quality: 0.5,
            delta: 0.1,
        }),
        Rule::AverageFloor(average),
        Rule::Anchored {
            rule: average,
            arm: arm("arm-0"),
            share: 1.0,
        },
        Rule::NonInferiority(NonInferiority {
            reference: arm("arm-2"),
            margin: 0.5,
            delta: 0.1,
        }),
        Rule::Budget(Budget {
            lambda_cost: 2.0,
            ..Budget::new(usd("1"), 1e-6, 1e-3)
        }),
    ]
}

/// E11: a request's own floor is held by every rule that ranks, and one that no arm reaches goes to
/// the best arm, flagged.
#[test]
fn e11_a_requests_own_floor_is_held_or_flagged() {
    for rule in every_ranking_rule() {
        let router = known(rule.clone());
        assert_eq!(decide(&router, None).arm.as_str(), "arm-0", "{rule:?}");
        assert_eq!(decide(&router, Some(0.8)).arm.as_str(), "arm-1", "{rule:?}");
        assert_eq!(decide(&router, Some(0.9)).arm.as_str(), "arm-2", "{rule:?}");
        let missed = decide(&router, Some(0.99));
        assert_eq!(missed.arm.as_str(), "arm-2", "{rule:?}");
        let Reason::Infeasible { floor, probability } = missed.reason else {
            panic!("{rule:?}: {:?}", missed.reason);
        };
        assert!((floor - 0.99).abs() < 1e-15 && probability < 0.01);
    }
    let context = Context::default();
    let refused = |floor, rule| {
        let call = Call {
            floor: Some(floor),
            ..Call::new(&context, "k", Seed(1))
        };
        let chosen = known(rule).choose(&call, &mut Workspace::default());
        chosen.expect_err("refused").code()
    };
    assert_eq!(refused(0.5, Rule::Fixed(arm("arm-0"))), "P0191");
    assert_eq!(refused(f64::NAN, every_ranking_rule()[0].clone()), "P0192");
    assert_eq!(refused(1.1, every_ranking_rule()[4].clone()), "P0192");
}

/// R3 without its reference: the best of the others, unless one is surely close enough anyway.
#[test]
fn r3_survives_the_loss_of_its_reference() {
    let with_margin = |margin| {
        known(Rule::NonInferiority(NonInferiority {
            reference: arm("arm-2"),
            margin,
            delta: 0.1,
        }))
    };
    let mut router = with_margin(0.05);
    let decision = decide(&router, None);
    assert_eq!(decision.arm.as_str(), "arm-2");
    assert!(decision.reason.to_string().contains("not worse than arm-2"));
    router.set_archived(&arm("arm-2"), true).expect("an arm");
    let decision = decide(&router, None);
    assert_eq!(decision.arm.as_str(), "arm-1");
    assert!(
        matches!(decision.reason, Reason::Infeasible { .. }),
        "{}",
        decision.reason
    );
    let mut wide = with_margin(0.12);
    wide.set_archived(&arm("arm-2"), true).expect("an arm");
    let decision = decide(&wide, None);
    assert!(
        matches!(decision.reason, Reason::NotInferior { .. }),
        "{}",
        decision.reason
    );
}

#[test]
fn parameters_out_of_range_are_named() {
    fn check(rule: Rule, expect: &str) {
        let config = PredictorConfig::new(PredictorKind::Beta);
        let predictor = Predictor::prior(&config, 3, 0).expect("a prior");
        let refused = made(arms(3), predictor, rule).expect_err("out of range");
        assert_eq!(refused.to_string(), expect);
    }
    let r3 = |reference: &str, margin, delta| {
        Rule::NonInferiority(NonInferiority {
            reference: arm(reference),
            margin,
            delta,
        })
    };
    let unknown = RuleError::UnknownArm { arm: arm("arm-9") };
    check(r3("arm-9", 0.1, 0.1), &unknown.to_string());
    check(
        r3("arm-1", f64::NAN, 0.1),
        "rule parameter `margin` must be in [0, 1], got NaN",
    );
    check(
        r3("arm-1", 0.1, 1.0),
        "rule parameter `delta` must be in (0, 1), got 1",
    );
    let r4 = |change: fn(&mut Budget)| {
        let mut rule = Budget::new(usd("0.01"), 1e-4, 1e-2);
        change(&mut rule);
        Rule::Budget(rule)
    };
    check(
        r4(|rule| rule.budget = Usd::ZERO),
        "rule parameter `budget` must be in (0, 1e12], got 0",
    );
    check(
        r4(|rule| rule.cost_high_usd = 1e-4),
        "rule parameter `cost_high_usd` must be in (cost_low_usd, 1e12], got 0.0001",
    );
    check(
        r4(|rule| rule.step = 0.0),
        "rule parameter `step` must be in (0, 10], got 0",
    );
    check(
        r4(|rule| rule.lambda = 6.0),
        "rule parameter `lambda` must be in [0, lambda_max], got 6",
    );
}

/// S03 for the new rules: what they learn beside the predictor is resumed too.
#[test]
fn s03_pacing_guards_and_marks_resume() {
    let mut world = World::new(&[0.60, 0.80, 0.97], &COSTS, 0.02, 3);
    let mut router = world.router(3, PredictorKind::Linear, budget(true, 0.05));
    world.run(&mut router, 0, 300);
    let policy = router.policy_mut();
    let policy = policy.downcast_mut::<plimsoll::RulePolicy>();
    policy.expect("a rule").guard_arm(1).expect("an arm");
    router.mark_down(&arm("arm-0"), Some(77)).expect("an arm");
    let mut resumed = Router::restore(&router.snapshot()).expect("restores");
    assert_eq!(resumed.snapshot(), router.snapshot());
    assert!(resumed.is_down(0, Some(76)) && !resumed.is_down(0, Some(77)));
    assert!(resumed.rule_policy().expect("a rule").is_guarded(1));
    let mut other = world.clone();
    world.run(&mut router, 300, 300);
    other.run(&mut resumed, 300, 300);
    assert_eq!(resumed.state_hash(), router.state_hash());
}
