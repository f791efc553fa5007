//! `TensorZero`'s tables.

use plimsoll_datasets::{ImportKind, ImportOptions, Input, QualityFrom};

use crate::golden::{Given, check, run};

const TABLES: [&str; 7] = [
    "tensorzero_model_inference.jsonl",
    "tensorzero_chat_inference.jsonl",
    "tensorzero_json_inference.jsonl",
    "tensorzero_boolean_metric_feedback.jsonl",
    "tensorzero_float_metric_feedback.jsonl",
    "tensorzero_comment_feedback.jsonl",
    "tensorzero_demonstration_feedback.jsonl",
];

fn options(metric: &str) -> ImportOptions {
    let mut options = ImportOptions::new(ImportKind::TensorZero);
    options.quality = Some(QualityFrom::Score(metric.to_owned()));
    options.read.max_reject = 0.2;
    options
}

/// The id of the fixture's inference `n`: a `UUIDv7` of minute `n` after nine o'clock.
fn inference(n: i64) -> String {
    let millis = 1_772_442_000_000_i64 + 60_000 * n;
    format!(
        "{:08x}-{:04x}-7000-8000-{n:012x}",
        millis >> 16,
        millis & 0xffff
    )
}

/// An inference is a request; feedback finds it by its id or its episode's, the latest counts.
#[test]
fn inferences_become_requests() {
    let (report, read) = check("tensorzero_tables", &TABLES, &options("helpful"));
    assert_eq!((report.rows, report.duplicates), (4, 1));
    assert_eq!((report.merged_requests, report.several_models), (1, 1));
    assert_eq!((report.unpriced, report.free), (1, 1));
    let skipped: Vec<u64> = report.skipped.values().copied().collect();
    assert_eq!(
        skipped,
        [1, 2],
        "a cached answer, a judge and an evaluation"
    );
    assert_eq!(report.rejected["out-of-range"], 1, "more cached than read");
    let log = Given(&read);
    let id = inference;
    assert_eq!(log.cost(&id(1)), "0.000092");
    assert_eq!(log.tokens(&id(1)), [Some(120), Some(64), Some(40), None]);
    assert_eq!(
        log.cost(&id(2)),
        "0.0033",
        "candidates and judge; decimals may be texts"
    );
    assert_eq!(log.prompt(&id(2)), Some("How do I reset it?"));
    assert_eq!(
        (log.cost(&id(4)), log.cost(&id(5))),
        ("unknown".into(), "0".into())
    );
    let quality = [1, 2, 4, 5].map(|n| log.quality(&id(n)));
    let want = [Some(1.0), Some(0.0), Some(0.0), Some(1.0)];
    assert_eq!(quality, want, "its own feedback comes before its episode's");
    let labels = &report.labels;
    assert_eq!(
        (labels.superseded, labels.contradicting, labels.unmatched),
        (1, 0, 1)
    );
    let counted = ["helpful", "shown", "stars", "comment", "demonstration"];
    assert_eq!(counted.map(|name| labels.scores[name]), [6, 1, 2, 1, 1]);
    let first = read
        .log
        .requests
        .iter()
        .find(|request| request.id == id(1))
        .expect("it");
    let micros = (1_772_442_000_000_i64 + 60_000 + 250) * 1_000;
    assert_eq!(
        first.timestamp_us,
        Some(micros),
        "milliseconds are in the ids"
    );
    assert_eq!(
        (first.task.as_deref(), first.tenant.as_deref()),
        (Some("support"), Some("u-1"))
    );
}

/// Without the other tables, calls still make a log; grades have a scale.
#[test]
fn tables_may_be_missing() {
    let mut options = options("stars");
    options.scale = Some("1..5".parse().expect("a scale"));
    let inputs = [TABLES[4], TABLES[0]];
    let (report, read) = check("tensorzero_calls", &inputs, &options);
    assert_eq!(report.rows, 6, "what was judged or evaluated is not known");
    let log = Given(&read);
    assert_eq!(log.quality(&inference(1)), Some(0.875));
    assert_eq!(log.quality(&inference(2)), Some(0.0));
}

/// Of best-of-n the row is the candidate's whose answer was given, at the price of all.
#[test]
fn the_chosen_candidate_is_the_arm() {
    let text = |text: &str| {
        let blocks = serde_json::json!([{ "type": "text", "text": text }]);
        serde_json::Value::from(blocks.to_string())
    };
    let call = |n: u32, model: &str, output: &str| {
        let row = serde_json::json!({
            "id": format!("c{n}"), "inference_id": "i", "model_name": model,
            "model_provider_name": "p", "input_tokens": 10, "output_tokens": 5, "cost": 0.25,
            "timestamp": format!("2026-03-01T10:00:0{n}Z"), "output": text(output),
        });
        row.to_string()
    };
    let calls = [
        call(1, "small", "One."),
        call(2, "large", "{\"a\": 2}"),
        call(3, "tiny", "Three."),
        call(4, "judge", "{\"choice\": 1}"),
    ];
    let raw = serde_json::json!({ "raw": "{\"a\": 2}", "parsed": { "a": 2 } }).to_string();
    for (output, arm) in [
        (text("One."), "small"),
        (serde_json::Value::from(raw), "large"),
        (text("Three."), "tiny"),
        (text("of a tool"), "judge"),
        (serde_json::Value::from("[]"), "judge"),
    ] {
        let inference = serde_json::json!({
            "id": "i", "function_name": "f", "variant_name": "best_of_n", "episode_id": "e",
            "output": output,
        });
        let inputs = [
            Input::bytes("calls.jsonl", calls.join("\n").into_bytes()),
            Input::bytes("inferences.jsonl", inference.to_string().into_bytes()),
        ];
        let options = ImportOptions::new(ImportKind::TensorZero);
        let (report, read, _) = run(&inputs, &options).expect("an import");
        assert_eq!((report.rows, report.calls), (1, 4));
        let log = Given(&read);
        assert_eq!((log.arm("i").as_str(), log.cost("i").as_str()), (arm, "1"));
    }
}
