//! `OpenRouter`'s activity CSV, and its generations.

use plimsoll_datasets::{ImportKind, ImportOptions, Input};

use crate::golden::{Given, check, fixture_text, run};

fn options() -> ImportOptions {
    let mut options = ImportOptions::new(ImportKind::OpenRouter);
    options.read.max_reject = 0.3;
    options
}

/// Costs come without prompts; a provider's own bill is part of the cost; `:free` is another arm.
#[test]
fn activity_is_cost_and_mix() {
    let (report, read) = check(
        "openrouter_activity",
        &["openrouter_activity.csv"],
        &options(),
    );
    assert_eq!((report.records, report.rows), (11, 7));
    assert_eq!((report.duplicates, report.free, report.unpriced), (1, 1, 2));
    assert_eq!(report.rejected["bad-time"], 1);
    assert_eq!(report.rejected["negative"], 1);
    assert_eq!(
        report.skipped.values().sum::<u64>(),
        1,
        "gen-8 names no model"
    );
    assert!(report.evidence.contains("without prompts"));
    assert!(
        read.log
            .requests
            .iter()
            .all(|request| request.prompt.is_none())
    );
    let log = Given(&read);
    assert_eq!(
        log.tokens("gen-1"),
        [Some(900), Some(512), Some(120), Some(80)]
    );
    assert_eq!(log.cost("gen-2"), "0.0031", "searches are within the total");
    assert_eq!(log.arm("gen-3"), "meta/llama-5-8b:free");
    assert_eq!(
        log.cost("gen-4"),
        "0.00084",
        "the fee and the provider's bill"
    );
    assert_eq!(log.cost("gen-5"), "0.0002", "what is cancelled is billed");
    assert_eq!(
        log.cost("gen-6"),
        "unknown",
        "what failed unused says nothing of prices"
    );
    assert_eq!(log.cost("gen-7"), "unknown", "an empty cost is not 0");
}

/// Native counts are what is billed; generations of one request are one row.
#[test]
fn generations_become_requests() {
    let name = "openrouter_generations";
    let (report, read) = check(name, &["openrouter_generations.jsonl"], &options());
    assert_eq!((report.records, report.rows), (10, 5));
    assert_eq!((report.merged_requests, report.merged_calls), (1, 2));
    assert_eq!(
        report.skipped.values().sum::<u64>(),
        2,
        "a cached answer, an embedding"
    );
    assert_eq!(
        report.rejected["missing-value"], 1,
        "an error is no generation"
    );
    assert_eq!(report.rejected["out-of-range"], 1, "more cached than read");
    let log = Given(&read);
    assert_eq!(
        log.tokens("req-1"),
        [Some(640), Some(512), Some(120), Some(80)]
    );
    assert_eq!(
        log.cost("req-1"),
        "0.00125",
        "the upstream's cost is within the total"
    );
    assert_eq!(
        log.cost("req-2"),
        "0.00084",
        "with a key of one's own it is not"
    );
    assert_eq!(log.cost("req-3"), "unknown", "the fee alone is no cost");
    assert_eq!(log.cost("req-4"), "0.0092");
    assert_eq!(
        log.tokens("gen-h"),
        [None; 4],
        "normalised counts are not what is billed"
    );
    assert_eq!(log.cost("gen-h"), "0");
}

/// One per line, in an array or bare: the same log.
#[test]
fn generations_come_in_any_wrapping() {
    let text = fixture_text("openrouter_generations.jsonl");
    let objects: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("JSON");
    let lines: Vec<String> = objects.iter().map(ToString::to_string).collect();
    let bare: Vec<String> = objects
        .iter()
        .map(|object| object.get("data").unwrap_or(object).to_string())
        .collect();
    let array = serde_json::to_string_pretty(&objects).expect("JSON");
    let (_, _, want) =
        run(&[Input::bytes("g.jsonl", text.into_bytes())], &options()).expect("an import");
    for (name, text) in [
        ("g.jsonl", lines.join("\n")),
        ("g.json", array),
        ("g.jsonl", bare.join("\n")),
    ] {
        let (_, _, got) =
            run(&[Input::bytes(name, text.into_bytes())], &options()).expect("an import");
        assert_eq!(got, want);
    }
}
