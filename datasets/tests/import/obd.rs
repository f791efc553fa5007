//! The Open Bandit Dataset.

use plimsoll::Quality;
use plimsoll_datasets::{ImportKind, Input, Join, QualityFrom};

use crate::golden::{check, detects, fixture, lenient, outcome, run};

const ALL: &str = "obd_all.csv";
const ITEMS: &str = "obd_item_context.csv";

/// Impressions are decisions with the propensity of their item at their position.
#[test]
fn impressions_become_decisions() {
    detects(ALL, ImportKind::Obd);
    let (report, read) = check("obd", &[ALL, ITEMS], &lenient(ImportKind::Obd));
    assert_eq!(report.rows, 3, "rows with one index are not joined");
    let rejected: Vec<(&str, u64)> = report
        .rejected
        .iter()
        .map(|(k, n)| (k.as_str(), *n))
        .collect();
    assert_eq!(
        rejected,
        [("bad-time", 1), ("missing-value", 1), ("out-of-range", 1)],
        "a time without a unit, no propensity, a propensity of 0"
    );
    assert_eq!(report.unpriced, 3, "clicks have no cost in dollars");
    let second = read.log.requests.iter().find(|own| own.id == "1:2");
    let second = second.expect("the second impression");
    assert_eq!(second.task.as_deref(), Some("position-1"));
    // Affinities in the order of the items, whatever the order of the columns.
    assert_eq!(second.embedding, Some(vec![1.0, 0.0, 2.5]));
    let clicked = outcome(&read, "1:2", "item-0");
    assert_eq!(clicked.quality.map(Quality::get), Some(1.0));
    assert_eq!(
        clicked.propensity.map(plimsoll::Propensity::get),
        Some(0.25)
    );
}

/// Another campaign numbers other items alike: its rows are refused.
#[test]
fn campaigns_are_not_mixed() {
    let inputs = [fixture(ALL), fixture("obd_men.csv")];
    let (report, _, _) = run(&inputs, &lenient(ImportKind::Obd)).expect("an import");
    assert_eq!(report.rejected.get("field-count"), Some(&1));
}

#[test]
fn clicks_are_the_only_outcome() {
    let mut options = lenient(ImportKind::Obd);
    options.quality = Some(QualityFrom::Thumbs(None));
    let error = run(&[fixture(ALL)], &options)
        .map(drop)
        .expect_err("no thumbs");
    assert_eq!(error.code(), "P0253");
}

/// Labels of one's own count in place of clicks, and only they.
#[test]
fn labels_may_come_from_elsewhere() {
    let mut options = lenient(ImportKind::Obd);
    options.join = Some(Join {
        input: Input::bytes("bought.csv", &b"impression,quality\n1:1,0.5\n"[..]),
        on: "impression".to_owned(),
    });
    let (report, read, _) = run(&[fixture(ALL)], &options).expect("an import");
    assert_eq!((report.labels.labelled, report.labels.unmatched), (1, 0));
    let quality = |id, arm| outcome(&read, id, arm).quality.map(Quality::get);
    assert_eq!(quality("1:1", "item-2"), Some(0.5));
    assert_eq!(
        quality("1:2", "item-0"),
        None,
        "a click that nobody asked for"
    );
}
