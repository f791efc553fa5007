//! What must be right before a run begins: the options, the folder, its journal.

use plimsoll::Usd;
use plimsoll_collect::{CollectOptions, JOURNAL_NAME, Journal};

use crate::common::{log, log_of, names};
use crate::server::{Act, Server};
use crate::sockets::{Hurried, fill, folder, options, run_at, small};

#[test]
fn a_budget_too_small_is_said_before_anything_is_sent() {
    let server = Server::start(|_| Act::answer("fine", 5));
    let folder = folder();
    let options = options(&["small"], 3, "0.000001");
    let run = fill(&server, &folder, &log(3), &options);
    let error = run.expect_err("nothing fits");
    assert!(error.to_string().contains("3 budget"), "{error}");
    assert_eq!(server.calls(), 0);
}

#[test]
fn one_run_per_folder_and_no_damaged_journal() {
    let folder = folder();
    let first = Journal::open(folder.path()).expect("a journal");
    assert_eq!(
        Journal::open(folder.path()).err().expect("locked").code(),
        "P0908"
    );
    drop(first);
    let server = Server::start(|_| Act::answer("fine", 5));
    fill(&server, &folder, &log(3), &options(&["small"], 3, "1")).expect("it runs");
    let path = folder.path().join(JOURNAL_NAME);
    let whole = std::fs::read(&path).expect("bytes");
    let lines = String::from_utf8_lossy(&whole).lines().count();
    assert_eq!(lines, 7);
    // A flipped bit before the last line is damage; within it, it is a torn end.
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .expect("lines")
        + 1;
    for at in (0..whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(&path, &bytes).expect("written");
        let opened = Journal::open(folder.path());
        if at < last - 1 {
            let error = opened
                .err()
                .unwrap_or_else(|| panic!("byte {at} was not missed"));
            assert_eq!(error.code(), "P0909", "{at}");
        } else if let Ok(journal) = opened {
            assert!(journal.earlier().spent_usd >= small(2), "{at}");
        }
    }
    // Cut anywhere: never an error, and what is uncertain is charged.
    for end in (0..=whole.len()).step_by(3) {
        std::fs::write(&path, &whole[..end]).expect("written");
        let journal = Journal::open(folder.path()).unwrap_or_else(|error| panic!("{end}: {error}"));
        let text = String::from_utf8_lossy(&whole[..end]);
        let begun = text.matches(r#""event":"reserve""#).count();
        let earlier = journal.earlier();
        assert!(earlier.unknown_calls <= 3 && earlier.unknown_calls <= begun as u64);
    }
}

#[test]
fn what_cannot_begin_says_why() {
    let folder = folder();
    let rows = "request_id,model\nr1,large\n";
    let good = options(&["small"], 1, "1");
    let with = |change: &dyn Fn(&mut CollectOptions)| {
        let mut options = good.clone();
        change(&mut options);
        options
    };
    for (log, options, code) in [
        (log_of(rows), good.clone(), "P0902"),
        (log(1), with(&|o| o.arms = names(&["smal"])), "P0903"),
        (
            log(1),
            with(&|o| o.judge = Some("nobody".to_owned())),
            "P0903",
        ),
        (log(1), with(&|o| o.arms = Vec::new()), "P0901"),
        (
            log(1),
            with(&|o| o.arms = names(&["small", "small"])),
            "P0901",
        ),
        (log(1), with(&|o| o.budget = Usd::ZERO), "P0901"),
        (log(1), with(&|o| o.sample = 0), "P0901"),
        (log(1), with(&|o| o.concurrency = 0), "P0901"),
        (log(1), with(&|o| o.retries_max = 21), "P0901"),
        (log(1), with(&|o| o.output_tokens_max = 0), "P0901"),
    ] {
        let run = run_at(
            "http://127.0.0.1:9",
            folder.path(),
            &log,
            &options,
            Hurried::default(),
        );
        let error = run.expect_err(code);
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.help().is_empty());
    }
}
