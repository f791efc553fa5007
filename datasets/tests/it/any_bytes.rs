//! Whatever the bytes, readers answer with a log or an error.

use plimsoll_datasets::{Catalogue, Input, ReadOptions, Split, TimestampUnit, read};
use proptest::prelude::*;

fn never_panics(bytes: &[u8]) {
    for timestamp_unit in [None, Some(TimestampUnit::Milliseconds)] {
        let options = ReadOptions {
            max_reject: 1.0,
            timestamp_unit,
            ..ReadOptions::default()
        };
        match read(&Input::bytes("bytes", bytes), &options) {
            Ok(read) => {
                assert!(!read.log.requests.is_empty());
                let _ = serde_json::to_string(&read.report);
            }
            Err(error) => {
                assert!(error.code().starts_with("P02"));
                assert!(!error.to_string().is_empty() && !error.help().is_empty());
                let _ = error.location();
            }
        }
    }
}

const VALUES: [&str; 18] = [
    "null",
    "0",
    "-0",
    "1",
    "0.5",
    "1e400",
    "1e-400",
    "-1",
    "18446744073709551616",
    "\"\"",
    "\"x\"",
    "\"\\ud800\"",
    "true",
    "[]",
    "[1,\"a\"]",
    "{}",
    "\"2026-01-01T00:00:00Z\"",
    "[[[",
];
const NAMES: [&str; 12] = [
    "request_id",
    "model",
    "quality",
    "cost_usd",
    "input_tokens",
    "timestamp",
    "propensity",
    "served",
    "embedding",
    "candidates",
    "start",
    "end",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn of_any_kind(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        never_panics(&bytes);
    }

    #[test]
    fn that_look_like_jsonl(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        never_panics(&[b"{\"request_id\":\"a\",\"model\":\"m\"}\n{".as_slice(), &bytes].concat());
    }

    #[test]
    fn that_look_like_csv(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        never_panics(&[b"request_id,model,quality,timestamp\na,m,1,\n".as_slice(), &bytes].concat());
    }

    #[test]
    fn that_claim_to_be_compressed(bytes in prop::collection::vec(any::<u8>(), 0..300), zstd: bool) {
        let magic: &[u8] = if zstd { &[0x28, 0xb5, 0x2f, 0xfd] } else { &[0x1f, 0x8b, 8] };
        never_panics(&[magic, &bytes].concat());
    }

    #[test]
    fn of_odd_cells(cells in prop::collection::vec((0..NAMES.len(), 0..VALUES.len()), 1..12)) {
        let field = |(name, value): &(usize, usize)| format!("\"{}\":{}", NAMES[*name], VALUES[*value]);
        let json: Vec<_> = cells.iter().map(field).collect();
        never_panics(format!("{{{}}}\n", json.join(",")).as_bytes());
        let names: Vec<_> = cells.iter().map(|(name, _)| NAMES[*name]).collect();
        let values: Vec<_> = cells.iter().map(|(_, value)| VALUES[*value]).collect();
        never_panics(format!("{}\n{}\n", names.join(","), values.join(",")).as_bytes());
    }

    #[test]
    fn of_catalogues_and_splits(text in ".{0,200}") {
        let _ = Split::parse(&text);
        let _ = Catalogue::read(&text).map_err(|error| (error.help(), error.location()));
        let _ = Catalogue::read(&format!("[arms.a]\ninput = {text}\noutput = 1"));
    }
}
