//! Hard caps in service: reserved + spent ≤ cap, whoever asks when.

use std::sync::Barrier;

use plimsoll::{
    Applied, ArmSpec, Call, Cap, Context, CostPredictor, DecideError, Denied, Event, FeedbackError,
    Ledger, Live, OpenLimits, Price, Random, Report, Router, Scope, ScopeKind, Seed, SharedError,
    SharedRouter, SpendError, Usd, Workspace,
};
use proptest::prelude::*;

use crate::common::{Numbers, arm, quality};

/// A call of 1,000 input and at most 1,000 output tokens costs at most this much of a dollar on
/// arms a, b and c.
const BOUNDS: [&str; 3] = ["0.002", "0.004", "0.008"];

fn router() -> Router {
    let spec = |(i, name): (usize, &str)| {
        let price = Price::from_pico_per_token(1_000_000 << i);
        let mut spec = ArmSpec::new(arm(name)).priced(price, price);
        spec.provider = Some(["north", "north", "south"][i].to_owned());
        spec
    };
    let arms: Vec<ArmSpec> = ["a", "b", "c"].into_iter().enumerate().map(spec).collect();
    let cost = CostPredictor::fit(&arms, []).expect("priced");
    let random = Random::new(3).expect("3 arms");
    Router::with_policy(arms, None, cost, Box::new(random)).expect("the parts fit")
}

fn usd(text: &str) -> Usd {
    text.parse().expect("an amount")
}

fn scope(text: &str) -> Scope {
    Scope::try_from(text.to_owned()).expect("a scope")
}

fn ledger(caps: &[(&str, &str)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (name, limit) in caps {
        let cap = Cap {
            limit: usd(limit),
            window_ms: None,
        };
        ledger.set_cap(scope(name), cap).expect("a cap");
    }
    ledger
}

fn capped(caps: &[(&str, &str)]) -> Live {
    Live::new(router(), OpenLimits::default()).with_ledger(ledger(caps))
}

fn context() -> Context {
    Context {
        input_tokens: Some(1_000),
        ..Context::default()
    }
}

fn call<'a>(context: &'a Context, key: &'a str, tenant: &'a str) -> Call<'a> {
    Call {
        tenant: Some(tenant),
        output_tokens_max: Some(1_000),
        ..Call::new(context, key, Seed(3))
    }
}

fn bill(id: &str, at_ms: u64, cost: &str) -> Event {
    Event::Reported(Report {
        cost: Some(usd(cost)),
        ..Report::new(id, at_ms)
    })
}

fn spent_and_held(ledger: &Ledger, name: &str) -> (Usd, Usd) {
    let account = ledger.of(&scope(name)).expect("a cap");
    (account.spent, account.reserved)
}

fn of(live: &Live, name: &str) -> (Usd, Usd) {
    spent_and_held(live.spending().expect("a ledger").ledger(), name)
}

#[test]
fn an_arm_that_a_cap_denies_is_not_drawn_and_the_propensity_says_so() {
    // Room for a and b, not for c; nothing at all is sold by the north.
    let live = capped(&[("arm:c", "0.007")]);
    let (context, mut work) = (context(), Workspace::default());
    for i in 0..50 {
        let key = format!("r{i}");
        let call = call(&context, &key, "acme");
        let (choice, decided) = live.decide(&call, 1, &mut work).expect("decides");
        assert_ne!(choice.arm, 2);
        assert_eq!(choice.propensity.get().to_bits(), 0.5_f64.to_bits());
        assert_eq!(decided.held, None, "no cap covers a or b");
    }
    let live = capped(&[("arm:c", "1"), ("provider:north", "0.001")]);
    let call = call(&context, "r", "acme");
    let (choice, decided) = live.decide(&call, 1, &mut work).expect("decides");
    assert_eq!((choice.arm, choice.propensity.get()), (2, 1.0));
    let held = decided.held.expect("arm c has a cap");
    assert_eq!(held.amount, usd(BOUNDS[2]));
    let names: Vec<String> = held.scopes.iter().map(Scope::to_string).collect();
    assert_eq!(names, ["tenant:acme", "arm:c", "provider:south"]);
}

#[test]
fn where_caps_deny_every_arm_the_error_names_the_cap() {
    let live = capped(&[("tenant:acme", "0.001")]);
    let (context, mut work) = (context(), Workspace::default());
    let error = live
        .decide(&call(&context, "r", "acme"), 1, &mut work)
        .expect_err("no room");
    let DecideError::Capped(Denied::Cap { scope, cap, .. }) = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (scope.to_string().as_str(), *cap),
        ("tenant:acme", usd("0.001"))
    );
    assert_eq!(error.code(), "P0193");
    live.decide(&call(&context, "r", "other"), 1, &mut work)
        .expect("nobody else's cap");
    // Without a limit on its tokens, a call has no bound, and a cap no room for it.
    let endless = Call {
        output_tokens_max: None,
        ..call(&context, "r", "acme")
    };
    let error = live.decide(&endless, 1, &mut work).expect_err("no bound");
    assert!(matches!(
        error,
        DecideError::Capped(Denied::Unpriced { .. })
    ));
}

#[test]
fn a_bound_is_exact_and_takes_the_window_for_what_is_not_said() {
    let mut router = router();
    let (known, unknown) = (context(), Context::default());
    let bounds = |router: &Router, call: &Call<'_>| -> Vec<Option<Usd>> {
        (0..3).map(|arm| router.cost_bound(call, arm)).collect()
    };
    let expect: Vec<Option<Usd>> = BOUNDS.iter().map(|text| Some(usd(text))).collect();
    assert_eq!(bounds(&router, &call(&known, "r", "t")), expect);
    assert_eq!(router.cost_bound(&call(&unknown, "r", "t"), 0), None);
    let mut spec = router.arms()[0].clone();
    spec.context_window_tokens = Some(4_000);
    router.set_arm(spec).expect("there");
    let bare = Call::new(&known, "r", Seed(0));
    assert_eq!(router.cost_bound(&bare, 0), Some(usd("0.004")));
    let bare = Call::new(&unknown, "r", Seed(0));
    assert_eq!(router.cost_bound(&bare, 0), Some(usd("0.008")));
    assert_eq!(router.cost_bound(&bare, 3), None);
}

#[test]
fn a_bill_settles_once_whatever_became_of_the_decision() {
    let mut live = capped(&[("tenant:acme", "1")]);
    let (context, mut work) = (context(), Workspace::default());
    let (choice, decided) = live
        .decide(&call(&context, "r", "acme"), 1, &mut work)
        .expect("decides");
    let bound = usd(BOUNDS[choice.arm]);
    let again = Event::Decided(decided.clone());
    assert_eq!(live.apply(&again), Ok(Applied::Opened));
    assert_eq!(of(&live, "tenant:acme"), (Usd::ZERO, bound));
    let before = live.spending().cloned();
    let error = live.apply(&again).expect_err("held already");
    assert_eq!(error.code(), "P0573");
    assert_eq!(live.spending().cloned(), before, "refused, nothing changed");
    // The label closes the decision; the bill comes later, and twice.
    let label = Event::Reported(Report::label("r", 2, quality(1.0)));
    assert_eq!(live.apply(&label), Ok(Applied::Learned));
    assert_eq!(of(&live, "tenant:acme").1, bound);
    assert_eq!(live.apply(&bill("r", 3, "0.0015")), Ok(Applied::Duplicate));
    assert_eq!(of(&live, "tenant:acme"), (usd("0.0015"), Usd::ZERO));
    live.apply(&bill("r", 4, "0.0019")).expect("ignored");
    assert_eq!(of(&live, "tenant:acme"), (usd("0.0015"), Usd::ZERO));
    // A negative bill books nothing.
    let held = Event::Decided(plimsoll::Decided {
        id: "s".to_owned(),
        ..decided
    });
    live.apply(&held).expect("there is room");
    let negative = live.apply(&bill("s", 5, "-1"));
    assert!(matches!(
        negative,
        Err(FeedbackError::Spending(SpendError::Ledger(_)))
    ));
    assert_eq!(of(&live, "tenant:acme"), (usd("0.0015"), bound));
    let released = Event::Released {
        id: "s".to_owned(),
        at_ms: 6,
    };
    assert_eq!(live.apply(&released), Ok(Applied::Released));
    assert_eq!(live.apply(&released), Ok(Applied::Released));
    assert_eq!(of(&live, "tenant:acme"), (usd("0.0015"), Usd::ZERO));
}

#[test]
fn a_hold_without_a_bill_expires_charged_in_full_and_a_late_bill_adds_what_is_beyond() {
    let mut live = capped(&[("tenant:acme", "1")]);
    let (context, mut work) = (context(), Workspace::default());
    for id in ["r", "s"] {
        let (_, decided) = live
            .decide(&call(&context, id, "acme"), 0, &mut work)
            .expect("decides");
        live.apply(&Event::Decided(decided)).expect("room");
    }
    let held = of(&live, "tenant:acme").1;
    let later = plimsoll::HOLD_MS + 1;
    live.apply(&bill("nobody", later, "1")).expect("unknown");
    assert_eq!(of(&live, "tenant:acme"), (held, Usd::ZERO));
    live.apply(&bill("r", later, "0.000001")).expect("late");
    assert_eq!(of(&live, "tenant:acme").0, held, "no money back");
    live.apply(&bill("s", later, "0.5")).expect("late");
    assert!(of(&live, "tenant:acme").0 > usd("0.5"), "more than held");
    assert!(!live.spending().expect("a ledger").awaits("s"));
}

#[test]
fn caps_without_a_ledger_are_refused() {
    let mut live = Live::new(router(), OpenLimits::default());
    let cap = Event::CapSet {
        scope: Scope::new(ScopeKind::Tenant, "acme"),
        cap: Cap {
            limit: usd("1"),
            window_ms: None,
        },
    };
    assert_eq!(live.apply(&cap).expect_err("no ledger").code(), "P0574");
    let mut live = live.with_ledger(Ledger::default());
    assert_eq!(live.apply(&cap), Ok(Applied::CapSet));
    assert!(
        live.spending()
            .expect("a ledger")
            .ledger()
            .has_cap(&scope("tenant:acme"))
    );
}

/// G01: 8 threads, 1,600 calls, a cap with room for exactly k of them.
#[test]
fn e16_a_tight_cap_admits_exactly_k_of_many_threads() {
    const K: u64 = 37;
    let mut live = capped(&[]);
    for name in ["a", "b"] {
        let archived = Event::ArmArchived {
            arm: arm(name),
            archived: true,
        };
        live.apply(&archived).expect("there");
    }
    // 37 calls at 0.008 and a little: not 38.
    let cap = Event::CapSet {
        scope: scope("tenant:acme"),
        cap: Cap {
            limit: usd("0.3"),
            window_ms: None,
        },
    };
    live.apply(&cap).expect("a cap");
    let start = live.clone();
    let shared = SharedRouter::new(live);
    let barrier = Barrier::new(8);
    let journal = std::sync::Mutex::new(Vec::new());
    let learn = || {
        let log = |_: u64, events: &[Event]| {
            journal.lock().expect("whole").extend_from_slice(events);
            Ok::<(), std::convert::Infallible>(())
        };
        shared.learn_logged(log).expect("learns")
    };
    let admitted: u64 = std::thread::scope(|scope| {
        let work = |thread: u64| {
            let (shared, barrier, learn) = (&shared, &barrier, &learn);
            scope.spawn(move || {
                let (context, mut work) = (context(), Workspace::default());
                let mut admitted = 0;
                barrier.wait();
                for i in 0..200 {
                    let key = format!("{thread}-{i}");
                    match shared.decide(&call(&context, &key, "acme"), 1, &mut work) {
                        Ok(_) => admitted += 1,
                        Err(error) => {
                            assert_eq!(error.code(), "P0193", "{error}");
                        }
                    }
                    let spending = shared.spending().expect("a ledger");
                    let (spent, held) = spent_and_held(spending.ledger(), "tenant:acme");
                    assert!(spent + held <= usd("0.3"));
                    if i % 50 == thread {
                        learn();
                    }
                }
                admitted
            })
        };
        let threads: Vec<_> = (0..8).map(work).collect();
        threads.into_iter().map(|t| t.join().expect("ends")).sum()
    });
    assert_eq!(admitted, K);
    learn();
    let ahead = shared.spending();
    let learned = shared
        .with_live(|live| live.spending().cloned())
        .expect("whole");
    assert_eq!(ahead, learned, "the learner's ledger is that of the queue");
    // The journal makes the same ledger again.
    let mut replayed = start;
    for event in journal.lock().expect("whole").iter() {
        replayed.apply(event).expect("valid");
    }
    assert_eq!(replayed.spending().cloned(), learned);
}

/// Events of a life under caps: decisions by several tenants, bills, releases, caps that change.
fn live_on(live: &mut Live, numbers: &mut Numbers, i: u64) -> Vec<Event> {
    let (context, mut work) = (context(), Workspace::default());
    let (id, at_ms) = (format!("r{i}"), 20_000 * i);
    let tenant = if numbers.next() < 0.5 { "acme" } else { "blue" };
    let mut events = Vec::new();
    if let Ok((_, decided)) = live.decide(&call(&context, &id, tenant), at_ms, &mut work) {
        events.push(Event::Decided(decided));
    }
    let other = format!("r{}", i.saturating_sub(i % 41));
    let drawn = numbers.next();
    if drawn < 0.5 {
        events.push(bill(&other, at_ms + 5, "0.001"));
    } else if drawn < 0.6 {
        let at_ms = at_ms + 5;
        events.push(Event::Released { id: other, at_ms });
    } else if drawn < 0.7 {
        events.push(bill(&other, at_ms + 5, "-1"));
    } else if drawn < 0.75 {
        events.push(Event::CapSet {
            scope: scope("provider:south"),
            cap: Cap {
                limit: usd("0.05"),
                window_ms: Some(3_600_000),
            },
        });
    }
    events
}

#[test]
fn s03_a_router_under_caps_resumes_bit_for_bit_anywhere_in_its_life() {
    let caps = [("tenant:acme", "0.2"), ("provider:north", "0.3")];
    let (mut straight, mut numbers) = (capped(&caps), Numbers(8));
    let mut events = Vec::new();
    for i in 0..200 {
        for event in live_on(&mut straight, &mut numbers, i) {
            let _ = straight.apply(&event);
            events.push(event);
        }
    }
    assert!(straight.counts().refused > 0 && straight.counts().opened > 50);
    for cut in (0..=events.len()).step_by(23) {
        let mut live = capped(&caps);
        for event in &events[..cut] {
            let _ = live.apply(event);
        }
        let stored = live.snapshot();
        let mut resumed = Live::restore(&stored).expect("a state");
        assert_eq!(resumed.snapshot(), stored);
        for event in &events[cut..] {
            assert_eq!(resumed.apply(event), live.apply(event));
        }
        assert_eq!(resumed.state_hash(), straight.state_hash(), "at {cut}");
        assert_eq!(resumed.spending(), straight.spending());
    }
}

#[test]
fn s05_states_without_caps_are_as_before() {
    let live = Live::new(router(), OpenLimits::default());
    let bytes = live.snapshot();
    assert!(Live::restore(&bytes).expect("a state").spending().is_none());
    let named = |bytes: &[u8]| bytes.windows(8).any(|window| window == b"spending");
    assert!(!named(&bytes));
    assert!(named(&live.with_ledger(Ledger::default()).snapshot()));
}

proptest! {
    /// What the queue's ledger says equals what the learner's says, and stays under every cap as
    /// long as no bill is above its bound.
    #[test]
    fn e14_the_queue_and_the_learner_book_alike(seed: u64, steps in 1_u64..60) {
        let caps = [("tenant:acme", "0.05"), ("arm:b", "0.03"), ("provider:north", "0.06")];
        let shared = SharedRouter::new(capped(&caps));
        let (mut numbers, mut work, context) = (Numbers(seed), Workspace::default(), context());
        for i in 0..steps {
            let key = format!("r{i}");
            match shared.decide(&call(&context, &key, "acme"), 30_000 * i, &mut work) {
                Ok(_) | Err(SharedError::Decide(DecideError::Capped(_))) => {}
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
            let other = format!("r{}", i / 2);
            if numbers.next() < 0.5 {
                shared.send(bill(&other, 30_000 * i, "0.002")).expect("room");
            }
            if numbers.next() < 0.3 {
                shared.learn().expect("learns");
            }
            let spending = shared.spending().expect("a ledger");
            for (_, account) in spending.ledger().accounts() {
                prop_assert!(account.spent + account.reserved <= account.cap.limit);
            }
        }
        shared.learn().expect("learns");
        let learned = shared.with_live(|live| live.spending().cloned()).expect("whole");
        prop_assert_eq!(shared.spending(), learned);
    }
}
