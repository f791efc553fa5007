//! `kill -9` while events are being acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use plimsoll::{Event, Live};
use plimsoll_store::{Store, StoreError, StoreOptions};

use crate::common::{capped, capped_event, request, start};

/// Names the folder to the child process.
const FOLDER: &str = "PLIMSOLL_STORE_TEST_FOLDER";

/// The child: appends, and says on stdout what it may acknowledge, until it is killed.
#[test]
#[ignore = "run by s01_kill_9_loses_no_acknowledged_event in a process of its own"]
fn child() {
    // An odd number of events was made durable: its label is said again, as a duplicate.
    serve(start, |live| request(live, live.sequence() / 2).to_vec());
}

/// The same under caps, event by event.
#[test]
#[ignore = "run by s01_kill_9_loses_no_acknowledged_money in a process of its own"]
fn capped_child() {
    serve(capped, |live| vec![capped_event(live)]);
}

fn serve(begin: fn() -> Live, next_group: fn(&Live) -> Vec<Event>) {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let options = StoreOptions::default();
    let (mut store, mut live) = match Store::open(&folder, &options, &|_, _| None) {
        Ok(opened) => (opened.store, opened.live),
        Err(StoreError::Empty { .. }) => {
            let live = begin();
            (Store::create(&folder, &options, &live).expect("made"), live)
        }
        Err(error) => panic!("{error}"),
    };
    for group in 0_u64.. {
        let events = next_group(&live);
        let next = store.append(live.sequence(), &events).expect("appends");
        for event in &events {
            live.apply(event).expect("valid");
        }
        println!("acknowledged {next} {}", live.state_hash());
        std::io::stdout().flush().expect("a pipe");
        if group % 5 == 4 {
            store.rotate(&live).expect("rotates");
        }
    }
}

/// Lets the child run until it has acknowledged `groups` groups, and kills it: the last it said.
fn run_and_kill(child: &str, folder: &Path, groups: usize) -> (u64, String) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let (mut last, mut heard) = ((0, String::new()), 0);
    for line in out.lines() {
        // What was in the pipe when the child died counts as well.
        let line = line.expect("text");
        let Some(rest) = line.split("acknowledged ").nth(1) else {
            continue;
        };
        let (number, hash) = rest.split_once(' ').unwrap_or((rest, ""));
        // The last line may be cut off.
        if hash.len() == 64 {
            last = (number.parse().expect("a number"), hash.to_owned());
            heard += 1;
        }
        if heard == groups {
            child.kill().expect("SIGKILL");
        }
    }
    child.wait().expect("dead");
    assert!(heard >= groups, "{heard} of {groups}");
    last
}

#[test]
fn s01_kill_9_loses_no_acknowledged_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut before = 0;
    for round in 0..12 {
        let (acknowledged, hash) = run_and_kill("kill::child", folder.path(), 1 + round * 3 % 11);
        assert!(acknowledged > before, "it went on from where it was");
        let read = Store::read(folder.path(), &StoreOptions::default(), &|_, _| None);
        let read = read.expect("recovers");
        let found = read.live.sequence();
        // One group more may be durable that was not acknowledged.
        assert!(
            (acknowledged..=acknowledged + 2).contains(&found),
            "{acknowledged} {found}"
        );
        if found == acknowledged {
            assert_eq!(read.live.state_hash(), hash);
        }
        assert!(read.report.is_newest(), "{}", read.report);
        before = acknowledged;
    }
    let opened = Store::open(folder.path(), &StoreOptions::default(), &|_, _| None);
    assert!(
        opened
            .expect("the lock died with its process")
            .live
            .sequence()
            >= before
    );
}

/// What is recovered is the history up to some event that is no earlier than the last acknowledged
/// one: no hold and no settlement is missing, none is there twice, and no cap is exceeded.
#[test]
fn s01_kill_9_loses_no_acknowledged_money() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut history, mut held, mut settled) = (capped(), 0, 0);
    for round in 0..12 {
        let groups = 2 + round * 5 % 17;
        let (acknowledged, hash) = run_and_kill("kill::capped_child", folder.path(), groups);
        let read = Store::read(folder.path(), &StoreOptions::default(), &|_, _| None);
        let read = read.expect("recovers");
        let found = read.live.sequence();
        assert!(
            (acknowledged..=acknowledged + 1).contains(&found),
            "{acknowledged} {found}"
        );
        // Every event is a function of the state before it, so that the history can be lived again.
        while history.sequence() < found {
            let event = capped_event(&history);
            history.apply(&event).expect("valid");
            if history.sequence() == acknowledged {
                assert_eq!(history.state_hash(), hash);
            }
        }
        assert_eq!(read.live.state_hash(), history.state_hash());
        let ledger = read.live.spending().expect("a ledger").ledger();
        for (scope, account) in ledger.accounts() {
            assert!(
                account.spent + account.reserved <= account.cap.limit && account.overruns == 0,
                "{scope}: {account:?}"
            );
            settled += u32::from(account.spent > plimsoll::Usd::ZERO);
        }
        held += ledger.open();
    }
    assert!(held > 0, "some kill finds money held");
    assert!(settled > 0, "and some spent");
}
