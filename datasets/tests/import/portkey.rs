//! Portkey's log export.

use plimsoll_datasets::{ImportKind, ImportOptions};

use crate::golden::{Given, check};

/// Costs are cents; 0 of them is no price; the attempts of a trace are one request.
#[test]
fn logs_become_requests() {
    let mut options = ImportOptions::new(ImportKind::Portkey);
    options.read.max_reject = 0.2;
    let (report, read) = check("portkey_logs", &["portkey_logs.jsonl"], &options);
    assert_eq!((report.records, report.rows, report.duplicates), (16, 6, 1));
    assert_eq!((report.merged_requests, report.several_models), (1, 1));
    assert_eq!((report.unpriced, report.free), (3, 0));
    let skipped: Vec<u64> = report.skipped.values().copied().collect();
    assert_eq!(skipped, [3, 1, 1], "cached answers, no model, an embedding");
    assert_eq!(report.rejected["out-of-range"], 1, "another currency");
    assert_eq!(report.rejected["missing-value"], 1, "neither trace nor id");
    let log = Given(&read);
    assert_eq!(log.cost("t-1"), "0.000092");
    assert_eq!(log.tokens("t-1"), [Some(120), Some(64), Some(30), Some(10)]);
    assert_eq!(
        (log.arm("t-2"), log.cost("t-2")),
        ("claude-opus-4-8".into(), "0.0031".into())
    );
    let tokens = [Some(220), None, Some(100), None];
    assert_eq!(
        log.tokens("t-2"),
        tokens,
        "parts of other counts are not known to be within"
    );
    assert_eq!(log.latency_ms("t-2"), Some(5400.0));
    assert_eq!(
        log.prompt("t-2"),
        Some("How do I reset it?"),
        "the first attempt's"
    );
    assert_eq!(log.cost("t-5"), "unknown", "0 cents is what has no price");
    assert_eq!(
        (log.cost("t-6"), log.tokens("t-6")),
        ("unknown".into(), [None; 4])
    );
    assert_eq!(log.cost("t-10"), "unknown");
    assert_eq!(log.cost("t-11"), "0.0000000001", "exact to the pico-dollar");
    let request = |id| {
        read.log
            .requests
            .iter()
            .find(|request| request.id == id)
            .expect("it")
    };
    assert_eq!(request("t-1").tenant.as_deref(), Some("u-1"));
    assert_eq!(request("t-10").session_id.as_deref(), Some("s-2"));
}
