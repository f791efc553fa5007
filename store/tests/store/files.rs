//! On a real disk: locks, permissions, generations, fallback.

use std::path::Path;

use plimsoll::{Event, JournalError, RecoveryError, SharedRouter};
use plimsoll_store::{Store, StoreError, StoreOptions};

use crate::common::{arm, life, start};

fn open(folder: &Path) -> Result<plimsoll_store::Opened, StoreError> {
    Store::open(folder, &StoreOptions::default(), &|_, _| None)
}

fn create(folder: &Path) -> Store {
    Store::create(folder, &StoreOptions::default(), &start()).expect("made")
}

fn names(folder: &Path, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    names
}

#[test]
fn s08_a_second_writer_is_refused_and_a_stale_lock_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = create(folder.path());
    let refused = open(folder.path()).map(|_| ()).expect_err("locked");
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    assert_eq!(refused.code(), "P0567");
    let again = Store::create(folder.path(), &StoreOptions::default(), &start());
    assert!(matches!(again, Err(StoreError::Locked { .. })));
    // Reading needs no lock.
    let read = Store::read(folder.path(), &StoreOptions::default(), &|_, _| None);
    assert_eq!(read.expect("readable").live, start());
    drop(store);
    // The lock file is still there, as after a crash; nobody holds it.
    assert_eq!(names(folder.path(), "lock").len(), 1);
    let opened = open(folder.path()).expect("opens");
    let exists = opened.store;
    drop(exists);
    let made = Store::create(folder.path(), &StoreOptions::default(), &start());
    assert!(matches!(made, Err(StoreError::Exists { .. })));
}

#[cfg(unix)]
#[test]
fn s09_files_are_for_their_owner_only_and_hold_no_prompt() {
    use std::os::unix::fs::PermissionsExt;
    let above = tempfile::tempdir().expect("a folder");
    let folder = above.path().join("deep/router");
    let mut store = create(&folder);
    let (events, _) = life(2);
    store.append(0, &events).expect("appends");
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let all = names(&folder, "");
    assert_eq!(all.len(), 3, "{all:?}");
    for name in all {
        assert_eq!(mode(&folder.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn rotation_keeps_two_generations() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, mut live) = (create(folder.path()), start());
    let (events, states) = life(12);
    for (i, event) in events.iter().enumerate() {
        let next = store.append(i as u64, std::slice::from_ref(event));
        assert_eq!(next.expect("appends"), i as u64 + 1);
        let early = store.rotate(&live).map(|_| ());
        assert!(
            matches!(early, Err(StoreError::OutOfStep { .. })),
            "not applied yet"
        );
        live.apply(event).expect("valid");
        assert_eq!(store.rotate(&live).expect("rotates"), i as u64 + 2);
        assert!(names(folder.path(), ".snapshot").len() <= 2);
        assert!(names(folder.path(), ".journal").len() <= 2);
        assert_eq!(names(folder.path(), ".new"), [""; 0]);
    }
    // Events that are durable already are passed over; gaps are refused.
    assert_eq!(store.append(20, &events[20..]).expect("durable"), 24);
    assert!(matches!(
        store.append(30, &events[..1]),
        Err(StoreError::OutOfStep {
            expected: 24,
            got: 30
        })
    ));
    drop(store);
    assert_eq!(
        open(folder.path()).expect("opens").live.snapshot(),
        states[24]
    );
}

#[test]
fn s02_a_damaged_snapshot_falls_back_and_is_kept_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, mut live) = (create(folder.path()), start());
    let (events, states) = life(6);
    store.append(0, &events[..5]).expect("appends");
    for event in &events[..5] {
        live.apply(event).expect("valid");
    }
    store.rotate(&live).expect("rotates");
    store.append(5, &events[5..]).expect("appends");
    drop(store);
    let newest = names(folder.path(), ".snapshot").pop().expect("two");
    let path = folder.path().join(&newest);
    let mut bytes = std::fs::read(&path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("writable");

    // Reading changes nothing: not even the damaged file's name.
    let before = names(folder.path(), "");
    let read = Store::read(folder.path(), &StoreOptions::default(), &|_, _| None);
    assert_eq!(read.expect("recovers").live.snapshot(), states[12]);
    assert_eq!(names(folder.path(), ""), before);

    let opened = open(folder.path()).expect("recovers");
    assert_eq!(opened.live.snapshot(), states[12]);
    assert!(
        opened.report.to_string().contains("fell back"),
        "{}",
        opened.report
    );
    assert_eq!(
        names(folder.path(), ".damaged"),
        [format!("{newest}.damaged")]
    );
    drop(opened);
    let again = open(folder.path()).expect("opens");
    assert!(again.report.is_newest());
    assert_eq!(again.live.snapshot(), states[12]);
}

#[test]
fn s02_a_damaged_journal_is_refused_with_its_offset() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = create(folder.path());
    let (events, _) = life(6);
    for (i, event) in events.iter().enumerate() {
        store
            .append(i as u64, std::slice::from_ref(event))
            .expect("appends");
    }
    drop(store);
    let path = folder.path().join(&names(folder.path(), ".journal")[0]);
    let whole = std::fs::read(&path).expect("readable");
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    std::fs::write(&path, damaged).expect("writable");
    let error = open(folder.path()).map(|_| ()).expect_err("damaged");
    let StoreError::Recovery(RecoveryError::Journal { error, .. }) = error else {
        panic!("{error}")
    };
    assert!(
        matches!(error, JournalError::Damaged { offset: 44, .. }),
        "{error}"
    );
    // Put back, it opens: nothing was changed meanwhile.
    std::fs::write(&path, whole).expect("writable");
    assert_eq!(open(folder.path()).expect("opens").live.sequence(), 12);
    std::fs::remove_file(folder.path().join(&names(folder.path(), ".journal")[1]))
        .expect("removable");
    let error = open(folder.path()).map(|_| ()).expect_err("missing");
    assert!(
        matches!(error, StoreError::MissingJournal { .. }),
        "{error}"
    );
}

#[test]
fn folders_that_hold_nothing_stay_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    for place in [folder.path().to_owned(), folder.path().join("nowhere")] {
        let error = open(&place).map(|_| ()).expect_err("empty");
        assert!(matches!(error, StoreError::Empty { .. }), "{error}");
    }
    assert_eq!(names(folder.path(), ""), [""; 0]);
}

/// Many threads, one learner, one store: what is acknowledged is what is recovered.
#[test]
fn a_shared_router_is_recovered_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = start();
    let mut store = Store::create(folder.path(), &StoreOptions::default(), &live).expect("made");
    let shared = SharedRouter::new(live);
    for round in 0..5 {
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let shared = &shared;
                scope.spawn(move || {
                    for i in 0..20 {
                        let archived = (i + thread + round) % 2 == 0;
                        let arm = arm("a");
                        let event = Event::ArmArchived { arm, archived };
                        shared.send(event).expect("room");
                        let context = plimsoll::Context::default();
                        let key = format!("{round}-{thread}-{i}");
                        let call = plimsoll::Call::new(&context, &key, plimsoll::Seed(1));
                        let mut work = plimsoll::Workspace::default();
                        let _ = shared.decide(&call, i, &mut work).expect("decides");
                    }
                });
            }
        });
        let learned = shared
            .learn_logged(|first, events| store.append(first, events).map(drop))
            .expect("learns");
        assert_eq!(learned.sequence, store.sequence());
        if round == 2 {
            let rotated = shared.with_live(|live| store.rotate(live)).expect("whole");
            rotated.expect("rotates");
        }
    }
    drop(store);
    let opened = open(folder.path()).expect("opens");
    let hash = shared.with_live(plimsoll::Live::state_hash).expect("whole");
    assert_eq!(opened.live.state_hash(), hash);
    assert_eq!(opened.live.sequence(), 5 * 3 * 20 * 2);
}
