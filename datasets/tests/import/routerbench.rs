//! `RouterBench`'s wide tables.

use plimsoll::{Quality, Usd};
use plimsoll_datasets::{ImportKind, Input, QualityFrom};

use crate::golden::{check, detects, fixture, lenient, outcome, run};

const TABLE: &str = "routerbench.csv";

/// Every model's answer is a row; the oracle's choice is none.
#[test]
fn wide_tables_become_rows() {
    detects(TABLE, ImportKind::Routerbench);
    let (report, read) = check("routerbench", &[TABLE], &lenient(ImportKind::Routerbench));
    assert_eq!((report.records, report.rows), (5, 8));
    assert_eq!(report.rejected.values().sum::<u64>(), 2);
    assert_eq!(report.skipped.values().sum::<u64>(), 1, "a model not asked");
    let arms: Vec<String> = read.log.arms.iter().map(ToString::to_string).collect();
    assert_eq!(arms, ["claude-v2", "gpt-4-1106-preview", "small/model-7b"]);
    let usd = |text: &str| text.parse::<Usd>().expect("dollars");
    let cheap = outcome(&read, "mmlu-law.val.1", "claude-v2");
    assert_eq!(cheap.cost, Some(usd("0.000075")), "to the pico-dollar");
    let free = outcome(&read, "mbpp.dev.3", "small/model-7b");
    assert_eq!(free.cost, Some(Usd::ZERO));
    let unpriced = outcome(&read, "mtbench.9", "small/model-7b");
    assert_eq!(unpriced.cost, None, "an empty cost is unknown");
    assert_eq!(unpriced.quality.map(Quality::get), Some(0.35));
    let prompt = |id: &str| {
        let found = read.log.requests.iter().find(|own| own.id == id);
        found.and_then(|own| own.prompt.clone())
    };
    assert_eq!(
        prompt("mmlu-law.val.1").as_deref(),
        Some("Answer with a letter.\n\nA) yes\nB) no")
    );
    assert_eq!(
        prompt("mtbench.9").as_deref(),
        Some("First turn\nSecond turn")
    );
}

/// In Parquet, scores and costs are numbers, and what is missing is null or NaN.
#[test]
fn parquet_is_read_too() {
    use polars::prelude::{ParquetWriter, df};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wide.parquet");
    let mut table = df!(
        "sample_id" => ["one", "two", "three"],
        "prompt" => ["['p']", "['q']", "['r']"],
        "a.1" => [Some(0.5), Some(1.0), None],
        "a.1|total_cost" => [Some(0.25), Some(f64::NAN), None],
        "oracle_model_to_route_to" => ["a.1", "a.1", "a.1"],
    )
    .expect("a table");
    let file = std::fs::File::create(&path).expect("a file");
    ParquetWriter::new(file)
        .finish(&mut table)
        .expect("written");
    detects_path(&path);
    let options = lenient(ImportKind::Routerbench);
    let (report, read, _) = run(&[Input::Path(path)], &options).expect("an import");
    assert_eq!((report.rows, report.skipped.len()), (2, 1));
    let first = outcome(&read, "one", "a.1");
    assert_eq!(first.quality.map(Quality::get), Some(0.5));
    assert_eq!(first.cost, "0.25".parse().ok());
    assert_eq!(outcome(&read, "two", "a.1").cost, None);
}

fn detects_path(path: &std::path::Path) {
    let found = plimsoll_datasets::detect(&Input::Path(path.to_owned()));
    assert_eq!(
        found.ok().map(|found| found.kind),
        Some(ImportKind::Routerbench)
    );
}

#[test]
fn one_quality_is_refused() {
    let mut options = lenient(ImportKind::Routerbench);
    options.quality = Some(QualityFrom::Expression("note".to_owned()));
    let error = run(&[fixture(TABLE)], &options).map(drop).expect_err("no");
    assert_eq!(error.code(), "P0253");
}
