//! `plimsoll collect` as a process: against a loopback service, killed, interrupted, refused.

mod common;
#[expect(dead_code, reason = "the library's tests use the rest")]
#[path = "../../collect/tests/collect/server.rs"]
mod server;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{code, folder, names, plimsoll, stderr, stdout};
use serde_json::Value;
use server::{Act, Server};
use tempfile::TempDir;

const KEY: &str = "sk-canary-51c0";

/// What 20 input and 5 output tokens of `small` cost, in pico-dollars.
const ANSWER_PICO: u64 = 30_000_000;

/// A folder with `log.csv` (n requests that `large` answered) and `prices.toml`.
fn folder_with(n: usize) -> TempDir {
    let folder = folder();
    let mut rows = "request_id,model,prompt,task,response\n".to_owned();
    for i in 0..n {
        let _ = writeln!(rows, "r{i},large,secret question {i},t{},said {i}", i % 2);
    }
    fs::write(folder.path().join("log.csv"), rows).expect("written");
    let prices = "[arms.small]\ninput = 1\noutput = 2\n[arms.judge]\ninput = 2\noutput = 4\n";
    fs::write(folder.path().join("prices.toml"), prices).expect("written");
    folder
}

fn command(folder: &Path, server: &Server, words: &str) -> Command {
    let mut command = plimsoll(folder);
    command
        .args([
            "collect",
            "log.csv",
            "--prices",
            "prices.toml",
            "--arms",
            "small",
        ])
        .args(["--endpoint", &server.address(), "--max-output-tokens", "64"])
        .args(words.split_whitespace())
        .env_remove("OPENAI_API_KEY")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(folder: &Path, server: &Server, words: &str) -> Output {
    command(folder, server, words).output().expect("it runs")
}

fn report(output: &Output) -> Value {
    assert_eq!(code(output), 0, "{}", stderr(output));
    let value: Value = serde_json::from_str(&stdout(output)).expect("JSON");
    value["collect"].clone()
}

/// An amount of a report, in pico-dollars.
fn pico(amount: &Value) -> u64 {
    let amount: plimsoll::Usd = amount.as_str().expect("text").parse().expect("money");
    u64::try_from(amount.pico()).expect("not negative")
}

/// Waits until the service has seen so many calls; `false`: the child ended before.
fn wait_for(child: &mut Child, server: &Server, calls: usize) -> bool {
    let begun = Instant::now();
    while server.calls() < calls {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing is sent");
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn a_log_is_filled_judged_and_validated() {
    let server = Server::start(|seen| {
        if seen.body.contains(r#""model":"judge""#) {
            Act::answer("0.8", 2)
        } else {
            Act::answer("an answer", 5)
        }
    });
    let folder = folder_with(12);
    let words = "--arms large --judge judge --sample 6 --budget-usd 1 -o filled.parquet";
    let output = command(folder.path(), &server, words)
        .args(["--key-env", "COLLECT_KEY"])
        .env("COLLECT_KEY", KEY)
        .output()
        .expect("it runs");
    // `large` has no price, and is asked nothing: it is refused all the same.
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("error[P0903]"),
        "{}",
        stderr(&output)
    );
    assert_eq!(server.calls(), 0);
    let words = "--judge judge --sample 6 --budget-usd 1 -o filled.parquet";
    let with_key = |words: &str| {
        let mut command = command(folder.path(), &server, words);
        command
            .args(["--key-env", "COLLECT_KEY"])
            .env("COLLECT_KEY", KEY);
        command.output().expect("it runs")
    };
    let output = with_key(words);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "sample: 6 of 12 requests with a prompt",
        "filled: 6 answered by every named arm, 6 with a quality",
        "judge (judge)",
        "judge: judge scored 12 answers, 6 of them the log's own, by plimsoll-rubric-1",
        "budget: 1 USD, ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let last = stderr(&output).lines().last().map(str::to_owned);
    assert_eq!(
        last.as_deref(),
        Some("next: plimsoll validate filled.parquet")
    );
    let validated = common::run(folder.path(), "validate filled.parquet --json");
    let validated: Value = serde_json::from_str(&stdout(&validated)).expect("JSON");
    assert_eq!(validated["report"]["requests"], 12);
    assert_eq!(validated["report"]["outcomes"], 18);
    // Nothing is paid for twice, and the sample alone is full information.
    let calls = server.calls();
    let words = "--judge judge --sample 6 --budget-usd 1 -o sample.jsonl --sample-only --json";
    let output = with_key(&format!("{words} --cache filled.parquet.collect"));
    let report = report(&output);
    assert_eq!(server.calls(), calls);
    assert_eq!(report["arms"][0]["cached"], 6);
    assert_eq!(pico(&report["budget"]["spent_usd"]), 0);
    let validated = common::run(folder.path(), "validate sample.jsonl");
    assert!(
        stdout(&validated).starts_with("evidence: full information"),
        "{}",
        stdout(&validated)
    );
    // Neither key nor prompt is anywhere but where it belongs.
    for seen in server.seen() {
        assert!(seen.head.contains(KEY) && seen.body.contains("secret question"));
    }
    let journal = fs::read_to_string(folder.path().join("filled.parquet.collect/journal.jsonl"));
    for text in [
        stdout(&output),
        stderr(&output),
        text,
        journal.expect("text"),
    ] {
        assert!(
            !text.contains(KEY) && !text.contains("secret question"),
            "{text}"
        );
    }
}

/// The commands of docs/collect.md, at this test's service.
#[test]
fn every_command_in_the_docs_runs() {
    let server = Server::start(|seen| {
        if seen.body.contains(r#""model":"judge""#) {
            // By the text that is judged: calls come in any order.
            let text: usize = seen.body.bytes().map(usize::from).sum();
            Act::answer(["0.9", "0.4", "1"][text % 3], 2)
        } else {
            Act::answer("an answer", 5)
        }
    });
    let folder = folder_with(120);
    let prices = "[arms.small]\ninput = 1\noutput = 2\n[arms.judge]\ninput = 2\noutput = 4\n\
                  [arms.large]\ninput = 3\noutput = 9\n";
    fs::write(folder.path().join("prices.toml"), prices).expect("written");
    let mut rows = "request_id,model,prompt,response,input_tokens,output_tokens\n".to_owned();
    for i in 0..120 {
        let _ = writeln!(rows, "r{i},large,question {i},said {i},30,12");
    }
    fs::write(folder.path().join("log.csv"), rows).expect("written");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/collect.md");
    let docs = fs::read_to_string(docs).expect("docs/collect.md");
    let block = docs
        .split("```sh run\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let address = server.address();
    let mut calls = Vec::new();
    for line in block.expect("a block").lines() {
        let words = line.strip_prefix("plimsoll ").expect("a command");
        let words = words.replace("http://127.0.0.1:8000/v1", &address);
        let output = common::run(folder.path(), &words);
        // So few requests prove nothing, or there is nothing to save: both are answers.
        let wanted: &[i32] = if words.starts_with("replay") {
            &[0, 3]
        } else {
            &[0]
        };
        assert!(
            wanted.contains(&code(&output)),
            "{line}: {}{}",
            stdout(&output),
            stderr(&output)
        );
        if words.starts_with("replay") {
            let text = stdout(&output).to_lowercase();
            assert!(text.contains("judged quality"), "{text}");
        }
        calls.push(server.calls());
    }
    assert_eq!(calls.len(), 4);
    assert!(
        calls[0] >= 200 && calls[1..].iter().all(|count| *count == calls[0]),
        "{calls:?}"
    );
}

/// A key in the environment goes to the service it is for, not to whatever is named.
#[test]
fn another_endpoint_is_not_sent_the_default_key() {
    let server = Server::start(|_| Act::answer("an answer", 5));
    let folder = folder_with(2);
    let output = command(folder.path(), &server, "--budget-usd 1 -o filled.csv")
        .env("OPENAI_API_KEY", KEY)
        .output()
        .expect("it runs");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(server.calls(), 2);
    assert!(server.seen().iter().all(|seen| !seen.head.contains(KEY)));
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| !seen.head.to_lowercase().contains("authorization"))
    );
}

#[test]
fn mistakes_are_found_before_anything_is_sent() {
    let server = Server::start(|_| Act::answer("an answer", 5));
    let folder = folder_with(2);
    fs::write(folder.path().join("there.csv"), "x").expect("written");
    fs::write(
        folder.path().join("mute.csv"),
        "request_id,model\nr1,large\n",
    )
    .expect("written");
    for (words, exit, code_want) in [
        ("--budget-usd 1", 2, "P0911"),
        ("--budget-usd 1 -o there.csv", 1, "P0702"),
        ("--budget-usd 1 -o filled.pdf", 1, "P0242"),
        ("--budget-usd 1 -o nowhere/filled.csv", 1, "P0703"),
        ("--budget-usd five -o filled.csv", 2, "P0711"),
        ("--budget-usd 0 -o filled.csv", 2, "P0901"),
        ("--budget-usd 1 --sample 0 -o filled.csv", 2, "P0901"),
        (
            "--budget-usd 1 --concurrency 1000 -o filled.csv",
            2,
            "P0901",
        ),
        ("--budget-usd 1 --judge nobody -o filled.csv", 2, "P0903"),
        (
            "--budget-usd 1 --key-env NOT_SET_ANYWHERE -o filled.csv",
            2,
            "P0905",
        ),
        ("--budget-usd 0.000001 -o filled.csv", 1, "P0910"),
    ] {
        let output = run(folder.path(), &server, words);
        let text = stderr(&output);
        assert_eq!(code(&output), exit, "{words}: {text}");
        assert!(
            text.contains(&format!("error[{code_want}]")),
            "{words}: {text}"
        );
        assert_eq!(stdout(&output), "", "{words}");
        assert!(!folder.path().join("filled.csv").exists());
    }
    let tail = ["--arms", "small", "--budget-usd", "1", "-o", "filled.csv"];
    for (head, exit, code_want) in [
        (
            &[
                "mute.csv",
                "--prices",
                "prices.toml",
                "--endpoint",
                "http://127.0.0.1:9",
            ][..],
            3,
            "P0902",
        ),
        (
            &["log.csv", "--endpoint", "http://127.0.0.1:9"][..],
            2,
            "P0903",
        ),
        (
            &[
                "log.csv",
                "--prices",
                "prices.toml",
                "--endpoint",
                "http://u:p@127.0.0.1:9",
            ][..],
            2,
            "P0904",
        ),
        (&["log.csv", "--prices", "prices.toml"][..], 2, "P0905"),
        (
            &[
                "absent.csv",
                "--prices",
                "prices.toml",
                "--endpoint",
                "http://127.0.0.1:9",
            ][..],
            4,
            "P0201",
        ),
    ] {
        let mut command = plimsoll(folder.path());
        command
            .arg("collect")
            .args(head)
            .args(tail)
            .env_remove("OPENAI_API_KEY");
        let output = command.output().expect("it runs");
        let text = stderr(&output);
        assert_eq!(code(&output), exit, "{head:?}: {text}");
        assert!(
            text.contains(&format!("error[{code_want}]")),
            "{head:?}: {text}"
        );
    }
    assert_eq!(server.calls(), 0);
}

/// Killed again and again, each time after another number of calls: the service never charges more
/// than the cap, no kept answer is asked for again, and what was under way is charged in full.
#[test]
fn kill_9_loses_no_money_and_no_answer() {
    let requests = 40;
    for (cap, is_plenty) in [("0.05", true), ("0.004", false)] {
        let server = Server::start(|seen| {
            let slow = Duration::from_millis(4 + seen.index as u64 % 5 * 6);
            Act::answer("an answer", 5).after(slow)
        });
        let folder = folder_with(requests);
        let words = format!("--budget-usd {cap} -o filled.parquet --json");
        let mut kills = 0;
        for round in 0..8 {
            let mut child = command(folder.path(), &server, &words)
                .spawn()
                .expect("it starts");
            if wait_for(&mut child, &server, server.calls() + 1 + round * 3 % 8) {
                child.kill().expect("SIGKILL");
                kills += 1;
            }
            child.wait().expect("it ends");
        }
        assert!(kills >= if is_plenty { 6 } else { 2 }, "{kills}");
        // What was sent before the kill may still be charged.
        std::thread::sleep(Duration::from_millis(100));
        let cap_pico = pico(&Value::String(cap.to_owned()));
        let billed = || server.paid().values().sum::<u64>() * ANSWER_PICO;
        assert!(billed() <= cap_pico);
        let before: u64 = server.paid().values().sum();
        let output = run(folder.path(), &server, &format!("{words} --force"));
        let report = report(&output);
        let budget = &report["budget"];
        let unknown = budget["earlier"]["unknown_calls"]
            .as_u64()
            .expect("a count");
        assert!(unknown >= 1, "a kill finds calls under way");
        assert!(
            pico(&budget["earlier"]["unknown_usd"]) > unknown * ANSWER_PICO,
            "in full"
        );
        let spent = pico(&budget["earlier"]["spent_usd"]) + pico(&budget["spent_usd"]);
        assert!(
            billed() <= spent && spent <= cap_pico,
            "{} {spent} {cap_pico}",
            billed()
        );
        assert_eq!(spent + pico(&budget["remaining_usd"]), cap_pico);
        // Only what was under way when the process died may be answered again.
        let twice: u64 = server.paid().values().map(|times| times - 1).sum();
        assert!(twice <= unknown, "{twice} {unknown}");
        eprintln!(
            "cap {cap}: {kills} kills, {unknown} calls of unknown outcome, {before} answers before, \
             {twice} answered again, billed {} of {spent} pico-dollars booked",
            billed()
        );
        let arm = &report["arms"][0];
        let cached = arm["cached"].as_u64().expect("a count");
        assert!(cached + unknown >= before, "{cached} {unknown} {before}");
        if is_plenty {
            assert_eq!(arm["failed"], serde_json::json!({}), "{arm}");
            let rows = common::run(folder.path(), "validate filled.parquet --json");
            let rows: Value = serde_json::from_str(&stdout(&rows)).expect("JSON");
            assert_eq!(rows["report"]["outcomes"], 2 * requests as u64);
        }
        assert_eq!(
            names(folder.path()),
            [
                "filled.parquet",
                "filled.parquet.collect",
                "log.csv",
                "prices.toml"
            ]
        );
        let calls = server.calls();
        let output = run(folder.path(), &server, &format!("{words} --force"));
        if is_plenty {
            assert_eq!(server.calls(), calls, "{}", stderr(&output));
        }
        assert!(billed() <= cap_pico);
    }
}

/// Ctrl-C: what was sent is waited for, nothing is written, and the rest is had later.
#[cfg(unix)]
#[test]
fn c05_an_interrupt_finishes_what_was_sent() {
    let server = Server::start(|_| Act::answer("an answer", 5).after(Duration::from_millis(150)));
    let folder = folder_with(40);
    let words = "--budget-usd 1 -o filled.csv --concurrency 3";
    let mut child = command(folder.path(), &server, words)
        .spawn()
        .expect("it starts");
    assert!(wait_for(&mut child, &server, 7));
    let interrupt = |child: &Child| {
        let status = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(status.expect("kill runs").success());
    };
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    let text = stderr(&output);
    assert_eq!(code(&output), 130, "{text}");
    assert_eq!(stdout(&output), "");
    assert!(
        text.contains("stopped: ") && text.contains("next: plimsoll collect log.csv"),
        "{text}"
    );
    assert_eq!(
        names(folder.path()),
        ["filled.csv.collect", "log.csv", "prices.toml"]
    );
    let sent = server.calls();
    assert!((7..40).contains(&sent), "{sent}");
    let output = run(folder.path(), &server, &format!("{words} --json"));
    let report = report(&output);
    assert_eq!(server.calls(), 40, "every call was sent once");
    assert_eq!(report["budget"]["earlier"]["unknown_calls"], 0);
    assert_eq!(report["arms"][0]["cached"], sent as u64);
    // A second signal does not wait.
    let folder = folder_with(3);
    let server = Server::start(|_| Act::Stall(Duration::from_secs(100)));
    let mut child = command(folder.path(), &server, words)
        .spawn()
        .expect("it starts");
    assert!(wait_for(&mut child, &server, 1));
    let begun = Instant::now();
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        child.try_wait().expect("a child").is_none(),
        "it waits for what was sent"
    );
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(code(&output), 130);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(
        names(folder.path()),
        ["filled.csv.collect", "log.csv", "prices.toml"]
    );
}
