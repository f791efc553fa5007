//! Per-task tables, averages of predictors, and rules that mix with a known arm.

use plimsoll::{
    ArmId, ArmSpec, AverageFloor, Context, CostPredictor, Exploration, Predictor, PredictorConfig,
    PredictorKind, Quality, Router, RouterParts, Rule, Seed, TrainingRows,
};

fn contexts() -> Vec<Context> {
    (0..40)
        .map(|i| Context {
            features: vec![f64::from(i % 4)],
            task: Some(if i % 2 == 0 { "even" } else { "odd" }.to_owned()),
            ..Context::default()
        })
        .collect()
}

/// Arm 0 fails on odd tasks, arm 1 never fails.
fn labels() -> Vec<Option<f64>> {
    (0..40)
        .flat_map(|i| [Some(f64::from(i32::from(i % 2 == 0))), Some(1.0)])
        .collect()
}

fn fit(kind: PredictorKind) -> Predictor {
    let (contexts, quality) = (contexts(), labels());
    let rows = TrainingRows {
        contexts: &contexts,
        arms: 2,
        quality: &quality,
        weights: None,
    };
    Predictor::fit(&PredictorConfig::new(kind), &rows).expect("fits")
}

fn means(predictor: &Predictor, context: &Context) -> Vec<f64> {
    let mut out = Vec::new();
    predictor.predict(context, &mut out).expect("predicts");
    out.iter().map(|p| p.mean).collect()
}

#[test]
fn tasks_are_told_apart_and_unknown_ones_get_the_arms_mean() {
    let tasks = fit(PredictorKind::Tasks);
    let all = contexts();
    let (even, odd) = (means(&tasks, &all[0]), means(&tasks, &all[1]));
    assert!(even[0] > 0.8 && odd[0] < 0.2, "{even:?} {odd:?}");
    let unknown = Context {
        task: Some("new".into()),
        ..all[0].clone()
    };
    assert!((means(&tasks, &unknown)[0] - 0.5).abs() < 0.01);
    assert_eq!(
        means(&tasks, &unknown),
        means(&fit(PredictorKind::Beta), &unknown)
    );
}

#[test]
fn an_average_is_the_mean_of_its_members_and_learns_with_them() {
    let members = vec![fit(PredictorKind::Tasks), fit(PredictorKind::Linear)];
    let context = &contexts()[1];
    let expect: Vec<f64> = means(&members[0], context)
        .iter()
        .zip(means(&members[1], context))
        .map(|(a, b)| f64::midpoint(*a, b))
        .collect();
    let mut average = Predictor::average(members).expect("members fit");
    let got = means(&average, context);
    assert!(
        got.iter().zip(&expect).all(|(a, b)| (a - b).abs() < 1e-12),
        "{got:?} {expect:?}"
    );
    average
        .update(context, 0, Quality::new(1.0).expect("valid"), 1.0)
        .expect("learns");
    assert!(means(&average, context)[0] > got[0]);
    assert!(Predictor::average(vec![]).is_err());
    assert!(
        Predictor::average(vec![average]).is_err(),
        "averages do not nest"
    );
}

#[test]
fn an_anchored_rule_gives_the_anchor_its_exact_share() {
    let arm = |name: &str| ArmId::new(name).expect("a name");
    let spec = |name: &str, price: &str| {
        ArmSpec::new(arm(name)).priced(price.parse().expect("a price"), price.parse().expect("one"))
    };
    let arms = vec![spec("cheap", "0.1"), spec("dear", "10")];
    let router = Router::new(RouterParts {
        cost: CostPredictor::fit(&arms, []).expect("priced"),
        arms,
        features: None,
        predictor: fit(PredictorKind::Tasks),
        calibration: vec![],
        rule: Rule::Anchored {
            rule: AverageFloor {
                lambda_low: 0.0,
                lambda_high: 0.0,
                share_high: 0.0,
                cost_scale: 1e-3,
            },
            arm: arm("dear"),
            share: 0.3,
        },
        exploration: Exploration::NONE,
        control: None,
    })
    .expect("parts fit");
    let context = &contexts()[0];
    let p = router.distribution(context).expect("decides");
    assert!((p.probabilities()[0] - 0.7).abs() < 1e-12);
    assert!((p.probabilities()[1] - 0.3).abs() < 1e-12);
    let dear = (0..100)
        .map(|i| {
            router
                .decide(context, &i.to_string(), Seed(1))
                .expect("decides")
        })
        .find(|d| d.arm == arm("dear"))
        .expect("about 30 of 100");
    assert!(
        dear.reason.to_string().contains("30.0 %"),
        "{}",
        dear.reason
    );
    let restored = Router::restore(&router.snapshot()).expect("sound");
    assert_eq!(restored, router);
}
