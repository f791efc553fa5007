//! Data on stdout, notes on stderr, files whole or not at all, nothing secret anywhere.

mod common;

use std::fs;
use std::io::Read;
use std::process::Stdio;

use common::{BINARY, code, folder, folder_with_logs, names, plimsoll, run, stderr, stdout};

#[test]
fn json_on_stdout_is_nothing_but_json() {
    let folder = folder_with_logs(200);
    for words in [
        "validate log.jsonl --json",
        "replay log.jsonl --json",
        "models --json",
        "explain P0203 --json",
        "simulate --requests 5 -o more.jsonl --json",
    ] {
        let output = run(folder.path(), words);
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&stdout(&output));
        assert!(parsed.is_ok(), "{words}: {}", stderr(&output));
    }
    // An error leaves stdout empty, so that nobody parses half an answer.
    let output = run(folder.path(), "replay absent.jsonl --json");
    assert_eq!(stdout(&output), "");
}

#[test]
fn quiet_says_nothing_but_errors() {
    let folder = folder_with_logs(60);
    let output = run(folder.path(), "validate log.jsonl --quiet");
    assert_eq!(stderr(&output), "");
    let output = run(folder.path(), "validate absent.jsonl --quiet");
    assert!(
        stderr(&output).starts_with("error[P0201]"),
        "{}",
        stderr(&output)
    );
    assert!(!stderr(&output).contains("next:"));
}

#[test]
fn the_last_line_on_stderr_is_a_command() {
    let folder = folder_with_logs(200);
    for words in [
        "validate log.jsonl",
        "replay log.jsonl",
        "models",
        "prices list",
        "init",
        "validate absent",
    ] {
        let output = run(folder.path(), words);
        let text = stderr(&output);
        let last = text.lines().last().unwrap_or_default();
        assert!(last.starts_with("next: plimsoll "), "{words}: {text}");
    }
}

#[test]
fn nothing_is_coloured_off_a_terminal() {
    let folder = folder_with_logs(200);
    for (name, value) in [
        ("TERM", "xterm-256color"),
        ("TERM", "dumb"),
        ("NO_COLOR", "1"),
    ] {
        let mut command = plimsoll(folder.path());
        let output = command
            .env(name, value)
            .args(["replay", "log.jsonl"])
            .output()
            .expect("it runs");
        assert!(!output.stdout.contains(&0x1b), "{name}={value}");
        assert!(!output.stderr.contains(&0x1b), "{name}={value}");
    }
}

/// On a terminal there are colours and bars, unless the user objects (C04).
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_is_coloured_unless_the_user_objects() {
    let folder = folder_with_logs(200);
    let on_terminal = |environment: &str, flags: &str| {
        let command = format!("{environment} '{BINARY}' replay log.jsonl {flags}");
        let output = std::process::Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .stdin(Stdio::null())
            .current_dir(folder.path())
            .output();
        output
            .ok()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(usual) = on_terminal("", "--quiet") else {
        eprintln!("skipped: there is no `script` to make a terminal with");
        return;
    };
    assert!(usual.contains("\u{1b}["), "colours: {usual:?}");
    for (environment, flags) in [
        ("NO_COLOR=1", "--quiet"),
        ("TERM=dumb", "--quiet"),
        ("TERM=dumb", ""),
        ("", "--no-color --quiet"),
    ] {
        let plain = on_terminal(environment, flags).expect("it ran before");
        assert!(
            !plain.contains('\u{1b}'),
            "{environment} {flags}: {plain:?}"
        );
    }
}

#[test]
fn a_log_is_read_from_stdin() {
    let folder = folder_with_logs(60);
    let log = fs::read(folder.path().join("log.jsonl")).expect("read");
    let mut command = assert_cmd::Command::from_std(plimsoll(folder.path()));
    let output = command
        .args(["validate", "-", "--json"])
        .write_stdin(log)
        .output();
    let output = output.expect("it runs");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let value: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(value["report"]["requests"], 60);
}

#[test]
fn reports_are_written_by_ending_and_never_overwritten() {
    let folder = folder_with_logs(200);
    for name in ["r.html", "r.json", "r.md", "r.csv", "r.txt"] {
        let words = format!("replay log.jsonl -o {name}");
        let first = run(folder.path(), &words);
        assert!(matches!(code(&first), 0 | 3 | 5), "{}", stderr(&first));
        assert_eq!(stdout(&first), "", "{name}");
        let text = fs::read_to_string(folder.path().join(name)).expect("written");
        let again = run(folder.path(), &words);
        assert_eq!(code(&again), 1, "{}", stderr(&again));
        assert!(stderr(&again).contains("error[P0702]"));
        let forced = run(folder.path(), &format!("{words} --force"));
        assert_eq!(code(&forced), code(&first));
        assert_eq!(
            fs::read_to_string(folder.path().join(name)).expect("read"),
            text
        );
    }
    let rendered = run(folder.path(), "report r.json --format html");
    assert_eq!(
        stdout(&rendered),
        fs::read_to_string(folder.path().join("r.html")).expect("read"),
        "a saved evaluation renders as the replay did"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disc_leaves_nothing_at_the_final_place() {
    let folder = folder_with_logs(200);
    let before = names(folder.path());
    let full = run(folder.path(), "replay log.jsonl --format html -o /dev/full");
    assert_eq!(code(&full), 1, "{}", stderr(&full));
    assert!(stderr(&full).contains("error[P0703]"), "{}", stderr(&full));
    let stdout_full = plimsoll(folder.path())
        .args(["validate", "log.jsonl"])
        .stdout(
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .expect("opened"),
        )
        .stderr(Stdio::piped())
        .output()
        .expect("it runs");
    assert_eq!(code(&stdout_full), 1, "{}", stderr(&stdout_full));
    assert!(stderr(&stdout_full).contains("error[P0701]"));
    // A file size limit of 4 KiB: the write fails half-way, as on a full disc.
    let script =
        format!("trap '' XFSZ; ulimit -f 4; exec '{BINARY}' replay log.jsonl -o report.html");
    let limited = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .expect("bash runs");
    assert_eq!(code(&limited), 1, "{}", stderr(&limited));
    assert!(
        stderr(&limited).contains("error[P0703]"),
        "{}",
        stderr(&limited)
    );
    assert_eq!(names(folder.path()), before);
}

#[cfg(unix)]
#[test]
fn an_interrupt_exits_130_and_removes_unfinished_files() {
    let folder = folder();
    let mut child = plimsoll(folder.path())
        .args(["simulate", "--requests", "100000000", "-o", "big.jsonl"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // The unfinished file shows that the work has begun.
    while names(folder.path()).is_empty() {
        assert!(
            child.try_wait().expect("a status").is_none(),
            "it ended by itself"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status()
        .expect("kill");
    assert!(killed.success());
    let status = child.wait().expect("a status");
    assert_eq!(status.code(), Some(130));
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_silent() {
    let folder = folder();
    let mut child = plimsoll(folder.path())
        .args(["simulate", "--requests", "3000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = [0; 16];
    let mut out = child.stdout.take().expect("a pipe");
    out.read_exact(&mut first).expect("some bytes");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
}

/// A prompt that no output may hold unless it is asked for.
const CANARY: &str = "CANARY-the-quick-brown-fox";

#[test]
fn prompts_are_nowhere_unless_asked_for() {
    let folder = folder_with_logs(200);
    let log = fs::read_to_string(folder.path().join("log.jsonl")).expect("read");
    let marked: Vec<String> = log
        .lines()
        .map(|line| {
            let mut row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            row["prompt"] = format!("{CANARY} {}", row["prompt"]).into();
            row.to_string()
        })
        .collect();
    let marked = marked.join("\n");
    // Half a line of JSON with the prompt in it: the reject must not quote it.
    let cut = format!("{marked}\n{{\"request_id\":\"x\",\"prompt\":\"{CANARY}\n");
    fs::write(folder.path().join("marked.jsonl"), cut).expect("written");
    let policy = "--seed 1 --segment task --rejects rejects.jsonl --force";
    for verb in [
        "validate marked.jsonl --rejects rejects.jsonl --force".to_owned(),
        format!("replay marked.jsonl {policy}"),
    ] {
        for form in ["", "--json"] {
            let output = run(folder.path(), &format!("{verb} {form}"));
            assert!(!stdout(&output).contains("CANARY"), "{verb} {form}");
            assert!(!stderr(&output).contains("CANARY"), "{verb} {form}");
        }
    }
    for name in ["r.html", "r.json", "r.md", "r.csv", "r.txt"] {
        run(
            folder.path(),
            &format!("replay marked.jsonl {policy} -o {name}"),
        );
        let text = fs::read_to_string(folder.path().join(name)).expect("written");
        assert!(!text.contains("CANARY"), "{name}");
    }
    let rejects = fs::read_to_string(folder.path().join("rejects.jsonl")).expect("written");
    assert!(!rejects.contains("CANARY") && !rejects.is_empty());
    let shown = run(
        folder.path(),
        "replay marked.jsonl --seed 1 --json --show-text",
    );
    let evaluation: serde_json::Value = serde_json::from_str(&stdout(&shown)).expect("JSON");
    if !evaluation["changed"].as_array().expect("a list").is_empty() {
        assert!(
            stdout(&shown).contains("CANARY"),
            "text that was asked for is there"
        );
    }
}

#[test]
fn secrets_in_policies_are_never_echoed() {
    let folder = folder_with_logs(60);
    let policy =
        "api_key = \"sk-hunter2-hunter2\"\n[objective]\nretian = 0.9\nrule = \"sk-hunter2\"\n";
    fs::write(folder.path().join("p.toml"), policy).expect("written");
    let output = run(folder.path(), "replay log.jsonl --policy p.toml");
    let text = stderr(&output);
    assert_eq!(code(&output), 1, "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    // Every mistake at once, each with line, column and caret.
    for want in [
        "p.toml:1:1",
        "p.toml:3:1",
        "p.toml:4:8",
        "did you mean `retain`?",
        "^^^^^^",
    ] {
        assert!(text.contains(want), "{want}: {text}");
    }
}

/// Names in a log may hold terminal escapes; nothing that is printed does (R02).
#[test]
fn escapes_in_a_log_are_shown_not_sent() {
    let folder = folder_with_logs(200);
    let log = fs::read_to_string(folder.path().join("log.jsonl")).expect("read");
    // JSON's own escapes, so that the file itself is harmless: ESC ] 52, a bidi override, C1.
    let evil = r"tiny\u001b]52;c;aGk=\u0007\u202e\u009b31m";
    let log = log.replace("\"tiny\"", &format!("\"{evil}\""));
    fs::write(folder.path().join("evil.jsonl"), log).expect("written");
    for words in [
        "validate evil.jsonl",
        "replay evil.jsonl",
        "replay evil.jsonl --baseline nobody",
    ] {
        let output = run(folder.path(), words);
        for text in [stdout(&output), stderr(&output)] {
            for banned in ['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}'] {
                assert!(!text.contains(banned), "{words}: {banned:?} in {text:?}");
            }
        }
        let all = format!("{}{}", stdout(&output), stderr(&output));
        assert!(all.contains("tiny"), "{words}: the arm is named: {all}");
    }
}
