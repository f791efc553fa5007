//! The engine inside a service: fit from recorded outcomes, decide, learn, store, resume.
//!
//! Run with `cargo run -p plimsoll --example route`.

use std::error::Error;

use plimsoll::{
    ArmId, ArmSpec, AverageFloor, Context, CostPredictor, CostRow, Exploration, ExplorationKind,
    FeatureMap, FeatureMapConfig, Feedback, Predictor, PredictorConfig, PredictorKind, Quality,
    RawContext, Router, RouterParts, Rule, Seed, TrainingRows,
};

/// What the service recorded: a prompt, its task, and how well each arm answered.
const RECORDED: [(&str, &str, [f64; 2], u64); 6] = [
    ("Say hello in French.", "chat", [1.0, 1.0], 12),
    ("Thank a customer politely.", "chat", [1.0, 1.0], 60),
    ("Greet a new colleague.", "chat", [1.0, 1.0], 45),
    (
        "Prove that the square root of 2 is irrational.",
        "math",
        [0.0, 1.0],
        420,
    ),
    (
        "Integrate x^2 * exp(x) from 0 to 1.",
        "math",
        [0.0, 1.0],
        380,
    ),
    ("How many primes are below 1000?", "math", [0.0, 1.0], 300),
];

fn raw<'a>(text: &'a str, task: &'a str) -> RawContext<'a> {
    RawContext {
        text: Some(text),
        task: Some(task),
        input_tokens: Some(20),
        embedding: None,
    }
}

fn build() -> Result<Router, Box<dyn Error>> {
    let arms = vec![
        ArmSpec::new(ArmId::new("small")?).priced("0.10".parse()?, "0.40".parse()?),
        ArmSpec::new(ArmId::new("large")?).priced("2.50".parse()?, "10".parse()?),
    ];
    let recorded = || RECORDED.iter().cycle().take(60);
    let map = FeatureMap::fit(
        FeatureMapConfig::default(),
        recorded().map(|(text, task, ..)| raw(text, task)),
    )?;
    let contexts: Vec<Context> = recorded()
        .map(|(text, task, ..)| map.map(&raw(text, task)))
        .collect::<Result<_, _>>()?;
    let quality: Vec<Option<f64>> = recorded().flat_map(|(.., q, _)| q.map(Some)).collect();
    let rows = TrainingRows {
        contexts: &contexts,
        arms: 2,
        quality: &quality,
        weights: None,
    };
    let answers = contexts
        .iter()
        .zip(recorded())
        .flat_map(|(context, (.., tokens))| {
            [0, 1].map(|arm| CostRow {
                context,
                arm,
                output_tokens: Some(*tokens),
                cost: None,
            })
        });
    Ok(Router::new(RouterParts {
        predictor: Predictor::fit(&PredictorConfig::new(PredictorKind::Linear), &rows)?,
        cost: CostPredictor::fit(&arms, answers)?,
        arms,
        features: Some(map),
        calibration: vec![],
        rule: Rule::AverageFloor(AverageFloor {
            lambda_low: 3.0,
            lambda_high: 3.0,
            share_high: 0.0,
            cost_scale: 0.002,
        }),
        exploration: Exploration {
            kind: ExplorationKind::InverseGap { gamma: 100.0 },
            share_max: 0.02,
            quality_min: Some(0.5),
            cost_max_usd: None,
        },
        control: None,
    })?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut router = build()?;
    for (key, text, task) in [
        ("r-1", "Say hello in German.", "chat"),
        ("r-2", "Integrate sin(x).", "math"),
    ] {
        let context = router.context(&raw(text, task))?;
        let decision = router.decide(&context, key, Seed(7))?;
        let propensity = decision.propensity.get();
        println!(
            "{key} -> {} (p = {propensity:.3}): {}",
            decision.arm, decision.reason
        );
        // … the call is made, the answer judged …
        let mut outcome = Feedback::new(decision.arm, Quality::new(1.0)?);
        outcome.output_tokens = Some(80);
        router.feedback(&context, &outcome)?;
    }
    let resumed = Router::restore(&router.snapshot())?;
    println!(
        "resumed after {} outcomes: {}",
        resumed.epoch(),
        &resumed.state_hash()[..16]
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_runs_and_routes() {
        main().expect("the example runs");
        let router = build().expect("builds");
        let pick = |text, task| {
            let context = router.context(&raw(text, task)).expect("maps");
            let scores = router.distribution(&context).expect("decides");
            if scores.probabilities()[0] > 0.9 {
                "small"
            } else {
                "large"
            }
        };
        assert_eq!(pick("Greet a friend.", "chat"), "small");
        assert_eq!(
            pick("Prove that there are infinitely many primes.", "math"),
            "large"
        );
    }
}
