//! Sessions: a switch of arms pays for the prompt cache that it throws away.

use plimsoll::{
    ArmSpec, Call, Context, CostPredictor, Exploration, PerRequestFloor, Predictor,
    PredictorConfig, PredictorKind, Router, RouterParts, Rule, Seed, SessionState, TrainingRows,
    Usd, Workspace,
};

use crate::common::arm;

/// Warm: input 2 USD, cached input .20, output 1 USD per million; cold: input .50, output 1.
fn arms() -> Vec<ArmSpec> {
    let price = |text: &str| text.parse().expect("a price");
    let mut warm = ArmSpec::new(arm("warm")).priced(price("2"), price("1"));
    warm.cached_input = Some(price("0.20"));
    vec![
        warm,
        ArmSpec::new(arm("cold")).priced(price("0.50"), price("1")),
    ]
}

fn router() -> Router {
    let contexts = vec![Context::default(); 200];
    let rows = TrainingRows {
        contexts: &contexts,
        arms: 2,
        quality: &vec![Some(0.95); 400],
        weights: None,
    };
    let config = PredictorConfig::new(PredictorKind::Beta);
    Router::new(RouterParts {
        predictor: Predictor::fit(&config, &rows).expect("fits"),
        cost: CostPredictor::fit(&arms(), []).expect("no rows"),
        arms: arms(),
        features: None,
        calibration: vec![],
        rule: Rule::PerRequestFloor(PerRequestFloor {
            quality: 0.8,
            delta: 0.1,
        }),
        exploration: Exploration::NONE,
        control: None,
    })
    .expect("a router")
}

fn context(tokens: u64) -> Context {
    Context {
        input_tokens: Some(tokens),
        ..Context::default()
    }
}

/// By hand: 10,000 input tokens of which m are cached cost (10,000 − m)·2,000,000 + m·200,000
/// pico-dollars on the warm arm and 10,000·500,000 on the cold one, so switching stops to pay at
/// m = 8,334: 2·10¹⁰ − 1.8·10⁶·m < 5·10⁹ from there on.
#[test]
fn switching_happens_only_when_it_pays() {
    let router = router();
    let context = context(10_000);
    let check = |cached: u64, at_ms: Option<i64>, expect: &str| {
        let session = SessionState::new(arm("warm"), cached, 0);
        let call = Call {
            at_ms,
            session: Some(&session),
            ..Call::new(&context, "k", Seed(1))
        };
        let mut work = Workspace::default();
        let choice = router.choose(&call, &mut work).expect("decides");
        let got = router.arms()[choice.arm].id.as_str();
        assert_eq!(got, expect, "{cached} {at_ms:?}");
        work.costs
    };
    check(0, Some(1), "cold");
    check(8_333, Some(1), "cold");
    let costs = check(8_334, Some(1), "warm");
    // Against the same request without a session, to the pico-dollar.
    let plain: Vec<f64> = (0..2)
        .filter_map(|i| router.cost().expected(&context, i))
        .collect();
    let saved = plain[0] - costs[0].expect("priced");
    assert_eq!(Usd::from_f64(saved).map(Usd::pico), Some(8_334 * 1_800_000));
    assert_eq!(costs[1], Some(plain[1]));
    let session = SessionState::new(arm("warm"), 8_334, 0);
    let exact = session.saving(&router.arms()[0], 10_000, Some(1));
    assert_eq!(exact, Usd::from_pico(15_001_200_000));
    // The cache is lost after five minutes, without a time, and beyond the tokens that are sent.
    check(10_000, Some(299_999), "warm");
    check(10_000, Some(300_000), "cold");
    check(10_000, None, "cold");
    check(1_000_000, Some(-5), "warm");
    assert_eq!(
        session.saving(&router.arms()[0], 100, Some(1)),
        Usd::from_pico(100 * 1_800_000)
    );
}

#[test]
fn sessions_of_unknown_or_uncached_arms_save_nothing() {
    let router = router();
    let context = context(10_000);
    for name in ["cold", "gone"] {
        let session = SessionState::new(arm(name), 10_000, 0);
        let call = Call {
            at_ms: Some(1),
            session: Some(&session),
            ..Call::new(&context, "k", Seed(1))
        };
        let (mut with, mut without) = (Workspace::default(), Workspace::default());
        router.choose(&call, &mut with).expect("decides");
        let plain = Call::new(&context, "k", Seed(1));
        router.choose(&plain, &mut without).expect("decides");
        assert_eq!(with.costs, without.costs, "{name}");
    }
    let session = SessionState::new(arm("warm"), 10, 0);
    assert_eq!(session.saving(&arms()[1], 10, Some(0)), Usd::ZERO);
}

/// Where prices were scaled, the cache's discount is scaled with them.
#[test]
fn a_changed_price_changes_the_discount() {
    let mut router = router();
    router.scale_costs(&arm("warm"), 0.5).expect("an arm");
    let context = context(10_000);
    let session = SessionState::new(arm("warm"), 10_000, 0);
    let call = Call {
        at_ms: Some(1),
        session: Some(&session),
        ..Call::new(&context, "k", Seed(1))
    };
    let mut work = Workspace::default();
    router.choose(&call, &mut work).expect("decides");
    let plain = router.cost().expected(&context, 0).expect("priced");
    let saved = plain - work.costs[0].expect("priced");
    assert_eq!(Usd::from_f64(saved).map(Usd::pico), Some(10_000 * 900_000));
}
