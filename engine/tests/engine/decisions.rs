//! ROBUSTNESS.md, decisions: what a router does with its predictions.

use plimsoll::{
    ArmSpec, AverageFloor, Budget, Context, CostPredictor, DecideError, Exploration,
    ExplorationKind, Feedback, LambdaControl, NonInferiority, PerRequestFloor, Predictor,
    PredictorConfig, PredictorKind, Reason, Router, RouterError, RouterParts, Rule, RulePolicy,
    SUM_TOLERANCE, Seed, Usd,
};
use proptest::prelude::*;

use crate::common::{
    AVERAGE, FLOOR, INVERSE_GAP, arm, arms, contexts, learn, plain, plimsoll_float, quality,
    router, truth,
};

fn cold(arms: Vec<ArmSpec>, rule: Rule) -> Result<Router, RouterError> {
    Router::new(RouterParts {
        predictor: Predictor::prior(&PredictorConfig::new(PredictorKind::Linear), arms.len(), 1)
            .map_err(|_| RouterError::NoArms)?,
        cost: CostPredictor::fit(&arms, []).expect("no rows"),
        arms,
        features: None,
        calibration: vec![],
        rule,
        exploration: Exploration::NONE,
        control: None,
    })
}

#[test]
fn e03_ties_are_broken_by_the_seed_alone() {
    let twin = |name: &str| {
        ArmSpec::new(arm(name)).priced("1".parse().expect("a price"), "1".parse().expect("a price"))
    };
    let router = cold(vec![twin("a"), twin("b"), twin("c"), twin("d")], AVERAGE).expect("a router");
    let context = Context::new(vec![0.5]).expect("finite");
    let distribution = router.distribution(&context).expect("decides");
    assert_eq!(distribution.probabilities(), [0.25; 4]);
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..200 {
        let key = format!("request-{i}");
        let first = router.decide(&context, &key, Seed(1)).expect("decides");
        assert_eq!(
            first,
            router.decide(&context, &key, Seed(1)).expect("decides")
        );
        seen.insert(first.arm);
    }
    assert_eq!(seen.len(), 4);

    let single = cold(vec![twin("a")], AVERAGE).expect("a router");
    let decision = single.decide(&context, "x", Seed(0)).expect("decides");
    assert_eq!(
        (decision.arm.as_str(), decision.propensity.get()),
        ("a", 1.0)
    );
    assert_eq!(cold(vec![], AVERAGE).map(|_| ()), Err(RouterError::NoArms));
    let twice = cold(vec![twin("a"), twin("a")], AVERAGE);
    assert!(matches!(twice, Err(RouterError::DuplicateArm { .. })));
}

fn any_router() -> impl Strategy<Value = (Router, f64)> {
    let kind = prop::sample::select(PredictorKind::ALL.to_vec());
    let rule = prop_oneof![
        (0.0..=1.0, 0.001..0.999).prop_map(|(quality, delta)| {
            Rule::PerRequestFloor(PerRequestFloor { quality, delta })
        }),
        (0.0..1e6, 0.0..1e6, 0.0..=1.0, 1e-9..1.0).prop_map(
            |(lambda_low, lambda_high, share_high, cost_scale)| {
                Rule::AverageFloor(AverageFloor {
                    lambda_low,
                    lambda_high,
                    share_high,
                    cost_scale,
                })
            }
        ),
        (0.0..=1.0, 0.001..0.999).prop_map(|(margin, delta)| {
            Rule::NonInferiority(NonInferiority {
                reference: arm("arm-2"),
                margin,
                delta,
            })
        }),
        (1_i128..1_000_000_000, 0.0..10.0, 0.0..=5.0).prop_map(|(pico, alpha, lambda)| {
            Rule::Budget(Budget {
                alpha,
                lambda,
                ..Budget::new(Usd::from_pico(pico), 1e-6, 1e-2)
            })
        }),
        Just(Rule::Fixed(arm("arm-1"))),
        (0.0..=1.0).prop_map(|p| Rule::Mix(vec![(arm("arm-0"), p), (arm("arm-2"), 1.0 - p)])),
    ];
    let exploration = prop_oneof![
        Just(ExplorationKind::None),
        (0.0..=1.0).prop_map(|epsilon| ExplorationKind::Epsilon { epsilon }),
        (1e-6..1e6).prop_map(|gamma| ExplorationKind::InverseGap { gamma }),
    ];
    let safe = (prop::option::of(0.0..=1.0), prop::option::of(0.0..1.0));
    (kind, rule, exploration, 0.0..=1.0, safe).prop_map(
        |(kind, rule, exploration, share_max, (quality_min, cost_max_usd))| {
            let exploration = Exploration {
                kind: exploration,
                share_max,
                quality_min,
                cost_max_usd,
            };
            (
                router(&PredictorConfig::new(kind), rule, exploration),
                share_max,
            )
        },
    )
}

fn without_exploration(router: &Router) -> Router {
    let mut router = router.clone();
    let policy = router.policy_mut().downcast_mut::<RulePolicy>();
    let policy = policy.expect("a rule");
    policy.set_exploration(Exploration::NONE).expect("in range");
    router
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// E08: whatever the policy, probabilities are exact, and exploration stays below its cap.
    #[test]
    fn e08_propensities_are_exact((router, share_max) in any_router(), x in prop::collection::vec(-1e6..1e6, 4), seed: u64) {
        let context = Context::new(x).expect("finite");
        let distribution = router.distribution(&context).expect("decides");
        let p = distribution.probabilities();
        prop_assert!(p.iter().all(|p| p.is_finite() && *p >= 0.0));
        prop_assert!((p.iter().sum::<f64>() - 1.0).abs() <= SUM_TOLERANCE);
        let decision = router.decide(&context, "key", Seed(seed)).expect("decides");
        let index = router.arms().iter().position(|a| a.id == decision.arm).expect("an arm");
        prop_assert!((decision.propensity.get() - p[index]).abs() <= SUM_TOLERANCE);
        let total: f64 = decision.distribution.iter().map(|(_, p)| p).sum();
        prop_assert!((total - 1.0).abs() <= SUM_TOLERANCE);
        let reference = if router.rule_policy().expect("a rule").rule().needs_costs() {
            without_exploration(&router).distribution(&context).expect("decides")
        } else {
            distribution.clone()
        };
        let moved: f64 = p.iter().zip(reference.probabilities()).map(|(a, b)| (a - b).max(0.0)).sum();
        prop_assert!(moved <= share_max + SUM_TOLERANCE);
    }
}

#[test]
fn e08_frequencies_match_propensities() {
    let router = router(
        &PredictorConfig::new(PredictorKind::Linear),
        AVERAGE,
        Exploration {
            kind: ExplorationKind::Epsilon { epsilon: 0.4 },
            share_max: 0.4,
            ..INVERSE_GAP
        },
    );
    let context = &contexts(1, 4, 77)[0];
    let p = router.distribution(context).expect("decides");
    let n = 20_000;
    let mut counts = [0_u32; 3];
    for i in 0..n {
        let decision = router
            .decide(context, &i.to_string(), Seed(5))
            .expect("decides");
        counts[router
            .arms()
            .iter()
            .position(|a| a.id == decision.arm)
            .expect("an arm")] += 1;
    }
    for (count, p) in counts.iter().zip(p.probabilities()) {
        // Four standard errors.
        let error = 4.0 * (p * (1.0 - p) / f64::from(n)).sqrt();
        assert!(
            (f64::from(*count) / f64::from(n) - p).abs() <= error,
            "{counts:?}"
        );
    }
}

#[test]
fn e09_decisions_are_equal_on_any_number_of_threads() {
    let contexts = contexts(400, 4, 41);
    for kind in PredictorKind::ALL {
        let router = plain(kind);
        let decide = |range: std::ops::Range<usize>| -> Vec<_> {
            range
                .map(|i| {
                    router
                        .decide(&contexts[i], &i.to_string(), Seed(9))
                        .expect("decides")
                })
                .collect()
        };
        let alone = decide(0..contexts.len());
        for threads in [2, 8] {
            let share = contexts.len() / threads;
            let together: Vec<_> = std::thread::scope(|scope| {
                let handles: Vec<_> = (0..threads)
                    .map(|t| {
                        let decide = &decide;
                        scope.spawn(move || decide(t * share..(t + 1) * share))
                    })
                    .collect();
                handles
                    .into_iter()
                    .flat_map(|h| h.join().expect("no panic"))
                    .collect()
            });
            assert_eq!(alone, together, "{kind} {threads}");
        }
    }
}

/// Known bits: another machine, compiler or optimisation must not move a decision.
#[test]
fn e09_scores_have_known_bits() {
    let mut hasher = blake3::Hasher::new();
    for kind in PredictorKind::ALL {
        let mut router = plain(kind);
        learn(&mut router, &contexts(50, 4, 43));
        for (i, context) in contexts(50, 4, 44).iter().enumerate() {
            let decision = router
                .decide(context, &i.to_string(), Seed(2))
                .expect("decides");
            let quality = decision.expected_quality.expect("predicted");
            hasher.update(&quality.to_bits().to_le_bytes());
            hasher.update(&decision.propensity.get().to_bits().to_le_bytes());
        }
    }
    assert_eq!(
        hasher.finalize().to_hex().as_str(),
        include_str!("known_bits.txt").trim()
    );
}

#[test]
fn e11_an_unattainable_floor_goes_to_the_best_arm() {
    let rule = Rule::PerRequestFloor(PerRequestFloor {
        quality: 1.0,
        delta: 0.01,
    });
    let router = router(
        &PredictorConfig::new(PredictorKind::Linear),
        rule,
        Exploration::NONE,
    );
    for context in contexts(20, 4, 51) {
        let decision = router.decide(&context, "k", Seed(0)).expect("decides");
        let scores = router.score(&context).expect("scores");
        let best = scores.iter().map(|s| s.quality).fold(0.0, f64::max);
        assert!((decision.expected_quality.expect("predicted") - best).abs() < 1e-12);
        assert!(matches!(decision.reason, Reason::Infeasible { .. }));
        assert!(decision.reason.to_string().starts_with("infeasible: "));
    }
}

#[test]
fn the_floor_is_met_by_the_cheapest_arm_that_meets_it() {
    let router = router(
        &PredictorConfig::new(PredictorKind::Linear),
        FLOOR,
        Exploration::NONE,
    );
    let Rule::PerRequestFloor(rule) = router.rule_policy().expect("a rule").rule().clone() else {
        panic!("the rule given")
    };
    let mut infeasible = 0;
    for context in contexts(100, 4, 52) {
        let decision = router.decide(&context, "k", Seed(0)).expect("decides");
        let scores = router.score(&context).expect("scores");
        let cheapest = scores
            .iter()
            .filter(|s| rule.probability(s) >= 1.0 - rule.delta)
            .min_by(|a, b| {
                a.expected_cost
                    .partial_cmp(&b.expected_cost)
                    .expect("priced")
            });
        match cheapest {
            Some(score) => assert_eq!(score.arm, decision.arm),
            None => infeasible += 1,
        }
    }
    assert!(infeasible < 100);
}

#[test]
fn e12_free_archived_and_repriced_arms() {
    let free =
        ArmSpec::new(arm("free")).priced("0".parse().expect("zero"), "0".parse().expect("zero"));
    for rule in [AVERAGE, FLOOR, Rule::Fixed(arm("free"))] {
        let router = cold(vec![free.clone()], rule).expect("a router");
        let context = Context::new(vec![0.1]).expect("finite");
        let decision = router.decide(&context, "k", Seed(0)).expect("decides");
        assert_eq!(decision.expected_cost, Some(0.0));
    }
    // Unpriced is an error, never free.
    let unpriced = cold(vec![free.clone(), ArmSpec::new(arm("unknown"))], AVERAGE);
    assert!(
        matches!(unpriced, Err(RouterError::Cost(_))),
        "{unpriced:?}"
    );

    let mut router = plain(PredictorKind::Linear);
    let context = &contexts(1, 4, 9)[0];
    learn(&mut router, &contexts(30, 4, 10));
    for archived in ["arm-0", "arm-1"] {
        router.set_archived(&arm(archived), true).expect("an arm");
        let decision = router.decide(context, "k", Seed(0)).expect("decides");
        assert!(
            decision
                .distribution
                .iter()
                .all(|(a, _)| a.as_str() != archived)
        );
    }
    router.set_archived(&arm("arm-2"), true).expect("an arm");
    assert!(matches!(
        router.decide(context, "k", Seed(0)),
        Err(DecideError::NoEligibleArm { arms: 3 })
    ));
    // An archived arm still learns, and comes back with what it knew.
    let before = router.rule_policy().expect("a rule").predictor().outcomes()[0];
    router
        .feedback(context, &Feedback::new(arm("arm-0"), quality(1.0)))
        .expect("learns");
    router.set_archived(&arm("arm-0"), false).expect("an arm");
    assert_eq!(
        router.rule_policy().expect("a rule").predictor().outcomes()[0],
        before + 1
    );
    let cost = router.score(context).expect("scores")[0]
        .expected_cost
        .expect("priced");
    let mut dearer = router.arms()[0].clone();
    dearer.input = Some("1000".parse().expect("a price"));
    router.set_arm(dearer).expect("an arm");
    assert!(
        router.score(context).expect("scores")[0]
            .expected_cost
            .expect("priced")
            > cost * 10.0
    );
}

#[test]
fn arms_must_be_able_to_answer() {
    let mut specs = arms(3);
    specs[1].capabilities.push("tools".to_owned());
    specs[2].capabilities.push("tools".to_owned());
    specs[1].context_window_tokens = Some(100);
    let router = cold(specs, AVERAGE).expect("a router");
    let base = Context::new(vec![0.0]).expect("finite");
    let check = |context: Context, expect: &[&str]| {
        let scores = router.score(&context).expect("scores");
        let able: Vec<&str> = scores
            .iter()
            .filter(|s| s.eligible)
            .map(|s| s.arm.as_str())
            .collect();
        assert_eq!(able, expect);
    };
    check(base.clone(), &["arm-0", "arm-1", "arm-2"]);
    let tools = Context {
        required: vec!["tools".to_owned()],
        ..base.clone()
    };
    check(tools.clone(), &["arm-1", "arm-2"]);
    check(
        Context {
            input_tokens: Some(101),
            ..tools
        },
        &["arm-2"],
    );
    check(
        Context {
            eligible: Some(vec![arm("arm-0")]),
            ..base.clone()
        },
        &["arm-0"],
    );
    let none = Context {
        eligible: Some(vec![]),
        ..base
    };
    assert!(matches!(
        router.decide(&none, "k", Seed(0)),
        Err(DecideError::NoEligibleArm { .. })
    ));
}

#[test]
fn lambda_moves_towards_the_floor_and_stays_in_bounds() {
    let mut control = LambdaControl {
        newest: 0.1,
        ..LambdaControl::new(0.9)
    };
    let mut lambda = 1.0;
    for _ in 0..2_000 {
        lambda = control.step(lambda, 0.5, 1.0);
    }
    assert!((control.average - 0.5).abs() < 1e-9 && lambda > 10.0 && lambda <= control.lambda_max);
    for _ in 0..100_000 {
        lambda = control.step(lambda, 1.0, 1.0);
    }
    assert!(lambda.abs() < 1e-12);
}

/// A plant whose quality grows with ln λ falls short for 300 outcomes, whatever λ is. With a horizon
/// the mean over the whole stream comes back to the line; without, what fell short stays lost.
#[test]
fn a_horizon_makes_up_for_a_shortfall() {
    let short = |horizon: Option<f64>| {
        let mut control = LambdaControl {
            horizon,
            lambda_max: 1e3,
            ..LambdaControl::relative(0.8)
        };
        let (mut lambda, mut sum) = (10.0_f64, 0.0);
        for t in 0..4_000 {
            let able = (0.7 + 0.03 * lambda.ln()).clamp(0.0, 1.0);
            let quality = if t < 300 { 0.6 } else { able };
            lambda = control.step(lambda, quality, 1.0);
            sum += 0.8 - quality;
        }
        (sum, control)
    };
    let (lost, _) = short(None);
    let (left, control) = short(Some(500.0));
    assert!(lost > 10.0, "{lost}");
    assert!(left.abs() < 1.0, "{left}");
    // The balance is the shortfall, while it stays within its bounds.
    assert!((control.balance + left).abs() < 1e-9, "{}", control.balance);
}

/// The balance is bounded on both sides, and one that cannot be is not taken.
#[test]
fn a_balance_out_of_bounds_is_refused() {
    let mut control = LambdaControl {
        horizon: Some(500.0),
        ..LambdaControl::relative(0.5)
    };
    for quality in [0.0, 1.0] {
        for _ in 0..10_000 {
            control.step(1.0, quality, 1.0);
        }
        let bound = if quality > 0.5 { 0.05 } else { -0.2 };
        assert!((control.balance - bound * 500.0).abs() < 1e-9);
    }
    for (horizon, balance) in [(0.5, 0.0), (f64::NAN, 0.0), (500.0, 25.1), (500.0, -100.1)] {
        let control = LambdaControl {
            horizon: Some(horizon),
            balance,
            ..LambdaControl::relative(0.5)
        };
        let arms = arms(2);
        let refused = Router::new(RouterParts {
            predictor: Predictor::prior(&PredictorConfig::new(PredictorKind::Beta), 2, 0)
                .expect("a prior"),
            cost: CostPredictor::fit(&arms, []).expect("no rows"),
            arms,
            features: None,
            calibration: vec![],
            rule: AVERAGE,
            exploration: Exploration::NONE,
            control: Some(control),
        });
        assert_eq!(refused.expect_err("out of bounds").code(), "P0150");
    }
}

/// The loop closed: a router that starts cold learns to hold the line on a world it can learn.
#[test]
fn a_cold_router_learns_to_hold_the_line() {
    let specs = arms(3);
    let floor = 0.6;
    let mut router = Router::new(RouterParts {
        predictor: Predictor::prior(&PredictorConfig::new(PredictorKind::Linear), 3, 2)
            .expect("a prior"),
        cost: CostPredictor::fit(&specs, []).expect("no rows"),
        arms: specs,
        features: None,
        calibration: vec![],
        rule: Rule::AverageFloor(AverageFloor {
            lambda_low: 5.0,
            lambda_high: 5.0,
            share_high: 0.0,
            cost_scale: 2e-4,
        }),
        exploration: Exploration {
            kind: ExplorationKind::Epsilon { epsilon: 0.1 },
            share_max: 0.1,
            quality_min: None,
            cost_max_usd: None,
        },
        control: Some(LambdaControl {
            step: 0.2,
            ..LambdaControl::new(floor)
        }),
    })
    .expect("a router");
    let mut numbers = crate::common::Numbers(99);
    let (mut sum, mut cost, mut dearest) = (0.0, 0.0, 0.0);
    let all = contexts(6_000, 2, 61);
    for (i, context) in all.iter().enumerate() {
        let decision = router
            .decide(context, &i.to_string(), Seed(3))
            .expect("decides");
        let index = router
            .arms()
            .iter()
            .position(|a| a.id == decision.arm)
            .expect("an arm");
        let r = if numbers.next() < truth(context, index) {
            1.0
        } else {
            0.0
        };
        let mut feedback = Feedback::new(decision.arm, quality(r));
        feedback.propensity = Some(decision.propensity);
        router.feedback(context, &feedback).expect("learns");
        if i >= 3_000 {
            sum += truth(context, index);
            cost += decision.expected_cost.expect("priced");
            dearest += router.cost().expected(context, 2).expect("priced");
        }
    }
    let mean = sum / plimsoll_float(all.len() - 3_000);
    assert!((mean - floor).abs() < 0.04, "{mean}");
    assert!(cost < 0.8 * dearest, "{cost} {dearest}");
}

#[test]
fn reasons_are_sentences() {
    let router = router(
        &PredictorConfig::new(PredictorKind::Linear),
        AVERAGE,
        INVERSE_GAP,
    );
    let mut kinds = std::collections::BTreeSet::new();
    for (i, context) in contexts(300, 4, 71).iter().enumerate() {
        let reason = router
            .decide(context, &i.to_string(), Seed(1))
            .expect("decides")
            .reason;
        let text = reason.to_string();
        kinds.insert(text.split(' ').next().unwrap_or_default().to_owned());
        assert!(!text.contains("NaN") && text.len() > 20, "{text}");
    }
    assert!(
        kinds.contains("best") && kinds.contains("tried"),
        "{kinds:?}"
    );
}
