//! ROBUSTNESS.md E17: in steady state a decision allocates nothing, whatever the policy.

use plimsoll::{
    Budget, Call, Context, CostPredictor, Exploration, ExplorationKind, Fixed, LinTs, LinUcb,
    LinearConfig, NonInferiority, Outcome, Policy, Predictor, PredictorConfig, PredictorKind,
    Quality, Random, Reward, Router, Rule, Seed, SharedLinear, SharedRule, Usd, Workspace,
};

use crate::bandits::every_bandit;
use crate::common::{AVERAGE, FLOOR, INVERSE_GAP, arm, arms, contexts, learn, router};

fn check(what: &str, router: &Router, contexts: &[Context], floor: Option<f64>) {
    let mut work = Workspace::default();
    let mut decide = || {
        for context in contexts {
            let mut call = Call::new(context, "a request's key", Seed(7));
            call.floor = floor;
            router.choose(&call, &mut work).expect("decides");
        }
    };
    // The first round makes the workspace large enough.
    decide();
    let allocations = allocation_counter::measure(decide).count_total;
    assert_eq!(allocations, 0, "{what}");
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
    let plain: [Box<dyn Policy>; 2] = [
        Box::new(Fixed::new(3, 1).expect("an arm")),
        Box::new(Random::new(3).expect("arms")),
    ];
    let bandits = every_bandit(3, 1.0, Reward::default());
    let forgetting = every_bandit(3, 0.99, costly);
    for policy in plain.into_iter().chain(bandits).chain(forgetting) {
        let what = policy.name().to_owned();
        let cost = CostPredictor::fit(&arms(3), []).expect("fits");
        let mut router = Router::with_policy(arms(3), None, cost, policy).expect("fits");
        let contexts = contexts(30, 4, 3);
        learn(&mut router, &contexts);
        check(&what, &router, &contexts, None);
    }
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
    let policies: [Box<dyn Policy>; 4] = [
        Box::new(LinUcb::new(3, 4, 0.5, config).expect("sound")),
        Box::new(LinUcb::new(3, 4, 0.5, low_rank).expect("sound")),
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
        learn();
        let allocations = allocation_counter::measure(learn).count_total;
        assert_eq!(allocations, 0, "{what}");
    }
}
