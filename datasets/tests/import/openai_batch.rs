//! Batches of `OpenAI`, beside their inputs.

use plimsoll_datasets::{ImportKind, ImportOptions};

use crate::golden::{check, detects, fixture, lenient, outcome, run};

const OUTPUT: &str = "openai_batch_output.jsonl";
const INPUT: &str = "openai_batch_input.jsonl";
const ERRORS: &str = "openai_batch_errors.jsonl";

/// Input, output and errors meet on `custom_id`; a batch has no cost, and says that it is one.
#[test]
fn batches_meet_their_inputs() {
    for name in [OUTPUT, INPUT, ERRORS] {
        detects(name, ImportKind::OpenaiBatch);
    }
    let options = lenient(ImportKind::OpenaiBatch);
    let (report, read) = check("openai_batch", &[OUTPUT, INPUT, ERRORS], &options);
    assert_eq!(report.unpriced, report.rows, "the export has no cost");
    let first = outcome(&read, "q-1", "gpt-5-mini");
    let tokens = (first.input_tokens, first.cached_input_tokens);
    assert_eq!(tokens, (Some(20), Some(16)), "cached ones are within");
    let tokens = (first.output_tokens, first.reasoning_tokens);
    assert_eq!(tokens, (Some(5), Some(4)), "reasoning is counted once");
    let second = outcome(&read, "q-2", "gpt-5-mini");
    assert_eq!(second.status.as_deref(), Some("ok"), "after a failure");
    assert_eq!(second.input_tokens, Some(800));
    assert_eq!(report.duplicates, 1);
    let late = outcome(&read, "q-4", "gpt-5-mini");
    assert_eq!(late.status.as_deref(), Some("batch_expired"));
    assert_eq!(late.input_tokens, None);
    let responses = outcome(&read, "q-3", "gpt-5");
    assert_eq!(
        (responses.output_tokens, responses.reasoning_tokens),
        (Some(50), Some(450))
    );
}

/// A request without an answer is counted, so that a forgotten file of errors is noticed.
#[test]
fn requests_without_an_answer_are_counted() {
    let unanswered = |files: &[&str]| {
        let inputs: Vec<_> = files.iter().map(|name| fixture(name)).collect();
        let (report, _, _) = run(&inputs, &lenient(ImportKind::OpenaiBatch)).expect("an import");
        let what = "requests that have no answer in these files";
        report.skipped.get(what).copied().unwrap_or_default()
    };
    assert_eq!(unanswered(&[OUTPUT, INPUT, ERRORS]), 0);
    assert_eq!(unanswered(&[OUTPUT, INPUT]), 1, "q-4");
    assert_eq!(
        unanswered(&[OUTPUT]),
        0,
        "nothing is known of what was asked"
    );
}

/// The same prompt sent to two models under one id is two answers to one request.
#[test]
fn one_id_of_two_models_is_one_request_of_two_answers() {
    let inputs = [fixture(OUTPUT), fixture(INPUT)];
    let (_, read, _) = run(&inputs, &lenient(ImportKind::OpenaiBatch)).expect("an import");
    let request = read.log.requests.iter().find(|own| own.id == "q-1");
    let request = request.expect("the request");
    assert_eq!(request.outcomes.len(), 2);
    assert_eq!(request.prompt.as_deref(), Some("Capital of France?"));
}

/// An id that names two prompts joins nothing: its answer is refused, with its place.
#[test]
fn an_id_with_two_prompts_is_refused() {
    let inputs = [fixture(OUTPUT), fixture(INPUT)];
    let (report, read, _) = run(&inputs, &lenient(ImportKind::OpenaiBatch)).expect("an import");
    assert_eq!(report.rejected.get("conflict"), Some(&1));
    assert!(read.log.requests.iter().all(|own| own.id != "q-5"));
    let reject = report
        .rejects
        .iter()
        .find(|own| own.reason.name() == "conflict");
    assert_eq!(reject.and_then(|own| own.line), Some(5));
}

/// Without its input, a batch still has its answers, but no prompts and no models of failures.
#[test]
fn outputs_alone_have_no_prompts() {
    let inputs = [fixture(OUTPUT), fixture(ERRORS)];
    let (report, read, text) = run(&inputs, &lenient(ImportKind::OpenaiBatch)).expect("an import");
    assert!(!text.contains("\"prompt\""));
    assert!(text.contains("\"service_tier\":\"batch\""));
    let left_out = "name no model: none was chosen, or the export does not say";
    assert_eq!(report.skipped.get(left_out), Some(&3));
    assert!(!read.log.arms.is_empty());
}

#[test]
fn an_input_alone_is_no_export() {
    let options = ImportOptions::new(ImportKind::OpenaiBatch);
    let error = run(&[fixture(INPUT)], &options)
        .map(drop)
        .expect_err("no calls");
    assert_eq!(error.code(), "P0253");
}
