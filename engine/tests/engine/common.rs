//! A small world with known truth.

use plimsoll::{
    ArmId, ArmSpec, AverageFloor, Calibration, CalibrationKind, CalibrationRow, Context,
    CostPredictor, Exploration, ExplorationKind, Feedback, PerRequestFloor, Predictor,
    PredictorConfig, PredictorKind, Quality, Router, RouterParts, Rule, TrainingRows,
};

/// A deterministic stream of numbers in [0, 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).expect("32 bits")) / 4_294_967_296.0
    }
}

pub(crate) fn arm(name: &str) -> ArmId {
    ArmId::new(name).expect("a name")
}

pub(crate) fn quality(value: f64) -> Quality {
    Quality::new(value).expect("in [0, 1]")
}

/// `count` arms, each twice as expensive as the one before.
pub(crate) fn arms(count: usize) -> Vec<ArmSpec> {
    (0..count)
        .map(|i| {
            let price = plimsoll::Price::from_pico_per_token(100_000 << i);
            ArmSpec::new(arm(&format!("arm-{i}"))).priced(price, price)
        })
        .collect()
}

pub(crate) fn contexts(n: usize, dimensions: usize, seed: u64) -> Vec<Context> {
    let mut stream = Numbers(seed);
    (0..n)
        .map(|i| Context {
            features: (0..dimensions).map(|_| stream.next() * 2.0 - 1.0).collect(),
            task: Some(["chat", "code", "math"][i % 3].to_owned()),
            input_tokens: Some(50 + (i as u64 * 37) % 400),
            ..Context::default()
        })
        .collect()
}

/// Truth: arm a answers well with probability 0.4 + 0.15a + 0.3·x₀, within [0, 1].
pub(crate) fn truth(context: &Context, arm: usize) -> f64 {
    let x = context.features.first().copied().unwrap_or(0.0);
    (0.4 + 0.15 * plimsoll_float(arm) + 0.3 * x).clamp(0.0, 1.0)
}

pub(crate) fn plimsoll_float(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("small"))
}

/// Outcomes of all arms, each missing with probability `missing`.
pub(crate) fn outcomes(
    contexts: &[Context],
    arms: usize,
    missing: f64,
    seed: u64,
) -> Vec<Option<f64>> {
    let mut numbers = Numbers(seed);
    contexts
        .iter()
        .flat_map(|context| (0..arms).map(move |arm| truth(context, arm)))
        .map(|p| {
            let (observed, drawn) = (numbers.next() >= missing, numbers.next());
            observed.then_some(if drawn < p { 1.0 } else { 0.0 })
        })
        .collect()
}

pub(crate) fn fit(
    config: &PredictorConfig,
    contexts: &[Context],
    arms: usize,
    missing: f64,
) -> Predictor {
    let quality = outcomes(contexts, arms, missing, 5);
    let rows = TrainingRows {
        contexts,
        arms,
        quality: &quality,
        weights: None,
    };
    Predictor::fit(config, &rows).expect("fits")
}

pub(crate) const AVERAGE: Rule = Rule::AverageFloor(AverageFloor {
    lambda_low: 1.0,
    lambda_high: 4.0,
    share_high: 0.3,
    cost_scale: 1e-3,
});
pub(crate) const FLOOR: Rule = Rule::PerRequestFloor(PerRequestFloor {
    quality: 0.6,
    delta: 0.2,
});
pub(crate) const INVERSE_GAP: Exploration = Exploration {
    kind: ExplorationKind::InverseGap { gamma: 10.0 },
    share_max: 0.1,
    quality_min: Some(0.2),
    cost_max_usd: None,
};

/// A router with three arms and four features.
pub(crate) fn router(config: &PredictorConfig, rule: Rule, exploration: Exploration) -> Router {
    let (arms, contexts) = (arms(3), contexts(120, 4, 11));
    let predictor = fit(config, &contexts, 3, 0.2);
    let rows: Vec<CalibrationRow> = (0..50)
        .map(|i| CalibrationRow {
            predicted: f64::from(i) / 50.0,
            observed: f64::from(u8::from(i % 3 > 0)),
            weight: 1.0,
        })
        .collect();
    let isotonic = Calibration::fit(CalibrationKind::Isotonic, &rows).expect("fits");
    let platt = Calibration::fit(CalibrationKind::Platt, &rows).expect("fits");
    Router::new(RouterParts {
        cost: CostPredictor::fit(&arms, []).expect("fits"),
        arms,
        features: None,
        predictor,
        calibration: vec![Calibration::None, platt, isotonic],
        rule,
        exploration,
        control: None,
    })
    .expect("the parts fit")
}

pub(crate) fn plain(kind: PredictorKind) -> Router {
    router(&PredictorConfig::new(kind), AVERAGE, INVERSE_GAP)
}

/// Learns `contexts` one after another, each arm in turn.
pub(crate) fn learn(router: &mut Router, contexts: &[Context]) {
    for (i, context) in contexts.iter().enumerate() {
        let index = i % router.arms().len();
        let id = router.arms()[index].id.clone();
        let mut feedback = Feedback::new(id, quality(truth(context, index)));
        feedback.output_tokens = Some(100 + i as u64 % 50);
        router.feedback(context, &feedback).expect("learns");
    }
}
