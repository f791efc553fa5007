//! `replay --learning` from the command line.

mod common;

use std::fs;

use common::{code, folder_with_logs, run, stderr, stdout};

#[test]
fn a_learning_replay_is_json_a_page_and_can_be_rendered_again() {
    let folder = folder_with_logs(400);
    let scenario = "replay log.jsonl --learning --seeds 3 --delay exp:20 --label-share 50% \
                    --censor-after 60 --drift small:0.5:-0.2 --price large:0.4:2 --unannounced \
                    --arm-appears medium:0.3 --arm-vanishes tiny:0.8";
    let output = run(folder.path(), &format!("{scenario} --json"));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(report["kind"], "learning");
    assert_eq!(report["phases"].as_array().map(Vec::len), Some(5));
    assert_eq!(
        report["learners"][0]["shocks"].as_array().map(Vec::len),
        Some(4)
    );
    // The command of the manifest gives the same bytes, on one thread as on three.
    let command = report["manifest"]["command"].as_str().expect("a command");
    let words = command
        .strip_prefix("plimsoll ")
        .expect("a command of ours");
    for threads in [1, 3] {
        let again = run(
            folder.path(),
            &format!("{words} --json --threads {threads}"),
        );
        assert_eq!(stdout(&again), stdout(&output), "{words}");
    }
    let page = run(folder.path(), &format!("{scenario} -o learning.html"));
    assert_eq!(code(&page), 0, "{}", stderr(&page));
    assert!(stdout(&page).is_empty() && stderr(&page).contains("next:"));
    let page = fs::read_to_string(folder.path().join("learning.html")).expect("written");
    assert!(page.contains("recent-quality-wide-title") && page.contains("traffic-narrow-title"));
    fs::write(folder.path().join("saved.json"), stdout(&output)).expect("written");
    for (format, wanted) in [
        ("html", "<html"),
        ("markdown", "Recovered"),
        ("csv", "cost_regret_usd"),
    ] {
        let again = run(
            folder.path(),
            &format!("report saved.json --format {format}"),
        );
        assert_eq!(code(&again), 0, "{}", stderr(&again));
        assert!(stdout(&again).contains(wanted), "{format}");
    }
}

#[test]
fn a_log_of_single_answers_is_estimated_or_refused() {
    let folder = folder_with_logs(1500);
    let output = run(
        folder.path(),
        "replay bandit.jsonl --learning --seeds 2 --json",
    );
    match code(&output) {
        0 => {
            let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
            assert_eq!(report["logged"].as_array().map(Vec::len), Some(4));
        }
        other => {
            assert_eq!(other, 3, "{}", stderr(&output));
            assert!(
                stderr(&output).contains("error[P0326]"),
                "{}",
                stderr(&output)
            );
        }
    }
    let refused = run(
        folder.path(),
        "replay bandit.jsonl --learning --price large:0.5:2",
    );
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("error[P0323]") && stdout(&refused).is_empty());
}

#[test]
fn bad_values_say_what_is_allowed() {
    let folder = folder_with_logs(300);
    for (options, status, want) in [
        ("--drift small:0.5", 2, "P0322"),
        ("--drift small:0.5:-2", 2, "P0322"),
        ("--drift smal:0.5:-0.1", 2, "P0321"),
        ("--price small:1.5:2", 2, "P0322"),
        ("--price small:99999:2", 2, "P0322"),
        ("--arm-vanishes small", 2, "P0322"),
        ("--delay soon", 2, "P0322"),
        ("--delay 5 --censor-after 1h", 2, "P0322"),
        ("--seeds 0", 2, "P0322"),
        ("--warm-up 0.95", 2, "P0322"),
        ("--train-share 0.5", 2, "cannot be used with"),
    ] {
        let output = run(
            folder.path(),
            &format!("replay log.jsonl --learning {options}"),
        );
        assert_eq!(code(&output), status, "{options}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(want),
            "{options}: {}",
            stderr(&output)
        );
        assert!(stdout(&output).is_empty(), "{options}");
    }
    let alone = run(folder.path(), "replay log.jsonl --delay 5");
    assert_eq!(code(&alone), 2, "{}", stderr(&alone));
}
