//! Every command in README.md runs, every example policy judges, and help texts are reviewed.

mod common;
#[path = "../examples/embed.rs"]
mod embed;

use std::fs;
use std::path::Path;

use common::{BINARY, code, folder, folder_with_logs, names, plimsoll, run, stderr, stdout};

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Lines of the blocks fenced as `sh run`.
fn readme_commands() -> Vec<String> {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md");
    let blocks = text.split("```sh run\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    lines.map(str::to_owned).collect()
}

#[test]
fn every_command_in_the_readme_runs() {
    let folder = folder();
    // The catalogue of another that the README imports.
    let catalogue = root().join("datasets/tests/prices/litellm.json");
    fs::copy(catalogue, folder.path().join("catalogue.json")).expect("copied");
    let commands = readme_commands();
    assert!(commands.len() >= 10, "{commands:?}");
    for verb in [
        "simulate", "validate", "init", "replay", "compare", "report", "explain", "prices",
    ] {
        let start = format!("plimsoll {verb} ");
        assert!(
            commands.iter().any(|c| format!("{c} ").starts_with(&start)),
            "{verb}"
        );
    }
    for command in commands {
        let words = command
            .strip_prefix("plimsoll ")
            .expect("a command of ours");
        let output = run(folder.path(), words);
        assert!(
            matches!(code(&output), 0 | 3 | 5),
            "{command}: {}",
            stderr(&output)
        );
        assert!(
            !stderr(&output).contains("error["),
            "{command}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn every_example_policy_is_one() {
    let folder = folder_with_logs(300);
    let mut seen = 0;
    let all = names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"));
    let is_policy = |name: &String| Path::new(name).extension().is_some_and(|e| e == "toml");
    for name in all.into_iter().filter(is_policy) {
        let policy = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples")
            .join(&name);
        let output = plimsoll(folder.path())
            .args(["replay", "log.jsonl", "--json", "--policy"])
            .arg(policy)
            .output()
            .expect("it runs");
        assert!(
            matches!(code(&output), 0 | 3 | 5),
            "{name}: {}",
            stderr(&output)
        );
        assert!(
            !stderr(&output).contains("error["),
            "{name}: {}",
            stderr(&output)
        );
        let value: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        assert_eq!(value["schema"], 1, "{name}");
        seen += 1;
    }
    assert!(seen >= 3);
}

#[test]
fn the_readmes_program_is_the_example() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let program = include_str!("../examples/embed.rs")
        .split("\n#[cfg(test)]")
        .next();
    let block = format!("```rust\n{}```", program.expect("a program"));
    assert!(readme.contains(&block));
}

#[test]
fn the_readmes_policy_is_a_policy() {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md");
    let after = text
        .split("## The policy file")
        .nth(1)
        .expect("the section");
    let policy = after
        .split("```toml\n")
        .nth(1)
        .and_then(|b| b.split("```").next());
    let folder = folder_with_logs(300);
    fs::write(folder.path().join("p.toml"), policy.expect("a block")).expect("written");
    let output = run(folder.path(), "replay log.jsonl --policy p.toml");
    assert!(!stderr(&output).contains("error["), "{}", stderr(&output));
}

#[test]
fn the_demo_judges_the_sample_and_replaces_only_its_own_report() {
    let folder = folder();
    let output = run(folder.path(), "demo");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(!stdout(&output).is_empty());
    assert_eq!(names(folder.path()), ["report.html"]);
    let page = fs::read_to_string(folder.path().join("report.html")).expect("written");
    // Its own earlier report is replaced by the same bytes.
    let again = run(folder.path(), "demo");
    assert_eq!(code(&again), code(&output), "{}", stderr(&again));
    assert_eq!(
        fs::read_to_string(folder.path().join("report.html")).expect("read"),
        page
    );
    // A file of somebody else is not.
    fs::write(folder.path().join("report.html"), "mine").expect("written");
    let refused = run(folder.path(), "demo");
    assert_eq!(code(&refused), 1);
    assert!(
        stderr(&refused).contains("error[P0702]"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(
        fs::read(folder.path().join("report.html")).expect("read"),
        b"mine"
    );
}

/// Without a network, the demo does what it does with one (C08).
#[cfg(target_os = "linux")]
#[test]
fn the_demo_needs_no_network() {
    let possible = std::process::Command::new("unshare")
        .args(["-rn", "true"])
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: `unshare -rn` does not work here");
        return;
    }
    let folder = folder();
    let alone = std::process::Command::new("unshare")
        .arg("-rn")
        .arg(BINARY)
        .args(["demo", "--json", "-o", "alone.html"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    let usual = run(folder.path(), "demo --json -o usual.html");
    assert_eq!(code(&alone), code(&usual), "{}", stderr(&alone));
    assert_eq!(stdout(&alone), stdout(&usual));
    fs::write(folder.path().join("saved.json"), &usual.stdout).expect("written");
    let report = std::process::Command::new("unshare")
        .arg("-rn")
        .arg(BINARY)
        .args(["report", "saved.json", "--format", "html"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    assert!(stdout(&report).contains("<html"), "{}", stderr(&report));
}

#[test]
fn help_texts_are_as_reviewed() {
    let folder = folder();
    for verb in [
        "",
        "demo",
        "init",
        "validate",
        "simulate",
        "collect",
        "replay",
        "tune",
        "compare",
        "report",
        "explain",
        "models",
        "prices list",
        "prices diff",
        "prices import",
        "completions",
        "man",
    ] {
        let output = run(folder.path(), &format!("{verb} --help"));
        assert_eq!(code(&output), 0);
        let name = if verb.is_empty() { "help" } else { verb };
        insta::assert_snapshot!(name.replace(' ', "_"), stdout(&output));
    }
}

#[test]
fn manual_and_completions_name_every_verb() {
    let folder = folder();
    let page = stdout(&run(folder.path(), "man"));
    assert!(
        page.starts_with(".ie"),
        "roff: {}",
        page.lines().next().unwrap_or_default()
    );
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&run(folder.path(), &format!("completions {shell}")));
        for verb in [
            "demo", "validate", "simulate", "replay", "compare", "report", "explain",
        ] {
            assert!(script.contains(verb), "{shell} lacks {verb}");
            assert!(page.contains(verb), "the manual lacks {verb}");
        }
    }
}

#[test]
fn a_flag_beats_the_environment() {
    let folder = folder_with_logs(60);
    fs::write(folder.path().join("c.toml"), "seed = 3\n").expect("written");
    let seed = |args: &[&str], env: Option<&str>| {
        let mut command = plimsoll(folder.path());
        command.args(["simulate", "--requests", "2"]).args(args);
        if let Some(value) = env {
            command.env("PLIMSOLL_SEED", value);
        }
        stdout(&command.output().expect("it runs"))
    };
    let with = |n: &str| seed(&["--seed", n], None);
    assert_eq!(
        seed(&["--seed", "1", "--config", "c.toml"], Some("2")),
        with("1")
    );
    assert_eq!(seed(&["--config", "c.toml"], Some("2")), with("2"));
    assert_eq!(seed(&["--config", "c.toml"], None), with("3"));
    assert_eq!(seed(&[], None), with("7"));
    assert_ne!(with("1"), with("2"));
}

/// The doc's path from an export to an answer, on the files that it names.
#[test]
fn the_first_answer_is_had_as_written() {
    let text = fs::read_to_string(root().join("docs/first-answer.md")).expect("the page");
    let folder = folder();
    for name in ["spend_logs.csv", "thumbs.csv"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/litellm")
            .join(name);
        fs::copy(from, folder.path().join(name)).expect("copied");
    }
    let blocks = text.split("```sh run\n").skip(1);
    let commands: Vec<&str> = blocks
        .flat_map(|block| block.split("```").next().unwrap_or_default().lines())
        .collect();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let words = command
            .strip_prefix("plimsoll ")
            .expect("a command of ours");
        let output = run(folder.path(), words);
        let judges = words.starts_with("replay") || words.starts_with("report");
        let wanted: &[i32] = if judges { &[3] } else { &[0] };
        assert!(
            wanted.contains(&code(&output)),
            "{command}: {}",
            stderr(&output)
        );
        assert!(
            !stderr(&output).contains("error["),
            "{command}: {}",
            stderr(&output)
        );
    }
    let report = fs::read_to_string(folder.path().join("report.html")).expect("a report");
    assert!(report.contains("not enough evidence") || report.contains("insufficient"));
    assert!(
        !report.contains("regular expression"),
        "no prompt is in a report"
    );
}
