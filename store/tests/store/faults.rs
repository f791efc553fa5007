//! ROBUSTNESS.md S01: any fault at any system call leaves the old state or the new one, and every
//! acknowledged event.

use std::sync::Arc;

use plimsoll::{Event, Live};
use plimsoll_store::{Store, StoreError, StoreOptions};

use crate::common::{life, start};
use crate::sim::{Crash, Fault, Sim};

const FOLDER: &str = "/router";
const REQUESTS: u64 = 14;

fn options(sim: &Sim) -> StoreOptions {
    StoreOptions {
        vfs: Arc::new(sim.clone()),
        ..StoreOptions::default()
    }
}

/// What was promised while the store was driven.
#[derive(Debug, Default)]
struct Promised {
    /// `create` or `open` returned.
    made: bool,
    /// Events acknowledged.
    acknowledged: usize,
    /// Events handed over.
    submitted: usize,
}

struct Life {
    events: Vec<Event>,
    states: Vec<Vec<u8>>,
}

impl Life {
    /// Opens, appends and rotates until all is done or the process is dead; opens again after
    /// every error, as a service would.
    fn drive(&self, sim: &Sim) -> Promised {
        let mut promised = Promised::default();
        for _ in 0..4 {
            if let Err(error) = self.session(sim, &mut promised) {
                assert!(!error.code().is_empty() && !error.help().is_empty());
                if sim.is_dead() {
                    break;
                }
                sim.make_space();
            } else {
                assert_eq!(promised.acknowledged, self.events.len());
                break;
            }
        }
        promised
    }

    fn session(&self, sim: &Sim, promised: &mut Promised) -> Result<(), StoreError> {
        let opened = Store::open(FOLDER, &options(sim), &|_, _| None);
        let (mut store, mut live) = match opened {
            Ok(opened) => {
                self.check(&opened.live, promised);
                // What was recovered is durable, acknowledged before or not.
                promised.acknowledged = usize::try_from(opened.live.sequence()).expect("small");
                (opened.store, opened.live)
            }
            Err(StoreError::Empty { .. }) => {
                assert!(!promised.made, "a store that was made is there");
                let live = start();
                (Store::create(FOLDER, &options(sim), &live)?, live)
            }
            Err(error) => return Err(error),
        };
        promised.made = true;
        loop {
            let next = usize::try_from(live.sequence()).expect("small");
            let group = &self.events[next..self.events.len().min(next + 3)];
            if group.is_empty() {
                return Ok(());
            }
            promised.submitted = promised.submitted.max(next + group.len());
            let sequence = store.append(live.sequence(), group)?;
            for event in group {
                live.apply(event).expect("valid");
            }
            assert_eq!(sequence, live.sequence());
            promised.acknowledged = next + group.len();
            if next % 2 == 1 {
                store.rotate(&live)?;
            }
        }
    }

    /// The state is one that the events lead to, has all that was acknowledged, and no more than
    /// was handed over.
    fn check(&self, live: &Live, promised: &Promised) {
        let n = usize::try_from(live.sequence()).expect("small");
        assert!(
            (promised.acknowledged..=promised.submitted).contains(&n),
            "{n} events of {promised:?}"
        );
        assert!(
            live.snapshot() == self.states[n],
            "a mixed state of {n} events"
        );
    }
}

#[test]
fn s01_any_fault_at_any_call_leaves_old_or_new_and_all_that_was_acknowledged() {
    let (events, states) = life(REQUESTS);
    let life = Life { events, states };
    let healthy = Sim::default();
    life.drive(&healthy);
    let calls = healthy.calls();
    assert!(calls > 70, "{calls}");
    let (mut opened, mut unfinished) = (0, 0);
    for at in 0..calls {
        for fault in Fault::ALL {
            let sim = Sim::failing(at, fault);
            let promised = life.drive(&sim);
            for crash in Crash::ALL {
                let told = format!("{fault:?} at call {at}, then {crash:?}");
                let after = sim.after(crash);
                let read = Store::read(FOLDER, &options(&after), &|_, _| None);
                match Store::open(FOLDER, &options(&after), &|_, _| None) {
                    Ok(found) => {
                        life.check(&found.live, &promised);
                        assert!(found.report.is_newest(), "{told}: {}", found.report);
                        let read = read.expect("what can be opened can be read");
                        assert_eq!(read.report, found.report);
                        opened += 1;
                    }
                    Err(StoreError::Empty { .. }) if !promised.made => unfinished += 1,
                    Err(error) => panic!("{told}: {error}"),
                }
            }
        }
    }
    assert!(opened > 3_000 && unfinished > 50, "{opened} {unfinished}");
}

/// After one crash comes another, while the first is being recovered from.
#[test]
fn s01_recovery_may_crash_too() {
    let (events, states) = life(REQUESTS);
    let life = Life { events, states };
    for at in (20..90).step_by(7) {
        let sim = Sim::failing(at, Fault::KillHalf);
        let promised = life.drive(&sim);
        if !promised.made {
            continue;
        }
        for first in Crash::ALL {
            for call in 0..25 {
                let after = sim.after(first).then_failing(call, Fault::KillHalf);
                let _ = Store::open(FOLDER, &options(&after), &|_, _| None);
                for second in Crash::ALL {
                    let last = after.after(second);
                    let found = Store::open(FOLDER, &options(&last), &|_, _| None).unwrap_or_else(
                        |error| panic!("{at} {first:?} {call} {second:?}: {error}"),
                    );
                    life.check(&found.live, &promised);
                }
            }
        }
    }
}

/// After a failed fsync nothing more is written: what the file holds is not known.
#[test]
fn s01_a_failed_write_closes_the_store() {
    let (events, _) = life(3);
    let healthy = Sim::default();
    let live = start();
    let mut store = Store::create(FOLDER, &options(&healthy), &live).expect("made");
    let before = healthy.calls();
    store.append(0, &events[..1]).expect("appends");
    assert_eq!(healthy.calls() - before, 2, "one write, one fsync");
    for call in [before, before + 1] {
        let sim = Sim::failing(call, Fault::Fail);
        let mut store = Store::create(FOLDER, &options(&sim), &live).expect("made");
        assert!(matches!(
            store.append(0, &events[..1]),
            Err(StoreError::Io { .. })
        ));
        assert!(matches!(
            store.append(0, &events[..1]),
            Err(StoreError::Broken)
        ));
        assert!(matches!(store.rotate(&live), Err(StoreError::Broken)));
        drop(store);
        let opened = Store::open(FOLDER, &options(&sim), &|_, _| None).expect("opens");
        assert!(opened.live.sequence() <= 1);
    }
}
