//! What Parquet may hold and claim: ROBUSTNESS.md L02, L05 and L14.

use std::fs;
use std::path::Path;

use plimsoll_datasets::{
    ImportError, ImportKind, ImportOptions, Input, LoggedFiles, ReadError, ReadOptions,
    StreamOptions, import, read,
};
use polars::prelude::{
    Column, DataFrame, IntoColumn, ListChunked, NamedFrom, ParquetWriter, Series,
};

use crate::parquet_bytes::{
    Chunk, DELTA_BINARY_PACKED, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, PLAIN, Physical,
    delta_header, deltas, equal, parquet,
};

fn write(path: &Path, columns: Vec<Series>) {
    let height = columns[0].len();
    let columns: Vec<Column> = columns.into_iter().map(IntoColumn::into_column).collect();
    let mut frame = DataFrame::new(height, columns).expect("a frame");
    let file = fs::File::create(path).expect("a file");
    ParquetWriter::new(file).finish(&mut frame).expect("a file");
}

/// Ids of four letters.
fn ids(rows: usize) -> Vec<String> {
    (1000..1000 + rows).map(|row| row.to_string()).collect()
}

/// A log whose rows all have the same prompt, which its file holds once.
fn bomb(path: &Path, rows: usize, prompt: usize) {
    write(
        path,
        vec![
            Series::new("request_id".into(), ids(rows)),
            Series::new("model".into(), vec!["m"; rows]),
            Series::new("propensity".into(), vec![0.5; rows]),
            Series::new("prompt".into(), vec!["x".repeat(prompt); rows]),
        ],
    );
    let size = fs::metadata(path).expect("a file").len();
    assert!(size < 1 << 20, "{size} bytes");
}

fn caps(byte_cap: u64, line_cap: usize) -> ReadOptions {
    ReadOptions {
        max_reject: 1.0,
        byte_cap,
        line_cap,
        ..ReadOptions::default()
    }
}

/// Codes of what reading says, `ok` where it succeeds: in place, from memory (a single file),
/// streamed, imported.
fn outcomes(path: &Path, options: &ReadOptions) -> [&'static str; 4] {
    let input = Input::Path(path.to_owned());
    let code = |error: ReadError| error.code();
    let in_place = read(&input, options).map_or_else(code, |_| "ok");
    let from_memory = if path.is_file() {
        let bytes = fs::read(path).expect("a file");
        read(&Input::bytes("log", bytes), options).map_or_else(code, |_| "ok")
    } else {
        in_place
    };
    [
        in_place,
        from_memory,
        streamed(&input, options).map_or_else(code, |()| "ok"),
        imported(&input, options).map_or_else(|error| error.code(), |()| "ok"),
    ]
}

fn streamed(input: &Input, options: &ReadOptions) -> Result<(), ReadError> {
    let options = StreamOptions {
        read: options.clone(),
        prompts: true,
    };
    let files = LoggedFiles::open(input, &options)?.expect("a log that can be streamed");
    // As by two passes over the log.
    for index in (0..files.batches()).chain(0..files.batches()) {
        files.batch(index)?;
    }
    Ok(())
}

fn imported(input: &Input, options: &ReadOptions) -> Result<(), ImportError> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut import_options = ImportOptions::new(ImportKind::Table);
    import_options.read = options.clone();
    import_options.maps = ["request_id", "model"]
        .map(|name| (name.to_owned(), name.to_owned()))
        .to_vec();
    let log = folder.path().join("log.parquet");
    import(std::slice::from_ref(input), &import_options, &log, &|_| ()).map(drop)
}

const TOO_MANY_BYTES: [&str; 4] = ["P0215"; 4];
const TOO_LONG: [&str; 4] = ["P0216"; 4];
const DAMAGED: [&str; 4] = ["P0213"; 4];
const READ: [&str; 4] = ["ok"; 4];

#[test]
fn l02_a_text_of_a_dictionary_counts_in_every_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.parquet");
    // 256 MiB of rows.
    bomb(&path, 1 << 12, 1 << 16);
    assert_eq!(outcomes(&path, &caps(16 << 20, 1 << 20)), TOO_MANY_BYTES);

    // The cap is exact: per row, 4 bytes of id, 1 of model, 8,000 of prompt.
    bomb(&path, 50, 8_000);
    let held = 50 * (4 + 1 + 8_000);
    assert_eq!(outcomes(&path, &caps(held, 1 << 20)), READ);
    assert_eq!(outcomes(&path, &caps(held - 1, 1 << 20)), TOO_MANY_BYTES);
}

#[test]
fn l02_lists_of_texts_count_their_items() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.parquet");
    let name = "x".repeat(1 << 12);
    let list = Series::new("".into(), vec![name.as_str(); 4]);
    let lists: ListChunked = vec![list; 256].into_iter().collect();
    let lists = polars::prelude::IntoSeries::into_series(lists).with_name("candidates".into());
    write(
        &path,
        vec![
            Series::new("request_id".into(), ids(256)),
            Series::new("model".into(), vec!["m"; 256]),
            lists,
        ],
    );
    let input = Input::Path(path);
    let at = |byte_cap, line_cap| {
        let options = caps(byte_cap, line_cap);
        let code = |error: ReadError| error.code();
        [
            read(&input, &options).map_or_else(code, |_| "ok"),
            imported(&input, &options).map_or_else(|error| error.code(), |()| "ok"),
        ]
    };
    // These lists are in no dictionary, so that pages hold 4 bytes more per text, and levels.
    let held = 256 * (4 + 1 + (4 << 12));
    assert_eq!(at(held + (1 << 16), 1 << 20), ["ok"; 2]);
    assert_eq!(at(held - 1, 1 << 20), ["P0215"; 2]);
    // A row alone is longer than a line may be.
    assert_eq!(at(1 << 30, 1 << 14), ["P0216"; 2]);
}

#[test]
fn l02_parquet_files_share_the_cap() {
    let folder = tempfile::tempdir().expect("a folder");
    bomb(&folder.path().join("a.parquet"), 50, 8_000);
    bomb(&folder.path().join("b.parquet"), 30, 8_000);
    let held = 80 * (4 + 1 + 8_000);
    let options = caps(held - 1, 1 << 20);
    let [in_place, _, streamed, imported] = outcomes(folder.path(), &options);
    assert_eq!([in_place, streamed, imported], ["P0215"; 3]);
    let error = read(&Input::Path(folder.path().to_owned()), &options).expect_err("too much");
    assert!(error.to_string().contains("b.parquet"), "{error}");
    assert!(
        error.to_string().contains(&(held - 1).to_string()),
        "{error}"
    );
    assert_eq!(outcomes(folder.path(), &caps(held, 1 << 20))[0], "ok");
}

#[test]
fn l05_a_row_longer_than_a_line_may_be_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("long.parquet");
    let mut prompts = vec![String::new(); 50];
    prompts[30] = "x".repeat(1 << 16);
    write(
        &path,
        vec![
            Series::new("request_id".into(), ids(50)),
            Series::new("model".into(), vec!["m"; 50]),
            Series::new("propensity".into(), vec![0.5; 50]),
            Series::new("prompt".into(), prompts),
        ],
    );
    assert_eq!(outcomes(&path, &caps(1 << 30, 1 << 16)), TOO_LONG);
    assert_eq!(outcomes(&path, &caps(1 << 30, 1 << 17)), READ);
    let error = read(&Input::Path(path), &caps(1 << 30, 1 << 16)).expect_err("a long row");
    assert!(error.to_string().contains("row 31"), "{error}");
}

/// A log of `rows` rows with one more column.
fn with(rows: usize, chunk: Chunk) -> Vec<u8> {
    let log = [
        Chunk::texts("request_id", &ids(rows)),
        Chunk::texts("model", &vec!["m".to_owned(); rows]),
        Chunk::floats("propensity", &vec![0.5; rows]),
        chunk,
    ];
    parquet(rows, &log)
}

fn of_bytes(bytes: &[u8], options: &ReadOptions) -> [&'static str; 4] {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("forged.parquet");
    fs::write(&path, bytes).expect("a file");
    outcomes(&path, options)
}

fn prompts(encoding: i64, values: i64, body: Vec<u8>) -> Chunk {
    Chunk::new("prompt", Physical::Text, encoding, values, body)
}

#[test]
fn encodings_by_differences_are_read() {
    let texts = ["Hello", "Helicopter", "", "Help", "Help"];
    let options = ReadOptions::default();
    let prefixes = deltas(&[0, 3, 0, 0, 4]);
    let suffixes = deltas(&[5, 7, 0, 4, 0]);
    let by_prefix = [prefixes, suffixes, b"HelloicopterHelp".to_vec()].concat();
    let by_length = [deltas(&[5, 10, 0, 4, 4]), texts.concat().into_bytes()].concat();
    for (encoding, body) in [
        (DELTA_BYTE_ARRAY, by_prefix),
        (DELTA_LENGTH_BYTE_ARRAY, by_length),
    ] {
        let bytes = with(5, prompts(encoding, 5, body));
        assert_eq!(of_bytes(&bytes, &options), READ);
        let log = read(&Input::bytes("log", bytes), &options)
            .expect("a log")
            .log;
        let read: Vec<_> = log.requests.iter().map(|r| r.prompt.as_deref()).collect();
        assert_eq!(read, texts.map(Some));
    }
    let counts: Vec<i64> = (0..300).map(|row| row * 7 % 100).collect();
    let chunk = Chunk::new(
        "input_tokens",
        Physical::Integer,
        DELTA_BINARY_PACKED,
        300,
        deltas(&counts),
    );
    let bytes = with(300, chunk);
    assert_eq!(of_bytes(&bytes, &options), READ);
    let log = read(&Input::bytes("log", bytes), &options)
        .expect("a log")
        .log;
    let read = log
        .requests
        .iter()
        .map(|r| r.input_tokens.expect("a count"));
    assert!(read.eq(counts.into_iter().map(i64::cast_unsigned)));
}

/// A page of −1 values: the decoder would make room for as many as there are addresses. What it says
/// on its own is not enough, for it says it when it is too late.
#[test]
fn l14_pages_claim_no_more_than_their_column() {
    let more = "a page holds more values than its column";
    let damaged = "the header of a page is damaged";
    for (page, column, what) in [
        (3, 2, more),
        (4, 3, more),
        (i64::from(i32::MAX), 3, more),
        (-1, 3, damaged),
        (i64::from(i32::MIN), 3, damaged),
        (1 << 31, 3, damaged),
        (3, -1, damaged),
        (3, i64::MIN, damaged),
    ] {
        let chunk = Chunk {
            values: page,
            in_column: column,
            ..Chunk::floats("quality", &[1.0; 3])
        };
        let bytes = with(3, chunk);
        let error = read(&Input::bytes("log", bytes.clone()), &ReadOptions::default())
            .expect_err("a page of too many values");
        assert_eq!(error.code(), "P0213");
        assert!(
            error.to_string().ends_with(what),
            "{page} of {column}: {error}"
        );
        assert_eq!(of_bytes(&bytes, &ReadOptions::default()), DAMAGED);
    }
}

/// 3 × 2³² texts of no length, in a body of a few bytes: the decoder would list their lengths.
#[test]
fn l14_a_body_holds_no_more_values_than_its_page() {
    let options = ReadOptions::default();
    let many = 3 << 32;
    let huge_block = || equal(many, 0, 1 << 40);
    let small = [0_i64; 3];
    for (physical, encoding, body) in [
        (Physical::Integer, DELTA_BINARY_PACKED, huge_block()),
        (Physical::Text, DELTA_LENGTH_BYTE_ARRAY, huge_block()),
        (
            Physical::Text,
            DELTA_BYTE_ARRAY,
            [huge_block(), huge_block()].concat(),
        ),
        (
            Physical::Text,
            DELTA_BYTE_ARRAY,
            [deltas(&small), huge_block()].concat(),
        ),
        // One more than there are.
        (Physical::Integer, DELTA_BINARY_PACKED, deltas(&[0; 4])),
        // Blocks of no differences, of more than there can be, and cut into no or odd parts.
        (
            Physical::Integer,
            DELTA_BINARY_PACKED,
            delta_header(0, 1, 3, 0),
        ),
        (Physical::Integer, DELTA_BINARY_PACKED, equal(3, 0, 1 << 58)),
        (
            Physical::Integer,
            DELTA_BINARY_PACKED,
            delta_header(128, 0, 3, 0),
        ),
        (
            Physical::Integer,
            DELTA_BINARY_PACKED,
            delta_header(128, 3, 3, 0),
        ),
        (Physical::Integer, DELTA_BINARY_PACKED, Vec::new()),
    ] {
        let name = match physical {
            Physical::Integer => "input_tokens",
            _ => "prompt",
        };
        let chunk = Chunk::new(name, physical, encoding, 3, body.clone());
        assert_eq!(of_bytes(&with(3, chunk), &options), DAMAGED, "{body:?}");
    }
}

/// Texts that go on from the one before: n of them can hold n² bytes.
#[test]
fn l14_texts_that_go_on_count_in_full() {
    let (text, rows) = (1 << 16, 1 << 12);
    let (mut prefixes, mut suffixes) = (vec![text; rows], vec![0; rows]);
    (prefixes[0], suffixes[0]) = (0, text);
    let body = [deltas(&prefixes), deltas(&suffixes), vec![b'x'; 1 << 16]].concat();
    let bytes = with(rows, prompts(DELTA_BYTE_ARRAY, 1 << 12, body));
    assert!(bytes.len() < 1 << 18, "{} bytes", bytes.len());
    assert_eq!(of_bytes(&bytes, &caps(16 << 20, 1 << 20)), TOO_MANY_BYTES);

    // More than the text before has, more than there are addresses, and less than nothing.
    for (prefixes, suffixes) in [
        (vec![0, 6], vec![5, 0]),
        (vec![1, 0], vec![5, 0]),
        (vec![0, -1], vec![5, 0]),
        (vec![0, 5], vec![5, -5]),
        (vec![0, 5], vec![5, 1]),
        (vec![0, 5], vec![5]),
    ] {
        let body = [deltas(&prefixes), deltas(&suffixes), b"Hello".to_vec()].concat();
        let bytes = with(2, prompts(DELTA_BYTE_ARRAY, 2, body));
        let options = ReadOptions::default();
        assert_eq!(
            of_bytes(&bytes, &options),
            DAMAGED,
            "{prefixes:?} {suffixes:?}"
        );
    }
    let far = [delta_header(128, 1, 2, 1 << 46), vec![0, 0]].concat();
    let body = [far, deltas(&[5, 0]), b"Hello".to_vec()].concat();
    let bytes = with(2, prompts(DELTA_BYTE_ARRAY, 2, body));
    assert_eq!(of_bytes(&bytes, &ReadOptions::default()), DAMAGED);
}

/// Values of a fixed length take their place even where they are null, so the decoder makes room
/// for all.
#[test]
fn l14_values_of_a_fixed_length_count_by_it() {
    let rows = 1 << 10;
    for length in [1 << 20, i64::from(i32::MAX)] {
        let chunk = Chunk::new("region", Physical::Fixed(length), PLAIN, rows, Vec::new());
        let bytes = with(1 << 10, chunk);
        let read = of_bytes(&bytes, &caps(16 << 20, 1 << 20));
        assert_eq!(read, TOO_MANY_BYTES, "{length}");
    }
}

#[test]
fn l02_names_of_columns_are_not_kept_without_end() {
    let name = "x".repeat(1 << 10);
    let table = |name: &str| format!("request_id,model,{name}\na,m,1\n");
    let code = |text: String| {
        let read = read(
            &Input::bytes("rows.csv", text.into_bytes()),
            &ReadOptions::default(),
        );
        read.map_or_else(|error| error.code(), |_| "ok")
    };
    assert_eq!(code(table(&name)), "ok");
    assert_eq!(code(table(&format!("{name}x"))), "P0207");
}
