//! Price catalogues: ours, LiteLLM's and OpenRouter's; read, written, compared, merged, used.

use plimsoll_datasets::{
    Catalogue, CatalogueError, CatalogueFormat, Conditions, NamePattern, PriceImportOptions, Usage,
    diff_catalogues, import_prices, merge_prices,
};

use crate::bound::bounded;

/// A first moment of prices: 2026-03-01.
const SINCE_US: i64 = 1_772_323_200_000_000;

/// A catalogue of any format, as which it is read whether or not it looks like it.
#[must_use]
pub fn prices(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    bounded(data.len(), || {
        let _ = NamePattern::new(text).map(|pattern| pattern.matches("a/b"));
        let _ = Catalogue::parse_time(text);
        let formats = [
            None,
            Some(CatalogueFormat::Plimsoll),
            Some(CatalogueFormat::Litellm),
            Some(CatalogueFormat::Openrouter),
        ];
        let mut loaded = false;
        for format in formats {
            let options = PriceImportOptions {
                format,
                since_us: (text.len() % 2 == 1).then_some(SINCE_US),
                only: None,
            };
            match import_prices(text, &options) {
                Ok(import) => {
                    loaded = true;
                    let report = &import.report;
                    let known = report.imported + report.not_selected;
                    assert_eq!(known + report.skipped.len() as u64, report.models);
                    let _ = format!("{report:?}");
                    put_to_work(&import.catalogue);
                }
                Err(error) => check_error(&error),
            }
        }
        loaded
    })
}

fn check_error(error: &CatalogueError) {
    assert!(!error.to_string().is_empty() && !error.help().is_empty());
    let _ = (error.location(), format!("{error:?}"));
}

/// A catalogue is written so that it reads the same, and whatever it is asked it answers.
fn put_to_work(catalogue: &Catalogue) {
    let written = catalogue.to_toml("a comment\nof two lines");
    let again = match Catalogue::read(&written) {
        Ok(again) => again,
        Err(error) => panic!("{error}, in:\n{written}"),
    };
    assert!(
        again.arms().eq(catalogue.arms()),
        "other prices in:\n{written}"
    );
    assert_eq!(again.date(), catalogue.date());
    assert!(
        diff_catalogues(catalogue, &again, None, None)
            .changed
            .is_empty()
    );
    for (name, arm) in catalogue.arms() {
        let _ = catalogue.resolve(name).explain(name);
        for timestamp_us in [
            None,
            Some(0),
            Some(SINCE_US),
            Some(i64::MAX),
            Some(i64::MIN),
        ] {
            let Some(period) = arm.period_at(timestamp_us) else {
                continue;
            };
            for (service_tier, input_tokens) in [(None, 10), (Some("batch"), u64::MAX)] {
                let conditions = Conditions {
                    service_tier,
                    input_tokens,
                    timestamp_us,
                };
                if let Ok(prices) = period.prices_for(&conditions) {
                    costs_add_up(prices);
                }
            }
        }
    }
    let ours = Catalogue::read("[arms.\"small\"]\ninput = 1\noutput = 2\n").expect("a catalogue");
    let _ = merge_prices(&ours, catalogue, SINCE_US).map_err(|error| check_error(&error));
    let _ = merge_prices(catalogue, &ours, SINCE_US).map_err(|error| check_error(&error));
    let _ = format!(
        "{:?}",
        diff_catalogues(&ours, catalogue, Some(SINCE_US), None)
    );
    for name in ["small", "vendor/small", "small-2026-03-01", ""] {
        let _ = catalogue.resolve(name).explain(name);
        let _ = catalogue.require(name).map_err(|error| check_error(&error));
    }
}

/// More tokens never cost less, up to the greatest counts there are.
fn costs_add_up(prices: &plimsoll_datasets::TokenPrices) {
    let usage = |tokens: u64| Usage {
        input_tokens: tokens,
        output_tokens: tokens,
        cached_input_tokens: tokens / 2,
        reasoning_tokens: tokens,
        ..Usage::default()
    };
    let mut least = None;
    for tokens in [0, 1, 1_000_000, 1 << 53, u64::MAX] {
        if let Ok(cost) = prices.cost(&usage(tokens)) {
            assert!(Some(cost) >= least, "{tokens} tokens cost less");
            least = Some(cost);
        }
    }
}
