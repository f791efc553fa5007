//! Explanations: what stands in each arm's way, what is expected of it, and the rule's reason.

use plimsoll::{
    ArmSpec, Call, Cascade, CascadeConfig, Context, CostPredictor, DecideError, Explanation, Fixed,
    INTERVAL_LEVEL, Obstacle, PostHoc, Predictor, PredictorConfig, PredictorKind, Random, Reason,
    Router, Seed, Workspace, decode_state, encode_state,
};

use crate::common::{arm, arms, contexts, learn, plain};

fn explain(router: &Router, call: &Call<'_>) -> Explanation {
    let explained = router.explain(call, &mut Workspace::default());
    explained.expect("explains")
}

#[test]
fn an_explanation_is_the_decision_and_its_numbers_are_the_routers() {
    let mut router = plain(PredictorKind::Linear);
    let context = &contexts(1, 4, 3)[0];
    let unseen = explain(&router, &Call::new(context, "first", Seed(5)));
    assert!(unseen.arms.iter().all(|told| told.cost_p95_usd.is_none()));
    learn(&mut router, &contexts(60, 4, 2));
    for (i, context) in contexts(50, 4, 3).iter().enumerate() {
        let key = format!("r-{i}");
        let decision = router.decide(context, &key, Seed(5)).expect("decides");
        let explained = explain(&router, &Call::new(context, &key, Seed(5)));
        assert_eq!(explained.chosen, decision.arm);
        assert_eq!(explained.propensity, decision.propensity);
        assert_eq!(explained.reason, decision.reason);
        assert_eq!(explained.epoch, decision.epoch);
        let chosen = explained.chosen_arm().expect("it is one of the arms");
        assert_eq!(chosen.expected_cost_usd, decision.expected_cost);
        let mean = chosen.quality.map(|quality| quality.mean);
        assert_eq!(mean, decision.expected_quality);
        let sum: f64 = explained.arms.iter().map(|arm| arm.probability).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        for (told, known) in explained
            .arms
            .iter()
            .zip(router.score(context).expect("scores"))
        {
            let quality = told.quality.expect("a predictor predicts");
            // 1.96 standard errors either way, cut off at 0 and 1.
            let reach = 1.959_963_984_540_054 * known.variance.sqrt();
            assert!((quality.low - (known.quality - reach).max(0.0)).abs() < 1e-12);
            assert!((quality.high - (known.quality + reach).min(1.0)).abs() < 1e-12);
            assert!((quality.level - INTERVAL_LEVEL).abs() < 1e-15);
            assert!(told.cost_p95_usd >= told.expected_cost_usd);
            assert!(told.is_eligible() && told.obstacles.is_empty());
        }
        // It is data first; JSON's last digit is the reader's.
        let again: Explanation =
            decode_state("explanation", &encode_state(&explained)).expect("reads");
        assert_eq!(again, explained);
        let json = serde_json::to_string(&explained).expect("serialises");
        assert!(serde_json::from_str::<Explanation>(&json).is_ok());
    }
}

fn fixed(specs: Vec<ArmSpec>, first: usize) -> Router {
    let cost = CostPredictor::fit(&specs, []).expect("fits");
    let policy = Fixed::new(specs.len(), first).expect("there is one");
    Router::with_policy(specs, None, cost, Box::new(policy)).expect("fits")
}

#[test]
fn every_obstacle_is_named() {
    let mut specs = arms(6);
    specs[1].archived = true;
    specs[2].context_window_tokens = Some(100);
    specs[0].capabilities = vec!["tools".to_owned()];
    specs[2].capabilities = vec!["tools".to_owned()];
    specs[4].capabilities = vec!["tools".to_owned()];
    specs[5] = ArmSpec::new(specs[5].id.clone());
    specs[5].capabilities = vec!["tools".to_owned()];
    let mut router = fixed(specs, 0);
    router.mark_down(&arm("arm-4"), Some(5_000)).expect("known");
    let context = Context {
        input_tokens: Some(200),
        required: vec!["tools".to_owned()],
        eligible: Some(
            (0..6)
                .filter(|i| *i != 2)
                .map(|i| arm(&format!("arm-{i}")))
                .collect(),
        ),
        ..Context::default()
    };
    let call = Call {
        at_ms: Some(4_000),
        cost_max_usd: Some(1.0),
        ..Call::new(&context, "r", Seed(1))
    };
    let explained = explain(&router, &call);
    let obstacles = |i: usize| explained.arms[i].obstacles.clone();
    let lacks = || Obstacle::Lacks {
        capability: "tools".to_owned(),
    };
    let small = Obstacle::WindowTooSmall {
        window_tokens: 100,
        input_tokens: 200,
    };
    assert_eq!(obstacles(0), []);
    assert_eq!(obstacles(1), [Obstacle::Archived, lacks()]);
    assert_eq!(obstacles(2), [small, Obstacle::NotAsked]);
    assert_eq!(obstacles(3), [lacks()]);
    assert_eq!(obstacles(4), [Obstacle::MarkedDown { until_ms: 5_000 }]);
    assert_eq!(obstacles(5), [Obstacle::Unpriced]);
    assert_eq!(
        explained.arms[2].to_string().split(';').next(),
        Some(
            "arm-2: cannot answer, its window of 100 tokens is too small for 200, the request \
             names other arms"
        )
    );
    // Whoever may answer has no obstacle, and the other way round.
    for arm in &explained.arms {
        assert_eq!(
            arm.is_eligible(),
            arm.probability > 0.0 || arm.feasible,
            "{arm}"
        );
    }
}

#[test]
fn where_no_arm_may_answer_each_obstacle_is_told() {
    let router = fixed(arms(2), 0);
    let context = Context {
        input_tokens: Some(1_000),
        ..Context::default()
    };
    let call = Call {
        cost_max_usd: Some(1e-9),
        ..Call::new(&context, "r", Seed(1))
    };
    let mut work = Workspace::default();
    let refused = router.explain(&call, &mut work);
    assert!(matches!(refused, Err(DecideError::OverCostMax { .. })));
    let told = router.explain_arms(&call, &mut work).expect("tells");
    for arm in told {
        assert_eq!(
            arm.obstacles,
            [Obstacle::OverCostMax { cost_max_usd: 1e-9 }]
        );
        assert!(arm.probability.abs() < 1e-300);
    }
    // A request that cannot be used at all is refused here too.
    let bad = Call {
        cost_max_usd: Some(f64::NAN),
        ..call
    };
    assert!(router.explain_arms(&bad, &mut work).is_err());
}

#[test]
fn marks_that_are_disregarded_are_no_obstacle_but_are_told() {
    let mut router = fixed(arms(2), 0);
    for name in ["arm-0", "arm-1"] {
        router.mark_down(&arm(name), Some(9_000)).expect("known");
    }
    let context = Context::default();
    let explained = explain(&router, &Call::new(&context, "r", Seed(1)));
    assert!(
        explained.marked_down
            && explained
                .arms
                .iter()
                .all(plimsoll::ArmExplanation::is_eligible)
    );
    let text = explained.to_string();
    assert!(
        text.ends_with("it is marked down, as is every arm that could answer"),
        "{text}"
    );
}

#[test]
fn sentences_are_one_line_and_the_long_form_has_one_per_arm() {
    let router = plain(PredictorKind::Linear);
    let context = &contexts(1, 4, 3)[0];
    let explained = explain(&router, &Call::new(context, "r", Seed(1)));
    let (short, long) = (explained.to_string(), format!("{explained:#}"));
    assert_eq!(short.lines().count(), 1);
    assert!(
        short.starts_with(&format!("{} answers: ", explained.chosen)),
        "{short}"
    );
    assert!(
        short.contains("expected quality") && short.contains("USD"),
        "{short}"
    );
    assert_eq!(long.lines().count(), 1 + explained.arms.len());
    assert!(long.starts_with(&short));
}

/// Every policy can be explained, those that predict nothing too.
#[test]
fn policies_without_predictions_are_explained() {
    let cost = CostPredictor::fit(&arms(3), []).expect("fits");
    let policy = Box::new(Random::new(3).expect("three"));
    let router = Router::with_policy(arms(3), None, cost, policy).expect("fits");
    let context = Context::default();
    let explained = explain(&router, &Call::new(&context, "r", Seed(1)));
    assert_eq!(explained.policy, "random");
    assert!(explained.arms.iter().all(|arm| arm.quality.is_none()));
    assert!(matches!(explained.reason, Reason::Drawn { .. }));
}

#[test]
fn a_cascade_says_what_may_follow() {
    let predictor = Predictor::prior(&PredictorConfig::new(PredictorKind::Beta), 2, 0);
    let cascade = Cascade::new(
        predictor.expect("two arms"),
        vec![PostHoc::PERFECT; 2],
        CascadeConfig::default(),
    );
    let cost = CostPredictor::fit(&arms(2), []).expect("fits");
    let policy = Box::new(cascade.expect("fits"));
    let router = Router::with_policy(arms(2), None, cost, policy).expect("fits");
    let context = Context {
        input_tokens: Some(10),
        ..Context::default()
    };
    let explained = explain(&router, &Call::new(&context, "r", Seed(1)));
    // Two arms of quality ½, told apart from wrong ones: one of them is right in 3 of 4 cases.
    let Reason::AskedFirst { then, quality } = &explained.reason else {
        panic!("{:?}", explained.reason);
    };
    assert_eq!(then, &[arm("arm-1")]);
    assert!((quality - 0.75).abs() < 1e-12);
    assert!(explained.to_string().starts_with(
        "arm-0 answers: asked first, before arm-1: the best answer is expected to reach quality \
         0.750"
    ));
}
