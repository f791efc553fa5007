//! Outcome logs, of any format: read whole, streamed, written and read again.

use std::fs;
use std::path::Path;

use plimsoll::Seed;
use plimsoll_datasets::{
    Catalogue, Input, LoggedFiles, OutcomeLog, ReadError, ReadLog, ReadOptions, Split,
    StreamOptions, StreamTally, TimestampUnit, read, split, write_log,
};

use crate::bound::{READ_BYTES, assert_nothing_left, bounded, folder};

/// A log in JSONL, compressed or not.
#[must_use]
pub fn log_jsonl(data: &[u8]) -> bool {
    bounded(data.len(), || log(data, "log.jsonl"))
}

/// A log in CSV, compressed or not.
#[must_use]
pub fn log_csv(data: &[u8]) -> bool {
    bounded(data.len(), || log(data, "log.csv"))
}

/// A log in Parquet: read whole, by way of memory and in place, and streamed.
#[must_use]
pub fn log_parquet(data: &[u8]) -> bool {
    bounded(data.len(), || {
        let path = folder().join("log.parquet");
        fs::write(&path, data).expect("a temporary file");
        let input = Input::Path(path.clone());
        let in_place = read(&input, &options(None));
        streamed(&input);
        fs::remove_file(&path).expect("a temporary file");
        match (in_place, read(&Input::bytes("log", data), &options(None))) {
            (Ok(a), Ok(b)) => assert_eq!(a.log.requests, b.log.requests),
            (Err(a), Err(b)) => assert_eq!(a.code(), b.code()),
            (a, b) => panic!("read in place {}, from memory {}", a.is_ok(), b.is_ok()),
        }
        log(data, "log.jsonl")
    })
}

/// As lenient as can be, so that the good rows of a bad file are put to work.
pub(crate) fn options(timestamp_unit: Option<TimestampUnit>) -> ReadOptions {
    ReadOptions {
        max_reject: 1.0,
        timestamp_unit,
        byte_cap: READ_BYTES,
        line_cap: 1 << 16,
    }
}

/// Reads a log without and with a unit of times; what is read is put to work.
fn log(data: &[u8], written_as: &str) -> bool {
    let mut loaded = false;
    for unit in [None, Some(TimestampUnit::Milliseconds)] {
        match read(&Input::bytes("log", data), &options(unit)) {
            Ok(read) => {
                loaded = true;
                put_to_work(&read, &folder().join(written_as));
            }
            Err(error) => check_error(&error),
        }
    }
    assert_nothing_left();
    loaded
}

pub(crate) fn check_error(error: &ReadError) {
    assert!(error.code().starts_with("P02"));
    assert!(!error.to_string().is_empty() && !error.help().is_empty());
    let _ = (error.location(), format!("{error:?}"));
    if let ReadError::TooManyRejects {
        report, rejects, ..
    } = error
    {
        assert!(report.rows_rejected > 0 && report.rows_rejected >= rejects.len() as u64);
    }
}

/// Everything that is done with a log: its report, splits, prices; and it is written so that it
/// reads the same.
fn put_to_work(given: &ReadLog, path: &Path) {
    let (log, report) = (&given.log, &given.report);
    assert!(!log.requests.is_empty());
    assert_eq!(report.requests, log.requests.len() as u64);
    assert!(report.rows_read >= report.rows_rejected && !report.files.is_empty());
    let _ = format!("{report:?}{:?}", given.rejects);
    for request in &log.requests {
        assert!(!request.id.is_empty() && !request.outcomes.is_empty());
        assert!(
            request
                .outcomes
                .iter()
                .all(|o| (o.arm as usize) < log.arms.len())
        );
    }
    for wanted in ["hash:0.5", "time:0.7", "group:tenant:0.5"] {
        let wanted = Split::parse(wanted).expect("a split");
        if let Ok((train, test)) = split(log, &wanted, Seed(1)) {
            assert_eq!(train.len() + test.len(), log.requests.len());
        }
    }
    let mut priced = log.clone();
    let _ = Catalogue::embedded().price_log(&mut priced);
    reads_the_same(log, path);
}

fn reads_the_same(log: &OutcomeLog, path: &Path) {
    write_log(path, log).expect("a log that was read can be written");
    // Escapes make a text longer than it was.
    let options = ReadOptions {
        max_reject: 0.0,
        ..ReadOptions::default()
    };
    let again = read(&Input::Path(path.to_owned()), &options);
    fs::remove_file(path).expect("the log");
    let again = again.expect("what was written can be read").log;
    assert_eq!(again.arms, log.arms);
    assert_eq!(again.requests, log.requests);
}

/// Streams a log of Parquet: batches, their tallies and what is checked at the end.
fn streamed(input: &Input) {
    let options = StreamOptions {
        read: options(None),
        prompts: true,
    };
    let files = match LoggedFiles::open(input, &options) {
        Ok(Some(files)) => files,
        Ok(None) => return,
        Err(error) => return check_error(&error),
    };
    let mut tally = StreamTally::default();
    for index in 0..files.batches() {
        match files.batch(index) {
            Ok(batch) => tally.merge(batch.tally),
            Err(error) => return check_error(&error),
        }
    }
    let _ = files.check(&tally).map_err(|error| check_error(&error));
}
