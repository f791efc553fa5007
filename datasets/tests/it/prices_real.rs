//! LiteLLM's real catalogue, whole; skipped where the shared data is absent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use plimsoll_datasets::{
    Catalogue, ImportOptions, Input, PriceImport, ReadOptions, import_prices, read,
};
use serde_json::Value;

fn source() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/prices/litellm.json");
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        println!("skipped: no shared/data/prices/litellm.json");
    }
    text
}

fn imported(text: &str) -> PriceImport {
    import_prices(text, &ImportOptions::default()).expect("it imports")
}

#[test]
fn every_model_of_the_real_catalogue_is_accounted_for() {
    let Some(text) = source() else { return };
    let PriceImport { catalogue, report } = imported(&text);
    assert_eq!(report.models, 4_241);
    assert_eq!(report.imported + report.skipped.len() as u64, 4_241);
    assert_eq!(report.no_models, ["sample_spec"]);
    assert_eq!(report.imported, 3_418);
    assert_eq!(report.imported, catalogue.arms().count() as u64);

    // By name: each entry of the file is in exactly one place.
    let rows: BTreeMap<String, Value> = serde_json::from_str(&text).expect("JSON");
    let skipped: BTreeSet<&str> = report.skipped.iter().map(|s| s.model.as_str()).collect();
    assert!(
        report
            .skipped
            .iter()
            .all(|skipped| !skipped.reason.is_empty())
    );
    for name in rows.keys().filter(|name| *name != "sample_spec") {
        let is_arm = catalogue.arms().any(|(arm, _)| arm == name);
        assert_ne!(is_arm, skipped.contains(name.as_str()), "{name}");
    }
}

/// Prices of LiteLLM's that are read: base, and the conditions a name may go on with.
const SUPPORTED: [&str; 8] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "output_cost_per_reasoning_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "input_cost_per_token_cache_hit",
    "input_cost_per_request",
];

fn is_supported(field: &str) -> bool {
    let mut conditions = vec![String::new()];
    for length in ["100k", "128k", "200k", "272k", "512k"] {
        conditions.push(format!("_above_{length}_tokens"));
    }
    let tiers = [
        "",
        "_batches",
        "_flex",
        "_priority",
        "_balanced",
        "_ultrafast",
    ];
    SUPPORTED.iter().any(|base| {
        conditions.iter().any(|condition| {
            tiers
                .iter()
                .any(|tier| field == format!("{base}{condition}{tier}"))
        })
    })
}

#[test]
fn every_pricing_field_of_the_real_catalogue_is_read_or_named() {
    let Some(text) = source() else { return };
    let PriceImport { catalogue, report } = imported(&text);
    let rows: BTreeMap<String, Value> = serde_json::from_str(&text).expect("JSON");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, row) in rows.iter().filter(|(name, _)| *name != "sample_spec") {
        for (field, value) in row.as_object().expect("an object") {
            let is_price = ["cost", "pric", "multiplier", "billing", "free_requests"]
                .iter()
                .any(|word| field.contains(word));
            // Ranges and off-peak times are looked into: what they hold is checked elsewhere.
            let is_nested = matches!(field.as_str(), "tiered_pricing" | "off_peak_pricing");
            if !is_price || is_nested || is_supported(field) {
                continue;
            }
            *counts.entry(field).or_default() += 1;
            // A model that has it at another value than 0 says so.
            if let Some((_, arm)) = catalogue.arms().find(|(arm, _)| arm == name)
                && value.as_f64().is_some_and(|value| value != 0.0)
            {
                assert!(arm.not_priced.contains(field), "{name} {field}");
            }
        }
    }
    assert!(counts.len() > 70, "{}", counts.len());
    for (field, models) in &counts {
        let named = report.unsupported_fields.get(*field);
        assert_eq!(named.map(|count| count.models), Some(*models), "{field}");
    }
    // And nothing else is named but what lies inside other fields.
    let inner =
        |field: &str| field.contains("[].") || field.starts_with("provider_specific_entry.");
    for field in report
        .unsupported_fields
        .keys()
        .filter(|field| !inner(field))
    {
        assert!(counts.contains_key(field.as_str()), "{field}");
    }
    assert_eq!(
        report.unsupported_fields["provider_specific_entry.us"].models,
        16
    );
    assert_eq!(
        report.unsupported_fields["tiered_pricing[].input_cost_per_query"].models,
        2
    );
    assert!(
        report.unknown_fields.is_empty(),
        "{:?}",
        report.unknown_fields
    );
    assert!(
        !report
            .unusable_rates
            .iter()
            .any(|rate| rate.rate == "off peak")
    );
    // Nothing is free but what the source prices at 0 by the token.
    for name in &report.free {
        assert_eq!(
            rows[name]["input_cost_per_token"].as_f64(),
            Some(0.0),
            "{name}"
        );
    }
}

#[test]
fn the_real_catalogue_survives_being_written() {
    let Some(text) = source() else { return };
    let PriceImport { catalogue, .. } = imported(&text);
    let again = Catalogue::read(&catalogue.to_toml("of a test")).expect("it reads");
    for ((name, arm), (_, other)) in again.arms().zip(catalogue.arms()) {
        assert_eq!(arm, other, "{name}");
    }
    assert!(again.arms().eq(catalogue.arms()));
}

/// `model,service_tier,timestamp,input,cached,written,written 1 h,output,reasoning` and the cost in
/// pico-dollars, worked out by hand from the file's rows: price × 10¹² × tokens.
#[test]
fn real_rows_cost_what_they_cost_by_hand() {
    let Some(text) = source() else { return };
    let rows: [(&str, i128); 16] = [
        // Cached: 2,000 × 2.5e-7 + 10,000 × 2.5e-8 + (500 + 300) × 2e-6
        //       = 500,000,000 + 250,000,000 + 1,600,000,000
        ("gpt-5-mini,,,12000,10000,,,500,300", 2_350_000_000),
        // Batch: 1,000 × 1.25e-7 + 100 × 1e-6 = 125,000,000 + 100,000,000
        ("gpt-5-mini,batch,,1000,,,,100,", 225_000_000),
        // Flex, cached: 600 × 1.25e-7 + 400 × 1.25e-8 + 10 × 1e-6
        //       = 75,000,000 + 5,000,000 + 10,000,000
        ("gpt-5-mini,flex,,1000,400,,,10,", 90_000_000),
        // Priority, cached: 6 × 4.25e-6 + 4 × 2.125e-6 + 1 × 1.7e-5
        //       = 25,500,000 + 8,500,000 + 17,000,000
        ("gpt-4o,priority,,10,4,,,1,", 51_000_000),
        // At 200,000 tokens exactly: 200,000 × 1.25e-6 + 1,000 × 1e-5
        //       = 250,000,000,000 + 10,000,000,000
        ("gemini-2.5-pro,,,200000,,,,1000,", 260_000_000_000),
        // One more, and every token costs more: 200,001 × 2.5e-6 + 1,000 × 1.5e-5
        //       = 500,002,500,000 + 15,000,000,000
        ("gemini-2.5-pro,,,200001,,,,1000,", 515_002_500_000),
        // Above 200k, priority, cached: 200,000 × 4.5e-6 + 100,000 × 4.5e-7 + 10 × 2.7e-5
        //       = 900,000,000,000 + 45,000,000,000 + 270,000,000
        (
            "gemini-2.5-pro,priority,,300000,100000,,,10,",
            945_270_000_000,
        ),
        // Cache writes of 5 minutes and of an hour: 3,000 × 3e-6 + 2,000 × 3e-7
        //       + 4,000 × 3.75e-6 + 1,000 × 6e-6 + 100 × 1.5e-5
        //       = 9,000,000,000 + 600,000,000 + 15,000,000,000 + 6,000,000,000 + 1,500,000,000
        (
            "claude-sonnet-4-5-20250929,,,10000,2000,5000,1000,100,",
            32_100_000_000,
        ),
        // A write of an hour above 100k: 100,000 × 5e-7 + 1 × 1e-6 + 2 × 2.5e-6
        //       = 50,000,000,000 + 1,000,000 + 5,000,000
        ("claude-haiku-5-5,,,100001,,1,1,2,", 50_006_000_000),
        // The third of four ranges (128,000 to 256,000): 128,000 × 8e-7 + 1 × 2e-7 + 3 × 4e-6
        //       = 102,400,000,000 + 200,000 + 12,000,000
        (
            "dashscope/qwen3-coder-flash,,,128001,1,,,3,",
            102_412_200_000,
        ),
        // Reasoning at a price of its own: 10 × 4e-7 + 2 × 1.2e-6 + 5 × 4e-6
        //       = 4,000,000 + 2,400,000 + 20,000,000
        ("dashscope/qwen-plus-2025-07-28,,,10,,,,2,5", 26_400_000),
        // Off peak, a Sunday: 600 × 6.6e-7 + 400 × 2.2e-8 + 10 × 1.98e-6
        //       = 396,000,000 + 8,800,000 + 19,800,000
        (
            "deepseek-v4-pro,,2026-11-01T02:00:00Z,1000,400,,,10,",
            424_600_000,
        ),
        // Peak, the Monday after, between the windows: 600 × 1.32e-6 + 400 × 4.4e-8 + 10 × 3.96e-6
        //       = 792,000,000 + 17,600,000 + 39,600,000
        (
            "deepseek-v4-pro,,2026-11-02T02:00:00Z,1000,400,,,10,",
            849_200_000,
        ),
        // Monday already where the weekdays are counted, and off peak by the hours:
        //       10 × 1.5e-7 + 10 × 6e-7 = 1,500,000 + 6,000,000
        (
            "tencent/deepseek-v4.1-flash,,2026-11-01T17:00:00Z,10,,,,10,",
            7_500_000,
        ),
        // Noise of floats: 7 × 2.99999e-6 + 3 × 1.500002e-5 = 20,999,930 + 45,000,060
        (
            "databricks/databricks-claude-sonnet-4,,,7,,,,3,",
            65_999_990,
        ),
        // A charge per request: 0.005 + 100 × 2.8e-6 = 5,000,000,000 + 280,000,000
        ("perplexity/pplx-70b-online,,,1000,,,,100,", 5_280_000_000),
    ];
    let mut csv = "request_id,model,service_tier,timestamp,input_tokens,cached_input_tokens,\
                   cache_write_tokens,cache_write_1h_tokens,output_tokens,reasoning_tokens\n"
        .to_owned();
    let lines: Vec<String> = (0_u8..)
        .zip(rows)
        .map(|(at, (row, _))| format!("r{at},{row}\n"))
        .collect();
    csv.push_str(&lines.concat());
    let mut log = read(
        &Input::bytes("log.csv", csv.as_bytes()),
        &ReadOptions::default(),
    )
    .expect("a log")
    .log;
    let summary = imported(&text).catalogue.price_log(&mut log);
    assert_eq!((summary.priced, summary.unpriced), (16, 0), "{summary:?}");
    for (request, (row, pico)) in log.requests.iter().zip(rows) {
        let cost = request.outcomes[0].cost.map(plimsoll::Usd::pico);
        assert_eq!(cost, Some(pico), "{row}");
    }
    // Models with charges that are not held say so.
    assert!(
        summary.incomplete_arms["gpt-5-mini"].contains(&"search_context_cost_per_query".into())
    );
}

#[test]
fn real_names_are_resolved_only_where_there_is_no_doubt() {
    let Some(text) = source() else { return };
    let catalogue = imported(&text).catalogue;
    let arm = |name: &str| catalogue.resolve(name).arm().map(str::to_owned);
    assert_eq!(arm("gpt-4o").as_deref(), Some("gpt-4o"));
    assert_eq!(arm("openai/gpt-4o").as_deref(), Some("gpt-4o"));
    assert_eq!(
        arm("openai/gpt-4o-2024-08-06").as_deref(),
        Some("gpt-4o-2024-08-06")
    );
    // Not a snapshot that the file has; what it has of the model is named.
    assert_eq!(arm("gpt-4o-2031-01-01"), None);
    let why = catalogue
        .resolve("gpt-4o-2031-01-01")
        .explain("gpt-4o-2031-01-01");
    assert!(why.is_some_and(|why| why.contains("`gpt-4o-2024-05-13`")));
}
