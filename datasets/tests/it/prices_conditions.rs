//! Prices under conditions, by the date of the row; ROBUSTNESS.md L18.

use plimsoll_datasets::{
    Catalogue, Input, OutcomeLog, PricingSummary, ReadOptions, Resolution, read,
};

fn catalogue(text: &str) -> Catalogue {
    Catalogue::read(text).unwrap_or_else(|error| panic!("{error}"))
}

fn log(csv: &str) -> OutcomeLog {
    let input = Input::bytes("log.csv", csv.as_bytes());
    read(&input, &ReadOptions::default()).expect("a log").log
}

fn priced(catalogue: &Catalogue, csv: &str) -> (Vec<Option<String>>, PricingSummary) {
    let mut log = log(csv);
    let summary = catalogue.price_log(&mut log);
    let outcomes = log.requests.iter().flat_map(|request| &request.outcomes);
    let costs = outcomes.map(|outcome| outcome.cost.map(|cost| cost.to_string()));
    (costs.collect(), summary)
}

const CONDITIONS: &str = r#"
[arms.a]
input = 1
output = 0
cached_input = 0.1
cache_write = 1.25
cache_write_1h = 2
rates = [
  { above_input_tokens = 200000, input = 2, output = 0 },
  { above_input_tokens = 1000, windows = ["sat,sun 00:00-24:00"], input = 0.1, output = 0 },
  { above_input_tokens = 1000, input = 1.5, output = 0 },
  { service_tier = "batch", input = 0.5, output = 0 },
  { service_tier = "priority", input = 4, output = 0 },
  { service_tier = "priority", above_input_tokens = 1000, input = 6, output = 0 },
  { service_tier = "priority", above_input_tokens = 200000, input = 8, output = 0 },
]
"#;

const HEADER: &str = "request_id,model,input_tokens,output_tokens,cached_input_tokens,\
                      service_tier,cache_write_tokens,cache_write_1h_tokens,timestamp\n";

#[test]
fn the_price_list_follows_tier_length_and_time() {
    let catalogue = catalogue(CONDITIONS);
    // 2026-03-01 was a Sunday, in UTC from its first to its last microsecond.
    for (row, want) in [
        ("1000,0,,,,,", "0.001"),
        ("1000,0,,standard,,,", "0.001"),
        ("1000,0,,Default,,,", "0.001"),
        ("1000,0,,batch,,,", "0.0005"),
        ("1000,0,,batches,,,", "0.0005"),
        ("1000,0,,priority,,,", "0.004"),
        ("1001,0,,priority,,,", "0.006006"),
        ("200000,0,,priority,,,", "1.2"),
        ("200001,0,,priority,,,", "1.600008"),
        ("1001,0,,,,,2026-03-01T23:59:59.999999Z", "0.0001001"),
        ("1001,0,,,,,2026-03-02T00:00:00Z", "0.0015015"),
        ("1001,0,,,,,2026-03-02T01:00:00+02:00", "0.0001001"),
        ("200001,0,,,,,2026-03-01T12:00:00Z", "0.400002"),
        ("200001,0,,,,,", "0.400002"),
        ("1000,0,200,,300,100,", "0.00097"),
        ("1000,0,,,,100,", "0.0011"),
        ("1000,0,,,0,0,", "0.001"),
        ("1000,0,,,100.0,,", "0.001025"),
    ] {
        let (costs, summary) = priced(&catalogue, &format!("{HEADER}r,a,{row}\n"));
        assert_eq!(costs, [Some(want.to_owned())], "{row}: {summary:?}");
    }
}

#[test]
fn l18_a_call_under_conditions_without_a_price_is_unpriced() {
    let catalogue = catalogue(CONDITIONS);
    for (row, why) in [
        ("1000,0,,flex,,,", "`a`: no price for service tier `flex`"),
        ("1000,0,,auto,,,", "`a`: no price for service tier `auto`"),
        (
            "1001,0,,batch,,,",
            "`a`: no price for service tier `batch` above 1000 input tokens",
        ),
        (
            "1001,0,,,,,",
            "`a`: the price depends on the time of day, and there is no timestamp",
        ),
        ("1000,0,,batch,1,,", "`a`: no price for cache writes"),
        (
            "1000,0,,batch,1,1,",
            "`a`: no price for cache writes of an hour",
        ),
    ] {
        let (costs, summary) = priced(&catalogue, &format!("{HEADER}r,a,{row}\n"));
        assert_eq!((costs, summary.unpriced), (vec![None], 1), "{row}");
        assert_eq!(
            summary.without_rate.get(why),
            Some(&1),
            "{row}: {summary:?}"
        );
    }
    for row in [
        "1000,0,800,,300,,",
        "1000,0,,,100,200,",
        "1000,0,,,many,,",
        "1000,0,,,-1,,",
        "1000,0,,,1.5,,",
        "1000,0,,,,99999999999999999999,",
    ] {
        let (costs, summary) = priced(&catalogue, &format!("{HEADER}r,a,{row}\n"));
        assert_eq!(
            (costs, summary.inconsistent_tokens),
            (vec![None], 1),
            "{row}"
        );
    }
}

#[test]
fn every_arm_of_a_request_has_conditions_of_its_own() {
    let text = "[arms.a]\ninput = 1\noutput = 0\nrates = [{service_tier=\"batch\", input=0.5, output=0}]\n\
                [arms.b]\ninput = 1\noutput = 0\n";
    let csv = "request_id,model,input_tokens,output_tokens,service_tier\n\
               r,a,1000000,0,batch\nr,b,1000000,0,\n";
    let (costs, summary) = priced(&catalogue(text), csv);
    assert_eq!(
        costs,
        [Some("0.5".to_owned()), Some("1".to_owned())],
        "{summary:?}"
    );
}

#[test]
fn a_log_of_march_is_priced_with_the_prices_of_march() {
    let text = "[arms.a]\nperiods = [\n\
        { valid_until = 2026-04-01, input = 5, output = 0, rates = [{ service_tier = \"batch\", input = 3, output = 0 }] },\n\
        { valid_from = 2026-04-01, valid_until = 2026-06-01, input = 4, output = 0 },\n\
        { valid_from = 2026-07-01, input = 1, output = 0 },\n]\n";
    let catalogue = catalogue(text);
    for (tier, time, want) in [
        ("", "2026-03-15T00:00:00Z", Some("5")),
        ("batch", "2026-03-31T23:59:59.999999Z", Some("3")),
        ("", "2026-04-01T00:00:00Z", Some("4")),
        // In April nobody knew a price for batches; in June none is known at all.
        ("batch", "2026-04-01T00:00:00Z", None),
        ("", "2026-06-01T00:00:00Z", None),
        ("", "2026-07-01T00:00:00Z", Some("1")),
    ] {
        let row = format!("{HEADER}r,a,1000000,0,,{tier},,,{time}\n");
        let (costs, summary) = priced(&catalogue, &row);
        assert_eq!(
            costs,
            [want.map(str::to_owned)],
            "{tier} {time}: {summary:?}"
        );
        assert_eq!(summary.undated, 0);
    }
    // Without a time the latest prices are used, and that is said.
    let (costs, summary) = priced(&catalogue, &format!("{HEADER}r,a,1000000,0,,,,,\n"));
    assert_eq!((costs, summary.undated), (vec![Some("1".to_owned())], 1));
    let again = Catalogue::read(&catalogue.to_toml("")).expect("it reads");
    assert!(again.arms().eq(catalogue.arms()));
}

#[test]
fn what_a_price_leaves_open_is_told() {
    let text = "[arms.free]\ninput = 0\noutput = 0\n\
                [arms.some]\ninput = 1\noutput = 1\nnot_priced = [\"web_search\"]\n";
    let csv = format!("{HEADER}1,free,10,10,,,,,\n2,some,10,10,5,,,,\n3,openai/free,1,1,,,,,\n");
    let (costs, summary) = priced(&catalogue(text), &csv);
    assert!(costs.iter().all(Option::is_some));
    assert_eq!((summary.free, summary.cached_as_input), (2, 1));
    assert_eq!(summary.incomplete_arms["some"], ["web_search"]);
    assert!(summary.resolved_names["openai/free"].contains("maker's prefix"));
    assert_eq!(summary.resolved_names.len(), 1);
}

#[test]
fn rates_that_contradict_each_other_are_pointed_at() {
    let check = |rates: &str, code: &str, says: &str| {
        let text = format!("[arms.a]\ninput = 1\noutput = 1\nrates = {rates}\n");
        let error = Catalogue::read(&text).expect_err(rates);
        assert_eq!(
            (error.code(), error.location().map(|at| at.line)),
            (code, Some(4)),
            "{error}"
        );
        let whole = format!("{error}; {}", error.help());
        assert!(whole.contains(says), "{whole} lacks {says}");
    };
    check(
        "[{ input = 1, output = 1 }]",
        "P0409",
        "without a condition",
    );
    check(
        "[{ service_tier = \"standard\", input = 1, output = 1 }]",
        "P0409",
        "without a condition",
    );
    let twice = "{ service_tier = \"batch\", input = 1, output = 1 }";
    check(
        &format!("[{twice}, {twice}]"),
        "P0409",
        "two for the same condition",
    );
    check(
        "[{ service_tier = \"batch\", input = 1 }]",
        "P0405",
        "`output`",
    );
    check(
        "[{ service_teir = \"batch\", input = 1, output = 1 }]",
        "P0402",
        "service_tier",
    );
    check(
        "[{ windows = [\"22:00-06:00\"], input = 1, output = 1 }]",
        "P0403",
        "windows",
    );
    check(
        "[{ windows = [], input = 1, output = 1 }]",
        "P0403",
        "windows",
    );
    check(
        "[{ above_input_tokens = -1, input = 1, output = 1 }]",
        "P0403",
        "whole number",
    );
    check(
        "[{ above_input_tokens = 1, per_request = -1, input = 1, output = 1 }]",
        "P0403",
        "0 or more",
    );
    check(
        "[{ above_input_tokens = 1, input = 1, output = 0.0000001 }]",
        "P0404",
        "decimal places",
    );
    check("{}", "P0403", "a list of tables");
}

#[test]
fn names_are_resolved_only_where_there_is_no_doubt() {
    let text = r#"
[arms."gpt-4o"]
input = 1
output = 1
aliases = ["four-o"]
[arms."anthropic/claude"]
input = 1
output = 1
[arms."gemini/flash"]
input = 1
output = 1
[arms."flash"]
input = 2
output = 1
[arms."mistral/tiny"]
input = 1
output = 1
[arms."mistralai/tiny"]
input = 1
output = 1
[arms."groq/llama"]
input = 1
output = 1
[arms."openai/o9-2026-01-01"]
input = 1
output = 1
[arms."gpt-resold"]
input = 1
output = 1
provider = "acme"
[arms."gemini-cloud"]
input = 1
output = 1
provider = "vertex_ai-language-models"
"#;
    let catalogue = catalogue(text);
    let arm = |name: &str| catalogue.resolve(name).arm().map(str::to_owned);
    let why = |name: &str| catalogue.resolve(name).explain(name).unwrap_or_default();
    assert_eq!(arm("gpt-4o").as_deref(), Some("gpt-4o"));
    assert_eq!(why("gpt-4o"), "");
    assert_eq!(arm("four-o").as_deref(), Some("gpt-4o"));
    assert_eq!(arm("openai/gpt-4o").as_deref(), Some("gpt-4o"));
    assert_eq!(arm("openai/four-o").as_deref(), Some("gpt-4o"));
    assert_eq!(arm("claude").as_deref(), Some("anthropic/claude"));
    assert_eq!(arm("google/gemini-cloud").as_deref(), Some("gemini-cloud"));
    // Two at one price: no doubt of the price, and both are named.
    assert_eq!(arm("tiny").as_deref(), Some("mistral/tiny"));
    assert!(
        why("tiny").contains("`mistralai/tiny` has the same prices"),
        "{}",
        why("tiny")
    );
    // Two at different prices, another seller, other snapshots: told, not used.
    assert!(matches!(
        catalogue.resolve("google/flash"),
        Resolution::Ambiguous { .. }
    ));
    assert!(
        why("google/flash").contains("`flash`, `gemini/flash`"),
        "{}",
        why("google/flash")
    );
    for unknown in [
        "llama",
        "azure/gpt-4o",
        "openai/llama",
        "gpt-4o-2024-05-13",
        "openai/gpt-4o-20240513",
        "o9",
        "openai/o9",
        "o9-2026-02-02",
        "GPT-4o",
        "openai/gpt-resold",
        "",
    ] {
        assert_eq!(arm(unknown), None, "{unknown}");
        assert!(!why(unknown).is_empty());
    }
    assert!(why("gpt-4o-2024-05-13").contains("is not `gpt-4o`: snapshots"));
    assert!(why("o9").contains("`openai/o9-2026-01-01`"));
    assert!(!why("azure/gpt-4o-2024-05-13").contains("snapshots"));

    let csv = format!("{HEADER}1,google/flash,1,1,,,,,\n2,gpt-4o-2024-05-13,1,1,,,,,\n");
    let (costs, summary) = priced(&catalogue, &csv);
    assert_eq!((costs, summary.unpriced), (vec![None, None], 2));
    assert!(
        summary.unknown_arms["google/flash"]
            .why
            .contains("at different prices")
    );
    assert!(
        summary.unknown_arms["gpt-4o-2024-05-13"]
            .why
            .contains("with an alias")
    );
}

#[test]
fn the_catalogue_of_the_docs_is_one() {
    let text = include_str!("../../../docs/prices.md");
    let block = text
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let catalogue = catalogue(block.expect("a block"));
    let again = Catalogue::read(&catalogue.to_toml("")).expect("it reads");
    assert!(again.arms().eq(catalogue.arms()));
    let csv = format!(
        "{HEADER}1,acme-large,300000,0,,,,,2026-11-02T12:00:00Z\n\
         2,acme/acme-small,1,0,,,,,\n3,acme-small,1000000,0,,batch,,,2026-04-01T00:00:00Z\n"
    );
    // 300,000 × 2.5 per million, and no charge per request in that list.
    let (costs, _) = priced(&catalogue, &csv);
    assert_eq!(
        costs,
        [Some("0.75".to_owned()), None, Some("0.05".to_owned())]
    );
}
