//! ROBUSTNESS.md E16 under every schedule that shuttle tries:
//! `RUSTFLAGS="--cfg shuttle" cargo test -p plimsoll --test shuttle --target-dir target/shuttle`.
#![cfg(shuttle)]

use std::sync::Arc;

use plimsoll::{
    ArmId, ArmSpec, Call, Cap, Context, CostPredictor, Event, Exploration, Feedback, Ledger, Live,
    OpenLimits, PerRequestFloor, Predictor, PredictorConfig, PredictorKind, Quality, Report,
    Router, RouterParts, Rule, Scope, ScopeKind, Seed, SharedRouter, Usd, Workspace,
};
use shuttle::sync::Mutex;
use shuttle::thread;

fn router() -> Router {
    let price = plimsoll::Price::from_pico_per_token(1_000);
    let arms: Vec<ArmSpec> = ["a", "b"]
        .map(|name| ArmSpec::new(ArmId::new(name).expect("a name")).priced(price, price))
        .to_vec();
    let config = PredictorConfig::new(PredictorKind::Beta);
    Router::new(RouterParts {
        predictor: Predictor::prior(&config, 2, 0).expect("a prior"),
        cost: CostPredictor::fit(&arms, []).expect("priced"),
        arms,
        features: None,
        calibration: vec![],
        rule: Rule::PerRequestFloor(PerRequestFloor {
            quality: 0.5,
            delta: 0.5,
        }),
        exploration: Exploration::NONE,
        control: None,
    })
    .expect("the parts fit")
}

fn feedback(value: f64) -> Event {
    let arm = ArmId::new("a").expect("a name");
    Event::Feedback {
        context: Context::default(),
        feedback: Feedback::new(arm, Quality::new(value).expect("in range")),
    }
}

/// States of the router after 0, 1, … events, in the order in which the journal has them.
fn states(journal: &[Event]) -> Vec<String> {
    let mut live = Live::new(router(), OpenLimits::default());
    let mut all = vec![live.router().state_hash()];
    for event in journal {
        let _ = live.apply(event);
        all.push(live.router().state_hash());
    }
    all
}

/// Two feed, two learn, one reads: every state that is read is one that the journal passes
/// through, each reader sees them in order, and the last is the journal's.
fn linearizable() {
    let shared = Arc::new(SharedRouter::new(Live::new(
        router(),
        OpenLimits::default(),
    )));
    let journal = Arc::new(Mutex::new(Vec::new()));
    let learn = |shared: &SharedRouter, journal: &Mutex<Vec<Event>>| {
        let log = |first: u64, events: &[Event]| {
            let mut journal = journal.lock().expect("whole");
            assert_eq!(journal.len() as u64, first, "batches are logged in order");
            journal.extend_from_slice(events);
            Ok::<(), std::convert::Infallible>(())
        };
        shared.learn_logged(log).expect("learns");
    };
    let mut threads = Vec::new();
    let sent = Arc::new(Mutex::new(Vec::new()));
    for value in [0.0, 1.0] {
        let (shared, sent) = (Arc::clone(&shared), Arc::clone(&sent));
        threads.push(thread::spawn(move || {
            for event in [feedback(value), feedback(0.25 + value / 2.0)] {
                let number = shared.send(event.clone()).expect("room");
                sent.lock().expect("whole").push((number, event));
            }
        }));
    }
    for _ in 0..2 {
        let (shared, journal) = (Arc::clone(&shared), Arc::clone(&journal));
        threads.push(thread::spawn(move || learn(&shared, &journal)));
    }
    let reader = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let mut seen = Vec::new();
            for _ in 0..3 {
                let (context, mut work) = (Context::default(), Workspace::default());
                let call = Call::new(&context, "k", Seed(1));
                let choice = shared.choose(&call, &mut work).expect("decides");
                let router = shared.router();
                // A snapshot of what is read is whole.
                let stored = Router::restore(&router.snapshot()).expect("whole");
                assert!(stored.epoch() >= choice.epoch);
                seen.push((router.epoch(), stored.state_hash()));
            }
            seen
        })
    };
    for thread in threads {
        thread.join().expect("ends");
    }
    let seen = reader.join().expect("ends");
    learn(&shared, &journal);
    let journal = journal.lock().expect("whole");
    for (number, event) in sent.lock().expect("whole").iter() {
        let at = usize::try_from(*number).expect("small");
        assert_eq!(journal[at], *event, "the number that its sender was told");
    }
    let states = states(&journal);
    assert_eq!(states.len(), 5);
    assert!(
        seen.windows(2).all(|pair| pair[0].0 <= pair[1].0),
        "no step back"
    );
    for (epoch, hash) in seen {
        assert_eq!(
            states[usize::try_from(epoch).expect("small")],
            hash,
            "no torn state"
        );
    }
    assert_eq!(shared.router().state_hash(), states[4]);
    let live = shared.with_live(Live::sequence).expect("whole");
    assert_eq!(live, 4);
}

/// One decides and reports by id while two learn and take snapshots of the whole state.
fn by_id() {
    let shared = Arc::new(SharedRouter::new(Live::new(
        router(),
        OpenLimits::default(),
    )));
    let worker = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (context, mut work) = (Context::default(), Workspace::default());
            let call = Call::new(&context, "k", Seed(1));
            let (_, number) = shared.decide(&call, 1, &mut work).expect("decides");
            let good = Quality::new(1.0).expect("in range");
            let label = Report::label("k", 2, good);
            assert!(shared.report(label.clone()).expect("room") > number);
            shared.report(label).expect("room");
        })
    };
    let learner = || {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let learned = shared.learn().expect("learns");
            assert_eq!(learned.counts.refused, 0);
            let bytes = shared.with_live(Live::snapshot).expect("whole");
            Live::restore(&bytes).expect("whole");
        })
    };
    let learners = [learner(), learner()];
    worker.join().expect("ends");
    for learner in learners {
        learner.join().expect("ends");
    }
    shared.learn().expect("learns");
    let counts = shared.with_live(Live::counts).expect("whole");
    assert_eq!((counts.opened, counts.learned, counts.duplicate), (1, 1, 1));
    assert_eq!((counts.unknown, counts.late, counts.refused), (0, 0, 0));
}

/// A log that fails once loses and reorders nothing.
fn failing_log() {
    let shared = Arc::new(SharedRouter::new(Live::new(
        router(),
        OpenLimits::default(),
    )));
    let sender = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            for number in 0..3_u8 {
                let sent = shared
                    .send(feedback(f64::from(number) / 2.0))
                    .expect("room");
                assert_eq!(sent, u64::from(number));
            }
        })
    };
    let failing = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let _ = shared.learn_logged(|_, events| {
                thread::yield_now();
                if events.is_empty() {
                    Ok(())
                } else {
                    Err(std::io::Error::other("disk full"))
                }
            });
        })
    };
    sender.join().expect("ends");
    failing.join().expect("ends");
    shared.learn().expect("learns");
    let expect: Vec<Event> = [0.0, 0.5, 1.0].map(feedback).to_vec();
    let states = states(&expect);
    assert_eq!(shared.router().state_hash(), states[3]);
}

/// Three ask for a cap that has room for two, one of which may be settled in between: admitted
/// calls never hold and cost more than the cap, and the learner's ledger ends as the queue's.
fn capped() {
    let cap = Cap {
        limit: Usd::from_pico(4_000_000),
        window_ms: None,
    };
    let tenant = Scope::new(ScopeKind::Tenant, "acme");
    let mut ledger = Ledger::default();
    ledger.set_cap(tenant.clone(), cap).expect("a cap");
    let live = Live::new(router(), OpenLimits::default()).with_ledger(ledger);
    let shared = Arc::new(SharedRouter::new(live));
    let room = {
        let tenant = tenant.clone();
        move |shared: &SharedRouter| {
            let spending = shared.spending().expect("a ledger");
            let account = spending.ledger().of(&tenant).expect("a cap");
            assert!(account.spent + account.reserved <= cap.limit);
            account
        }
    };
    let ask = |key: &'static str, cost: Option<i128>| {
        let (shared, room) = (Arc::clone(&shared), room.clone());
        thread::spawn(move || {
            let context = Context {
                input_tokens: Some(1_000),
                ..Context::default()
            };
            let call = Call {
                tenant: Some("acme"),
                output_tokens_max: Some(1_000),
                ..Call::new(&context, key, Seed(1))
            };
            let decided = shared.decide(&call, 1, &mut Workspace::default());
            room(&shared);
            if let (Ok(_), Some(cost)) = (&decided, cost) {
                for _ in 0..2 {
                    let mut bill = Report::new(key, 2);
                    bill.cost = Some(Usd::from_pico(cost));
                    shared.report(bill).expect("room");
                    room(&shared);
                }
            }
            u64::from(decided.is_ok())
        })
    };
    // A call costs 2,000,000 pico-dollars at most; the first gives half of that back.
    let threads = [ask("a", Some(0)), ask("b", None), ask("c", None)];
    let learner = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            shared.learn().expect("learns");
        })
    };
    let admitted: u64 = threads.into_iter().map(|t| t.join().expect("ends")).sum();
    learner.join().expect("ends");
    assert!((2..=3).contains(&admitted), "{admitted}");
    let learned = shared.learn().expect("learns");
    assert_eq!(learned.counts.refused, 0);
    let booked = shared
        .with_live(|live| live.spending().cloned())
        .expect("whole");
    assert_eq!(booked, shared.spending());
}

const SCHEDULES: usize = 3_000;

#[test]
fn e16_decide_learn_and_snapshot_are_linearizable() {
    shuttle::check_random(linearizable, SCHEDULES);
    shuttle::check_pct(linearizable, SCHEDULES, 3);
}

#[test]
fn e16_feedback_by_id_counts_once_under_every_schedule() {
    shuttle::check_random(by_id, SCHEDULES);
    shuttle::check_pct(by_id, SCHEDULES, 3);
}

#[test]
fn e16_a_failing_log_neither_loses_nor_reorders() {
    shuttle::check_random(failing_log, SCHEDULES);
    shuttle::check_dfs(failing_log, Some(SCHEDULES * 4));
}

#[test]
fn e16_reserved_and_spent_stay_under_the_cap_under_every_schedule() {
    shuttle::check_random(capped, SCHEDULES);
    shuttle::check_pct(capped, SCHEDULES, 3);
}
