//! Logs and prices to collect with.

use std::fmt::Write as _;

use plimsoll::Usd;
use plimsoll_datasets::{Catalogue, Input, OutcomeLog, ReadOptions, read};

/// Dollars per million tokens that make a token cost 1 and 2 micro-dollars.
pub(crate) const PRICES: &str = "\
[arms.large]
input = 3
output = 9
[arms.small]
input = 1
output = 2
[arms.tiny]
input = 0.5
output = 1
cached_input = 0.7
[arms.judge]
input = 2
output = 4
";

pub(crate) fn prices() -> Catalogue {
    Catalogue::read(PRICES).expect("prices")
}

/// `n` requests that `large` answered, unlabelled, with their answers' texts.
pub(crate) fn log(n: usize) -> OutcomeLog {
    log_of(&rows(n))
}

pub(crate) fn rows(n: usize) -> String {
    let mut rows = "request_id,model,prompt,task,response\n".to_owned();
    for i in 0..n {
        let words = "word ".repeat(i % 7);
        let _ = writeln!(rows, "r{i},large,question {i} {words},t{},said {i}", i % 3);
    }
    rows
}

pub(crate) fn log_of(rows: &str) -> OutcomeLog {
    let read = read(
        &Input::bytes("log.csv", rows.as_bytes()),
        &ReadOptions::default(),
    );
    read.expect("a log").log
}

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().expect("an amount")
}

pub(crate) fn names(arms: &[&str]) -> Vec<String> {
    arms.iter().map(|arm| (*arm).to_owned()).collect()
}
