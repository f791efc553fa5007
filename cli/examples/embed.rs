//! A router built by hand, without a log and without a policy file.

use plimsoll::{
    ArmId, ArmSpec, AverageFloor, Context, CostPredictor, Exploration, Feedback, Predictor,
    PredictorConfig, PredictorKind, Quality, Router, RouterParts, Rule, Seed, TrainingRows,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two arms with prices in US dollars per million tokens.
    let arms = vec![
        ArmSpec::new(ArmId::new("small")?).priced("0.10".parse()?, "0.40".parse()?),
        ArmSpec::new(ArmId::new("large")?).priced("2.50".parse()?, "10".parse()?),
    ];
    // Forty observed requests with one feature, "hard": the small arm fails where it is 1.
    let contexts: Vec<Context> = (0..40)
        .map(|i| Context::new(vec![f64::from(i % 2)]))
        .collect::<Result<_, _>>()?;
    let quality: Vec<Option<f64>> = (0..40)
        .flat_map(|i| [Some(1.0 - f64::from(i % 2)), Some(1.0)])
        .collect();
    let rows = TrainingRows {
        contexts: &contexts,
        arms: 2,
        quality: &quality,
        weights: None,
    };

    let mut router = Router::new(RouterParts {
        predictor: Predictor::fit(&PredictorConfig::new(PredictorKind::Linear), &rows)?,
        cost: CostPredictor::fit(&arms, [])?,
        arms,
        features: None,
        calibration: vec![],
        rule: Rule::AverageFloor(AverageFloor {
            lambda_low: 2.0,
            lambda_high: 2.0,
            share_high: 0.0,
            cost_scale: 0.0026,
        }),
        exploration: Exploration::NONE,
        control: None,
    })?;

    let easy = router.decide(&contexts[0], "request-1", Seed(7))?;
    let hard = router.decide(&contexts[1], "request-2", Seed(7))?;
    assert_eq!((easy.arm.as_str(), hard.arm.as_str()), ("small", "large"));

    // What came of it is learned; the state is stored and resumed bit for bit.
    router.feedback(&contexts[0], &Feedback::new(easy.arm, Quality::new(1.0)?))?;
    let resumed = Router::restore(&router.snapshot())?;
    assert_eq!(resumed.state_hash(), router.state_hash());
    Ok(())
}

#[cfg(test)]
#[test]
fn it_runs() {
    main().expect("it runs");
}
