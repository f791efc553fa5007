//! ROBUSTNESS.md E17: in steady state a decision allocates nothing, whatever the policy.

use plimsoll::{
    Budget, Call, Context, CostPredictor, Exploration, ExplorationKind, Fixed, NonInferiority,
    Policy, Predictor, PredictorConfig, PredictorKind, Random, Reward, Router, Rule, Seed, Usd,
    Workspace,
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
