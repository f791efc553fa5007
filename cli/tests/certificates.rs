//! `plimsoll tune` and `plimsoll replay --certificate`, as a shell sees them.

mod common;

use std::fmt::Write as _;
use std::fs;

use common::{code, folder, names, run, stderr, stdout};
use tempfile::TempDir;

/// A folder with `past.csv` and `newer.csv`: a cheap arm that suffices for easy requests, and a
/// dear one that always does.
fn logs(past: usize, newer: usize) -> TempDir {
    let folder = folder();
    let rows = |name: &str, count: usize| {
        let mut text = String::from("request_id,model,task,quality,cost_usd\n");
        for i in 0..count {
            let (task, cheap) = if i % 2 == 0 { ("easy", 1) } else { ("hard", 0) };
            let _ = writeln!(text, "{name}{i},cheap,{task},{cheap},0.001");
            let _ = writeln!(text, "{name}{i},dear,{task},1,0.010");
        }
        fs::write(folder.path().join(format!("{name}.csv")), text).expect("written");
    };
    rows("past", past);
    rows("newer", newer);
    folder
}

#[test]
fn tune_writes_three_files_and_never_over_others() {
    let folder = logs(1000, 400);
    let output = run(
        folder.path(),
        "tune past.csv --quality 0.95 --confidence 0.95",
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("Certified"), "{}", stdout(&output));
    assert_eq!(
        names(folder.path()),
        [
            "certificate.json",
            "newer.csv",
            "past.csv",
            "policy.snapshot",
            "policy.toml"
        ]
    );
    let again = run(folder.path(), "tune past.csv --quality 0.95");
    assert_eq!(code(&again), 1);
    assert!(
        stderr(&again).contains("error[P0702]"),
        "{}",
        stderr(&again)
    );
    // The same bytes on any number of threads, under another name.
    let read = |name: &str| fs::read(folder.path().join(name)).expect("read");
    let other = run(
        folder.path(),
        "tune past.csv --quality 0.95 --confidence 0.95 --threads 1 -o a.toml",
    );
    assert_eq!(code(&other), 0, "{}", stderr(&other));
    assert_eq!(read("a.snapshot"), read("policy.snapshot"));
    // The policy file is one.
    let replayed = run(
        folder.path(),
        "replay newer.csv --policy policy.toml --json",
    );
    assert!(
        !stderr(&replayed).contains("error["),
        "{}",
        stderr(&replayed)
    );
}

#[test]
fn a_certificate_is_checked_and_its_looks_are_recorded() {
    let folder = logs(1000, 400);
    let tuned = run(folder.path(), "tune past.csv --quality 0.95 --json");
    assert_eq!(code(&tuned), 0, "{}", stderr(&tuned));
    let certificate: serde_json::Value =
        serde_json::from_str(&stdout(&tuned)).expect("JSON on stdout");
    assert_eq!(certificate["looks"], 1);
    assert_eq!(certificate["files"]["snapshot"], "policy.snapshot");
    let check = "replay newer.csv --certificate certificate.json";
    let held = run(folder.path(), &format!("{check} --json --record"));
    assert_eq!(code(&held), 0, "{}", stderr(&held));
    let held: serde_json::Value = serde_json::from_str(&stdout(&held)).expect("JSON");
    assert_eq!(held["standing"], "holds");
    let saved = fs::read(folder.path().join("certificate.json")).expect("read");
    let saved: serde_json::Value = serde_json::from_slice(&saved).expect("JSON");
    assert_eq!(saved["looks"], 2);
    assert_eq!(saved["history"][0]["standing"], "holds");
    // The rows that proved it prove nothing new.
    let same = run(
        folder.path(),
        "replay past.csv --certificate certificate.json",
    );
    assert_eq!(code(&same), 3);
    assert!(stderr(&same).contains("error[P0332]"), "{}", stderr(&same));
    // Quality fell: the gate fails.
    let fallen = fs::read_to_string(folder.path().join("newer.csv")).expect("read");
    let fallen = fallen.replace("cheap,easy,1", "cheap,easy,0");
    fs::write(folder.path().join("newer.csv"), fallen).expect("written");
    let broken = run(folder.path(), check);
    assert_eq!(code(&broken), 5, "{}", stdout(&broken));
    // Another router is not the certified one.
    fs::write(folder.path().join("policy.snapshot"), b"other").expect("written");
    let other = run(folder.path(), check);
    assert_eq!(code(&other), 4);
    assert!(
        stderr(&other).contains("error[P0333]"),
        "{}",
        stderr(&other)
    );
}

/// A log of served answers: each arm half of the time, with its propensity unless `p` is empty.
fn served(folder: &TempDir, name: &str, count: u32, p: &str, cheap_easy: u32) {
    let mut text = String::from("request_id,model,task,quality,cost_usd,propensity\n");
    for i in 0..count {
        // A fixed scramble: any bit of it is as good as a coin.
        let coin = (i.wrapping_mul(0x9E37_79B1) ^ i.wrapping_mul(0x85EB_CA6B) >> 13) >> 30;
        let (hard, cheap) = (coin & 1 == 1, coin & 2 == 2);
        let task = if hard { "hard" } else { "easy" };
        let quality = match (cheap, hard) {
            (false, _) => 1,
            (true, true) => 0,
            (true, false) => cheap_easy,
        };
        let (model, cost) = if cheap {
            ("cheap", "0.001")
        } else {
            ("dear", "0.010")
        };
        let _ = writeln!(text, "{name}{i},{model},{task},{quality},{cost},{p}");
    }
    fs::write(folder.path().join(format!("{name}.csv")), text).expect("written");
}

#[test]
fn served_answers_with_propensities_are_tuned_on_and_checked() {
    let folder = folder();
    served(&folder, "past", 6000, "0.5", 1);
    served(&folder, "newer", 4000, "0.5", 1);
    served(&folder, "fallen", 4000, "0.5", 0);
    served(&folder, "silent", 4000, "", 1);
    served(&folder, "wrong", 4000, "0.25", 1);
    let tuned = run(folder.path(), "tune past.csv --quality 0.9 --json");
    assert_eq!(code(&tuned), 0, "{}\n{}", stderr(&tuned), stdout(&tuned));
    let certificate: serde_json::Value =
        serde_json::from_str(&stdout(&tuned)).expect("JSON on stdout");
    let method = certificate["bound"]["method"].as_str().expect("a method");
    assert!(method.contains("weighted"), "{method}");
    let check = |log: &str| {
        let command = format!("replay {log}.csv --certificate certificate.json --json");
        run(folder.path(), &command)
    };
    for (log, exit, standing) in [
        ("newer", 0, "holds"),
        ("fallen", 5, "broken"),
        ("wrong", 3, "open"),
    ] {
        let got = check(log);
        assert_eq!(code(&got), exit, "{log}: {}", stderr(&got));
        let got: serde_json::Value = serde_json::from_str(&stdout(&got)).expect("JSON");
        assert_eq!(got["standing"], standing, "{log}: {}", got["reasons"]);
    }
    for (log, code_text) in [("silent", "P0335"), ("past", "P0332")] {
        let got = check(log);
        assert_eq!(code(&got), 3, "{log}: {}", stderr(&got));
        assert!(stderr(&got).contains(code_text), "{log}: {}", stderr(&got));
    }
}

/// ROBUSTNESS.md O09.
#[test]
fn o09_a_refusal_writes_nothing_and_says_how_many_more() {
    let folder = logs(100, 10);
    let output = run(folder.path(), "tune past.csv --quality 0.95");
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(
        stdout(&output).contains("97 more labelled requests"),
        "{}",
        stdout(&output)
    );
    assert_eq!(names(folder.path()), ["newer.csv", "past.csv"]);
}

#[test]
fn slips_of_the_pen_have_their_codes() {
    let folder = logs(200, 10);
    for (rest, exit, code_text) in [
        ("--parts 0.5,0.5", 2, "P0330"),
        ("--waive task=hrad", 2, "P0331"),
        ("--segment region", 2, "P0331"),
        ("--waive hard", 2, "P0715"),
        ("--quality 1.5", 2, "P0101"),
        ("--relative-to huge", 2, "P0302"),
        ("-o report.html", 2, "P0712"),
    ] {
        let output = run(folder.path(), &format!("tune past.csv {rest}"));
        assert_eq!(code(&output), exit, "{rest}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(code_text),
            "{rest}: {}",
            stderr(&output)
        );
    }
}
