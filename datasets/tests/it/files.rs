//! Files, folders, patterns and Parquet: ROBUSTNESS.md L14 to L16, and round trips.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_datasets::{
    ImportKind, ImportOptions, Input, LogRow, LogWriter, OutcomeLog, ReadError, ReadLog,
    ReadOptions, import, read, write_log, write_rejects,
};

fn read_path(path: &Path) -> Result<ReadLog, ReadError> {
    read(
        &Input::parse(&path.to_string_lossy()),
        &ReadOptions::default(),
    )
}

fn code(path: &Path) -> &'static str {
    read_path(path).expect_err("an unreadable log").code()
}

const ROWS: &str = r#"{"request_id":"a","model":"large","quality":1,"cost_usd":0.0125,"input_tokens":12,"output_tokens":7,"cached_input_tokens":2,"reasoning_tokens":3,"timestamp":"2026-03-01T12:00:00.25Z","propensity":0.25,"served":true,"prompt":"Grüße, \"du\"\nZeile","embedding":[0.5,-1.25,0.1],"task":"chat","tenant":"t","session_id":"s","candidates":["small","large"],"latency_ms":12.5,"status":"ok","region":"eu"}
{"request_id":"a","model":"small","quality":0.5,"cost_usd":0.00000015,"served":false}
{"request_id":"b","model":"small","region":"us","candidates":["small"]}
"#;

fn example() -> OutcomeLog {
    read(
        &Input::bytes("rows", ROWS.as_bytes()),
        &ReadOptions::default(),
    )
    .expect("a log")
    .log
}

fn same(a: &OutcomeLog, b: &OutcomeLog) {
    assert_eq!(a.arms, b.arms);
    assert!(a.requests == b.requests, "the requests differ");
}

#[test]
fn logs_survive_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = example();
    for name in [
        "a.parquet",
        "a.csv",
        "a.csv.gz",
        "a.csv.zst",
        "a.jsonl",
        "a.jsonl.gz",
        "a.jsonl.zst",
    ] {
        let path = folder.path().join(name);
        write_log(&path, &log).expect(name);
        let first = fs::read(&path).expect(name);
        let back = read_path(&path).expect(name);
        same(&back.log, &log);
        assert_eq!(
            back.log.digest,
            blake3::hash(&first).to_hex().to_string(),
            "{name}"
        );
        write_log(&path, &back.log).expect(name);
        assert_eq!(
            fs::read(&path).expect(name),
            first,
            "{name}: equal logs give equal bytes"
        );
        // In memory the format is found as well, Parquet by way of a temporary file.
        let back = read(&Input::bytes("memory", first), &ReadOptions::default()).expect(name);
        same(&back.log, &log);
    }
    let leftovers = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(leftovers, 7, "no temporary file is left behind");
    let error = write_log(&folder.path().join("a.txt"), &log).expect_err("no format");
    assert_eq!(error.code(), "P0242");
    let error = write_log(&folder.path().join("none/a.csv"), &log).expect_err("no folder");
    assert_eq!(error.code(), "P0241");
}

#[test]
fn every_arm_keeps_what_its_price_depends_on() {
    const ROWS: &str = "\
request_id,model,region,service_tier,cache_write_tokens,cache_write_1h_tokens
a,large,eu,Flex,12,3
a,small,eu,batch,many,
a,tiny,eu,,,
b,large,us,,7,
b,small,us,default,7,
";
    let options = ReadOptions::default();
    let log = read(&Input::bytes("rows", ROWS.as_bytes()), &options);
    let log = log.expect("a log").log;
    let billing = |request: usize, arm: usize| {
        let billing = log.requests[request].outcomes[arm].billing.as_deref();
        billing.map(|b| (b.service_tier.as_deref(), b.cache_write_tokens))
    };
    assert_eq!(billing(0, 0), Some((Some("flex"), Some(12))));
    assert_eq!(billing(0, 1), Some((Some("batch"), None)));
    assert_eq!(billing(0, 2), None);
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.parquet", "a.csv", "a.jsonl"] {
        let path = folder.path().join(name);
        write_log(&path, &log).expect(name);
        let back = read_path(&path).expect(name).log;
        for (a, b) in log.requests.iter().zip(&back.requests) {
            assert_eq!(a.outcomes, b.outcomes, "{name}");
        }
        assert_eq!(back.requests[1].extra["region"], "us");
    }
    let of_request = log.request_row(&log.requests[0]);
    assert_eq!(of_request.extra, [("region".to_owned(), "eu".to_owned())]);
}

#[test]
fn parquet_takes_several_row_groups() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.parquet");
    let mut writer = LogWriter::create(&path, &["request_id", "model", "quality", "embedding"])
        .expect("a writer");
    for n in 0..150_000_u32 {
        let row = LogRow {
            request_id: format!("r{n}"),
            model: "m".to_owned(),
            embedding: (n > 140_000).then(|| vec![1.0, 2.0]),
            ..LogRow::default()
        };
        writer.write(&row).expect("a row");
    }
    writer.finish().expect("a file");
    let read = read_path(&path).expect("a log");
    assert_eq!(read.log.requests.len(), 150_000);
    assert_eq!(read.log.requests[149_999].id, "r149999");
    assert_eq!(read.log.requests[149_999].embedding, Some(vec![1.0, 2.0]));
}

#[test]
fn folders_and_patterns_are_read_in_order_of_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("deeper")).expect("a folder");
    for (name, id) in [
        ("b.csv", "b"),
        ("a.csv", "a"),
        ("deeper/c.csv", "c"),
        (".hidden.csv", "h"),
    ] {
        fs::write(at(name), format!("request_id,model\n{id},m\n")).expect(name);
    }
    fs::write(at("notes.txt"), "not a log").expect("a file");
    let ids = |input: &Path| {
        let read = read_path(input).expect("a log");
        read.log
            .requests
            .into_iter()
            .map(|request| request.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(folder.path()), ["a", "b", "c"]);
    assert_eq!(ids(&at("*.csv")), ["a", "b"]);
    assert_eq!(ids(&at("**/*.csv")), ["a", "b", "c"]);
    assert_eq!(ids(&at(".hidden.csv")), ["h"]);
    assert_eq!(code(&at("*.parquet")), "P0203");
    assert_eq!(code(&at("none.csv")), "P0201");
    assert_eq!(code(&at("[")), "P0204");
    let empty = tempfile::tempdir().expect("a folder");
    assert_eq!(code(empty.path()), "P0203");
}

#[cfg(unix)]
#[test]
fn l16_only_regular_files_are_opened() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    assert_eq!(code(Path::new("/dev/zero")), "P0202");
    symlink("/dev/zero", at("zero.csv")).expect("a link");
    assert_eq!(code(&at("zero.csv")), "P0202");
    assert_eq!(code(&at("*.csv")), "P0202");
    assert_eq!(code(folder.path()), "P0202");
    fs::remove_file(at("zero.csv")).expect("a link");
    symlink(at("two.csv"), at("one.csv")).expect("a link");
    symlink(at("one.csv"), at("two.csv")).expect("a link");
    assert_eq!(code(&at("one.csv")), "P0201");
    fs::remove_file(at("one.csv")).expect("a link");
    fs::remove_file(at("two.csv")).expect("a link");
    // A folder that holds itself is walked once.
    symlink(folder.path(), at("again")).expect("a link");
    fs::write(at("rows.csv"), "request_id,model\na,m\n").expect("a file");
    assert_eq!(
        read_path(folder.path()).expect("a log").log.requests.len(),
        1
    );
    let made = std::process::Command::new("mkfifo")
        .arg(at("pipe.csv"))
        .status();
    if made.is_ok_and(|status| status.success()) {
        assert_eq!(code(&at("pipe.csv")), "P0202");
    } else {
        eprintln!("skipped the named pipe: there is no mkfifo");
    }
}

/// Writes a Parquet file with a column of a chosen type.
fn parquet_with(path: &Path, series: polars::prelude::Series) {
    use polars::prelude::*;
    let rows = series.len();
    let ids: Vec<String> = (0..rows)
        .map(|n| format!("{}{n}", path.display()))
        .collect();
    let models = vec!["m"; rows];
    let mut frame = DataFrame::new(
        rows,
        vec![
            Column::from(Series::new("request_id".into(), ids)),
            Column::from(Series::new("model".into(), models)),
            Column::from(series),
        ],
    )
    .expect("a frame");
    let file = fs::File::create(path).expect("a file");
    ParquetWriter::new(file).finish(&mut frame).expect("a file");
}

#[test]
fn categories_are_texts() {
    use polars::prelude::*;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("categories.parquet");
    let categories = DataType::from_categories(Categories::global());
    let texts = |name: &str, values: [Option<&str>; 3]| Series::new(name.into(), values);
    let category = |series: Series| series.cast(&categories).expect("categories");
    let candidates = ListChunked::from_iter([
        Some(Series::new("".into(), ["small", "large"])),
        None,
        Some(Series::new("".into(), ["small"])),
    ])
    .into_series()
    .with_name("candidates".into());
    let candidates = candidates.cast(&DataType::List(Box::new(categories.clone())));
    let columns = [
        texts("request_id", [Some("a"), Some("b"), Some("c")]),
        category(texts(
            "model",
            [Some("small"), Some("large"), Some("small")],
        )),
        category(texts("task", [Some("chat"), None, Some("code")])),
        category(texts("region", [Some("eu"), Some("us"), None])),
        candidates.expect("lists"),
        Series::new("propensity".into(), [0.5, 0.5, 0.5]),
    ];
    let mut frame = DataFrame::new(3, columns.into_iter().map(Column::from).collect());
    let frame = frame.as_mut().expect("a frame");
    let file = fs::File::create(&path).expect("a file");
    ParquetWriter::new(file).finish(frame).expect("a file");

    let log = read_path(&path).expect("a log").log;
    let of = |index: usize| {
        let request = &log.requests[index];
        let model = log.arms[request.outcomes[0].arm as usize].to_string();
        let region = request.extra.get("region").map(String::as_str);
        (model, request.task.as_deref(), region)
    };
    assert_eq!(of(0), ("small".to_owned(), Some("chat"), Some("eu")));
    assert_eq!(of(1), ("large".to_owned(), None, Some("us")));
    assert_eq!(of(2), ("small".to_owned(), Some("code"), None));
    let eligible = log.requests[0].candidates.as_ref().map(Vec::len);
    assert_eq!(eligible, Some(2));
    // An import takes them for texts as well.
    let mut options = ImportOptions::new(ImportKind::Table);
    options.keep = vec!["region".to_owned()];
    let to = folder.path().join("imported.jsonl");
    import(&[Input::Path(path)], &options, &to, &|_| ()).expect("an import");
    let again = read_path(&to).expect("a log").log;
    assert_eq!(again.arms, log.arms);
    assert!(again.requests.iter().zip(&log.requests).all(|(a, b)| {
        (&a.task, &a.extra, &a.candidates) == (&b.task, &b.extra, &b.candidates)
    }));
}

#[test]
fn wrong_types_in_parquet_name_file_column_got_and_wanted() {
    use polars::prelude::{NamedFrom, Series};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    parquet_with(&path, Series::new("quality".into(), ["0.5"]));
    let error = read_path(&path).expect_err("a text is no quality");
    assert_eq!(error.code(), "P0210");
    let at = error.location().expect("a place");
    assert_eq!(at.column.as_deref(), Some("quality"));
    assert!(
        error
            .to_string()
            .contains("is a text, wanted a number in [0, 1]"),
        "{error}"
    );
    assert!(error.help().contains("cast `quality`"));

    parquet_with(
        &path,
        Series::new("output_tokens".into(), [1.0, 2.5, f64::NAN, -1.0, 1e300]),
    );
    let options = ReadOptions {
        max_reject: 1.0,
        ..ReadOptions::default()
    };
    let read = read(&Input::Path(path.clone()), &options).expect("a log");
    let names: Vec<_> = read
        .rejects
        .iter()
        .map(|reject| reject.reason.name())
        .collect();
    assert_eq!(names, ["not-exact", "not-finite", "negative", "not-exact"]);
    assert_eq!(read.rejects[0].row, 2);

    parquet_with(&path, Series::new("timestamp".into(), [1_772_366_400_i64]));
    assert_eq!(code(&path), "P0218");
    parquet_with(&path, Series::new("cost_usd".into(), [0.1_f32]));
    let cost = read_path(&path).expect("a log").log.requests[0].outcomes[0].cost;
    assert_eq!(cost.map(|cost| cost.to_string()), Some("0.1".to_owned()));
}

#[test]
fn l20_decimals_in_parquet_keep_every_digit() {
    use polars::prelude::{DataType, NamedFrom, Series};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let text = Series::new(
        "cost_usd".into(),
        ["0.000000000001", "1234567.123456789012"],
    );
    let decimal = text.cast(&DataType::Decimal(24, 12)).expect("decimals");
    parquet_with(&path, decimal);
    let log = read_path(&path).expect("a log").log;
    let costs: Vec<String> = log
        .requests
        .iter()
        .map(|request| request.outcomes[0].cost.expect("a cost").to_string())
        .collect();
    assert_eq!(costs, ["0.000000000001", "1234567.123456789012"]);
}

#[test]
fn l15_schema_drift_names_the_column_and_both_types() {
    use polars::prelude::{NamedFrom, Series};
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    parquet_with(&at("a.parquet"), Series::new("region".into(), ["eu"]));
    parquet_with(&at("b.parquet"), Series::new("region".into(), [true]));
    let error = read_path(folder.path()).expect_err("drift");
    assert_eq!(error.code(), "P0212");
    let text = error.to_string();
    for part in ["`region`", "a text", "a boolean", "a.parquet", "b.parquet"] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    parquet_with(&at("b.parquet"), Series::new("region".into(), ["us"]));
    assert_eq!(
        read_path(folder.path()).expect("a log").log.requests.len(),
        2
    );
}

#[test]
fn columns_of_empty_texts_survive() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = r#"{"request_id":"a","model":"m","prompt":"","task":"","tenant":"","session_id":"","status":""}"#;
    let options = ReadOptions::default();
    let log = read(&Input::bytes("rows", row.as_bytes()), &options)
        .expect("a log")
        .log;
    assert_eq!(log.requests[0].prompt.as_deref(), Some(""));
    for name in ["a.parquet", "a.jsonl"] {
        let path = folder.path().join(name);
        write_log(&path, &log).expect(name);
        same(&read_path(&path).expect(name).log, &log);
    }
}

fn small_parquet(folder: &Path) -> PathBuf {
    let path = folder.join("small.parquet");
    write_log(&path, &example()).expect("a file");
    path
}

/// Sampled: every 11th byte of header, pages and footer.
#[test]
fn l14_flipped_bytes_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = small_parquet(folder.path());
    let bytes = fs::read(&path).expect("a file");
    let damaged = folder.path().join("damaged.parquet");
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(11) {
        let mut copy = bytes.clone();
        copy[at] ^= 0xff;
        fs::write(&damaged, copy).expect("a file");
        refused += usize::from(read_path(&damaged).is_err());
    }
    assert!(refused > 0, "damage is noticed");
}

#[test]
fn l14_truncated_parquet_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = small_parquet(folder.path());
    let bytes = fs::read(&path).expect("a file");
    let cut = folder.path().join("cut.parquet");
    for length in (4..bytes.len())
        .step_by(61)
        .chain([bytes.len() - 1, bytes.len() - 8])
    {
        fs::write(&cut, &bytes[..length]).expect("a file");
        assert_eq!(code(&cut), "P0213", "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn rejects_are_written_as_jsonl() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rejects.jsonl");
    let options = ReadOptions {
        max_reject: 1.0,
        ..ReadOptions::default()
    };
    let text = "request_id,model,quality\na,m,2\nb,m\nc,m,1\n";
    let read = read(&Input::bytes("rows.csv", text.as_bytes()), &options).expect("a log");
    write_rejects(&path, &read.rejects).expect("a file");
    let lines = fs::read_to_string(&path).expect("a file");
    let rows: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["column"], "quality");
    assert_eq!(rows[0]["line"], 2);
    assert_eq!(rows[0]["request_id"], "a");
    assert_eq!(rows[1]["reason"]["name"], "field-count");
}
