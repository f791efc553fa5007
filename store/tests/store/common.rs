//! A small router and what happens to it.

use plimsoll::{
    ArmId, ArmSpec, Call, Cap, Context, CostPredictor, Event, Ledger, Live, OpenLimits, Predictor,
    PredictorConfig, PredictorKind, Quality, Report, Router, RouterParts, Rule, Scope, ScopeKind,
    Seed, Usd, Workspace,
};

pub(crate) fn arm(name: &str) -> ArmId {
    ArmId::new(name).expect("a name")
}

/// A router over two arms that learns.
pub(crate) fn start() -> Live {
    Live::new(router(), OpenLimits::default())
}

fn router() -> Router {
    let price = plimsoll::Price::from_pico_per_token(1_000);
    let arms: Vec<ArmSpec> = ["a", "b"]
        .map(|name| ArmSpec::new(arm(name)).priced(price, price))
        .to_vec();
    let config = PredictorConfig::new(PredictorKind::Beta);
    Router::new(RouterParts {
        predictor: Predictor::prior(&config, 2, 0).expect("a prior"),
        cost: CostPredictor::fit(&arms, []).expect("priced"),
        arms,
        features: None,
        calibration: vec![],
        rule: Rule::Mix(vec![(arm("a"), 0.5), (arm("b"), 0.5)]),
        exploration: plimsoll::Exploration::NONE,
        control: None,
    })
    .expect("the parts fit")
}

/// The same under a tenant's cap: five calls in a window of a hundred events, and arm a's: two. A
/// hold lasts ten events.
pub(crate) fn capped() -> Live {
    let mut ledger = Ledger::new(100);
    let mut cap = |scope, calls, window_ms| {
        let limit = Usd::from_pico(calls * BOUND_PICO);
        let set = ledger.set_cap(scope, Cap { limit, window_ms });
        set.expect("a cap");
    };
    cap(Scope::new(ScopeKind::Tenant, "acme"), 5, Some(1_000));
    cap(Scope::new(ScopeKind::Arm, "a"), 2, Some(500));
    start().with_ledger(ledger)
}

/// What a call of 100 input and at most 100 output tokens costs at most.
const BOUND_PICO: i128 = 200_000;

/// The event that comes next under caps: a decision that holds money, or the bill or the release
/// of the oldest call under way. A function of the state alone.
pub(crate) fn capped_event(live: &Live) -> Event {
    let n = live.sequence();
    let at_ms = 10 * n;
    let id = |n: u64| format!("request-{n}");
    let spending = live.spending().expect("a ledger");
    let under_way = (0..n).map(id).find(|id| spending.awaits(id));
    let (context, mut work) = (
        Context {
            input_tokens: Some(100),
            ..Context::default()
        },
        Workspace::default(),
    );
    let key = id(n);
    let call = Call {
        tenant: Some("acme"),
        output_tokens_max: Some(100),
        ..Call::new(&context, &key, Seed(1))
    };
    if n % 5 < 3
        && let Ok((_, decided)) = live.decide(&call, at_ms, &mut work)
    {
        return Event::Decided(decided);
    }
    let id = under_way.unwrap_or(key);
    if n % 7 == 6 {
        return Event::Released { id, at_ms };
    }
    Event::Reported(Report {
        cost: Some(Usd::from_pico(BOUND_PICO * 3 / 4)),
        ..Report::new(id, at_ms)
    })
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
