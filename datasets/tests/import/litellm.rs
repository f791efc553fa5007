//! `LiteLLM`'s table and its payloads.

use plimsoll::Usd;
use plimsoll_datasets::{ImportKind, ImportOptions, QualityFrom};

use crate::golden::check;

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
