//! Exports in Parquet say the same as the JSON they could have been: maps are lists of pairs,
//! times are datetimes, costs are decimals.

use std::io::Cursor;

use plimsoll_datasets::{ImportKind, ImportOptions, Input, QualityFrom};
use polars::prelude::{
    DataType, IntoLazy, JsonFormat, JsonReader, ParquetWriter, SerReader, TimeUnit, col,
};
use serde_json::{Value, json};

use crate::golden::{fixture, fixture_text, run};

/// A fixture of JSON lines as Parquet.
fn parquet(name: &str, maps: &[&str], times: &[&str], decimals: &[&str]) -> Input {
    let mut lines = String::new();
    for line in fixture_text(name).lines() {
        let Ok(mut row) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        for map in maps {
            let pairs = row[map].as_object().expect("a map").iter();
            let pairs: Vec<Value> = pairs.map(|(k, v)| json!({"key": k, "value": v})).collect();
            row[map] = json!(pairs);
        }
        // Parquet has no structs without fields; nothing reads these.
        let fields = row.as_object_mut().expect("an object");
        fields.retain(|_, value| *value != json!({}));
        for time in times {
            row[time] = row[time]
                .as_str()
                .map_or(Value::Null, |text| json!(micros(text)));
        }
        lines += &(row.to_string() + "\n");
    }
    let reader = JsonReader::new(Cursor::new(lines.as_bytes()))
        .with_json_format(JsonFormat::JsonLines)
        .infer_schema_len(None);
    let mut frame = reader.finish().expect("a frame").lazy();
    for time in times {
        let datetime = DataType::Datetime(TimeUnit::Microseconds, None);
        frame = frame.with_column(col(*time).strict_cast(datetime));
    }
    for decimal in decimals {
        frame = frame.with_column(col(*decimal).strict_cast(DataType::Decimal(38, 12)));
    }
    let mut bytes = Vec::new();
    let mut frame = frame.collect().expect("a frame");
    ParquetWriter::new(&mut bytes)
        .finish(&mut frame)
        .expect("Parquet");
    Input::bytes(name.replace("jsonl", "parquet"), bytes)
}

/// Microseconds since 1970 of a time on 2 March 2026, the day of the fixtures.
fn micros(text: &str) -> i64 {
    let time = text
        .strip_prefix("2026-03-02 ")
        .expect("a time of that day");
    let seconds = time.split(':').fold(0.0, |total, part| {
        total * 60.0 + part.parse::<f64>().expect("a number")
    });
    #[expect(clippy::cast_possible_truncation, reason = "below 86,400,000,000")]
    let micros = (seconds * 1e6).round() as i64;
    1_772_409_600_000_000 + micros
}

#[test]
fn langfuse_says_the_same_in_parquet() {
    let mut options = ImportOptions::new(ImportKind::Langfuse);
    options.quality = Some(QualityFrom::Score("helpful".to_owned()));
    options.read.max_reject = 0.2;
    let (observations, scores) = ("langfuse_observations.jsonl", "langfuse_scores.jsonl");
    let (_, _, want) = run(&[fixture(observations), fixture(scores)], &options).expect("a log");
    let maps = ["usage_details", "cost_details"];
    let inputs = [
        parquet(
            observations,
            &maps,
            &["start_time", "end_time"],
            &["total_cost"],
        ),
        parquet(scores, &[], &["timestamp", "updated_at"], &[]),
    ];
    let (report, _, got) = run(&inputs, &options).expect("a log");
    assert_eq!(got, want);
    assert_eq!(report.labels.superseded, 1, "times of scores are read");
}

#[test]
fn helicone_says_the_same_in_parquet() {
    let mut options = ImportOptions::new(ImportKind::Helicone);
    options.quality = Some(QualityFrom::Thumbs(None));
    options.read.max_reject = 0.2;
    let name = "helicone_request_response_rmt.jsonl";
    let (_, _, want) = run(&[fixture(name)], &options).expect("a log");
    let rows = parquet(
        name,
        &["properties", "scores"],
        &["request_created_at"],
        &[],
    );
    let (_, _, got) = run(&[rows], &options).expect("a log");
    assert_eq!(got, want);
}

#[test]
fn tensorzero_says_the_same_in_parquet() {
    let mut options = ImportOptions::new(ImportKind::TensorZero);
    options.read.max_reject = 0.2;
    let (calls, chats) = (
        "tensorzero_model_inference.jsonl",
        "tensorzero_chat_inference.jsonl",
    );
    let (_, _, want) = run(&[fixture(calls), fixture(chats)], &options).expect("a log");
    let inputs = [
        parquet(calls, &[], &[], &["cost"]),
        parquet(chats, &["tags"], &[], &[]),
    ];
    let (_, _, got) = run(&inputs, &options).expect("a log");
    assert_eq!(got, want);
}
