//! What a script may rely on: exit codes, streams, and errors that say where and how to fix it.

mod common;

use std::fmt::Write as _;
use std::fs;

use common::{code, folder, folder_with_logs, plimsoll, run, shared, stderr, stdout};

#[test]
fn usage_errors_exit_2() {
    let folder = folder();
    for words in [
        "",
        "sail",
        "replay",
        "replay a.csv --seed x",
        "replay a.csv --max-reject 2",
        "replay a.csv --resamples 10",
        "replay a.csv --split hash:0.7 --train-share 0.7",
        "replay a.csv --split sideways:0.7",
        "replay a.csv --train-share 0",
        "replay a.csv --invoice-usd lots",
        "replay a.csv -o report.pdf",
        "compare a.csv",
        "explain P9999",
        "explain nonsense",
        "simulate --requests 0 -o a.csv",
        "simulate --arms lagre -o a.csv",
        "validate a.csv --threads 0",
        "validate a.csv --max-bytes lots",
        "import a.csv --max-row-bytes -1",
    ] {
        let output = run(folder.path(), words);
        assert_eq!(code(&output), 2, "{words}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{words}");
        assert!(!stderr(&output).is_empty(), "{words}");
    }
}

#[test]
fn bad_logs_exit_4_with_file_and_help() {
    let folder = folder();
    let noise: Vec<u8> = (0_u32..300)
        .map(|i| (i * i * 31 % 251) as u8 | 0x80)
        .collect();
    fs::write(folder.path().join("noise.bin"), noise).expect("written");
    fs::write(folder.path().join("empty.csv"), "").expect("written");
    fs::write(
        folder.path().join("header.csv"),
        "request_id,model,quality\n",
    )
    .expect("written");
    fs::write(folder.path().join("renamed.csv"), "requestid,model\na,b\n").expect("written");
    fs::write(folder.path().join("cut.parquet"), b"PAR1 and then nothing").expect("written");
    fs::write(
        folder.path().join("bad.csv"),
        "request_id,model,quality\nr1,a,1.5\nr2,a,x\n",
    )
    .expect("written");
    fs::create_dir(folder.path().join("nothing")).expect("made");
    for (log, code_want, place) in [
        ("noise.bin", "P0207", " --> noise.bin:1"),
        ("empty.csv", "P0205", " --> empty.csv"),
        ("header.csv", "P0206", " --> header.csv"),
        (
            "renamed.csv",
            "P0208",
            " --> renamed.csv, column `request_id`",
        ),
        ("cut.parquet", "P0213", " --> cut.parquet"),
        ("bad.csv", "P0219", " --> bad.csv:2, column `quality`"),
        ("nothing", "P0203", "nothing"),
        ("absent.csv", "P0201", " --> absent.csv"),
    ] {
        for verb in ["validate", "replay"] {
            let output = run(folder.path(), &format!("{verb} {log}"));
            let text = stderr(&output);
            assert_eq!(code(&output), 4, "{verb} {log}: {text}");
            assert_eq!(stdout(&output), "", "{verb} {log}");
            assert!(
                text.contains(&format!("error[{code_want}]")),
                "{verb} {log}: {text}"
            );
            assert!(text.contains(place), "{verb} {log}: {text}");
            assert!(text.contains(" help: "), "{verb} {log}: {text}");
            let last = text.lines().last().unwrap_or_default();
            assert_eq!(last, format!("next: plimsoll explain {code_want}"));
        }
    }
}

#[test]
fn a_parquet_column_of_the_wrong_type_is_named() {
    use polars::prelude::{ParquetWriter, df};
    let folder = folder();
    let mut table = df!(
        "request_id" => ["r1", "r1"],
        "model" => ["a", "b"],
        "quality" => ["good", "bad"],
    )
    .expect("a table");
    let file = fs::File::create(folder.path().join("texts.parquet")).expect("created");
    ParquetWriter::new(file)
        .finish(&mut table)
        .expect("written");
    for verb in ["validate", "replay"] {
        let output = run(folder.path(), &format!("{verb} texts.parquet"));
        let text = stderr(&output);
        assert_eq!(code(&output), 4, "{text}");
        assert!(text.contains("error[P0210]"), "{text}");
        assert!(
            text.contains(" --> texts.parquet, column `quality`"),
            "{text}"
        );
        assert!(text.contains(" help: cast `quality`"), "{text}");
    }
}

#[test]
fn rejected_rows_are_placed_but_not_quoted() {
    let folder = folder();
    let rows = "{\"request_id\":\"r1\",\"model\":\"a\",\"quality\":\"good\"}\n";
    fs::write(folder.path().join("texts.jsonl"), rows).expect("written");
    let output = run(folder.path(), "validate texts.jsonl");
    let text = stderr(&output);
    assert_eq!(code(&output), 4, "{text}");
    assert!(
        text.contains("texts.jsonl:1") && text.contains("`quality`"),
        "{text}"
    );
    assert!(!text.contains("good"), "{text}");
}

#[test]
fn what_cannot_be_proven_exits_3() {
    let folder = folder_with_logs(60);
    // One arm per request, served too rarely to say anything of it.
    let bandit = run(folder.path(), "replay bandit.jsonl");
    assert_eq!(code(&bandit), 3, "{}", stderr(&bandit));
    assert!(
        stderr(&bandit).contains("error[P0310]"),
        "{}",
        stderr(&bandit)
    );
    // Learning and judging on the same rows.
    let same = run(folder.path(), "replay log.jsonl --train-share 1.0");
    assert_eq!(code(&same), 3, "{}", stderr(&same));
    assert!(stderr(&same).contains("error[P0307]"));
    // Without costs and without prices.
    let text = fs::read_to_string(folder.path().join("log.jsonl")).expect("read");
    let unpriced: Vec<String> = text
        .lines()
        .map(|line| {
            let mut row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let fields = row.as_object_mut().expect("an object");
            fields.retain(|name, _| !name.contains("cost") && !name.contains("tokens"));
            row.to_string()
        })
        .collect();
    let unpriced = unpriced.join("\n");
    fs::write(folder.path().join("unpriced.jsonl"), unpriced).expect("written");
    let free = run(folder.path(), "replay unpriced.jsonl");
    assert_eq!(code(&free), 3, "{}", stderr(&free));
    assert!(stderr(&free).contains("error[P0304]"));
    for output in [bandit, same, free] {
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn names_the_log_does_not_have_exit_2() {
    let folder = folder_with_logs(200);
    for words in [
        "replay log.jsonl --baseline lagre",
        "explain log.jsonl --request nobody",
        "replay log.jsonl --split group:color:0.7",
        "replay log.jsonl --segment taks",
    ] {
        let output = run(folder.path(), words);
        assert_eq!(code(&output), 2, "{words}: {}", stderr(&output));
    }
}

#[test]
fn slips_of_the_pen_are_answered_with_what_the_log_has() {
    let folder = folder_with_logs(60);
    let policy =
        "[objective]\nrule = \"average-floor\"\nquality = 0.9\n[arms]\nexclude = [\"tini\"]\n";
    fs::write(folder.path().join("p.toml"), policy).expect("written");
    let log = fs::read_to_string(folder.path().join("log.jsonl")).expect("read");
    let log = log.replace("\"quality\"", "\"qualty\"");
    fs::write(folder.path().join("misspelt.jsonl"), log).expect("written");
    for (words, want) in [
        ("replay log.jsonl --baseline lagre", "did you mean `large`?"),
        ("replay log.jsonl --policy p.toml", " --> p.toml:5:1"),
        ("replay log.jsonl --policy p.toml", "did you mean `tiny`?"),
        (
            "replay log.jsonl -o absent/a.html",
            "there is no folder absent",
        ),
        ("replay misspelt.jsonl", "unknown column `qualty`"),
        (
            "explain log.jsonl --request r000001",
            "did you mean `r0000001`",
        ),
    ] {
        let text = stderr(&run(folder.path(), words));
        assert!(text.contains(want), "{words}: {text}");
    }
}

#[test]
fn damaged_parquet_never_shows_a_panic() {
    let folder = folder();
    run(folder.path(), "simulate --requests 60 -o whole.parquet");
    let whole = fs::read(folder.path().join("whole.parquet")).expect("read");
    // One bit here and there in the second half: pages and footer.
    for at in (whole.len() / 2..whole.len()).step_by(whole.len() / 120) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(folder.path().join("cut.parquet"), bytes).expect("written");
        let output = run(folder.path(), "validate cut.parquet");
        let text = stderr(&output);
        assert!([0, 4].contains(&code(&output)), "byte {at}: {text}");
        assert!(!text.contains("panicked"), "byte {at}: {text}");
    }
}

/// A log of two arms without sessions: quality of request i is 1 unless i modulo ten is below the
/// arm's number of failures.
fn two_arms(requests: u32, failures: [u32; 2], cost_usd: [&str; 2]) -> String {
    let mut log = "request_id,model,quality,cost_usd\n".to_owned();
    for i in 0..requests {
        for (arm, (failures, cost)) in ["large", "small"].iter().zip(failures.iter().zip(cost_usd))
        {
            let quality = u8::from(i * 7 % 10 >= *failures);
            writeln!(log, "r{i},{arm},{quality},{cost}").expect("written");
        }
    }
    log
}

#[test]
fn every_verdict_has_its_exit() {
    let folder = folder();
    let dear_and_cheap = ["0.05", "0.005"];
    // name, requests, failures in ten, costs, line, verdict, exit
    for (name, requests, failures, costs, line, verdict, want) in [
        (
            "a good arm, much cheaper",
            900,
            [0, 1],
            dear_and_cheap,
            0.80,
            "ship",
            0,
        ),
        (
            "the best arm is the cheapest",
            900,
            [1, 2],
            ["0.005", "0.05"],
            0.80,
            "hold",
            0,
        ),
        (
            "no arm reaches the line",
            900,
            [3, 5],
            dear_and_cheap,
            0.90,
            "hold",
            5,
        ),
        (
            "too few requests",
            80,
            [1, 1],
            dear_and_cheap,
            0.90,
            "insufficient-evidence",
            3,
        ),
    ] {
        let log = two_arms(requests, failures, costs);
        fs::write(folder.path().join("log.csv"), log).expect("written");
        let policy = format!("[objective]\nrule = \"average-floor\"\nquality = {line}\n");
        fs::write(folder.path().join("p.toml"), policy).expect("written");
        let output = run(folder.path(), "replay log.csv --policy p.toml --json");
        let evaluation: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        let got = &evaluation["verdict"];
        assert_eq!(got["decision"], verdict, "{name}: {got}");
        assert_eq!(code(&output), want, "{name}: {got}");
    }
}

#[test]
fn a_saved_evaluation_that_is_none_exits_4() {
    let folder = folder();
    for (text, want) in [
        ("not json", "P0601"),
        ("{}", "P0602"),
        (r#"{"schema": 99}"#, "P0603"),
        (r#"{"schema": 1, "evaluations": []}"#, "P0602"),
    ] {
        fs::write(folder.path().join("saved.json"), text).expect("written");
        let output = run(folder.path(), "report saved.json -o again.html");
        assert_eq!(code(&output), 4, "{text}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(&format!("error[{want}]")),
            "{}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(" --> saved.json"),
            "{}",
            stderr(&output)
        );
        assert!(!folder.path().join("again.html").exists());
    }
}

#[test]
fn a_saved_evaluation_exits_as_its_verdict_did() {
    let folder = folder_with_logs(200);
    let first = run(folder.path(), "replay log.jsonl -o saved.json");
    let again = run(folder.path(), "report saved.json");
    assert_eq!(code(&again), code(&first), "{}", stderr(&again));
    run(folder.path(), "init -o a.toml");
    run(folder.path(), "init -o b.toml");
    let first = run(
        folder.path(),
        "compare log.jsonl --policy a.toml --policy b.toml -o c.json",
    );
    let again = run(folder.path(), "report c.json --json");
    assert_eq!(code(&again), code(&first), "{}", stderr(&again));
    let saved = fs::read_to_string(folder.path().join("c.json")).expect("written");
    assert_eq!(stdout(&again), saved);
}

#[test]
fn other_failures_exit_1() {
    let folder = folder_with_logs(60);
    fs::write(folder.path().join("bad.toml"), "[objective]\nrule = 1\n").expect("written");
    fs::write(folder.path().join("there.html"), "mine").expect("written");
    for (words, want) in [
        ("replay log.jsonl --policy bad.toml", "P0723"),
        ("replay log.jsonl --policy absent.toml", "P0704"),
        ("replay log.jsonl -o there.html", "P0702"),
        ("replay log.jsonl -o absent/report.html", "P0703"),
        ("replay log.jsonl --prices absent.toml", "P0704"),
        ("validate log.jsonl --config bad.toml", "P0722"),
    ] {
        let output = run(folder.path(), words);
        let text = stderr(&output);
        assert_eq!(code(&output), 1, "{words}: {text}");
        assert!(text.contains(&format!("error[{want}]")), "{words}: {text}");
        assert_eq!(stdout(&output), "", "{words}");
    }
    assert_eq!(
        fs::read(folder.path().join("there.html")).expect("read"),
        b"mine"
    );
}

#[test]
fn shared_logs_that_cannot_be_judged_are_refused() {
    let folder = folder();
    for (name, want) in [
        ("routellm_mtbench.parquet", "P0304"),
        ("conduit_logged.parquet", "P0305"),
    ] {
        let Some(path) = shared(name) else { continue };
        let output = plimsoll(folder.path())
            .arg("replay")
            .arg(path)
            .output()
            .expect("it runs");
        let text = stderr(&output);
        assert_eq!(code(&output), 3, "{name}: {text}");
        assert!(text.contains(&format!("error[{want}]")), "{name}: {text}");
        assert!(
            text.contains("collect") || text.contains("record"),
            "{name}: {text}"
        );
    }
}

/// Two exports of one row each, as LiteLLM and Helicone write them.
const EXPORTS: [(&str, &str); 2] = [
    (
        "spend.jsonl",
        r#"{"request_id":"c1","litellm_call_id":"r1","call_type":"acompletion","model":"small","spend":0.002,"startTime":"2026-03-01 10:00:00","prompt_tokens":10,"completion_tokens":5,"custom_llm_provider":"x","status":"success","metadata":{"thumb":null}}"#,
    ),
    (
        "helicone.jsonl",
        r#"{"request_id":"h1","request_created_at":"2026-03-01T10:00:00Z","latency":100,"status":200,"model":"small","prompt_tokens":10,"completion_tokens":5}"#,
    ),
];

#[test]
fn imports_say_what_they_were_given() {
    let folder = folder();
    for (name, line) in EXPORTS {
        fs::write(folder.path().join(name), format!("{line}\n")).expect("written");
    }
    for (words, exit, want) in [
        ("spend.jsonl", 2, "error[P0730]"),
        ("- -o a.csv", 2, "error[P0731]"),
        ("spend.jsonl helicone.jsonl -o a.csv", 2, "error[P0732]"),
        (
            "spend.jsonl helicone.jsonl -o a.csv",
            2,
            "looks like litellm",
        ),
        ("spend.jsonl --quality modle -o a.csv", 4, "error[P0252]"),
        ("spend.jsonl --quality modle -o a.csv", 4, "`model`"),
        ("spend.jsonl --quality metadata.thumb -o a.csv", 0, ""),
    ] {
        let output = run(folder.path(), &format!("import {words}"));
        assert_eq!(code(&output), exit, "{words}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(want),
            "{words}: {}",
            stderr(&output)
        );
        assert_eq!(folder.path().join("a.csv").exists(), exit == 0, "{words}");
    }
    let output = run(folder.path(), "import --detect spend.jsonl helicone.jsonl");
    let text = stdout(&output);
    assert!(text.contains("spend.jsonl: litellm") && text.contains("helicone.jsonl: helicone"));
    assert!(
        !stderr(&output).contains("next:"),
        "two kinds are two imports"
    );
    let output = run(folder.path(), "import --detect spend.jsonl");
    assert!(stderr(&output).contains("next: plimsoll import --from litellm spend.jsonl"));
}

#[test]
fn what_is_too_large_says_how_to_allow_it() {
    let folder = folder();
    let long = "x".repeat(4_000);
    let rows = format!("request_id,model,quality,prompt\nr1,a,1,{long}\nr2,a,0,y\n");
    fs::write(folder.path().join("log.csv"), rows).expect("written");
    fs::write(folder.path().join(EXPORTS[0].0), EXPORTS[0].1).expect("written");
    for (words, exit, want) in [
        ("validate log.csv --max-bytes 1kB", 4, "error[P0215]"),
        ("validate log.csv --max-bytes 1kB", 4, "--max-bytes"),
        ("validate log.csv --max-row-bytes 1KiB", 4, "error[P0216]"),
        (
            "validate log.csv --max-row-bytes 1KiB",
            4,
            "--max-row-bytes",
        ),
        (
            "validate log.csv --max-bytes 8KiB --max-row-bytes 5000",
            0,
            "",
        ),
        (
            "import spend.jsonl -o a.csv --max-bytes 100",
            4,
            "error[P0215]",
        ),
        (
            "import spend.jsonl -o a.csv --max-row-bytes 100",
            4,
            "error[P0216]",
        ),
    ] {
        let output = run(folder.path(), words);
        assert_eq!(code(&output), exit, "{words}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(want),
            "{words}: {}",
            stderr(&output)
        );
    }
}
