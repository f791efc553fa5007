//! `LiteLLM`'s table and its payloads.

use std::path::Path;

use plimsoll::Usd;
use plimsoll_datasets::{ImportKind, ImportOptions, Input, QualityFrom, detect};

use crate::golden::{check, lenient, run};

/// A retry and its fallback are one request; cache hits and embeddings are no calls of a model.
#[test]
fn spend_logs_become_requests() {
    let mut options = ImportOptions::new(ImportKind::Litellm);
    options.quality = Some(QualityFrom::Thumbs(None));
    let (report, read) = check("litellm_spend_logs", &["litellm_spend_logs.csv"], &options);
    assert_eq!((report.records, report.rows), (8, 4));
    assert_eq!((report.merged_requests, report.duplicates), (1, 1));
    assert_eq!((report.unpriced, report.free), (1, 1));
    assert_eq!(report.skipped.values().sum::<u64>(), 2);
    let request = |id: &str| {
        let found = read.log.requests.iter().find(|request| request.id == id);
        &found.expect("the request").outcomes[0]
    };
    let first = request("call-1");
    assert_eq!(first.cost, Some("0.00012".parse::<Usd>().expect("dollars")));
    let tokens = (first.input_tokens, first.cached_input_tokens);
    assert_eq!(
        tokens,
        (Some(120), Some(64)),
        "cached tokens are within the input"
    );
    let tokens = (first.output_tokens, first.reasoning_tokens);
    assert_eq!(
        tokens,
        (Some(30), Some(10)),
        "reasoning tokens are counted once"
    );
    let quality = |id| request(id).quality.map(plimsoll::Quality::get);
    assert_eq!(
        (quality("call-1"), quality("call-2")),
        (Some(1.0), Some(0.0))
    );
    let arm = &read.log.arms[request("call-2").arm as usize];
    assert_eq!(arm.to_string(), "claude-opus", "the model that answered");
    assert_eq!(request("call-5").cost, None, "an unknown cost is not 0");
    assert_eq!(
        request("call-6").cost,
        Some(Usd::ZERO),
        "a cost of 0 is not unknown"
    );
}

/// Payloads: epoch seconds, tiers, images, unknown costs, and rows that are wrong.
#[test]
fn payloads_become_requests() {
    let mut options = ImportOptions::new(ImportKind::Litellm);
    options.quality = Some(QualityFrom::Thumbs(None));
    options.read.max_reject = 0.5;
    let (report, read) = check("litellm_payloads", &["litellm_payloads.jsonl"], &options);
    assert_eq!((report.records, report.rows), (9, 4));
    let reasons: Vec<_> = report.rejected.keys().map(String::as_str).collect();
    assert_eq!(reasons, ["bad-json", "bad-time", "clock-skew", "negative"]);
    let places: Vec<_> = report
        .rejects
        .iter()
        .filter_map(|reject| reject.line)
        .collect();
    assert_eq!(places, [6, 7, 8, 9], "each with its line");
    assert_eq!(report.redacted, 1);
    let request = |id: &str| {
        let found = read.log.requests.iter().find(|request| request.id == id);
        found.expect("the request")
    };
    assert_eq!(
        request("call-1").prompt.as_deref(),
        Some("Mail it to [email] please")
    );
    assert_eq!(request("call-5").prompt.as_deref(), Some("Look:"));
    let outcome = &request("call-2").outcomes[0];
    let tokens = (outcome.output_tokens, outcome.reasoning_tokens);
    assert_eq!(tokens, (Some(50), Some(200)));
    assert_eq!(outcome.latency_ms, Some(29_750.0));
    assert_eq!(outcome.cost.map(Usd::pico), Some(1_200_000_000));
    assert_eq!(request("call-2").extra["service_tier"], "flex");
    assert_eq!(
        request("call-3").outcomes[0].status.as_deref(),
        Some("OverloadedError")
    );
    assert_eq!(request("call-5").outcomes[0].cost, None);
}

/// The published payloads, where they are at hand.
#[test]
fn recorded_payloads_are_taken() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/exports/litellm_standard_logging_payload.json");
    if !path.exists() {
        eprintln!("skipped: no recorded payloads here");
        return;
    }
    let input = Input::Path(path);
    assert_eq!(detect(&input).expect("a kind").kind, ImportKind::Litellm);
    let options = ImportOptions::new(ImportKind::Litellm);
    let (report, read, _) = run(&[input], &options).expect("an import");
    assert_eq!((report.records, report.rows), (2, 2));
    assert!(
        read.log
            .requests
            .iter()
            .all(|request| request.prompt.is_some())
    );
    assert!(
        read.log
            .requests
            .iter()
            .all(|r| r.outcomes[0].cost.is_some())
    );
}

/// A request that the gateway's cache answered after a retry is none of any model's.
#[test]
fn cache_hits_take_their_retries_with_them() {
    let row = |id: &str, status: &str, hit: &str| {
        format!(
            "{{\"request_id\":\"{id}\",\"litellm_call_id\":\"r\",\"call_type\":\"completion\",\
             \"model\":\"m\",\"spend\":0.1,\"startTime\":\"2026-03-01 10:00:0{id}\",\"status\":\
             \"{status}\",\"cache_hit\":\"{hit}\",\"prompt_tokens\":1,\"completion_tokens\":1}}\n"
        )
    };
    let other = row("9", "success", "False").replace("\"r\"", "\"other\"");
    let of = |rows: &[String]| {
        let text = rows.concat() + &other;
        let input = Input::bytes("rows.jsonl", text.into_bytes());
        run(&[input], &ImportOptions::new(ImportKind::Litellm)).expect("an import")
    };
    let (report, ..) = of(&[row("1", "failure", ""), row("2", "success", "True")]);
    assert_eq!((report.rows, report.skipped.values().sum::<u64>()), (1, 1));
    // A hit before the answer that counts costs nothing and is no call.
    let (report, read, _) = of(&[row("1", "success", "True"), row("2", "success", "")]);
    assert_eq!((report.rows, report.merged_requests), (2, 0));
    assert_eq!(
        read.log.requests[0].outcomes[0].cost,
        Some("0.1".parse().expect("dollars"))
    );
}

/// Rows of one request may stand apart, but not beyond the window; a late one is told.
#[test]
fn calls_outside_the_window_are_rejected() {
    let row = |call: usize, request: usize| {
        format!(
            "{{\"request_id\":\"c{call}\",\"litellm_call_id\":\"r{request}\",\"call_type\":\
             \"completion\",\"model\":\"m\",\"spend\":0.1,\"startTime\":\"2026-03-01 10:00:00\",\
             \"status\":\"success\",\"custom_llm_provider\":\"p\"}}\n"
        )
    };
    let rows: String = (0..50).map(|n| row(n, n)).chain([row(99, 0)]).collect();
    let input = || Input::bytes("rows.jsonl", rows.clone().into_bytes());
    let mut options = ImportOptions::new(ImportKind::Litellm);
    let (report, ..) = run(&[input()], &options).expect("an import");
    assert_eq!((report.rows, report.merged_requests), (50, 1));
    options.window_bytes = 4_000;
    options.read.max_reject = 0.1;
    let (report, ..) = run(&[input()], &options).expect("an import");
    assert_eq!(report.rows, 50);
    assert_eq!(report.rejected.get("late-call"), Some(&1));
}

/// A failure that the gateway's cache is named for is no call of a model, and no panic.
#[test]
fn a_cached_failure_is_left_out() {
    let row = |id: &str, cached: bool, status: &str| {
        format!(
            r#"{{"request_id":"{id}","litellm_call_id":"{id}","call_type":"acompletion","model":"m",
            "spend":0.1,"startTime":"2026-03-01 10:00:00","custom_llm_provider":"x",
            "prompt_tokens":1,"cache_hit":"{cached}","status":"{status}"}}"#
        )
    };
    let text = row("a", true, "failure") + "\n" + &row("b", false, "success");
    let input = plimsoll_datasets::Input::bytes("rows.json", text.into_bytes());
    let options = ImportOptions::new(ImportKind::Litellm);
    let (report, _, _) = crate::golden::run(&[input], &options).expect("an import");
    assert_eq!(report.rows, 1);
    assert_eq!(report.skipped.values().sum::<u64>(), 1);
}

/// As in every other format; what is kept as it stands would make a log that cannot be read.
#[test]
fn rows_of_csv_with_a_nul_are_rejected() {
    let rows = "request_id,call_type,model,spend,startTime,request_tags\n\
                r1,completion,m,0.1,2026-03-02 09:00:00,\"[\"\"a\"\"]\"\n\
                r2,completion,m,0.1,2026-03-02 09:00:00,\"[\"\"\0\"\"]\"\n";
    let options = lenient(ImportKind::Litellm);
    let (report, read, _) =
        run(&[Input::bytes("spend.csv", rows.as_bytes())], &options).expect("a log");
    assert_eq!((report.rows, read.report.rows_rejected), (1, 0));
    assert_eq!(report.rejected.get("nul-character"), Some(&1));
}
