//! Price catalogues: ROBUSTNESS.md L18, L20 and E12.

use plimsoll::{Price, Usd};
use plimsoll_datasets::{
    Catalogue, CatalogueError, Input, OutcomeLog, ReadOptions, Unpriced, Usage, read,
};

fn catalogue(text: &str) -> Catalogue {
    Catalogue::read(text).unwrap_or_else(|error| panic!("{error}"))
}

fn check(text: &str, code: &str, line: usize, column: usize, says: &str) {
    let error = Catalogue::read(text).expect_err(text);
    let at = error.location().expect("a place");
    assert_eq!(
        (error.code(), at.line, at.column),
        (code, line, column),
        "{error}"
    );
    let whole = format!("{error}; {}", error.help());
    assert!(whole.contains(says), "{whole} lacks {says}");
}

fn log(csv: &str) -> OutcomeLog {
    read(
        &Input::bytes("log.csv", csv.as_bytes()),
        &ReadOptions::default(),
    )
    .expect("a log")
    .log
}

fn costs(log: &OutcomeLog) -> Vec<Option<String>> {
    log.requests
        .iter()
        .map(|r| r.outcomes[0].cost.map(|cost| cost.to_string()))
        .collect()
}

#[test]
fn l20_prices_keep_their_digits() {
    for number in ["0.15", "\"0.15\"", "1.5e-1", "0.150000"] {
        let catalogue = catalogue(&format!("[arms.a]\ninput = {number}\noutput = 0.1\n"));
        let prices = catalogue.prices_at("a", None).expect("a price");
        assert_eq!(prices.input.pico_per_token(), 150_000, "{number}");
        assert_eq!(prices.cached_input(), prices.input);
        assert_eq!(prices.reasoning(), prices.output);
        assert_eq!((prices.cached_input, prices.cache_write), (None, None));
    }
}

#[test]
fn what_is_wrong_is_pointed_at() {
    check(
        "[arms.a]\ninput = 1\noutptu = 2\n",
        "P0402",
        3,
        1,
        "did you mean `output`?",
    );
    check("dat = 2026-01-01\n", "P0402", 1, 1, "did you mean `date`?");
    check(
        "[arms.a]\ninput = 1\n",
        "P0405",
        1,
        7,
        "`a` has no `output`",
    );
    check(
        "[arms.a]\ninput = -1\noutput = 1\n",
        "P0404",
        2,
        9,
        "cannot be negative",
    );
    check(
        "[arms.a]\noutput = 1\ninput = 0.0000001\n",
        "P0404",
        3,
        9,
        "decimal places",
    );
    check(
        "[arms.a]\ninput = nan\noutput = 1\n",
        "P0404",
        2,
        9,
        "not a decimal",
    );
    check(
        "[arms.a]\ninput = true\noutput = 1\n",
        "P0403",
        2,
        9,
        "million tokens",
    );
    check(
        "[arms.a]\ninput = 0x10\noutput = 1\n",
        "P0403",
        2,
        9,
        "million tokens",
    );
    check(
        "[arms.a]\ninput = 1\noutput = 1\nvalid_from = \"soon\"\n",
        "P0403",
        4,
        14,
        "a date",
    );
    check("[arms.a\n", "P0401", 1, 8, "not TOML");
    check("[arms]\na = 1\n", "P0403", 2, 5, "a table");
    let clash = "[arms.a]\ninput=1\noutput=1\naliases=[\"b\"]\n[arms.b]\ninput=1\noutput=1\n";
    check(clash, "P0407", 1, 7, "`b`");
    let backwards = "[arms.a]\ninput=1\noutput=1\nvalid_from=2026-02-01\nvalid_until=2026-01-01\n";
    check(backwards, "P0406", 1, 7, "ends before it begins");
    let overlap = "[arms.a]\nperiods = [\n {input=1,output=1,valid_until=2026-02-01},\n {input=2,output=2,valid_from=2026-01-01}]\n";
    check(overlap, "P0406", 2, 11, "overlap");
    check("[arms.a]\nperiods = []\n", "P0406", 2, 11, "empty");
}

#[test]
fn unknown_arms_are_named() {
    let catalogue = catalogue("[arms.gpt-5-mini]\ninput = 1\noutput = 1\naliases = [\"x/mini\"]\n");
    assert!(catalogue.get("x/mini").is_some());
    let error = catalogue.require("gpt5-mini").expect_err("not there");
    assert_eq!(error.code(), "P0408");
    assert!(
        matches!(&error, CatalogueError::UnknownArm { meant: Some(meant), .. } if meant == "gpt-5-mini")
    );
}

const CHANGED: &str = "
[arms.a]
periods = [
  { valid_from = 2026-06-01, input = 4, output = 20 },
  { valid_from = 2026-01-01, input = 5, output = 25 },
]
[arms.gone]
input = 1
output = 1
valid_until = 2026-02-01
[arms.free]
input = 0
output = 0
";

#[test]
fn e12_prices_change_and_arms_go() {
    let mut log = log("request_id,model,input_tokens,output_tokens,timestamp\n\
        early,a,1000000,0,2025-12-31T23:59:59Z\n\
        old,a,1000000,0,2026-05-31T23:59:59Z\n\
        new,a,1000000,0,2026-06-01T00:00:00Z\n\
        none,a,1000000,0,\n\
        while,gone,1000000,0,2026-01-31T00:00:00Z\n\
        after,gone,1000000,0,2026-02-01T00:00:00Z\n\
        nothing,free,1000000,0,2026-02-01T00:00:00Z\n");
    let summary = catalogue(CHANGED).price_log(&mut log);
    let expect = [
        None,
        Some("5"),
        Some("4"),
        Some("4"),
        Some("1"),
        None,
        Some("0"),
    ];
    assert_eq!(costs(&log), expect.map(|cost| cost.map(str::to_owned)));
    assert_eq!(
        (summary.priced, summary.unpriced, summary.outside_periods),
        (5, 2, 2)
    );
}

#[test]
fn l18_what_has_no_price_stays_unpriced() {
    let mut log = log(
        "request_id,model,input_tokens,output_tokens,cached_input_tokens,cost_usd\n\
        known,a,10,10,,\n\
        kept,a,10,10,,0.5\n\
        unknown,aa-large,10,10,,\n\
        uncounted,a,10,,,\n\
        torn,a,10,10,11,\n",
    );
    let catalogue =
        catalogue("[arms.a]\ninput = 1\noutput = 2\n[arms.a-large]\ninput = 1\noutput = 2\n");
    let summary = catalogue.price_log(&mut log);
    let expect = [Some("0.00003"), Some("0.5"), None, None, None];
    assert_eq!(costs(&log), expect.map(|cost| cost.map(str::to_owned)));
    assert_eq!(
        (summary.already_priced, summary.priced, summary.unpriced),
        (1, 1, 3)
    );
    assert_eq!(
        (summary.without_tokens, summary.inconsistent_tokens),
        (1, 1)
    );
    let unknown = &summary.unknown_arms["aa-large"];
    assert_eq!(
        (unknown.outcomes, unknown.meant.as_deref()),
        (1, Some("a-large"))
    );
    // The report follows when it measures again.
    let mut report = plimsoll_datasets::ValidationReport::of(&log);
    report.measure(&log);
    assert!((report.unpriced_share - 0.6).abs() < 1e-12);
}

#[test]
fn cached_and_reasoning_tokens_have_their_own_price() {
    let text = "[arms.a]\ninput = 1\ncached_input = 0.1\noutput = 2\nreasoning = 3\n";
    let catalogue = catalogue(text);
    let prices = catalogue.prices_at("a", None).expect("a price");
    let cost = |input_tokens, output_tokens, cached_input_tokens, reasoning_tokens| {
        prices.cost(&Usage {
            input_tokens,
            output_tokens,
            cached_input_tokens,
            reasoning_tokens,
            ..Usage::default()
        })
    };
    assert_eq!(
        cost(10, 10, 4, 5),
        Ok(Usd::from_pico(
            6_000_000 + 400_000 + 20_000_000 + 15_000_000
        ))
    );
    assert_eq!(cost(1, 0, 2, 0), Err(Unpriced::InconsistentTokens));
    assert_eq!(cost(u64::MAX, 0, 0, 0), Err(Unpriced::InconsistentTokens));
}

#[test]
fn the_embedded_catalogue_is_dated_and_sourced() {
    let catalogue = Catalogue::embedded();
    assert_eq!(catalogue.date(), Some("2026-10-01"));
    assert_eq!(catalogue.digest().len(), 64);
    assert!(catalogue.arms().count() >= 15);
    for (name, arm) in catalogue.arms() {
        assert!(
            arm.source
                .as_ref()
                .is_some_and(|source| source.starts_with("https://")),
            "{name}"
        );
        assert!(arm.context_window_tokens.is_some(), "{name}");
        let prices = arm.at(None).expect("a price");
        assert!(
            prices.cached_input() < prices.input && prices.input < prices.output,
            "{name}"
        );
    }
    let opus = catalogue
        .prices_at("anthropic/claude-opus-4-6", None)
        .expect("an alias");
    assert_eq!(opus.output, "25".parse::<Price>().expect("a price"));
}
