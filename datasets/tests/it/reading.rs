//! Reading text logs: ROBUSTNESS.md L01 to L18, one test per line of it.

use std::fmt::Write as _;
use std::io::Write as _;

use plimsoll_datasets::{
    EvidenceKind, Input, ReadError, ReadLog, ReadOptions, TimestampUnit, Warning, read,
};

/// Rejects do not fail the read, so that tests can look at them.
fn lenient() -> ReadOptions {
    ReadOptions {
        max_reject: 1.0,
        ..ReadOptions::default()
    }
}

fn read_as(text: impl AsRef<[u8]>, options: &ReadOptions) -> Result<ReadLog, ReadError> {
    read(&Input::bytes("log", text.as_ref()), options)
}

fn ok(text: impl AsRef<[u8]>) -> ReadLog {
    read_as(text, &lenient()).expect("a readable log")
}

fn code(text: impl AsRef<[u8]>) -> &'static str {
    read_as(text, &lenient())
        .expect_err("an unreadable log")
        .code()
}

/// The name of the reason for which a JSONL row with these further fields is rejected.
fn reason(fields: &str) -> String {
    let good = r#"{"request_id":"good","model":"m"}"#;
    let read = ok(format!(
        "{good}\n{{\"request_id\":\"r\",\"model\":\"m\",{fields}}}\n"
    ));
    assert_eq!(read.report.rows_read, 2);
    assert_eq!(read.rejects.len() as u64, read.report.rows_rejected);
    read.rejects
        .first()
        .map_or("accepted".to_owned(), |reject| {
            reject.reason.name().to_owned()
        })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes)
        .and_then(|()| out.finish())
        .expect("memory can be written")
}

fn rows(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let _ = writeln!(text, "{{\"request_id\":\"r{n}\",\"model\":\"m\"}}");
    }
    text
}

#[test]
fn l01_truncated_last_line_is_one_reject() {
    let whole = rows(200);
    let cut = whole.len() - 10;
    let read = read_as(&whole[..cut], &ReadOptions::default()).expect("below the share allowed");
    assert_eq!(read.log.requests.len(), 199);
    assert_eq!(read.report.rows_rejected, 1);
    let reject = &read.rejects[0];
    assert_eq!(
        (reject.file.as_str(), reject.line, reject.row),
        ("log", Some(200), 200)
    );
    assert_eq!(reject.byte, Some(cut as u64 - 1));
    assert_eq!(reject.reason.name(), "bad-json");

    let strict = ReadOptions {
        max_reject: 0.001,
        ..ReadOptions::default()
    };
    let error = read_as(&whole[..cut], &strict).expect_err("above the share allowed");
    assert_eq!(error.code(), "P0219");
    assert_eq!(error.location().and_then(|at| at.line), Some(200));
    let ReadError::TooManyRejects {
        report, rejects, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (report.rows_read, report.requests, rejects.len()),
        (200, 199, 1)
    );
}

#[test]
fn l02_the_cap_on_decompressed_bytes_is_exact() {
    let text = rows(2_000);
    let size = text.len() as u64;
    let zstd = zstd::encode_all(text.as_bytes(), 3).expect("memory can be written");
    for bytes in [text.clone().into_bytes(), gzip(text.as_bytes()), zstd] {
        let at = |byte_cap| {
            read_as(
                &bytes,
                &ReadOptions {
                    byte_cap,
                    ..lenient()
                },
            )
        };
        assert_eq!(at(size).expect("exactly the cap").log.requests.len(), 2_000);
        assert_eq!(
            at(size - 1).expect_err("one byte above the cap").code(),
            "P0215"
        );
    }
}

#[test]
fn l02_a_bomb_is_stopped_early() {
    let bomb = gzip(&vec![b'\n'; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let options = ReadOptions {
        byte_cap: 1 << 20,
        ..lenient()
    };
    let text = [br#"{"request_id":"r","model":"m"}"#.as_slice(), b"\n"].concat();
    let input = [gzip(&text), bomb].concat();
    assert_eq!(
        read_as(input, &options).expect_err("a bomb").code(),
        "P0215"
    );
}

#[test]
fn l03_a_large_zstandard_window_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(28).expect("a window");
    encoder
        .write_all(rows(1).as_bytes())
        .expect("memory can be written");
    let bytes = encoder.finish().expect("memory can be written");
    assert_eq!(code(&bytes), "P0217");
    // The window of 2 GiB is only claimed: nothing may be allocated for it.
    let claimed = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
    assert_eq!(code(claimed), "P0217");
}

#[test]
fn l04_deep_nesting_is_a_reject() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("\"x\":{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(reason(&deep), "too-deep");
    }
    assert_eq!(reason("\"x\":[[[[1]]]]"), "accepted");
    let bare = format!("{}\n{}", "[".repeat(100_000), rows(1));
    assert_eq!(code(bare), "P0207");
}

#[test]
fn l05_a_long_line_is_refused() {
    let options = ReadOptions {
        line_cap: 1 << 16,
        ..lenient()
    };
    let row = |bytes: usize| {
        let empty = r#"{"request_id":"r","model":"m","prompt":""}"#;
        format!(
            "{}{}\"}}",
            &empty[..empty.len() - 2],
            "x".repeat(bytes - empty.len())
        )
    };
    assert!(read_as(row(1 << 16), &options).is_ok());
    assert!(read_as(row(1 << 16) + "\r\n", &options).is_ok());
    let long = rows(1) + &row((1 << 16) + 1) + "\n" + &rows(1);
    let error = read_as(long, &options).expect_err("a line above the cap");
    assert_eq!(
        (error.code(), error.location().and_then(|at| at.line)),
        ("P0216", Some(2))
    );

    let open_quote = format!("request_id,model,prompt\nr,m,\"{}", "x,\n".repeat(1 << 18));
    assert_eq!(
        read_as(open_quote, &options)
            .expect_err("an open quote")
            .code(),
        "P0216"
    );
}

#[test]
fn l06_doubled_keys_are_rejected() {
    assert_eq!(reason(r#""quality":1,"quality":0"#), "duplicate-key");
    assert_eq!(reason(r#""model":"n""#), "duplicate-key");
    assert_eq!(reason(r#""qu\u0061lity":1,"quality":0"#), "duplicate-key");
    assert_eq!(reason(r#""x":{"a":1,"a":2}"#), "duplicate-key");
    assert_eq!(code("request_id,model,model\nr,m,m\n"), "P0209");
}

#[test]
fn l07_only_finite_json_numbers_are_numbers() {
    for (fields, expect) in [
        (r#""quality":1e400"#, "not-finite"),
        (r#""quality":NaN"#, "bad-json"),
        (r#""quality":Infinity"#, "bad-json"),
        (r#""quality":-0"#, "negative"),
        (r#""quality":"0.5""#, "wrong-type"),
        (r#""cost_usd":"0.5""#, "wrong-type"),
        (r#""cost_usd":1e400"#, "not-finite"),
        (r#""quality":true"#, "wrong-type"),
        (r#""quality":1.5"#, "out-of-range"),
        (r#""quality":null"#, "accepted"),
        (r#""quality":5e-1"#, "accepted"),
    ] {
        assert_eq!(reason(fields), expect, "{fields}");
    }
    let csv = ok("request_id,model,quality\na,m,0.5\nb,m,NaN\nc,m,inf\nd,m,1e400\ne,m,-0\n");
    let names: Vec<_> = csv
        .rejects
        .iter()
        .map(|reject| reject.reason.name())
        .collect();
    assert_eq!(
        names,
        ["not-finite", "not-finite", "not-finite", "negative"]
    );
    let places: Vec<_> = csv.rejects.iter().map(|reject| reject.line).collect();
    assert_eq!(places, [Some(3), Some(4), Some(5), Some(6)]);
}

#[test]
fn l08_large_counts_stay_exact() {
    let read = ok(r#"{"request_id":"r","model":"m","output_tokens":9007199254740993}"#);
    assert_eq!(
        read.log.requests[0].outcomes[0].output_tokens,
        Some(9_007_199_254_740_993)
    );
    assert_eq!(
        reason(r#""output_tokens":18446744073709551616"#),
        "not-exact"
    );
    assert_eq!(reason(r#""output_tokens":1.5"#), "not-exact");
}

#[test]
fn l09_negative_numbers_are_rejected() {
    for name in [
        "input_tokens",
        "output_tokens",
        "cached_input_tokens",
        "cost_usd",
        "latency_ms",
    ] {
        assert_eq!(reason(&format!("\"{name}\":-1")), "negative", "{name}");
    }
}

#[test]
fn l10_bytes_that_are_no_text_are_rejected() {
    for bad in [r#""task":"\ud800""#, r#""task":"\udc00x""#] {
        assert_eq!(reason(bad), "bad-json", "{bad}");
    }
    assert_eq!(reason(r#""task":"a\u0000b""#), "nul-character");
    assert_eq!(reason(r#""x":"a\u0000b""#), "nul-character");
    assert_eq!(reason(r#""a\u0000b":"x""#), "nul-character");
    let mut bytes = rows(1).into_bytes();
    bytes.extend(b"{\"request_id\":\"s\",\"model\":\"\xff\"}\n");
    bytes.extend(b"{\"request_id\":\"t\",\0\"model\":\"m\"}\n");
    let read = ok(bytes);
    let names: Vec<_> = read
        .rejects
        .iter()
        .map(|reject| reject.reason.name())
        .collect();
    assert_eq!(names, ["invalid-utf8", "nul-character"]);
    let csv = ok(b"request_id,model,task\na,m,\xff\nb,m,x\0y\nc,m,fine\n");
    let names: Vec<_> = csv
        .rejects
        .iter()
        .map(|reject| reject.reason.name())
        .collect();
    assert_eq!(names, ["invalid-utf8", "nul-character"]);
    assert_eq!(csv.rejects[0].request_id.as_deref(), Some("a"));
}

#[test]
fn l10_marks_and_line_ends_do_not_matter() {
    let plain = rows(3);
    let marked = format!("\u{feff}{}", plain.replace('\n', "\r\n"));
    let (a, b) = (ok(&plain), ok(marked));
    assert_eq!((a.log.requests, a.log.arms), (b.log.requests, b.log.arms));
    assert!(b.rejects.is_empty());
    let csv = ok("\u{feff}request_id,model\r\na,m\r\n\r\nb,m\r\n");
    assert_eq!((csv.log.requests.len(), csv.rejects.len()), (2, 0));
}

#[test]
fn l11_doubles_merge_and_contradictions_go() {
    let row = |id: &str, quality: &str| {
        format!("{{\"request_id\":\"{id}\",\"model\":\"m\",\"quality\":{quality}}}\n")
    };
    let text = row("same", "1") + &row("same", "1") + &row("kept", "0") + &row("torn", "1");
    let read = ok(text + &row("torn", "0") + &row("torn", "1"));
    assert_eq!(read.report.rows_duplicate, 1);
    assert_eq!(read.report.rows_conflicting, 3);
    assert_eq!(read.report.rows_rejected, 3);
    let ids: Vec<_> = read
        .log
        .requests
        .iter()
        .map(|request| request.id.as_str())
        .collect();
    assert_eq!(ids, ["same", "kept"]);
    let lines: Vec<_> = read.rejects.iter().map(|reject| reject.line).collect();
    assert_eq!(lines, [Some(4), Some(5), Some(6)]);
    // Contradictions do not fail the read, but nobody overlooks them.
    assert!(
        read.report
            .warnings
            .contains(&Warning::Conflicting { share: 0.5 })
    );
}

#[test]
fn l12_integer_times_need_their_unit() {
    let row = |time: &str| format!("{{\"request_id\":\"r\",\"model\":\"m\",\"timestamp\":{time}}}");
    let error = read_as(rows(1) + &row("1772366400"), &lenient()).expect_err("no unit");
    assert_eq!(
        (error.code(), error.location().and_then(|at| at.line)),
        ("P0218", Some(2))
    );
    assert!(error.help().contains("--timestamp-unit"));
    let csv = "request_id,model,timestamp\nr,m,1772366400\n";
    assert_eq!(code(csv), "P0218");
    for (time, unit) in [
        ("1772366400", TimestampUnit::Seconds),
        ("1772366400000", TimestampUnit::Milliseconds),
        ("1772366400000000", TimestampUnit::Microseconds),
        ("1772366400000000000", TimestampUnit::Nanoseconds),
    ] {
        let options = ReadOptions {
            timestamp_unit: Some(unit),
            ..lenient()
        };
        let read = read_as(row(time), &options).expect("a unit is named");
        assert_eq!(
            read.log.requests[0].timestamp_us,
            Some(1_772_366_400_000_000)
        );
    }
    for (fields, expect) in [
        (r#""timestamp":"2026-03-01T12:00:00+05:30""#, "accepted"),
        (r#""timestamp":"1970-01-01T00:00:00Z""#, "accepted"),
        (r#""timestamp":"9999-12-31T23:59:59Z""#, "accepted"),
        (r#""timestamp":"2016-12-31T23:59:60Z""#, "accepted"),
        (r#""timestamp":"2026-03-01T12:00:00""#, "bad-time"),
        (r#""timestamp":"now""#, "bad-time"),
        (r#""timestamp":true"#, "wrong-type"),
    ] {
        assert_eq!(reason(fields), expect, "{fields}");
    }
    let unordered =
        "request_id,model,timestamp\na,m,2026-03-02T00:00:00Z\nb,m,2026-03-01T00:00:00Z\n";
    let time = ok(unordered).report.time.expect("times");
    assert_eq!(
        (time.first.as_str(), time.days),
        ("2026-03-01T00:00:00Z", 1.0)
    );
}

#[test]
fn l13_rows_that_end_before_they_start_are_quarantined() {
    let late = r#""request_time":"2026-03-01T00:00:01Z","feedback_time":"2026-03-01T00:00:00Z""#;
    assert_eq!(reason(late), "clock-skew");
    assert_eq!(reason(r#""start":2,"end":1"#), "clock-skew");
    assert_eq!(reason(r#""start":1,"end":1"#), "accepted");
    let read = ok("request_id,model,start_time,end_time\na,m,2,1\nb,m,1,2\n");
    assert_eq!((read.report.rows_clock_skew, read.report.requests), (1, 1));
}

#[test]
fn l17_a_dominating_tenant_is_named() {
    let mut text = "request_id,model,tenant,quality\n".to_owned();
    for n in 0..80 {
        let _ = writeln!(text, "a{n},m,loud,1");
    }
    for n in 0..20 {
        let _ = writeln!(text, "b{n},m,quiet,{}", n % 2);
    }
    let report = ok(text).report;
    let influence = report.influence.expect("tenants");
    assert_eq!(
        (influence.tenants, influence.label_tenant.as_str()),
        (2, "loud")
    );
    assert!((influence.label_share - 0.8).abs() < 1e-12);
    assert!((influence.reward_share - 80.0 / 90.0).abs() < 1e-12);
    let dominates =
        |w: &Warning| matches!(w, Warning::TenantDominates { tenant, .. } if tenant == "loud");
    assert!(report.warnings.iter().any(dominates));
}

#[test]
fn o18_equal_labels_are_no_signal() {
    let report = ok("request_id,model,quality\na,m,1\na,n,1\nb,m,1\nb,n,1\n").report;
    assert!(
        report
            .warnings
            .contains(&Warning::NoQualitySignal { quality: 1.0 })
    );
    let report = ok("request_id,model,quality\na,m,1\na,n,0\n").report;
    assert!(
        !report
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::NoQualitySignal { .. }))
    );
    assert!(ok(rows(3)).report.warnings.contains(&Warning::NoLabels));
}

#[test]
fn evidence_follows_from_labels_and_propensities() {
    let kind = |text: &str| ok(text).report.evidence.kind;
    let full = "request_id,model,quality\na,m,1\na,n,0\nb,m,1\nb,n,0\n";
    assert_eq!(kind(full), EvidenceKind::FullInformation);
    let logged = "request_id,model,quality,propensity\na,m,1,0.5\nb,n,0,0.5\n";
    assert_eq!(kind(logged), EvidenceKind::LoggedWithPropensities);
    let missing = "request_id,model,quality,propensity\na,m,1,0.5\nb,n,0,\n";
    assert_eq!(kind(missing), EvidenceKind::Observational);
    let served = "request_id,model,quality,propensity,served\n\
                  a,m,1,0.5,true\na,n,,,false\nb,n,0,0.2,true\n";
    assert_eq!(kind(served), EvidenceKind::LoggedWithPropensities);
    assert_eq!(
        kind("request_id,model,quality\na,m,1\nb,n,0\n"),
        EvidenceKind::Observational
    );
}

#[test]
fn e02_rows_with_impossible_propensities_go() {
    for bad in ["0", "-0.5", "1.01", "0.0"] {
        assert_eq!(
            reason(&format!("\"propensity\":{bad}")),
            "out-of-range",
            "{bad}"
        );
    }
    assert_eq!(reason("\"propensity\":1"), "accepted");
}

#[test]
fn l20_costs_keep_their_digits() {
    let read = ok("request_id,model,cost_usd\na,m,0.000000150001\nb,m,1.5e-7\n");
    let picos: Vec<_> = read
        .log
        .requests
        .iter()
        .map(|r| r.outcomes[0].cost.map(plimsoll::Usd::pico))
        .collect();
    assert_eq!(picos, [Some(150_001), Some(150_000)]);
}

#[test]
fn what_is_no_log_is_refused() {
    let garbage: Vec<u8> = (0..300_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[1])
        .collect();
    for (bytes, expect) in [
        (b"".as_slice(), "P0205"),
        (b"\n\n \n", "P0206"),
        (b"request_id,model\n", "P0206"),
        (garbage.as_slice(), "P0207"),
        (b"[{\"request_id\":\"r\"}]", "P0207"),
        (b"\xff\xfer\0e\0", "P0207"),
        (b"prompt,answer\na,b\n", "P0208"),
        (b"PAR1 and nothing else", "P0213"),
        (b"\x1f\x8b\x08 no gzip after all", "P0214"),
    ] {
        let name = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]);
        assert_eq!(code(bytes), expect, "{name}");
    }
    let cut = gzip(rows(5_000).as_bytes());
    assert_eq!(code(&cut[..cut.len() / 2]), "P0214");
    let error = read_as("requestid,model\na,b\n", &lenient()).expect_err("no request_id");
    assert_eq!(error.help(), "rename `requestid` to `request_id`");
}

#[test]
fn prompts_reach_no_report() {
    let secret = "kept-to-ourselves";
    let text = format!(
        "{{\"request_id\":\"a\",\"model\":\"m\",\"prompt\":\"{secret}\"}}\n\
         {{\"request_id\":\"b\",\"model\":\"m\",\"prompt\":\"{secret}\",\"quality\":\"{secret}\"}}\n\
         {{\"request_id\":\"c\",\"model\":\"m\",\"prompt\":\"{secret}\n"
    );
    let read = ok(text);
    assert_eq!(read.rejects.len(), 2);
    let shown = format!(
        "{:?} {}",
        read,
        serde_json::to_string(&read.report).expect("JSON")
    );
    assert!(!shown.contains(secret));
    for reject in &read.rejects {
        let json = serde_json::to_string(reject).expect("JSON");
        assert!(!format!("{reject} {reject:?} {json}").contains(secret));
    }
}
