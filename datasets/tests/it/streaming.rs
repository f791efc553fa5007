//! The streaming reader against the one that reads whole logs.
#![expect(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::too_many_lines,
    reason = "row numbers of small tables; one table of bad rows"
)]

use std::path::Path;

use plimsoll_datasets::{
    Input, LogRow, LogWriter, LoggedBatch, LoggedFiles, Logging, NO_NAME, NO_TIME, NO_TOKENS,
    Names, ReadError, ReadOptions, SimulateConfig, StreamOptions, StreamTally, TimestampUnit, read,
    simulate,
};
use polars::prelude::{
    Categories, Column, DataFrame, DataType, IntoColumn, NamedFrom, ParquetWriter, Series, TimeUnit,
};

/// Reads everything, whatever is wrong with it.
fn lenient() -> ReadOptions {
    ReadOptions {
        max_reject: 1.0,
        timestamp_unit: Some(TimestampUnit::Milliseconds),
        ..ReadOptions::default()
    }
}

fn open(path: &Path) -> LoggedFiles {
    let options = StreamOptions {
        read: lenient(),
        prompts: true,
    };
    LoggedFiles::open(&Input::Path(path.to_owned()), &options)
        .unwrap()
        .expect("a log that can be streamed")
}

fn name(names: &Names, row: usize) -> Option<&str> {
    let code = names.code[row];
    (code != NO_NAME).then(|| names.values[code as usize].as_str())
}

/// Every row and every reject of both readers is the same.
fn check_same(path: &Path) -> StreamTally {
    let whole = read(&Input::Path(path.to_owned()), &lenient()).unwrap();
    let files = open(path);
    let mut tally = StreamTally::default();
    let mut at = 0;
    let (mut ids, mut sessions) = (Vec::new(), Vec::new());
    for index in 0..files.batches() {
        let batch: LoggedBatch = files.batch(index).unwrap();
        for row in 0..batch.len() {
            let request = &whole.log.requests[at];
            let outcome = &request.outcomes[0];
            let id = &request.id;
            let arm = whole.log.arms[outcome.arm as usize].as_str();
            assert_eq!(name(&batch.arm, row), Some(arm), "{id}");
            assert_eq!(name(&batch.task, row), request.task.as_deref(), "{id}");
            assert_eq!(name(&batch.tenant, row), request.tenant.as_deref(), "{id}");
            assert_eq!(batch.prompt(row), request.prompt.as_deref(), "{id}");
            let same = |got: f64, want: Option<f64>, what: &str| match want {
                Some(want) => assert!((got - want).abs() < 1e-12, "{id} {what}: {got} {want}"),
                None => assert!(got.is_nan(), "{id} {what}: {got}"),
            };
            same(
                batch.quality[row],
                outcome.quality.map(plimsoll::Quality::get),
                "quality",
            );
            same(
                batch.cost_usd[row],
                outcome.cost.map(plimsoll::Usd::as_f64),
                "cost",
            );
            same(
                batch.propensity[row],
                outcome.propensity.map(plimsoll::Propensity::get),
                "propensity",
            );
            let tokens = Some(batch.input_tokens[row]).filter(|t| *t != NO_TOKENS);
            assert_eq!(tokens.map(u64::from), outcome.input_tokens, "{id}");
            let time = Some(batch.timestamp_us[row]).filter(|t| *t != NO_TIME);
            assert_eq!(time, request.timestamp_us, "{id}");
            ids.push((id.clone(), batch.request[row]));
            let session = request.session_id.as_ref().unwrap_or(id).clone();
            sessions.push((session, batch.session[row]));
            at += 1;
        }
        tally.merge(batch.tally);
    }
    assert_eq!(at, whole.log.requests.len());
    // Equal texts have equal hashes, and others have others.
    for mut pairs in [ids, sessions] {
        pairs.sort();
        pairs.dedup();
        let mut hashes: Vec<u64> = pairs.iter().map(|pair| pair.1).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), pairs.len());
        pairs.dedup_by(|a, b| a.0 == b.0);
        assert_eq!(hashes.len(), pairs.len());
    }
    assert_eq!(tally.rows_read, whole.report.rows_read);
    assert_eq!(tally.rows_rejected, whole.report.rows_rejected);
    assert_eq!(tally.by_reason, whole.report.rejects_by_reason);
    assert_eq!(tally.rejects, whole.rejects);
    assert_eq!(files.digest().unwrap(), whole.log.digest);
    tally
}

fn write(path: &Path, columns: Vec<Series>) {
    let height = columns[0].len();
    let columns: Vec<Column> = columns.into_iter().map(IntoColumn::into_column).collect();
    let mut frame = DataFrame::new(height, columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    ParquetWriter::new(file)
        .with_row_group_size(Some(700))
        .finish(&mut frame)
        .unwrap();
}

fn ids(rows: usize) -> Series {
    let ids: Vec<String> = (0..rows).map(|row| format!("request-{row}")).collect();
    Series::new("request_id".into(), ids)
}

fn models(rows: usize) -> Series {
    let names = ["small", "a-model-with-a-long-name", "medium"];
    let models: Vec<&str> = (0..rows).map(|row| names[row % 3]).collect();
    Series::new("model".into(), models)
}

fn propensities(rows: usize) -> Series {
    Series::new("propensity".into(), vec![0.25; rows])
}

#[test]
fn a_simulated_log_is_the_same_row_for_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let config = SimulateConfig {
        requests: 5_000,
        missing_label_share: 0.1,
        logging: Logging::Epsilon { epsilon: 0.3 },
        ..SimulateConfig::default()
    };
    simulate(&config, &path, None, &|_| ()).unwrap();
    let tally = check_same(&path);
    assert_eq!((tally.rows_read, tally.rows_rejected), (5_000, 0));
}

#[test]
fn every_kind_of_bad_row_is_the_same_reject() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.parquet");
    let rows = 2_000;
    let at = |row: usize, of: usize| row % 50 == of;
    let text = |name: &str, cell: &dyn Fn(usize) -> Option<String>| {
        Series::new(name.into(), (0..rows).map(cell).collect::<Vec<_>>())
    };
    let float = |name: &str, cell: &dyn Fn(usize) -> Option<f64>| {
        Series::new(name.into(), (0..rows).map(cell).collect::<Vec<_>>())
    };
    let columns = vec![
        float("quality", &|row| match row % 50 {
            1 => Some(1.5),
            2 => Some(-0.0),
            3 => Some(f64::NAN),
            4 => Some(f64::INFINITY),
            5 => None,
            6 => Some(-0.2),
            _ => Some(0.5),
        }),
        text("request_id", &|row| match row % 50 {
            7 => None,
            8 => Some(String::new()),
            9 => Some(format!("nul\0{row}")),
            _ => Some(format!("request-{row}")),
        }),
        text("model", &|row| match row % 50 {
            10 => None,
            11 => Some(String::new()),
            12 => Some("nul\0".to_owned()),
            _ => Some(["small", "a-model-with-a-long-name"][row % 2].to_owned()),
        }),
        float("cost_usd", &|row| match row % 50 {
            13 => Some(-1.0),
            14 => Some(f64::NAN),
            15 => Some(1e40),
            16 => Some(2e9),
            17 => None,
            18 => Some(-0.0),
            _ => Some(0.001_25),
        }),
        float("propensity", &|row| match row % 50 {
            19 => Some(0.0),
            20 => Some(1.000_1),
            21 => Some(f64::NAN),
            22 => None,
            _ => Some(0.25),
        }),
        Series::new(
            "input_tokens".into(),
            (0..rows as i64)
                .map(|row| match row % 50 {
                    23 => Some(-5),
                    24 => None,
                    _ => Some(row),
                })
                .collect::<Vec<Option<i64>>>(),
        ),
        Series::new(
            "timestamp".into(),
            (0..rows as i64)
                .map(|row| match row % 50 {
                    25 => Some(i64::MAX),
                    26 => None,
                    _ => Some(1_788_220_800_000_000 + row),
                })
                .collect::<Vec<Option<i64>>>(),
        )
        .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
        .unwrap(),
        text("task", &|row| match row % 50 {
            27 => Some("nul\0".to_owned()),
            28 => None,
            29 => Some(String::new()),
            _ => Some("chat".to_owned()),
        }),
        text("tenant", &|row| {
            (!at(row, 30)).then(|| format!("tenant-{}", row % 7))
        }),
        text("session_id", &|row| match row % 50 {
            31 => Some("nul\0".to_owned()),
            32 => None,
            _ => Some(format!("session-{}", row / 4)),
        }),
        text("prompt", &|row| match row % 50 {
            33 => Some("nul\0".to_owned()),
            34 => None,
            _ => Some(format!("prompt {row}")),
        }),
    ];
    write(&path, columns);
    let tally = check_same(&path);
    let reasons: Vec<&str> = tally.by_reason.keys().map(String::as_str).collect();
    assert_eq!(
        reasons,
        [
            "bad-time",
            "missing-value",
            "negative",
            "not-finite",
            "nul-character",
            "out-of-range"
        ]
    );
    assert_eq!(tally.rows_rejected, 40 * 23);
}

#[test]
fn other_types_are_the_same_row_for_row() {
    let rows = 1_000;
    let small: Vec<f32> = (0..rows).map(|row| (row % 11) as f32 / 10.0).collect();
    let whole: Vec<i64> = (0..rows as i64).collect();
    let labels: Vec<i64> = (0..rows as i64).map(|row| row % 2).collect();
    let dollars: Vec<f64> = (0..rows).map(|row| row as f64 / 1e3).collect();
    let times: Vec<String> = (0..rows)
        .map(|row| format!("2026-09-01T12:00:{:02}.{row:03}+02:00", row % 60))
        .collect();
    let named = |name: &str, series: Series| series.with_name(name.into());
    let cases: Vec<Vec<Series>> = vec![
        vec![
            Series::new("quality".into(), small.clone()),
            Series::new("cost_usd".into(), small),
        ],
        vec![
            Series::new("quality".into(), labels),
            Series::new("cost_usd".into(), dollars)
                .cast(&DataType::Decimal(20, 6))
                .unwrap(),
            Series::new("input_tokens".into(), whole.clone())
                .cast(&DataType::Float64)
                .unwrap(),
        ],
        vec![
            Series::new("timestamp".into(), times),
            Series::new("tenant".into(), whole.clone()),
            Series::new("session_id".into(), whole.clone()),
        ],
        vec![Series::new("timestamp".into(), whole.clone())],
        vec![
            named("timestamp", Series::new("".into(), whole.clone()))
                .cast(&DataType::Int32)
                .unwrap()
                .cast(&DataType::Date)
                .unwrap(),
        ],
        vec![
            Series::new("timestamp".into(), whole)
                .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
                .unwrap(),
            Series::new_null("task".into(), rows),
            Series::new_null("quality".into(), rows),
        ],
        ["task", "tenant", "status"]
            .map(|name| {
                let kinds = (0..rows).map(|row| ["a", "b", "c"][row % 3]);
                let texts = Series::new(name.into(), kinds.collect::<Vec<_>>());
                let categories = DataType::from_categories(Categories::global());
                texts.cast(&categories).unwrap()
            })
            .to_vec(),
    ];
    for (case, columns) in cases.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("types.parquet");
        let mut all = vec![ids(rows), models(rows), propensities(rows)];
        all.extend(columns);
        write(&path, all);
        let tally = check_same(&path);
        assert_eq!(
            (tally.rows_read, tally.rows_rejected),
            (1_000, 0),
            "case {case}"
        );
    }
}

#[test]
fn large_row_groups_are_cut_and_small_ones_joined() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 300_000;
    let mut before: Option<Vec<u64>> = None;
    for (group, batches) in [(1_000, 10), (rows, 3), (140_000, 4)] {
        let path = folder.path().join("groups.parquet");
        let columns = vec![ids(rows), models(rows), propensities(rows)];
        let columns: Vec<Column> = columns.into_iter().map(IntoColumn::into_column).collect();
        let mut frame = DataFrame::new(rows, columns).unwrap();
        ParquetWriter::new(std::fs::File::create(&path).unwrap())
            .with_row_group_size(Some(group))
            .finish(&mut frame)
            .unwrap();
        let files = open(&path);
        assert_eq!(
            (files.rows(), files.batches()),
            (rows as u64, batches),
            "{group}"
        );
        let mut seen = 0;
        let mut requests = Vec::new();
        for index in 0..files.batches() {
            let batch = files.batch(index).unwrap();
            requests.extend_from_slice(&batch.request);
            assert_eq!(batch.first_row, seen + 1);
            seen += batch.len() as u64;
        }
        assert_eq!(seen, rows as u64);
        // However they are cut, the rows are the same.
        let before = before.get_or_insert_with(|| requests.clone());
        assert!(*before == requests, "{group}");
        requests.sort_unstable();
        requests.dedup();
        assert_eq!(requests.len(), rows);
    }
}

#[test]
fn a_repeated_request_is_an_error_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    for (file, first) in [("a.parquet", 0_usize), ("b.parquet", 90)] {
        let mut writer = LogWriter::create(
            &folder.path().join(file),
            &["request_id", "model", "propensity"],
        )
        .unwrap();
        for row in first..first + 100 {
            let row = LogRow {
                request_id: format!("r{row}"),
                model: "small".to_owned(),
                propensity: plimsoll::Propensity::new(0.5).ok(),
                ..LogRow::default()
            };
            writer.write(&row).unwrap();
        }
        writer.finish().unwrap();
    }
    let files = open(folder.path());
    let hashes: Vec<Vec<u64>> = (0..files.batches())
        .map(|index| files.batch(index).unwrap().request)
        .collect();
    let error = files.check_unique(hashes).unwrap_err();
    let ReadError::RepeatedRequests {
        count,
        first_file,
        first_row,
        file,
        row,
    } = &error
    else {
        panic!("{error}");
    };
    assert!(first_file.ends_with("a.parquet") && file.ends_with("b.parquet"));
    assert_eq!((*count, *first_row, *row), (10, 91, 1));
    assert_eq!(error.code(), "P0220");
}

#[test]
fn what_cannot_be_streamed_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let open = |path: &Path| {
        LoggedFiles::open(&Input::Path(path.to_owned()), &StreamOptions::default()).unwrap()
    };
    write(&path, vec![ids(10), models(10)]);
    assert!(open(&path).is_none(), "no propensities");
    let candidates = Series::new(
        "candidates".into(),
        vec![Series::new("".into(), ["small"]); 10],
    );
    write(
        &path,
        vec![ids(10), models(10), propensities(10), candidates],
    );
    assert!(open(&path).is_none(), "candidates");
    let csv = folder.path().join("log.csv");
    std::fs::write(&csv, "request_id,model,propensity\nr,m,0.5\n").unwrap();
    assert!(open(&csv).is_none(), "not Parquet");
    write(&path, vec![ids(10), models(10), propensities(10)]);
    assert!(open(&path).is_some());
}

#[test]
fn too_many_rejects_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let mut bad = vec![0.5; 100];
    bad[7] = 2.0;
    bad[8] = 0.0;
    write(
        &path,
        vec![ids(100), models(100), Series::new("propensity".into(), bad)],
    );
    let options = StreamOptions::default();
    let files = LoggedFiles::open(&Input::Path(path), &options)
        .unwrap()
        .unwrap();
    let batch = files.batch(0).unwrap();
    let error = files.check(&batch.tally).unwrap_err();
    assert_eq!(error.code(), "P0219");
    assert!(error.to_string().starts_with("2 of 100 rows"), "{error}");
}
