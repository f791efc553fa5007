//! Streams of requests with known truth: what a router does in them over time.

use plimsoll::{
    ArmSpec, Context, CostPredictor, Exploration, ExplorationKind, Feedback, LambdaControl,
    Predictor, PredictorConfig, PredictorKind, Price, Router, RouterParts, Rule, Seed, Usd,
};

use crate::common::{Numbers, arm, quality};

/// Tokens of every request and of every answer.
const TOKENS: u64 = 1_000;

/// Arms whose answers have known mean qualities and exactly known costs.
///
/// Requests are easy or hard, half of each: quality is the arm's mean ± `contrast`.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Mean quality per arm.
    pub(crate) means: Vec<f64>,
    /// Cost of a call per arm, in US dollars.
    pub(crate) costs: Vec<f64>,
    pub(crate) contrast: f64,
    numbers: Numbers,
}

/// One request of a stream, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) arm: usize,
    /// True expected quality of the answer.
    pub(crate) quality: f64,
    pub(crate) cost: f64,
}

impl World {
    pub(crate) fn new(means: &[f64], costs: &[f64], contrast: f64, seed: u64) -> Self {
        Self {
            means: means.to_vec(),
            costs: costs.to_vec(),
            contrast,
            numbers: Numbers(seed),
        }
    }

    /// Arms whose list prices are their costs: 2,000 tokens a call, one price for all.
    pub(crate) fn specs(&self) -> Vec<ArmSpec> {
        (0..self.costs.len()).map(|i| self.spec(i)).collect()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small positive prices"
    )]
    pub(crate) fn spec(&self, index: usize) -> ArmSpec {
        let pico = (self.costs[index] * 1e12 / 2_000.0).round() as u64;
        let price = Price::from_pico_per_token(pico);
        ArmSpec::new(arm(&format!("arm-{index}"))).priced(price, price)
    }

    /// A router that knows nothing yet; `arms` of the world's arms, in order.
    pub(crate) fn router(&self, arms: usize, kind: PredictorKind, parts: Parts) -> Router {
        let specs: Vec<ArmSpec> = self.specs().into_iter().take(arms).collect();
        let config = PredictorConfig {
            forgetting: parts.forgetting,
            ..PredictorConfig::new(kind)
        };
        let mut cost = CostPredictor::fit(&specs, []).expect("no rows");
        // Output tokens are always the same: taught, so that expected costs are the true ones.
        let context = Self::context(false);
        for arm in 0..arms {
            for _ in 0..50 {
                cost.update(&plimsoll::CostRow {
                    context: &context,
                    arm,
                    output_tokens: Some(TOKENS),
                    cost: None,
                })
                .expect("learns");
            }
        }
        Router::new(RouterParts {
            predictor: Predictor::prior(&config, arms, 1).expect("a prior"),
            cost,
            arms: specs,
            features: None,
            calibration: vec![],
            rule: parts.rule,
            exploration: parts.exploration,
            control: parts.control,
        })
        .expect("a router")
    }

    fn context(hard: bool) -> Context {
        let sign = if hard { -1.0 } else { 1.0 };
        Context {
            features: vec![sign],
            task: Some(if hard { "hard" } else { "easy" }.to_owned()),
            input_tokens: Some(TOKENS),
            ..Context::default()
        }
    }

    /// Decides one request and learns its outcome.
    pub(crate) fn step(&mut self, router: &mut Router, key: usize) -> Step {
        let hard = self.numbers.next() < 0.5;
        let context = Self::context(hard);
        let decision = router
            .decide(&context, &key.to_string(), Seed(11))
            .expect("decides");
        let found = router.arms().iter().position(|a| a.id == decision.arm);
        let index = found.expect("an arm");
        let shift = if hard { -self.contrast } else { self.contrast };
        let truth = (self.means[index] + shift).clamp(0.0, 1.0);
        let drawn = f64::from(u8::from(self.numbers.next() < truth));
        let cost = self.costs[index];
        let mut feedback = Feedback::new(decision.arm, quality(drawn));
        feedback.propensity = Some(decision.propensity);
        feedback.cost = Usd::from_f64(cost);
        feedback.output_tokens = Some(TOKENS);
        router.feedback(&context, &feedback).expect("learns");
        Step {
            arm: index,
            quality: truth,
            cost,
        }
    }

    pub(crate) fn run(&mut self, router: &mut Router, from: usize, steps: usize) -> Vec<Step> {
        (from..from + steps)
            .map(|key| self.step(router, key))
            .collect()
    }
}

/// What a router of a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) rule: Rule,
    pub(crate) exploration: Exploration,
    pub(crate) control: Option<LambdaControl>,
    pub(crate) forgetting: f64,
}

impl Parts {
    pub(crate) fn new(rule: Rule) -> Self {
        Self {
            rule,
            exploration: Exploration {
                kind: ExplorationKind::Epsilon { epsilon: 0.05 },
                share_max: 0.05,
                quality_min: None,
                cost_max_usd: None,
            },
            control: None,
            forgetting: 1.0,
        }
    }
}

pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut n, mut sum) = (0.0, 0.0);
    for value in values {
        n += 1.0;
        sum += value;
    }
    sum / n
}

pub(crate) fn share(steps: &[Step], arm: usize) -> f64 {
    mean(steps.iter().map(|s| f64::from(u8::from(s.arm == arm))))
}
