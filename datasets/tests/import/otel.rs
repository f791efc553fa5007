//! OTLP JSON with `gen_ai.*` attributes.

use plimsoll::{Quality, Usd};
use plimsoll_datasets::{ImportKind, ImportOptions, Input, QualityFrom};

use crate::golden::{check, detects, fixture, lenient, outcome, run};

const SPANS: &str = "otel_spans.jsonl";
const JUDGED: &str = "otel_evaluations.jsonl";
const TRACE: [&str; 3] = [
    "5b8efff798038103d269b633813fc60c",
    "5b8efff798038103d269b633813fc60d",
    "5b8efff798038103d269b633813fc60e",
];

/// A trace is a request; agents, tools, wrappers and repeated spans add nothing to it.
#[test]
fn traces_become_requests() {
    for name in [SPANS, JUDGED] {
        detects(name, ImportKind::Otel);
    }
    let mut options = lenient(ImportKind::Otel);
    options.quality = Some(QualityFrom::Score("helpfulness".to_owned()));
    let (report, read) = check("otel", &[SPANS, JUDGED], &options);
    assert_eq!(report.rows, 3);
    assert_eq!(report.duplicates, 1, "a batch sent twice");
    assert_eq!(report.merged_calls, 3, "a failure and two turns");
    let usd = |text: &str| text.parse::<Usd>().ok();

    let turns = outcome(&read, TRACE[0], "claude-opus-4");
    assert_eq!(turns.status.as_deref(), Some("ok"));
    let tokens = (turns.input_tokens, turns.cached_input_tokens);
    assert_eq!(
        tokens,
        (Some(520), Some(250)),
        "without the agent's own sum"
    );
    let tokens = (turns.output_tokens, turns.reasoning_tokens);
    assert_eq!(
        tokens,
        (Some(110), Some(30)),
        "together the 140 that were billed"
    );
    let request = read.log.requests.iter().find(|own| own.id == TRACE[0]);
    let extra = &request.expect("the request").extra;
    let written = extra.get("cache_write_tokens").map(String::as_str);
    assert_eq!(written, Some("20"), "by the first turn");
    assert_eq!(
        turns.cost, None,
        "the second turn has a cost, the first has none"
    );
    assert_eq!(report.cost_unknown_in_part, 1);
    assert_eq!(turns.quality.map(Quality::get), Some(0.75));

    let wrapped = outcome(&read, TRACE[1], "gpt-5-mini");
    let tokens = (wrapped.input_tokens, wrapped.output_tokens);
    assert_eq!(
        tokens,
        (Some(120), Some(30)),
        "seen by two instrumentations, counted once"
    );
    assert_eq!(wrapped.reasoning_tokens, Some(10));
    assert_eq!(wrapped.cost, usd("0.00012"));
    assert_eq!(wrapped.quality.map(Quality::get), Some(0.25));

    // Base64 ids, old names, times as numbers, a cost of 0.
    let old = outcome(&read, TRACE[2], "local-model");
    assert_eq!((old.input_tokens, old.output_tokens), (Some(30), Some(12)));
    assert_eq!(old.cost, Some(Usd::ZERO));
    assert_eq!(old.latency_ms, Some(700.0));
    assert_eq!(
        old.quality.map(Quality::get),
        Some(1.0),
        "judged in a log record"
    );
    let rejected: Vec<&str> = report.rejected.keys().map(String::as_str).collect();
    assert_eq!(rejected, ["clock-skew", "out-of-range"]);
    assert_eq!(report.labels.scores.get("toxicity"), Some(&1));
}

/// Spans are records of their own: their attributes can be kept, and requests cut otherwise.
#[test]
fn attributes_are_fields() {
    let mut options = lenient(ImportKind::Otel);
    options.group_by = Some("otlp.span_id".to_owned());
    options.keep = vec!["gen_ai.agent.name".to_owned()];
    let (report, read, text) = run(&[fixture(SPANS)], &options).expect("an import");
    assert_eq!(report.merged_requests, 0);
    assert_eq!(report.rows, 5);
    let turn = outcome(&read, "eee19b7ec3c1b106", "claude-opus-4");
    assert_eq!(turn.cost, "0.011".parse().ok());
    assert!(text.contains("\"gen_ai.agent.name\":\"helper\""));
}

/// A batch per span, as simple processors send them: the outer call comes later, or earlier.
#[test]
fn wrappers_are_seen_across_batches() {
    let span = |id: &str, parent: &str, operation: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{
            "traceId":"{}","spanId":"{id}","parentSpanId":"{parent}","name":"s",
            "startTimeUnixNano":"1772442000000000000","endTimeUnixNano":"1772442001000000000",
            "attributes":[{{"key":"gen_ai.request.model","value":{{"stringValue":"small"}}}},
            {{"key":"gen_ai.operation.name","value":{{"stringValue":"{operation}"}}}},
            {{"key":"gen_ai.usage.cost","value":{{"doubleValue":0.25}}}},
            {{"key":"gen_ai.usage.input_tokens","value":{{"intValue":"7"}}}}]}}]}}]}}]}}"#,
            TRACE[0]
        )
        .replace('\n', "")
    };
    let (outer, inner) = (span("0a", "", "chat"), span("0b", "0a", "chat"));
    let (tool, further) = (span("0c", "0a", "execute_tool"), span("0d", "0c", "chat"));
    for (spans, calls, cost) in [
        ([&inner, &outer].as_slice(), 1, "0.25"),
        (&[&outer, &inner], 1, "0.25"),
        (&[&outer, &tool, &further], 2, "0.5"),
        (&[&span("0a", "0b", "chat"), &inner], 2, "0.5"),
    ] {
        let lines: Vec<&str> = spans.iter().map(|line| line.as_str()).collect();
        let input = Input::bytes("spans.jsonl", lines.join("\n").into_bytes());
        let options = ImportOptions::new(ImportKind::Otel);
        let (report, read, _) = run(&[input], &options).expect("an import");
        assert_eq!((report.rows, report.calls), (1, calls));
        let call = outcome(&read, TRACE[0], "small");
        assert_eq!(call.cost, cost.parse().ok());
    }
}

/// Tempo wraps the same batches in other names.
#[test]
fn tempo_answers_are_read() {
    let span = r#"{"resource":{},"instrumentationLibrarySpans":[{"spans":[{
        "traceId":"W47/95gDgQPSabYzgT/GDA==","spanId":"7uGbfsPBsXM=","name":"chat",
        "startTimeUnixNano":"1772442000000000000","endTimeUnixNano":"1772442001000000000",
        "attributes":[{"key":"gen_ai.request.model","value":{"stringValue":"small"}},
            {"key":"gen_ai.usage.prompt_tokens","value":{"intValue":"many"}}]}]}]}"#;
    let good = span.replace("\"many\"", "\"7\"");
    for text in [
        format!(r#"{{"batches":[{good}]}}"#),
        format!(r#"{{"trace":{{"resourceSpans":[{good}]}}}}"#),
    ] {
        let input = Input::bytes("trace.json", text.into_bytes());
        let found = plimsoll_datasets::detect(&input).map(|found| found.kind);
        assert_eq!(found.ok(), Some(ImportKind::Otel));
        let options = ImportOptions::new(ImportKind::Otel);
        let (report, read, _) = run(&[input], &options).expect("an import");
        assert_eq!(report.rows, 1);
        let call = outcome(&read, TRACE[0], "small");
        assert_eq!(
            (call.input_tokens, call.latency_ms),
            (Some(7), Some(1000.0))
        );
    }
    // A count that is none is refused, not left out.
    let bad = Input::bytes(
        "bad.json",
        format!(r#"{{"batches":[{span}]}}"#).into_bytes(),
    );
    let error = run(&[bad], &ImportOptions::new(ImportKind::Otel)).map(drop);
    assert_eq!(error.map_err(|error| error.code()), Err("P0255"));
}
