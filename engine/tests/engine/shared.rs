//! Many threads, one router.

use std::sync::Barrier;

use plimsoll::{
    Call, Choice, Event, LearnError, Live, OpenLimits, PredictorKind, Report, Router, Seed,
    SharedError, SharedRouter, Workspace,
};

use crate::common::{INVERSE_GAP, arm, contexts, plain, quality, router, truth};
use crate::live::routers;

fn shared(router: Router) -> SharedRouter {
    SharedRouter::new(Live::new(router, OpenLimits::default()))
}

/// Decides and learns in rounds, with the requests of each round spread over threads.
fn run(router: Router, threads: usize) -> (Vec<Choice>, String) {
    let contexts = contexts(64, 4, 21);
    let shared = shared(router);
    let mut all = Vec::new();
    for round in 0..4 {
        let barrier = Barrier::new(threads);
        let slices: Vec<Vec<Choice>> = std::thread::scope(|scope| {
            let decide = |thread: usize| {
                let (shared, contexts, barrier) = (&shared, &contexts, &barrier);
                scope.spawn(move || {
                    let mut work = Workspace::default();
                    barrier.wait();
                    let share = contexts.len() / threads;
                    let own = &contexts[thread * share..(thread + 1) * share];
                    let choose = |(i, context)| {
                        let key = format!("{round}-{}", thread * share + i);
                        let call = Call::new(context, &key, Seed(3));
                        shared.choose(&call, &mut work).expect("decides")
                    };
                    own.iter().enumerate().map(choose).collect()
                })
            };
            let handles: Vec<_> = (0..threads).map(decide).collect();
            let join = |handle: std::thread::ScopedJoinHandle<'_, _>| handle.join().expect("ends");
            handles.into_iter().map(join).collect()
        });
        let choices: Vec<Choice> = slices.concat();
        for (context, choice) in contexts.iter().zip(&choices) {
            let arm = shared.router().arms()[choice.arm].id.clone();
            let mut feedback = plimsoll::Feedback::new(arm, quality(truth(context, choice.arm)));
            feedback.propensity = Some(choice.propensity);
            let event = Event::Feedback {
                context: context.clone(),
                feedback,
            };
            shared.send(event).expect("there is room");
        }
        assert_eq!(shared.learn().expect("learns").counts.learned, 64);
        all.extend(choices);
    }
    (all, shared.router().state_hash())
}

#[test]
fn e09_decisions_are_bit_identical_on_any_number_of_threads() {
    for (name, router) in routers() {
        let one = run(router.clone(), 1);
        for threads in [8, 64] {
            let many = run(router.clone(), threads);
            assert_eq!(one.1, many.1, "{name} on {threads}");
            for (a, b) in one.0.iter().zip(&many.0) {
                assert_eq!((a.arm, a.epoch), (b.arm, b.epoch), "{name} on {threads}");
                let bits = |choice: &Choice| choice.propensity.get().to_bits();
                assert_eq!(bits(a), bits(b), "{name} on {threads}");
            }
        }
    }
}

/// Threads decide, report and learn as they please: the journal makes the same state again.
#[test]
fn e16_a_journal_of_concurrent_events_replays_to_the_same_bits() {
    let start = Live::new(plain(PredictorKind::Linear), OpenLimits::default());
    let shared = SharedRouter::new(start.clone());
    let contexts = contexts(40, 4, 5);
    let journal = std::sync::Mutex::new(Vec::new());
    let learn = || {
        let log = |first: u64, events: &[Event]| {
            let mut journal = journal.lock().expect("whole");
            assert_eq!(journal.len() as u64, first);
            journal.extend_from_slice(events);
            Ok::<(), std::convert::Infallible>(())
        };
        shared.learn_logged(log).expect("learns")
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (shared, contexts, learn) = (&shared, &contexts, &learn);
            scope.spawn(move || {
                let mut work = Workspace::default();
                for (i, context) in contexts.iter().enumerate() {
                    let key = format!("{thread}-{i}");
                    let call = Call::new(context, &key, Seed(1));
                    let (choice, number) = shared.decide(&call, 5, &mut work).expect("decides");
                    let good = quality(truth(context, choice.arm));
                    let report = shared.report(Report::label(key, 9, good)).expect("room");
                    assert!(report > number);
                    if i % 7 == thread {
                        let learned = learn();
                        assert!(learned.sequence > report, "what was queued is applied");
                    }
                }
            });
        }
    });
    learn();
    let journal = journal.into_inner().expect("whole");
    assert_eq!(journal.len(), 2 * 4 * 40);
    let mut replayed = start;
    for event in &journal {
        replayed.apply(event).expect("valid");
    }
    assert_eq!(replayed.counts().learned, 160);
    let hash = shared.with_live(Live::state_hash).expect("whole");
    assert_eq!(replayed.state_hash(), hash);
    assert_eq!(replayed.router().state_hash(), shared.router().state_hash());
}

#[test]
fn e17_sharing_allocates_nothing_on_top_of_deciding() {
    for (name, router) in routers() {
        let shared = shared(router.clone());
        let (context, mut work) = (&contexts(1, 4, 3)[0], Workspace::default());
        let call = Call::new(context, "a", Seed(1));
        let own = |work: &mut Workspace| {
            router.choose(&call, work).expect("decides");
        };
        own(&mut work);
        shared.choose(&call, &mut work).expect("decides");
        let alone = allocation_counter::measure(|| own(&mut work));
        let together = allocation_counter::measure(|| {
            shared.choose(&call, &mut work).expect("decides");
        });
        assert_eq!(together.count_total, alone.count_total, "{name}");
    }
}

#[test]
fn a_full_queue_takes_no_more_and_a_failed_log_loses_nothing() {
    let live = Live::new(
        router(
            &plimsoll::PredictorConfig::new(PredictorKind::Beta),
            crate::common::FLOOR,
            INVERSE_GAP,
        ),
        OpenLimits::default(),
    );
    let shared = SharedRouter::with_queue(live, 3);
    let event = |archived| Event::ArmArchived {
        arm: arm("arm-0"),
        archived,
    };
    for number in 0..3 {
        assert_eq!(shared.send(event(true)), Ok(number));
    }
    let full = shared.send(event(false)).expect_err("full");
    assert_eq!(full, SharedError::QueueFull { waiting: 3 });
    let failed = shared.learn_logged(|first, events| {
        assert_eq!((first, events.len()), (0, 3));
        assert_eq!(shared.send(event(false)), Ok(3), "senders need not wait");
        Err(std::io::Error::other("disk full"))
    });
    assert!(matches!(failed, Err(LearnError::Log(_))));
    assert!(!shared.router().arms()[0].archived, "nothing was applied");
    let learned = shared.learn().expect("learns");
    assert_eq!(
        (learned.events, learned.sequence, shared.waiting()),
        (4, 4, 0)
    );
    let bad = Event::ArmArchived {
        arm: arm("nobody"),
        archived: true,
    };
    assert_eq!(shared.send(bad), Ok(4));
    let learned = shared.learn().expect("learns");
    assert_eq!(learned.refused.len(), 1);
    assert_eq!(learned.refused[0].0, 4);
}
