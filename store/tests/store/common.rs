//! A small router and what happens to it.

use plimsoll::{
    ArmId, ArmSpec, Call, Context, CostPredictor, Event, Live, OpenLimits, Predictor,
    PredictorConfig, PredictorKind, Quality, Report, Router, RouterParts, Rule, Seed, Workspace,
};

pub(crate) fn arm(name: &str) -> ArmId {
    ArmId::new(name).expect("a name")
}

/// A router over two arms that learns.
pub(crate) fn start() -> Live {
    let price = plimsoll::Price::from_pico_per_token(1_000);
    let arms: Vec<ArmSpec> = ["a", "b"]
        .map(|name| ArmSpec::new(arm(name)).priced(price, price))
        .to_vec();
    let config = PredictorConfig::new(PredictorKind::Beta);
    let router = Router::new(RouterParts {
        predictor: Predictor::prior(&config, 2, 0).expect("a prior"),
        cost: CostPredictor::fit(&arms, []).expect("priced"),
        arms,
        features: None,
        calibration: vec![],
        rule: Rule::Mix(vec![(arm("a"), 0.5), (arm("b"), 0.5)]),
        exploration: plimsoll::Exploration::NONE,
        control: None,
    })
    .expect("the parts fit");
    Live::new(router, OpenLimits::default())
}

/// A decision and its label.
pub(crate) fn request(live: &Live, i: u64) -> [Event; 2] {
    let (context, mut work) = (Context::default(), Workspace::default());
    let key = format!("request-{i}");
    let call = Call::new(&context, &key, Seed(1));
    let choice = live.router().choose(&call, &mut work).expect("decides");
    let decided = live.router().decided(&call, choice, i, &mut work);
    let quality = Quality::new(if i.is_multiple_of(3) { 0.0 } else { 1.0 }).expect("in range");
    [
        Event::Decided(decided),
        Event::Reported(Report::label(key, i + 1, quality)),
    ]
}

/// The events of `requests` requests, and the state after 0, 1, … of them.
pub(crate) fn life(requests: u64) -> (Vec<Event>, Vec<Vec<u8>>) {
    let mut live = start();
    let (mut events, mut states) = (Vec::new(), vec![live.snapshot()]);
    for i in 0..requests {
        for event in request(&live, i) {
            live.apply(&event).expect("valid");
            states.push(live.snapshot());
            events.push(event);
        }
    }
    (events, states)
}
