//! Langfuse's observations, with the scores and traces beside them.

use plimsoll_datasets::{ImportKind, ImportOptions, Input, QualityFrom};

use crate::golden::{Given, check, fixture_text, run};

fn options(score: &str) -> ImportOptions {
    let mut options = ImportOptions::new(ImportKind::Langfuse);
    options.quality = Some(QualityFrom::Score(score.to_owned()));
    options.read.max_reject = 0.2;
    options
}

/// A trace is a request: its generations are calls, its scores are labels.
#[test]
fn traces_become_requests() {
    let inputs = ["langfuse_observations.jsonl", "langfuse_scores.jsonl"];
    let (report, read) = check("langfuse_observations", &inputs, &options("helpful"));
    assert_eq!((report.records, report.rows), (27, 6));
    assert_eq!((report.merged_requests, report.several_models), (2, 1));
    assert_eq!((report.duplicates, report.unpriced, report.free), (1, 1, 1));
    assert_eq!(report.skipped.len(), 3, "spans, an embedding, no model");
    assert_eq!(report.rejected["clock-skew"], 1);
    assert_eq!(report.rejected["bad-json"], 1);
    let log = Given(&read);
    let tokens = [Some(1198), Some(912), Some(80), Some(10)];
    assert_eq!(log.tokens("t-1"), tokens, "buckets exclude each other");
    assert_eq!(log.cost("t-1"), "0.000262");
    assert_eq!(log.prompt("t-1"), Some("How do I reset it?"));
    assert_eq!(
        (log.arm("t-2"), log.cost("t-2")),
        ("claude-opus-4-8".into(), "0.0031".into())
    );
    assert_eq!(log.tokens("t-2"), [Some(220), Some(50), Some(100), None]);
    assert_eq!(
        log.latency_ms("t-2"),
        Some(6000.0),
        "from times, not from `latency`"
    );
    assert_eq!(log.cost("t-3"), "unknown", "0 over no parts is no price");
    assert_eq!(log.cost("t-4"), "0", "0 over parts is");
    let tokens = [Some(600), Some(512), Some(18), Some(12)];
    assert_eq!(
        log.tokens("t-5"),
        tokens,
        "inclusive counts are seen by their total"
    );
    assert_eq!(
        log.tokens("t-6"),
        [None; 4],
        "a total that no rule explains"
    );
}

/// The nearest score counts, the latest of one target; two at one time contradict each other.
#[test]
fn scores_become_labels() {
    let inputs = ["langfuse_observations.jsonl", "langfuse_scores.jsonl"]
        .map(|name| Input::bytes(name, fixture_text(name).into_bytes()));
    let (report, read, _) = run(&inputs, &options("helpful")).expect("an import");
    let log = Given(&read);
    assert_eq!(
        log.quality("t-1"),
        Some(0.0),
        "the answer's own score, not the trace's"
    );
    assert_eq!(log.quality("t-2"), Some(1.0), "the later one");
    assert_eq!(log.quality("t-3"), None, "two that contradict each other");
    assert_eq!(log.quality("t-4"), Some(1.0), "its session's");
    assert_eq!(log.quality("t-5"), None, "scores of another name");
    let labels = &report.labels;
    assert_eq!(
        (labels.superseded, labels.contradicting, labels.unmatched),
        (1, 1, 2)
    );
    let scores: Vec<_> = labels
        .scores
        .iter()
        .map(|(name, n)| (name.as_str(), *n))
        .collect();
    assert_eq!(
        scores,
        [("accuracy", 1), ("helpful", 9), ("note", 1), ("tone", 1)]
    );
    // A category is its word, not the index beside it.
    let (_, read, _) = run(&inputs, &options("tone")).expect("an import");
    assert_eq!(Given(&read).quality("t-5"), Some(1.0));
}

/// Legacy exports keep sessions and users in a file of traces.
#[test]
fn legacy_traces_are_joined() {
    let inputs = ["langfuse_legacy_observations.csv", "langfuse_traces.jsonl"];
    let (report, read) = check("langfuse_legacy", &inputs, &options("helpful"));
    assert_eq!((report.records, report.rows), (7, 3));
    let log = Given(&read);
    assert_eq!(
        log.tokens("t-1"),
        [Some(1198), Some(912), Some(80), Some(10)]
    );
    let request = |id| {
        read.log
            .requests
            .iter()
            .find(|request| request.id == id)
            .expect("it")
    };
    assert_eq!(request("t-1").session_id.as_deref(), Some("s-1"));
    assert_eq!(request("t-3").task.as_deref(), Some("billing"));
}

/// The API's names, and maps as Parquet writes them, mean the same.
#[test]
fn other_spellings_mean_the_same() {
    let camel = r#"{"id":"o","traceId":"t","type":"GENERATION","parentObservationId":null,"startTime":"2026-03-02T09:00:00.000Z","endTime":"2026-03-02T09:00:01.000Z","model":"m","usageDetails":{"input":10,"input_cached_tokens":5,"output":3,"total":18},"costDetails":{"total":0.01},"calculatedTotalCost":0.01,"input":[{"role":"user","content":"p"}],"level":"DEFAULT","sessionId":"s"}"#;
    let pairs = r#"{"id":"o","trace_id":"t","type":"GENERATION","parent_observation_id":"","start_time":"2026-03-02 09:00:00","end_time":"2026-03-02 09:00:01","provided_model_name":"m","usage_details":[{"key":"input","value":10},{"key":"input_cached_tokens","value":5},{"key":"output","value":3},{"key":"total","value":18}],"cost_details":[{"key":"total","value":"0.01"}],"total_cost":"0.01","input":"[{\"role\":\"user\",\"content\":\"p\"}]","level":"DEFAULT","session_id":"s"}"#;
    let logs = [camel, pairs].map(|text| {
        let input = Input::bytes("o.jsonl", text.as_bytes());
        run(&[input], &options("helpful")).expect("an import").2
    });
    assert_eq!(logs[0], logs[1]);
    assert!(logs[0].contains("\"input_tokens\":15") && logs[0].contains("\"cost_usd\":0.01"));
}

/// Pages of the API hold many records each.
#[test]
fn pages_are_opened() {
    let names = ["langfuse_observations.jsonl", "langfuse_scores.jsonl"];
    let log = |wrap: bool| {
        let inputs = names.map(|name| {
            let text = fixture_text(name);
            let rows: Vec<&str> = text
                .lines()
                .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
                .collect();
            let page = |rows: &[&str]| format!(r#"{{"data":[{}],"meta":{{}}}}"#, rows.join(","));
            let text = if wrap {
                rows.chunks(5).map(page).collect::<Vec<_>>().join("\n")
            } else {
                rows.join("\n")
            };
            Input::bytes(name, text.into_bytes())
        });
        run(&inputs, &options("helpful")).expect("an import").2
    };
    assert_eq!(log(true), log(false));
}
