//! Vowpal Wabbit's text and its dsjson.

use std::path::Path;

use plimsoll::Quality;
use plimsoll_datasets::{ImportKind, ImportOptions, Input, QualityFrom};

use crate::golden::{check, detects, fixture, lenient, outcome, run};

const CB: &str = "vw_cb.txt";
const ADF: &str = "vw_adf.txt";
const DSJSON: &str = "vw_dsjson_decisions.jsonl";

/// A line is a decision; nothing is a quality until somebody says what a loss means.
#[test]
fn cb_lines_become_decisions() {
    detects(CB, ImportKind::Vw);
    let (report, read) = check("vw_cb", &[CB], &lenient(ImportKind::Vw));
    assert_eq!((report.records, report.rows), (9, 5));
    assert_eq!(report.labels.labelled, 0);
    assert_eq!(report.unpriced, report.rows, "a loss is no money");
    let propensity = |id, arm| {
        outcome(&read, id, arm)
            .propensity
            .map(plimsoll::Propensity::get)
    };
    assert_eq!(propensity("1:1", "action-1"), Some(0.4));
    assert_eq!(
        propensity("1:5", "action-4"),
        None,
        "not logged, not guessed"
    );
    let third = read.log.requests.iter().find(|own| own.id == "1:3");
    let third = third.expect("the third line");
    assert_eq!(third.prompt.as_deref(), Some("Context time:0.5 |Other new"));
    assert_eq!(third.candidates.as_ref().map(Vec::len), Some(3));
    assert_eq!(third.extra.get("loss").map(String::as_str), Some("1"));
    let rejected: u64 = report.rejected.values().sum();
    assert_eq!(
        rejected, 4,
        "no chance, a touching label, no label, two losses"
    );
}

/// Arms are told by tags, by their only features, or by their numbers.
#[test]
fn adf_blocks_become_decisions() {
    detects(ADF, ImportKind::Vw);
    let mut options = lenient(ImportKind::Vw);
    options.scale = Some("0..-1".parse().expect("a scale"));
    options.read.max_reject = 1.0;
    let error = run(&[fixture(ADF)], &options).map(|(report, ..)| report.labels.faults);
    assert!(
        error.is_ok_and(|faults| faults.len() == 1),
        "0.5 is on no scale of 0 to −1"
    );
    options.scale = Some("1..-1".parse().expect("a scale"));
    let (report, read) = check("vw_adf", &[ADF], &options);
    let quality = |id, arm| outcome(&read, id, arm).quality.map(Quality::get);
    assert_eq!(quality("1:1", "article=sports"), Some(1.0));
    assert_eq!(quality("1:2", "article=music"), Some(0.5));
    assert_eq!(quality("1:3", "action-2"), Some(0.25));
    assert_eq!(quality("1:4", "action-2"), Some(0.375));
    assert_eq!(quality("1:5", "large"), Some(0.125));
    assert_eq!(report.rows, 5);
    assert_eq!(report.skipped.values().sum::<u64>(), 1, "no label");
    assert_eq!(report.rejected.get("conflict"), Some(&1), "two labels");
    assert_eq!(
        report.rejected.get("wrong-type"),
        Some(&4),
        "another\'s number, and three lines of ccb"
    );
}

/// A bare loss is better when lower: it is refused without a scale, and taken from an expression.
#[test]
fn losses_become_quality_as_told() {
    let mut options = lenient(ImportKind::Vw);
    for wrong in [
        QualityFrom::Expression("loss".to_owned()),
        QualityFrom::Thumbs(None),
        QualityFrom::Expression("1 - cost".to_owned()),
    ] {
        options.quality = Some(wrong);
        let error = run(&[fixture(CB)], &options)
            .map(drop)
            .expect_err("refused");
        assert!(["P0252", "P0253"].contains(&error.code()), "{error}");
    }
    options.quality = Some(QualityFrom::Expression("(5 - loss) / 10".to_owned()));
    let (_, read, _) = run(&[fixture(CB)], &options).expect("an import");
    let quality = |id, arm| outcome(&read, id, arm).quality.map(Quality::get);
    assert_eq!(quality("1:1", "action-1"), Some(0.45));
    assert_eq!(quality("1:4", "action-3"), Some(0.75));
}

#[test]
fn dsjson_becomes_decisions() {
    detects(DSJSON, ImportKind::VwDsjson);
    let mut options = lenient(ImportKind::VwDsjson);
    options.scale = Some("1..-1".parse().expect("a scale"));
    let (report, read) = check("vw_dsjson", &[DSJSON], &options);
    assert_eq!((report.records, report.rows), (6, 3));
    assert_eq!(
        report.skipped.values().sum::<u64>(),
        2,
        "a reward apart, no loss"
    );
    assert_eq!(
        report.rejected.get("out-of-range"),
        Some(&1),
        "no such action"
    );
    let first = outcome(&read, "ev-1", "large");
    assert_eq!(first.quality.map(Quality::get), Some(1.0));
    let second = outcome(&read, "ev-2", "small");
    assert_eq!(second.quality.map(Quality::get), Some(0.5));
    assert_eq!(
        outcome(&read, "1:5", "action-1").quality.map(Quality::get),
        Some(0.25)
    );
}

/// Lines of text far beyond a batch are cut where examples end.
#[test]
fn long_files_are_cut_between_examples() {
    let mut text = String::new();
    for _ in 0..40_000 {
        text.push_str("shared |User ");
        text.push_str(&"x".repeat(300));
        text.push_str("\n| a\n0:0:0.5 | b\n\n");
    }
    let options = ImportOptions::new(ImportKind::Vw);
    let (report, _, _) =
        run(&[Input::bytes("long.txt", text.into_bytes())], &options).expect("an import");
    assert_eq!((report.records, report.rows), (40_000, 40_000));
}

/// Files of Vowpal Wabbit's own tests, where they are at hand.
#[test]
fn real_files_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/exports/vw");
    for (name, kind, rows) in [
        ("cb_load.dat", ImportKind::Vw, 113),
        ("cb_test.ldf", ImportKind::Vw, 2),
        ("cb_test_small.ldf", ImportKind::Vw, 4),
        ("cb_features_w_zero_vals.dat", ImportKind::Vw, 2),
        ("dsjson_cb.json", ImportKind::VwDsjson, 23),
        ("decisionservice.json", ImportKind::VwDsjson, 3),
        ("cb_simple.json", ImportKind::VwDsjson, 1),
    ] {
        let path = folder.join(name);
        if !path.exists() {
            eprintln!("{name} is not at hand: not tested");
            continue;
        }
        let input = Input::Path(path);
        let found = plimsoll_datasets::detect(&input).map(|found| found.kind);
        assert_eq!(found.ok(), Some(kind), "{name}");
        let (report, _, _) = run(&[input], &ImportOptions::new(kind)).expect("an import");
        assert_eq!((report.rows, report.rejected_total()), (rows, 0), "{name}");
    }
}
