//! Tables that users map, and the shapes that files come in.

use std::io::Write as _;

use plimsoll::Usd;
use plimsoll_datasets::{ImportError, ImportKind, ImportOptions, Input, detect};

use crate::golden::{check, run};

fn options(maps: &[(&str, &str)]) -> ImportOptions {
    let mut options = ImportOptions::new(ImportKind::Table);
    let own = |(column, what): &(&str, &str)| ((*column).to_owned(), (*what).to_owned());
    options.maps = maps.iter().map(own).collect();
    options
}

const MAPS: [(&str, &str); 5] = [
    ("request_id", "id"),
    ("model", "llm name"),
    ("cost_usd", "cost_cents/100"),
    ("quality", "if(stars >= 4, 1, 0)"),
    ("timestamp", "when"),
];

#[test]
fn columns_come_from_fields_and_expressions() {
    let (report, read) = check("table", &["table.csv"], &{
        let mut options = options(&MAPS);
        options.keep = vec!["region".to_owned()];
        options
    });
    assert_eq!((report.rows, report.unpriced), (4, 1));
    let outcome = &read.log.requests[0].outcomes[0];
    assert_eq!(
        outcome.cost,
        Some("0.0012".parse::<Usd>().expect("dollars"))
    );
    assert_eq!(read.log.requests[0].extra["region"], "eu");
    let cost = |at: usize| read.log.requests[at].outcomes[0].cost;
    assert_eq!(
        (cost(1), cost(2)),
        (None, Some(Usd::ZERO)),
        "null and 0 are told apart"
    );
}

#[test]
fn maps_that_make_no_sense_are_refused() {
    let refused = |maps: &[(&str, &str)]| {
        let input = Input::bytes("t.csv", &b"id,llm,cost\nr,m,1\n"[..]);
        run(&[input], &options(maps)).expect_err("refused")
    };
    let both = [("request_id", "id"), ("model", "llm")];
    for (extra, code) in [
        (("qualty", "cost"), "P0253"),
        (("quality", "costt"), "P0252"),
        (("quality", "cost +"), "P0251"),
        (("model", "id"), "P0253"),
    ] {
        let error = refused(&[both[0], both[1], extra]);
        assert_eq!(error.code(), code, "{extra:?}: {error}");
    }
    assert_eq!(refused(&[("request_id", "id")]).code(), "P0253");
    let mut wrong = ImportOptions::new(ImportKind::Litellm);
    wrong.maps = vec![("model".to_owned(), "llm".to_owned())];
    let input = Input::bytes("t.csv", &b"id,llm,cost\nr,m,1\n"[..]);
    assert_eq!(run(&[input], &wrong).expect_err("refused").code(), "P0253");
}

/// JSONL, arrays, objects over several lines, marks at the beginning, compression: all the same.
#[test]
fn files_come_in_many_shapes() {
    let rows: Vec<String> = (0..30)
        .map(|n| format!("{{\"request_id\": \"r{n}\", \"model\": \"m\", \"cost_usd\": 0.5}}"))
        .collect();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(rows.join("\n").as_bytes()).expect("written");
    let shapes: [(&str, Vec<u8>); 6] = [
        ("lines", rows.join("\n").into_bytes()),
        (
            "windows",
            format!("\u{feff}{}", rows.join("\r\n")).into_bytes(),
        ),
        ("array", format!("[\n{}]", rows.join(",\n")).into_bytes()),
        (
            "pretty",
            rows.join("\n")
                .replace("\", ", "\",\n  ")
                .replace('{', "{\n")
                .into_bytes(),
        ),
        ("gzip", gz.finish().expect("compressed")),
        (
            "csv",
            (0..30)
                .fold("request_id,model,cost_usd\n".to_owned(), |text, n| {
                    format!("{text}r{n},m,0.5\n")
                })
                .into_bytes(),
        ),
    ];
    for (name, bytes) in shapes {
        let (report, read, _) = run(&[Input::bytes(name, bytes)], &options(&[])).expect(name);
        assert_eq!((report.records, report.rows), (30, 30), "{name}");
        assert_eq!(read.log.requests[29].id, "r29", "{name}");
    }
}

/// L01 to L11 hold for exports as for logs: what is broken is told with its place.
#[test]
fn broken_exports_are_told() {
    let of = |text: &[u8]| run(&[Input::bytes("t", text)], &options(&[]));
    // L01: the last line is cut off; one record is lost, and the import goes on where allowed.
    let mut lenient = options(&[]);
    lenient.read.max_reject = 0.5;
    let cut = b"{\"request_id\":\"a\",\"model\":\"m\"}\n{\"request_id\":\"b\",\"mod";
    let (report, ..) = run(&[Input::bytes("t", &cut[..])], &lenient).expect("one row");
    assert_eq!((report.rows, report.rejected["bad-json"]), (1, 1));
    assert!(matches!(
        of(cut),
        Err(ImportError::TooManyRejects { rejected: 1, .. })
    ));
    // An array cannot go on after its fault.
    let error =
        of(b"[{\"request_id\":\"a\",\"model\":\"m\"},\n{\"request_id\":]").expect_err("broken");
    assert_eq!(error.code(), "P0221");
    assert!(error.to_string().contains("line 2"), "{error}");
    // L04, L06 to L10, each one row of many.
    let deep = format!("{{\"request_id\":\"a\",\"model\":{}}}", "[".repeat(100_000));
    for (row, reason) in [
        (deep.as_str(), "bad-json"),
        (
            "{\"request_id\":\"a\",\"model\":\"m\",\"model\":\"n\"}",
            "duplicate-key",
        ),
        (
            "{\"request_id\":\"a\",\"model\":\"m\",\"cost_usd\":1e400}",
            "not-finite",
        ),
        (
            "{\"request_id\":\"a\",\"model\":\"m\",\"input_tokens\":-1}",
            "negative",
        ),
        (
            "{\"request_id\":\"a\",\"model\":\"m\",\"input_tokens\":36893488147419103232}",
            "not-exact",
        ),
        ("{\"request_id\":\"a\",\"model\":\"\\ud800\"}", "bad-json"),
        (
            "{\"request_id\":\"a\\u0000\",\"model\":\"m\"}",
            "nul-character",
        ),
        ("{\"request_id\":\"\",\"model\":\"m\"}", "missing-value"),
        ("[1]", "not-an-object"),
    ] {
        let text = format!("{{\"request_id\":\"z\",\"model\":\"m\"}}\n{row}\n");
        let (report, ..) = run(&[Input::bytes("t", text.into_bytes())], &lenient).expect(reason);
        let reasons: Vec<_> = report.rejected.keys().map(String::as_str).collect();
        assert_eq!(reasons, [reason], "{}", &row[..row.len().min(60)]);
    }
    // L02, L05: caps.
    let mut capped = options(&[]);
    capped.read.byte_cap = 20;
    let error = run(&[Input::bytes("t", &cut[..])], &capped).expect_err("a cap");
    assert_eq!(error.code(), "P0215");
    let mut capped = options(&[]);
    capped.read.line_cap = 20;
    assert_eq!(
        run(&[Input::bytes("t", &cut[..])], &capped)
            .expect_err("a cap")
            .code(),
        "P0216"
    );
}

#[test]
fn an_unknown_export_names_its_fields() {
    let error = detect(&Input::bytes("t.csv", &b"a,b\n1,2\n"[..])).expect_err("unknown");
    assert_eq!(error.code(), "P0250");
    assert!(error.help().contains("a, b"), "{}", error.help());
}
