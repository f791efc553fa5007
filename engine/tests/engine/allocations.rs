//! ROBUSTNESS.md E17: in steady state a decision allocates nothing, whatever the policy.

use plimsoll::{
    ArmBelief, ArmSpec, Budget, Call, Cascade, CascadeConfig, CascadeStep, Context, CostPredictor,
    Exploration, ExplorationKind, FeatureMap, FeatureMapConfig, FeatureSpace, FeedbackError, Fixed,
    LinTs, LinUcb, LinearConfig, Live, NextStep, NonInferiority, OpenLimits, Outcome, Policy,
    PolicyError, PostHoc, Predictor, PredictorConfig, PredictorKind, Price, PrincipalComponents,
    Quality, Random, RawContext, Reward, Router, Rule, Seed, SessionState, SharedLinear,
    SharedRouter, SharedRule, Usd, Workspace,
};

use crate::bandits::every_bandit;
use crate::common::{AVERAGE, FLOOR, INVERSE_GAP, arm, arms, contexts, learn, plain, router};

/// Allocations of the second of two rounds; the first makes the workspace large enough.
fn steady(mut round: impl FnMut()) -> u64 {
    round();
    allocation_counter::measure(round).count_total
}

/// What a request may ask for besides an arm.
fn wish<'a>(call: &Call<'a>, session: &'a SessionState) -> Call<'a> {
    Call {
        cost_max_usd: Some(1.0),
        at_ms: Some(2_000),
        session: Some(session),
        tenant: Some("acme"),
        ..*call
    }
}

/// Decides alone and shared, without wishes and with all of them.
fn check(what: &str, router: &Router, contexts: &[Context], floor: Option<f64>) {
    let mut work = Workspace::default();
    let session = SessionState::new(arm("arm-1"), 30, 1_000);
    let shared = SharedRouter::new(Live::new(router.clone(), OpenLimits::default()));
    let allocations = steady(|| {
        for context in contexts {
            let mut call = Call::new(context, "a request's key", Seed(7));
            call.floor = floor;
            for call in [call, wish(&call, &session)] {
                router.choose(&call, &mut work).expect("decides");
                shared.choose(&call, &mut work).expect("decides");
            }
        }
    });
    assert_eq!(allocations, 0, "{what}");
}

/// Arms as a service has them after a while: one that is new, one marked down, one archived, and
/// one whose prompt cache is warm.
fn age(router: &mut Router) {
    let (down, archived) = (arm("arm-0"), arm("arm-2"));
    let mut warm = router.arms()[1].clone();
    warm.cached_input = Some(Price::from_pico_per_token(10));
    router.set_arm(warm).expect("known");
    let spec = ArmSpec::new(arm("new"));
    let price = Price::from_pico_per_token(150_000);
    let belief = ArmBelief::Prices { strength: 10.0 };
    match router.add_arm(spec.priced(price, price), &belief) {
        Ok(()) | Err(FeedbackError::Policy(PolicyError::FixedArms { .. })) => {}
        Err(error) => panic!("{error}"),
    }
    router.mark_down(&down, Some(9_000)).expect("known");
    router.set_archived(&archived, true).expect("known");
}

#[test]
fn e17_rules_over_every_predictor_allocate_nothing() {
    let contexts = contexts(30, 4, 3);
    let epsilon = Exploration {
        kind: ExplorationKind::Epsilon { epsilon: 0.1 },
        ..INVERSE_GAP
    };
    let Rule::AverageFloor(average) = AVERAGE else {
        panic!("an average floor")
    };
    let rules = [
        AVERAGE,
        FLOOR,
        Rule::Anchored {
            rule: average,
            arm: arm("arm-1"),
            share: 0.2,
        },
        Rule::NonInferiority(NonInferiority {
            reference: arm("arm-2"),
            margin: 0.1,
            delta: 0.2,
        }),
        Rule::Budget(Budget::new(Usd::from_pico(50_000_000), 1e-6, 1e-3)),
        Rule::Fixed(arm("arm-1")),
        Rule::Mix(vec![(arm("arm-0"), 0.5), (arm("arm-2"), 0.5)]),
    ];
    for kind in PredictorKind::ALL {
        if kind == PredictorKind::Average {
            continue;
        }
        for rule in &rules {
            for exploration in [Exploration::NONE, INVERSE_GAP, epsilon] {
                let config = PredictorConfig::new(kind);
                let mut router = router(&config, rule.clone(), exploration);
                learn(&mut router, &contexts);
                let what = format!("{kind} {rule:?} {exploration:?}");
                check(&what, &router, &contexts, None);
                if matches!(rule, Rule::Fixed(_) | Rule::Mix(_)) {
                    continue;
                }
                check(&format!("{what}, own floor"), &router, &contexts, Some(0.3));
                age(&mut router);
                check(&format!("{what}, aged"), &router, &contexts, None);
            }
        }
    }
}

#[test]
fn e17_an_average_of_predictors_allocates_nothing() {
    let kinds = [
        PredictorKind::Linear,
        PredictorKind::Knn,
        PredictorKind::Beta,
    ];
    let members = kinds
        .into_iter()
        .map(|kind| Predictor::prior(&PredictorConfig::new(kind), 3, 4).expect("a prior"));
    let predictor = Predictor::average(members.collect()).expect("an average");
    let mut parts = plimsoll::RouterParts {
        arms: arms(3),
        features: None,
        predictor,
        calibration: vec![],
        cost: CostPredictor::fit(&arms(3), []).expect("fits"),
        rule: FLOOR,
        exploration: INVERSE_GAP,
        control: None,
    };
    parts.exploration.quality_min = None;
    let mut router = Router::new(parts).expect("fits");
    let contexts = contexts(30, 4, 3);
    learn(&mut router, &contexts);
    check("average", &router, &contexts, None);
}

#[test]
fn e17_every_bandit_allocates_nothing() {
    let costly = Reward {
        cost_weight: 0.5,
        cost_scale: 1e-3,
    };
    let plain: [Box<dyn Policy>; 4] = [
        Box::new(Fixed::new(3, 1).expect("an arm")),
        Box::new(Random::new(3).expect("arms")),
        Box::new(cascade(3)),
        // More arms than are weighed set by set.
        Box::new(cascade(20)),
    ];
    let bandits = every_bandit(3, 1.0, Reward::default());
    let forgetting = every_bandit(3, 0.99, costly);
    for policy in plain.into_iter().chain(bandits).chain(forgetting) {
        let what = policy.name().to_owned();
        let arms = arms(policy.arms());
        let cost = CostPredictor::fit(&arms, []).expect("fits");
        let mut router = Router::with_policy(arms, None, cost, policy).expect("fits");
        let contexts = contexts(30, 4, 3);
        learn(&mut router, &contexts);
        check(&what, &router, &contexts, None);
        age(&mut router);
        check(&format!("{what}, aged"), &router, &contexts, None);
    }
}

fn cascade(count: usize) -> Cascade {
    let config = PredictorConfig::new(PredictorKind::Linear);
    let predictor = Predictor::prior(&config, count, 4).expect("a prior");
    let config = CascadeConfig {
        reward: Reward {
            cost_weight: 0.5,
            cost_scale: 1e-3,
        },
        epsilon: 0.1,
        calls_max: None,
    };
    Cascade::new(predictor, vec![PostHoc::PERFECT; count], config).expect("sound")
}

#[test]
fn e17_every_step_of_a_cascade_allocates_nothing() {
    for count in [3, 20] {
        let (arms, policy) = (arms(count), Box::new(cascade(count)));
        let cost = CostPredictor::fit(&arms, []).expect("fits");
        let mut router = Router::with_policy(arms, None, cost, policy).expect("fits");
        let contexts = contexts(30, 4, 3);
        learn(&mut router, &contexts);
        let (mut work, mut run, mut asked) = (Workspace::default(), Vec::new(), 0);
        let allocations = steady(|| {
            for context in &contexts {
                let call = Call::new(context, "a request's key", Seed(7));
                run.clear();
                while let NextStep::Ask { arm, .. } =
                    router.next_step(&call, &run, &mut work).expect("decides")
                {
                    run.push(CascadeStep::new(arm, 0.0, Usd::from_pico(1_000)));
                    asked += 1;
                }
            }
        });
        assert_eq!(allocations, 0, "{count} arms");
        assert!(asked > 2 * 30, "bad answers are escalated");
    }
}

/// A context owns its features; where it and the space are reused, mapping a text allocates
/// nothing either.
#[test]
fn e17_mapped_texts_allocate_nothing_where_space_is_reused() {
    let raw = |text, task| RawContext {
        text: Some(text),
        task: Some(task),
        input_tokens: Some(40),
        embedding: Some(&[0.5, -0.5]),
    };
    let long = "Sort these numbers, and say why: 3 1 2. ".repeat(50);
    let rows = [raw("Write a poem", "art"), raw(&long, "code")];
    let map = FeatureMap::fit(FeatureMapConfig::default(), rows).expect("fits");
    let (kind, dimensions) = (PredictorKind::Linear, map.dimensions());
    let predictor = Predictor::prior(&PredictorConfig::new(kind), 3, dimensions).expect("a prior");
    let router = Router::new(plimsoll::RouterParts {
        arms: arms(3),
        features: Some(map),
        predictor,
        calibration: vec![],
        cost: CostPredictor::fit(&arms(3), []).expect("fits"),
        rule: AVERAGE,
        exploration: Exploration::NONE,
        control: None,
    })
    .expect("fits");
    let (mut space, mut context) = (FeatureSpace::default(), Context::default());
    let mut work = Workspace::default();
    let allocations = steady(|| {
        for row in rows {
            router
                .context_into(&row, &mut space, &mut context)
                .expect("maps");
            let call = Call::new(&context, "a request's key", Seed(7));
            router.choose(&call, &mut work).expect("decides");
        }
    });
    assert_eq!(allocations, 0);
    // What is not reused: the features, the task, and the two lists that n-grams are counted in.
    let own = steady(|| drop(router.context(&rows[1])));
    assert_eq!(own, 4);
    // The caller's own features are copied, and no more.
    let own = plain(PredictorKind::Beta);
    let allocations = steady(|| {
        own.context_into(&rows[1], &mut space, &mut context)
            .expect("maps");
    });
    assert_eq!(allocations, 0);
}

/// Between two factorisations of their matrices, linear policies learn in place.
#[test]
fn e17_linear_policies_learn_without_allocating() {
    let low_rank = LinearConfig {
        rank: Some(2),
        ..LinearConfig::default()
    };
    let config = LinearConfig::default();
    let (features, rule) = (SharedLinear::hybrid(3), SharedRule::Ucb { alpha: 0.5 });
    let components = PrincipalComponents::fit(&contexts(50, 4, 5), 2).expect("fits");
    let policies: [Box<dyn Policy>; 5] = [
        Box::new(LinUcb::new(3, 4, 0.5, config).expect("sound")),
        Box::new(LinUcb::new(3, 4, 0.5, low_rank).expect("sound")),
        Box::new(LinUcb::with_components(3, components, 0.5, config).expect("sound")),
        Box::new(LinTs::new(3, 4, 0.5, config).expect("sound")),
        Box::new(SharedLinear::new(features, 4, rule, config).expect("sound")),
    ];
    let contexts = contexts(200, 4, 3);
    for mut policy in policies {
        let what = policy.name().to_owned();
        let mut learn = || {
            for (i, context) in contexts.iter().enumerate() {
                let outcome = Outcome {
                    quality: Some(Quality::new(0.5).expect("in range")),
                    ..Outcome::of_arm(i % 3)
                };
                policy.update(context, &outcome).expect("learns");
            }
        };
        // Then every arm is past 256 outcomes and below 512: powers of two factorise too.
        (0..4).for_each(|_| learn());
        let allocations = allocation_counter::measure(learn).count_total;
        assert_eq!(allocations, 0, "{what}");
    }
}
