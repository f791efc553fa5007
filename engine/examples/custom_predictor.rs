//! A predictor of your own under a built-in rule: quality per arm and length of the prompt.
//!
//! Run with `cargo run -p plimsoll --example custom_predictor`.

use std::error::Error;

use plimsoll::{
    ArmId, ArmSpec, Context, CostPredictor, Exploration, Feedback, PerRequestFloor, Policy,
    PolicyError, Prediction, Predictor, Quality, QualityPredictor, Router, RouterParts, Rule,
    RulePolicy, Seed, decode_state, encode_state,
};
use serde::{Deserialize, Serialize};

/// Prompts shorter than this are short.
const SHORT_TOKENS: u64 = 500;

/// A Beta(1 + Σwr, 1 + Σw(1 − r)) per arm, for short and for long prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ByLength {
    /// (α, β) per arm: short, long.
    arms: Vec<[(f64, f64); 2]>,
}

impl ByLength {
    const NAME: &str = "example/by-length";

    fn new(arms: usize) -> Self {
        Self {
            arms: vec![[(1.0, 1.0); 2]; arms],
        }
    }
}

fn bucket(context: &Context) -> usize {
    usize::from(context.input_tokens.unwrap_or(0) >= SHORT_TOKENS)
}

impl QualityPredictor for ByLength {
    // The signature is the trait's.
    fn name(&self) -> &str {
        Self::NAME
    }

    fn arms(&self) -> usize {
        self.arms.len()
    }

    fn dimensions(&self) -> usize {
        0
    }

    fn predict(&self, context: &Context, out: &mut Vec<Prediction>) {
        out.extend(self.arms.iter().map(|arm| {
            let (a, b) = arm[bucket(context)];
            let n = a + b;
            Prediction {
                mean: a / n,
                variance: a * b / (n * n * (n + 1.0)),
            }
        }));
    }

    fn update(&mut self, context: &Context, arm: usize, quality: Quality, weight: f64) {
        let (a, b) = &mut self.arms[arm][bucket(context)];
        *a += weight * quality.get();
        *b += weight * (1.0 - quality.get());
    }

    fn state(&self) -> Vec<u8> {
        encode_state(self)
    }

    fn fork(&self) -> Box<dyn QualityPredictor> {
        Box::new(self.clone())
    }
}

fn load_predictor(name: &str, state: &[u8]) -> Result<Box<dyn QualityPredictor>, PolicyError> {
    Ok(Box::new(decode_state::<ByLength>(name, state)?))
}

/// The rule around the predictor is stored under the predictor's name.
fn load(name: &str, state: &[u8]) -> Option<Result<Box<dyn Policy>, PolicyError>> {
    (name == ByLength::NAME).then(|| {
        let policy = RulePolicy::restore(state, &load_predictor)?;
        Ok(Box::new(policy) as Box<dyn Policy>)
    })
}

fn build() -> Result<Router, Box<dyn Error>> {
    let arms = vec![
        ArmSpec::new(ArmId::new("small")?).priced("0.10".parse()?, "0.40".parse()?),
        ArmSpec::new(ArmId::new("large")?).priced("2.50".parse()?, "10".parse()?),
    ];
    Ok(Router::new(RouterParts {
        predictor: Predictor::custom(Box::new(ByLength::new(arms.len())))?,
        cost: CostPredictor::fit(&arms, [])?,
        arms,
        features: None,
        calibration: vec![],
        rule: Rule::PerRequestFloor(PerRequestFloor {
            quality: 0.8,
            delta: 0.05,
        }),
        exploration: Exploration::NONE,
        control: None,
    })?)
}

fn request(tokens: u64) -> Context {
    Context {
        input_tokens: Some(tokens),
        ..Context::default()
    }
}

/// The small arm answers short prompts well and long ones badly; the large one answers all well.
fn teach(router: &mut Router) -> Result<(), Box<dyn Error>> {
    for (arm, tokens, quality) in [
        ("small", 100, 1.0),
        ("small", 2_000, 0.0),
        ("large", 100, 1.0),
        ("large", 2_000, 1.0),
    ] {
        for _ in 0..40 {
            let feedback = Feedback::new(ArmId::new(arm)?, Quality::new(quality)?);
            router.feedback(&request(tokens), &feedback)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut router = build()?;
    teach(&mut router)?;
    let resumed = Router::restore_with(&router.snapshot(), &load)?;
    for tokens in [100, 2_000] {
        let decision = resumed.decide(&request(tokens), "r-1", Seed(7))?;
        println!("{tokens} tokens -> {}: {}", decision.arm, decision.reason);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll::{
        ArmBelief, FeedbackError, PredictorBandit, PredictorError, PredictorRule, Reward,
        SnapshotError,
    };

    #[test]
    fn the_example_runs() {
        main().expect("the example runs");
    }

    #[test]
    fn the_rule_uses_the_predictor_and_resumes_bit_for_bit() {
        let mut router = build().expect("builds");
        teach(&mut router).expect("learns");
        let mut resumed = Router::restore_with(&router.snapshot(), &load).expect("restores");
        let pick = |router: &Router, tokens| {
            let decision = router.decide(&request(tokens), "r", Seed(1));
            decision.expect("decides").arm.to_string()
        };
        assert_eq!(
            (pick(&router, 100), pick(&router, 2_000)),
            ("small".into(), "large".into())
        );
        assert_eq!(pick(&resumed, 2_000), "large");
        teach(&mut router).expect("learns");
        teach(&mut resumed).expect("learns");
        assert_eq!(router.state_hash(), resumed.state_hash());
        // A fork learns for itself.
        let fork = router.clone();
        teach(&mut router).expect("learns");
        assert_eq!(fork.state_hash(), resumed.state_hash());
        assert!(fork.state_hash() != router.state_hash());
    }

    #[test]
    fn without_a_loader_it_is_refused_and_what_it_cannot_do_says_so() {
        let mut router = build().expect("builds");
        let refused = Router::restore(&router.snapshot());
        assert!(matches!(refused, Err(SnapshotError::UnknownPolicy { .. })));
        let before = router.state_hash();
        let spec = ArmSpec::new(ArmId::new("new").expect("a name"))
            .priced("1".parse().expect("a price"), "1".parse().expect("a price"));
        let added = router.add_arm(spec, &ArmBelief::Prices { strength: 10.0 });
        let error = added.expect_err("the predictor takes no arms");
        assert_eq!(error.code(), "P0572");
        assert!(matches!(error, FeedbackError::Policy(_)));
        assert_eq!(router.state_hash(), before);
        let discounted = Predictor::custom(Box::new(ByLength::new(2))).expect("two arms");
        let discounted = discounted.discounted_to(5.0);
        assert!(matches!(discounted, Err(PredictorError::Custom { .. })));
        let none = Predictor::custom(Box::new(ByLength::new(0)));
        assert_eq!(none, Err(PredictorError::NoArms));
    }

    /// A predictor that forgets an arm, or believes in qualities beyond 1.
    #[derive(Clone, Debug)]
    struct Wrong(Vec<Prediction>);

    impl QualityPredictor for Wrong {
        fn name(&self) -> &'static str {
            "example/wrong"
        }

        fn arms(&self) -> usize {
            2
        }

        fn dimensions(&self) -> usize {
            0
        }

        fn predict(&self, _: &Context, out: &mut Vec<Prediction>) {
            out.extend(&self.0);
        }

        fn update(&mut self, _: &Context, _: usize, _: Quality, _: f64) {}

        fn state(&self) -> Vec<u8> {
            Vec::new()
        }

        fn fork(&self) -> Box<dyn QualityPredictor> {
            Box::new(self.clone())
        }
    }

    #[test]
    fn wrong_predictions_are_refused() {
        let of = |mean| Prediction {
            mean,
            variance: 0.0,
        };
        let code = |predictions: Vec<Prediction>| {
            let wrong = Predictor::custom(Box::new(Wrong(predictions))).expect("two arms");
            let mut out = Vec::new();
            let refused = wrong.predict(&Context::default(), &mut out);
            refused.expect_err("refused").code()
        };
        assert_eq!(code(vec![of(0.5)]), "P0132");
        assert_eq!(code(vec![of(0.5), of(1.5)]), "P0138");
        assert_eq!(code(vec![of(f64::NAN), of(0.5)]), "P0138");
    }

    #[test]
    fn bandits_take_custom_predictors_too() {
        let predictor = Predictor::custom(Box::new(ByLength::new(2))).expect("two arms");
        let bandit = PredictorBandit::new(predictor, PredictorRule::Thompson, Reward::default());
        let bandit = bandit.expect("fits");
        assert_eq!(bandit.name(), ByLength::NAME);
        let restored = PredictorBandit::restore(&bandit.state(), &load_predictor);
        assert_eq!(restored.expect("restores"), bandit);
        assert!(RulePolicy::restore(&bandit.state(), &load_predictor).is_err());
    }
}
