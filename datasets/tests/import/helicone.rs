//! Helicone's table in `ClickHouse`, and the objects of its API.

use plimsoll_datasets::{ImportKind, ImportOptions, QualityFrom};

use crate::golden::{Given, check};

fn options(quality: QualityFrom) -> ImportOptions {
    let mut options = ImportOptions::new(ImportKind::Helicone);
    options.quality = Some(quality);
    options.read.max_reject = 0.2;
    options
}

/// Costs are whole nano-dollars, numbers may be texts, 0 says that no price is known.
#[test]
fn rows_of_the_table_become_requests() {
    let name = "helicone_request_response_rmt";
    let options = options(QualityFrom::Thumbs(None));
    let (report, read) = check(name, &["helicone_request_response_rmt.jsonl"], &options);
    assert_eq!((report.records, report.rows, report.duplicates), (10, 4, 1));
    assert_eq!((report.unpriced, report.free), (2, 0));
    assert_eq!(
        report.skipped.len(),
        4,
        "a cached answer, an embedding, a tool, no model"
    );
    assert_eq!(report.rejected["negative"], 1);
    assert_eq!(report.labels.scores["accuracy"], 2);
    let log = Given(&read);
    assert_eq!(log.cost("r-1"), "0.000092");
    let tokens = [Some(618), Some(512), Some(30), Some(10)];
    assert_eq!(log.tokens("r-1"), tokens, "buckets exclude each other");
    assert_eq!(log.latency_ms("r-1"), Some(1400.0));
    assert_eq!(
        (log.quality("r-1"), log.quality("r-2")),
        (Some(1.0), Some(0.0))
    );
    assert_eq!(log.prompt("r-1"), Some("How do I reset it?"));
    assert_eq!(log.prompt("r-2"), Some("And the bill?"));
    assert_eq!(
        (log.cost("r-3"), log.prompt("r-3")),
        ("unknown".into(), None)
    );
    assert_eq!(log.tokens("r-7"), [None; 4], "refused before it was read");
}

/// The API's costs are dollars.
#[test]
fn objects_become_requests() {
    let options = options(QualityFrom::Thumbs(None));
    let (report, read) = check("helicone_requests", &["helicone_requests.json"], &options);
    assert_eq!((report.records, report.rows), (5, 4));
    let log = Given(&read);
    assert_eq!(
        (log.cost("r-1"), log.cost("r-2")),
        ("0.000092".into(), "0.0031".into())
    );
    assert_eq!(
        (log.cost("r-3"), log.cost("r-5")),
        ("unknown".into(), "unknown".into())
    );
    assert_eq!(log.arm("r-1"), "gpt-5-mini", "its version is no other arm");
    assert_eq!(log.arm("r-2"), "claude-opus-4-8");
    assert_eq!(log.tokens("r-1"), [Some(184), Some(64), Some(40), None]);
    let quality = ["r-1", "r-2", "r-3", "r-5"].map(|id| log.quality(id));
    assert_eq!(quality, [Some(1.0), Some(0.0), None, Some(1.0)]);
}

/// Scores are whole numbers on a scale of one's own.
#[test]
fn scores_have_a_scale() {
    let mut options = options(QualityFrom::Score("accuracy".to_owned()));
    options.scale = Some("0..100".parse().expect("a scale"));
    let (_, read) = check("helicone_scores", &["helicone_requests.json"], &options);
    let log = Given(&read);
    assert_eq!((log.quality("r-1"), log.quality("r-2")), (Some(0.9), None));
}
