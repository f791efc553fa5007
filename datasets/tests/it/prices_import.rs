//! Catalogues of others, from fixtures with their traps; ROBUSTNESS.md L06, L07 and L20.

use std::collections::BTreeMap;

use plimsoll_datasets::{
    Catalogue, CatalogueFormat, NamePattern, PriceImport, PriceImportOptions, PriceImportReport,
    diff_catalogues, import_prices, merge_prices,
};
use proptest::prelude::*;

const LITELLM: &str = include_str!("../prices/litellm.json");
const OPENROUTER: &str = include_str!("../prices/openrouter.json");

fn imported(text: &str) -> PriceImport {
    import_prices(text, &PriceImportOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn reasons(report: &PriceImportReport) -> BTreeMap<&str, &str> {
    report
        .skipped
        .iter()
        .map(|skipped| (skipped.model.as_str(), skipped.reason.as_str()))
        .collect()
}

fn since(text: &str) -> i64 {
    Catalogue::parse_time(text).expect("a time")
}

/// The section of an arm in our TOML.
fn section<'t>(toml: &'t str, arm: &str) -> &'t str {
    let begin = toml.find(&format!("[arms.\"{arm}\"]")).expect(arm);
    let rest = &toml[begin..];
    rest.find("\n\n").map_or(rest, |end| &rest[..=end])
}

#[test]
fn litellm_rows_become_price_lists() {
    let PriceImport { catalogue, report } = imported(LITELLM);
    assert_eq!(report.format, CatalogueFormat::Litellm);
    assert_eq!(
        (report.models, report.imported, report.skipped.len()),
        (25, 11, 14)
    );
    assert_eq!(report.no_models, ["sample_spec"]);
    let toml = catalogue.to_toml("A test.");
    assert_eq!(
        section(&toml, "tiers"),
        r#"[arms."tiers"]
input = 1
cached_input = 0.1
cache_write = 1.25
cache_write_1h = 2
output = 5
reasoning = 6
rates = [
  { above_input_tokens = 200000, input = 2, cached_input = 0.2, cache_write = 2.5, cache_write_1h = 4, output = 7.5 },
  { service_tier = "batch", input = 0.5, output = 2.5 },
  { service_tier = "priority", input = 2, output = 10 },
  { service_tier = "priority", above_input_tokens = 200000, input = 4, output = 15 },
]
context_window_tokens = 1000000
capabilities = ["reasoning"]
not_priced = ["regional_processing_uplift_multiplier_eu", "search_context_cost_per_query"]
provider = "acme"
"#
    );
    assert_eq!(
        section(&toml, "nightly"),
        "[arms.\"nightly\"]\ninput = 0.4\noutput = 1.6\nrates = [\n  { windows = \
         [\"mon,tue,wed,thu,fri 22:00-24:00\", \"mon,tue,wed,thu,fri 00:00-02:00\", \
         \"sat,sun 00:00-24:00\"], input = 0.2, output = 0.8 },\n]\nprovider = \"acme\"\n"
    );
    assert!(section(&toml, "ranges").contains(
        "input = 0.1\noutput = 0.4\nrates = [\n  { above_input_tokens = 32000, input = 0.2, output = 0.9 },"
    ));
    assert!(section(&toml, "fee").contains("input = 0\noutput = 2.8\nper_request = 0.005\n"));
    assert!(section(&toml, "plain").contains("capabilities = [\"tools\"]"));
    // What is null is not known; what is 0 is free and said to be.
    assert!(!section(&toml, "null-cached").contains("cached_input"));
    assert_eq!(report.free, ["free"]);
}

#[test]
fn nothing_of_a_litellm_row_is_dropped_silently() {
    let PriceImport { catalogue, report } = imported(LITELLM);
    let got = reasons(&report);
    for (model, reason) in [
        ("image", "not priced by the token: output_cost_per_image"),
        (
            "rerank",
            "tokens cost 0, and the price is elsewhere: input_cost_per_query",
        ),
        ("subscription", "no prices"),
        ("no-output", "no price for output tokens"),
        ("only-priority", "prices for service tier `priority` alone"),
        (
            "long-without-output",
            "no price for output tokens above 200000 input tokens",
        ),
        ("gap", "ranges that do not follow each other"),
        ("too-fine", "1.23e-14 is finer than a pico-dollar"),
        ("negative", "-1e-07 is below 0"),
        ("texts", "`input_cost_per_token` is not a number"),
        ("two-cached", "two prices for cached input"),
        ("twice", "a key stands twice"),
        ("a-list", "not an object"),
        ("rules", "not a model"),
    ] {
        let found = got.get(model).copied().unwrap_or_default();
        assert!(found.contains(reason), "{model}: {found}");
    }
    assert_eq!(got.len(), 14);

    let fields: Vec<(&str, u64, u64)> = report
        .unsupported_fields
        .iter()
        .map(|(field, count)| (field.as_str(), count.models, count.not_zero))
        .collect();
    assert_eq!(
        fields,
        [
            ("input_cost_per_image", 1, 0),
            ("input_cost_per_query", 1, 1),
            ("output_cost_per_image", 1, 1),
            ("provider_specific_entry.fast", 1, 1),
            ("regional_processing_uplift_multiplier_eu", 1, 1),
            ("search_context_cost_per_query", 1, 1),
        ]
    );
    assert_eq!(
        report.unknown_fields,
        BTreeMap::from([("shoe_size".to_owned(), 1)])
    );
    assert_eq!(report.incomplete, 2);
    let left_out: Vec<(&str, &str)> = report
        .unusable_rates
        .iter()
        .map(|rate| (rate.model.as_str(), rate.rate.as_str()))
        .collect();
    assert_eq!(
        left_out,
        [
            ("half-known-flex", "flex"),
            ("half-known-flex", "flex above 200000 input tokens"),
            ("tiers", "flex"),
        ]
    );
    let [rounded] = report.rounded.as_slice() else {
        panic!("{:?}", report.rounded)
    };
    assert_eq!(
        (rounded.model.as_str(), rounded.kept.as_str()),
        ("noise", "0.00001500002")
    );
    let noise = catalogue.prices_at("noise", None).expect("an arm");
    assert_eq!(noise.input.pico_per_token(), 15_000_020);
}

/// Found by fuzzing: `not_priced` named it by an empty text, which our own TOML refuses.
#[test]
fn a_price_without_a_name_is_named() {
    let text = r#"{"data":[{"id":"m","pricing":{"prompt":"0","completion":"0","":"0.1"}}]}"#;
    let catalogue = imported(text).catalogue;
    let again = Catalogue::read(&catalogue.to_toml("A test.")).expect("it reads the same");
    assert!(again.arms().eq(catalogue.arms()));
    let (_, arm) = again.arms().next().expect("one arm");
    assert_eq!(arm.not_priced, ["(a field without a name)"]);
}

#[test]
fn openrouter_models_become_price_lists() {
    let PriceImport { catalogue, report } = imported(OPENROUTER);
    assert_eq!(report.format, CatalogueFormat::Openrouter);
    assert_eq!(
        (report.models, report.imported, report.skipped.len()),
        (14, 6, 8)
    );
    let toml = catalogue.to_toml("");
    let small = section(&toml, "acme/small");
    // Reasoning at 0 beside paid output is billed as output, and a fee of 0 is none.
    assert!(small.contains(
        "input = 0.15\ncached_input = 0.075\noutput = 0.6\ncontext_window_tokens = 128000\n"
    ));
    assert!(small.contains("capabilities = [\"structured-output\", \"tools\", \"vision\"]"));
    assert!(small.contains("aliases = [\"acme/small-2026-02-01\"]"));
    assert!(small.contains("not_priced = [\"web_search\"]"));
    // Later overrides win price by price: in the window input costs half at any length.
    assert_eq!(
        section(&toml, "acme/long")
            .split_once("provider")
            .expect("a provider")
            .0,
        r#"[arms."acme/long"]
input = 1
cached_input = 0.1
cache_write = 1.25
cache_write_1h = 2
output = 5
rates = [
  { windows = ["16:30-24:00", "00:00-00:30"], input = 0.5, cached_input = 0.1, cache_write = 1.25, cache_write_1h = 2, output = 5 },
  { above_input_tokens = 200000, input = 2, cached_input = 0.1, cache_write = 1.25, cache_write_1h = 2, output = 7.5 },
  { above_input_tokens = 200000, windows = ["16:30-24:00", "00:00-00:30"], input = 0.5, cached_input = 0.1, cache_write = 1.25, cache_write_1h = 2, output = 7.5 },
]
"#
    );
    assert!(section(&toml, "acme/weekend").contains("windows = [\"sat,sun 00:00-24:00\"]"));
    assert!(
        section(&toml, "acme/thinker").contains("output = 2\nreasoning = 3\nper_request = 0.002\n")
    );
    assert_eq!(report.free, ["acme/free-too:free", "acme/free:free"]);
    // An alias of two models means neither.
    assert_eq!(report.dropped_aliases, ["acme/free"]);

    let got = reasons(&report);
    for (model, reason) in [
        ("router/auto", "-1: the price varies"),
        (
            "acme/strange",
            "condition that is not known: `max_prompt_tokens`",
        ),
        ("acme/two-times", "several times of the day"),
        ("acme/half", "no price for output tokens"),
        ("acme/words", "`cheap` is not a number"),
        ("acme/no-prices", "no prices"),
        ("acme/small", "stands above already"),
        ("data[13]", "an `id`"),
    ] {
        let found = got.get(model).copied().unwrap_or_default();
        assert!(found.contains(reason), "{model}: {found}");
    }
}

#[test]
fn imports_survive_being_written() {
    for text in [LITELLM, OPENROUTER] {
        for since_us in [
            None,
            Some(since("2026-03-01")),
            Some(since("2026-03-01T12:30:00Z")),
        ] {
            let options = PriceImportOptions {
                since_us,
                ..PriceImportOptions::default()
            };
            let import = import_prices(text, &options).expect("it imports");
            let toml = import.catalogue.to_toml("Of a test,\nin two lines.");
            let again = Catalogue::read(&toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
            assert!(again.arms().eq(import.catalogue.arms()), "{toml}");
            assert_eq!(again.to_toml("x"), import.catalogue.to_toml("x"));
            // And through the importer of our own format.
            let third = imported(&toml);
            assert_eq!(third.report.format, CatalogueFormat::Plimsoll);
            assert!(third.catalogue.arms().eq(again.arms()));
        }
    }
}

#[test]
fn names_with_anything_in_them_survive_being_written() {
    let name = "a\"b\\c\n\u{1b}[31m\u{202e}é/x.y";
    let json = serde_json::json!({ name: {
        "input_cost_per_token": 1e-7, "output_cost_per_token": 1e-7,
        "litellm_provider": "p\t\"", "mode": "chat", "source": "\u{0}" } });
    let import = imported(&json.to_string());
    let again = Catalogue::read(&import.catalogue.to_toml("")).expect("it reads");
    assert!(again.arms().eq(import.catalogue.arms()));
    assert_eq!(again.arms().next().map(|(name, _)| name), Some(name));
}

#[test]
fn only_some_models_are_imported() {
    let options = PriceImportOptions {
        only: Some(NamePattern::new("N*").expect("a pattern")),
        ..PriceImportOptions::default()
    };
    let report = import_prices(LITELLM, &options).expect("it imports").report;
    assert_eq!(
        (report.models, report.imported, report.not_selected),
        (25, 3, 20)
    );
    assert_eq!(
        report.imported + report.not_selected + report.skipped.len() as u64,
        25
    );
    assert_eq!(NamePattern::new("[").expect_err("none").code(), "P0412");
}

#[test]
fn what_is_no_catalogue_says_so() {
    let check = |text: &str, format: Option<CatalogueFormat>, code: &str, says: &str| {
        let options = PriceImportOptions {
            format,
            ..PriceImportOptions::default()
        };
        let error = import_prices(text, &options).expect_err(text);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error} lacks {says}");
        assert!(!error.help().is_empty());
    };
    let litellm = Some(CatalogueFormat::Litellm);
    let openrouter = Some(CatalogueFormat::Openrouter);
    check("{\"a\": 1", None, "P0410", "not one JSON object");
    check("[1]", None, "P0410", "not one JSON object");
    check(
        "{\"a\": {\"b\": 1}}",
        None,
        "P0410",
        "neither `litellm_provider` nor `pricing`",
    );
    check("{\"a\": 1, \"a\": 2}", litellm, "P0410", "`a` stands twice");
    check("{\"models\": []}", openrouter, "P0410", "no list `data`");
    check(
        "{\"data\": {}}",
        openrouter,
        "P0410",
        "`data` is not a list",
    );
    check(
        "{\"data\": []}",
        openrouter,
        "P0411",
        "the catalogue is empty",
    );
    check("{}", litellm, "P0411", "the catalogue is empty");
    check(
        "{\"a\": {\"mode\": \"chat\"}}",
        litellm,
        "P0411",
        "no prices",
    );
    check("input = ", None, "P0401", "not TOML");
    check("date = 2026-01-01", None, "P0411", "the catalogue is empty");
    let brackets = "[".repeat(100_000);
    check(&brackets, litellm, "P0410", "not one JSON object");
    check(&brackets, None, "P0401", "not TOML");
    check(&format!("a = {brackets}"), None, "P0401", "not TOML");
    let deep = format!(
        "{{\"a\": {{\"litellm_provider\": {}1{} }}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let code = import_prices(&deep, &PriceImportOptions::default())
        .expect_err("deep")
        .code();
    assert!(matches!(code, "P0410" | "P0411"), "{code}");
}

const BEFORE: &str = "
[arms.\"acme/a\"]
input = 2
output = 10
rates = [{ service_tier = \"batch\", input = 1, output = 5 }]
[arms.b]
input = 0
output = 1
[arms.gone]
input = 1
output = 1
[arms.same]
input = 1
output = 1
[arms.gpt]
input = 1
output = 1
";
const AFTER: &str = "
[arms.\"acme/a\"]
input = 1.5
cached_input = 0.15
output = 10
rates = [{ service_tier = \"flex\", input = 1, output = 5 }]
[arms.b]
input = 1
output = 0
[arms.new]
input = 1
output = 1
[arms.same]
input = 1
output = 1
[arms.\"openai/gpt\"]
input = 3
output = 1
";

#[test]
fn a_diff_says_what_changed_and_by_how_much() {
    let (before, after) = (
        Catalogue::read(BEFORE).expect("a"),
        Catalogue::read(AFTER).expect("b"),
    );
    let diff = diff_catalogues(&before, &after, None, None);
    assert_eq!(
        (diff.added, diff.removed, diff.unchanged),
        (vec!["new".into()], vec!["gone".into()], 1)
    );
    let mut lines = Vec::new();
    for model in &diff.changed {
        for price in &model.prices {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".into());
            lines.push(format!(
                "{} {} {}: {} > {} {:?}",
                model.model,
                price.condition,
                price.price,
                value(&price.before),
                value(&price.after),
                price.change_percent,
            ));
        }
    }
    assert_eq!(
        lines,
        [
            "acme/a  input: 2 > 1.5 Some(-25.0)",
            "acme/a  cached_input: ? > 0.15 None",
            "acme/a batch input: 1 > ? None",
            "acme/a batch output: 5 > ? None",
            "acme/a flex input: ? > 1 None",
            "acme/a flex output: ? > 5 None",
            "b  input: 0 > 1 None",
            "b  output: 1 > 0 Some(-100.0)",
            "gpt  input: 1 > 3 Some(200.0)",
        ]
    );
    assert_eq!(diff.changed[2].other_name.as_deref(), Some("openai/gpt"));
    let none = diff_catalogues(&before, &before, None, None);
    assert_eq!((none.changed.len(), none.unchanged), (0, 5));
    let only = NamePattern::new("acme").expect("a pattern");
    let some = diff_catalogues(&before, &after, None, Some(&only));
    assert_eq!(
        (some.changed.len(), some.added.len(), some.removed.len()),
        (1, 0, 0)
    );
}

#[test]
fn merging_adds_to_history_and_never_rewrites_it() {
    let known = Catalogue::read(BEFORE).expect("a catalogue");
    let options = PriceImportOptions {
        since_us: Some(since("2026-06-01")),
        ..PriceImportOptions::default()
    };
    let new = import_prices(AFTER, &options)
        .expect("it imports")
        .catalogue;
    let (merged, report) = merge_prices(&known, &new, since("2026-06-01")).expect("it merges");
    assert_eq!(report.added, ["new", "openai/gpt"]);
    assert_eq!(report.changed, ["acme/a", "b"]);
    assert_eq!(
        (report.unchanged, report.kept),
        (1, vec!["gone".to_owned(), "gpt".to_owned()])
    );
    let input = |arm: &str, day: &str| {
        let prices = merged.prices_at(arm, Some(since(day)));
        prices.map(|prices| prices.input.to_string())
    };
    assert_eq!(input("acme/a", "2026-03-15").as_deref(), Some("2"));
    assert_eq!(input("acme/a", "2026-06-01").as_deref(), Some("1.5"));
    assert_eq!(input("new", "2026-03-15"), None);
    assert_eq!(input("gone", "2026-07-01").as_deref(), Some("1"));
    let again = Catalogue::read(&merged.to_toml("")).expect("it reads");
    assert!(again.arms().eq(merged.arms()));

    // The same prices once more change nothing; other prices from the same day are refused.
    let (twice, report) = merge_prices(&merged, &new, since("2026-06-01")).expect("again");
    assert!(report.changed.is_empty() && twice.arms().eq(merged.arms()));
    let error = merge_prices(&merged, &known, since("2026-06-01")).expect_err("rewritten");
    assert_eq!(error.code(), "P0413");
    assert!(error.to_string().contains("2026-06-01"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_make_an_import_panic(
        cut in 0..LITELLM.len(),
        junk in "\\PC{0,12}",
        skip in 0..20_usize,
        which in any::<bool>(),
    ) {
        let text = if which { LITELLM } else { OPENROUTER };
        let at = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let rest = text.get(at + skip..).unwrap_or("");
        for format in [None, Some(CatalogueFormat::Litellm), Some(CatalogueFormat::Openrouter)] {
            let options = PriceImportOptions { format, ..PriceImportOptions::default() };
            match import_prices(&format!("{}{junk}{rest}", &text[..at]), &options) {
                Ok(import) => {
                    let report = &import.report;
                    prop_assert_eq!(report.models, report.imported + report.skipped.len() as u64);
                    let again = Catalogue::read(&import.catalogue.to_toml(""));
                    prop_assert!(again.is_ok_and(|again| again.arms().eq(import.catalogue.arms())));
                }
                Err(error) => prop_assert!(error.code().starts_with("P04")),
            }
        }
    }

    #[test]
    fn l20_any_price_in_picos_is_read_and_written_exactly(pico in 0..u64::MAX / 2) {
        // As LiteLLM and OpenRouter write it, per token, and as we do, per million.
        let usd = plimsoll::Usd::from_pico(i128::from(pico)).to_string();
        let litellm = format!(r#"{{"m":{{"input_cost_per_token":{usd},"output_cost_per_token":0,"litellm_provider":"p","mode":"chat"}}}}"#);
        let openrouter = format!(r#"{{"data":[{{"id":"m","pricing":{{"prompt":"{usd}","completion":"0"}}}}]}}"#);
        for text in [litellm, openrouter] {
            let import = imported(&text);
            let toml = import.catalogue.to_toml("");
            for catalogue in [import.catalogue, Catalogue::read(&toml).expect("it reads")] {
                let prices = catalogue.prices_at("m", None).expect("an arm");
                prop_assert_eq!(prices.input.pico_per_token(), pico);
            }
        }
    }
}

#[test]
fn dates_are_written_as_they_are_read() {
    let day = |date: &str| {
        let text = format!("date = {date}\n[arms.a]\ninput = 1\noutput = 2\n");
        Catalogue::read(&text).expect("a catalogue")
    };
    for (written, kept) in [
        ("2026-03-01", "2026-03-01"),
        ("\"2026-03-01T00:00:00Z\"", "2026-03-01"),
        ("2026-03-01T02:00:00+02:00", "2026-03-01"),
        // An annotation that RFC 9557 has and TOML has not.
        ("\"2026-03-01T12:00:00Z[UTC]\"", "2026-03-01T12:00:00Z"),
    ] {
        let catalogue = day(written);
        assert_eq!(catalogue.date(), Some(kept));
        let again = Catalogue::read(&catalogue.to_toml("A test.")).expect("what was written");
        assert_eq!(again.date(), catalogue.date());
    }
    let options = PriceImportOptions {
        since_us: Some(since("2026-03-01")),
        ..PriceImportOptions::default()
    };
    let import = import_prices(LITELLM, &options).expect("a catalogue");
    assert_eq!(import.catalogue.date(), Some("2026-03-01"));
}

#[test]
fn comments_hold_no_control_characters() {
    let catalogue = imported(LITELLM).catalogue;
    let toml = catalogue.to_toml("From a\u{7}file\u{0}\r\nof two\rlines.");
    assert!(
        toml.starts_with("# From a file \n# of two lines.\n"),
        "{toml}"
    );
    Catalogue::read(&toml).expect("a catalogue");
}
