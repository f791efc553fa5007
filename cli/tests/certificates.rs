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
