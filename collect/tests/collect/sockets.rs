//! Real sockets: what the client makes of a service that breaks the rules.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use plimsoll::Usd;
use plimsoll_collect::{
    ApiKey, Clock, CollectError, CollectOptions, Collected, HttpTransport, JOURNAL_NAME, Journal,
    REPLY_BYTES_MAX, Stop, SystemClock, Timeouts, collect,
};
use plimsoll_datasets::{EvidenceKind, Input, OutcomeLog, ReadOptions, read};

use crate::common::{log, log_of, names, prices, usd};
use crate::server::{Act, Server};

const KEY: &str = "sk-canary-7f3a";

/// The machine's clock, but waits are noted and not waited for.
#[derive(Clone, Default)]
pub(crate) struct Hurried {
    clock: SystemClock,
    waits: Arc<Mutex<Vec<Duration>>>,
}

impl Clock for Hurried {
    fn date(&self) -> SystemTime {
        self.clock.date()
    }

    fn millis(&self) -> u64 {
        self.clock.millis()
    }

    async fn sleep(&self, time: Duration) {
        self.waits.lock().expect("whole").push(time);
        self.clock.sleep(Duration::from_millis(1)).await;
    }
}

impl Hurried {
    fn waits(&self) -> Vec<Duration> {
        self.waits.lock().expect("whole").clone()
    }
}

pub(crate) fn options(arms: &[&str], sample: usize, budget: &str) -> CollectOptions {
    CollectOptions {
        concurrency: 3,
        ..CollectOptions::new(names(arms), sample, usd(budget), 0)
    }
}

pub(crate) fn run_at(
    address: &str,
    folder: &Path,
    log: &OutcomeLog,
    options: &CollectOptions,
    clock: Hurried,
) -> Result<Collected, CollectError> {
    let key = ApiKey::of_variable("KEY", Some(KEY.to_owned()))?;
    let timeouts = Timeouts {
        connect: Duration::from_secs(2),
        whole: Duration::from_millis(400),
    };
    let transport = HttpTransport::new(address, Some(&key), timeouts)?;
    let journal = Journal::open(folder)?;
    collect(
        log,
        &prices(),
        options,
        journal,
        transport,
        clock,
        &Stop::default(),
        |_| (),
    )
}

/// [`run_at`] a server, without waiting.
pub(crate) fn fill(
    server: &Server,
    folder: &tempfile::TempDir,
    log: &OutcomeLog,
    options: &CollectOptions,
) -> Result<Collected, CollectError> {
    let clock = Hurried::default();
    run_at(&server.address(), folder.path(), log, options, clock)
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The cost of `n` answers of `small` with 20 input and 5 output tokens.
pub(crate) fn small(n: i128) -> Usd {
    Usd::from_pico(n * 30_000_000)
}

/// One call each, with no further attempt: what it is called, and whether it is charged in full.
#[test]
fn g13_each_misbehaviour_has_its_name_and_its_price() {
    let huge = format!(
        "HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n{}",
        "x".repeat(64)
    );
    let cut = "HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{\"choices\":[";
    let no_usage = r#"{"choices":[{"message":{"content":"yes"}}]}"#;
    let bad_usage = r#"{"choices":[{"message":{"content":"yes"}}],"usage":{"prompt_tokens":-4}}"#;
    let elsewhere = [("Location", "http://127.0.0.1:9/")];
    for (name, act, is_charged) in [
        ("http-400", Act::status(400, &[], "{}"), false),
        ("http-422", Act::status(422, &[], "no"), false),
        (
            "http-429",
            Act::status(429, &[("Retry-After", "1")], ""),
            false,
        ),
        ("http-500", Act::status(500, &[], "oops"), false),
        ("http-504", Act::status(504, &[], ""), true),
        ("redirect", Act::status(302, &elsewhere, ""), false),
        ("redirect", Act::status(307, &elsewhere, ""), false),
        ("timeout", Act::Stall(Duration::from_millis(900)), true),
        (
            "timeout",
            Act::Drip(b" ".to_vec(), Duration::from_millis(50)),
            true,
        ),
        ("timeout", Act::Raw(huge.into_bytes()), true),
        ("connection-lost", Act::Raw(cut.into()), true),
        ("connection-lost", Act::Raw(Vec::new()), true),
        (
            "connection-lost",
            Act::Raw(b"SSH-2.0-hello\r\n".to_vec()),
            true,
        ),
        ("not-json", Act::json("<html>"), true),
        ("not-json", Act::json(""), true),
        (
            "no-choices",
            Act::json(r#"{"error":{"message":"no"}}"#),
            true,
        ),
        (
            "no-content",
            Act::json(r#"{"choices":[{"message":{"content":null}}]}"#),
            true,
        ),
        ("bad-usage", Act::json(bad_usage), true),
        ("", Act::json(no_usage), true),
    ] {
        let server = Server::start(move |_| act.clone());
        let folder = folder();
        let options = CollectOptions {
            retries_max: 0,
            ..options(&["small"], 1, "1")
        };
        let run = fill(&server, &folder, &log(1), &options);
        let spent = match run {
            // A reply without token counts is an answer all the same.
            Ok(run) if name.is_empty() => {
                let calls = &run.report.arms[0].calls;
                assert_eq!((calls.answered, calls.unknown_calls), (1, 1));
                let filled = run.filled.expect("not stopped");
                assert_eq!(filled.rows()[1].cost, None, "null cost stays null");
                run.report.budget.spent_usd
            }
            Err(CollectError::Nothing { why, spent_usd, .. }) => {
                // A reply that is cut after its end was announced may also count as a timeout.
                let got: Vec<&str> = why.keys().map(String::as_str).collect();
                let is_cut = name == "timeout" && got == ["connection-lost"];
                assert!(got == [name] || is_cut, "{name}: {got:?}");
                spent_usd
            }
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(spent > Usd::ZERO, is_charged, "{name}");
        assert_eq!(server.calls(), 1, "{name}");
    }
}

#[test]
fn a_reply_without_end_is_cut_off() {
    let mut bytes = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..=REPLY_BYTES_MAX >> 20 {
        bytes.extend_from_slice(b"100000\r\n");
        bytes.extend_from_slice(&chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    let server = Server::start(move |_| Act::Raw(bytes.clone()));
    let folder = folder();
    let options = CollectOptions {
        retries_max: 0,
        ..options(&["small"], 1, "1")
    };
    let key = ApiKey::of_variable("KEY", Some(KEY.to_owned())).expect("a key");
    let transport = HttpTransport::new(&server.address(), Some(&key), Timeouts::default());
    let journal = Journal::open(folder.path()).expect("a journal");
    let (transport, clock) = (transport.expect("a client"), SystemClock::default());
    let run = collect(
        &log(1),
        &prices(),
        &options,
        journal,
        transport,
        clock,
        &Stop::default(),
        |_| (),
    );
    match run {
        Err(CollectError::Nothing { why, .. }) => {
            assert_eq!(why.keys().collect::<Vec<_>>(), ["reply-too-large"]);
        }
        other => panic!("{other:?}"),
    }
}

/// Every call meets trouble first, another kind each time, and is answered at last. Waits are at
/// least what the service asked for, in seconds and as a date.
#[test]
fn passing_trouble_is_waited_out() {
    let date = |ahead| httpdate_of(SystemTime::now() + Duration::from_secs(ahead));
    let server = Server::start(move |seen| match seen.nth {
        0 => Act::status(429, &[("Retry-After", "7")], ""),
        1 => Act::status(429, &[("Retry-After", &date(21))], ""),
        2 => Act::status(503, &[("Retry-After", "86400")], ""),
        3 => Act::status(500, &[], ""),
        _ => Act::answer("fine", 5),
    });
    let folder = folder();
    let clock = Hurried::default();
    let run = run_at(
        &server.address(),
        folder.path(),
        &log(4),
        &options(&["small"], 4, "1"),
        clock.clone(),
    );
    let run = run.expect("it runs");
    let calls = &run.report.arms[0].calls;
    assert_eq!((calls.sent, calls.answered, calls.failures()), (20, 4, 0));
    assert_eq!(
        run.report.budget.spent_usd,
        small(4),
        "limits and faults are not charged"
    );
    let mut waits = clock.waits();
    waits.sort_unstable();
    assert_eq!(waits.len(), 16);
    let about = |wait: Duration, seconds: u64| {
        wait <= Duration::from_secs(seconds)
            && wait + Duration::from_secs(3) >= Duration::from_secs(seconds)
    };
    assert!(
        waits[..4].iter().all(|wait| *wait < Duration::from_secs(5)),
        "our own: {waits:?}"
    );
    assert!(
        waits[4..8]
            .iter()
            .all(|wait| *wait == Duration::from_secs(7)),
        "{waits:?}"
    );
    assert!(
        waits[8..12].iter().all(|wait| about(*wait, 21)),
        "{waits:?}"
    );
    assert!(
        waits[12..]
            .iter()
            .all(|wait| *wait == Duration::from_mins(1)),
        "capped: {waits:?}"
    );
}

fn httpdate_of(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

/// What is refused is not asked again; an unknown model or key stops the arm.
#[test]
fn refusals_are_not_repeated() {
    for (status, want) in [(400, 6), (404, 1), (401, 1)] {
        let server = Server::start(move |_| Act::status(status, &[], "{}"));
        let folder = folder();
        let options = CollectOptions {
            concurrency: 1,
            ..options(&["small"], 6, "1")
        };
        let run = fill(&server, &folder, &log(6), &options);
        assert_eq!(run.expect_err("nothing was had").code(), "P0910");
        assert_eq!(server.calls(), want, "{status}");
    }
}

/// The key reaches the endpoint alone; neither key nor prompt is in journal, report or error.
#[test]
fn g27_the_key_and_the_prompts_stay_where_they_belong() {
    let other = Server::start(|_| Act::answer("stolen", 1));
    let port = other.port();
    let server = Server::start(move |seen| match seen.nth {
        0 => Act::status(
            308,
            &[(
                "Location",
                &format!("http://127.0.0.1:{port}/v1/chat/completions"),
            )],
            "",
        ),
        _ => Act::answer("fine", 5),
    });
    let folder = folder();
    let log = log(3);
    let options = options(&["small"], 3, "1");
    let error = fill(&server, &folder, &log, &options);
    let error = error.expect_err("redirected");
    assert_eq!(other.calls(), 0, "redirects are not followed");
    let run = fill(&server, &folder, &log, &options);
    let run = run.expect("it runs");
    for seen in server.seen() {
        assert!(
            seen.head
                .to_lowercase()
                .contains(&format!("authorization: bearer {KEY}"))
        );
        assert!(seen.body.contains("question"));
        assert!(seen.head.starts_with("POST /v1/chat/completions HTTP/1.1"));
    }
    let journal = std::fs::read_to_string(folder.path().join(JOURNAL_NAME)).expect("text");
    let report = serde_json::to_string(&run.report).expect("JSON");
    let debug = format!("{run:?} {error:?} {error}");
    for text in [&journal, &report, &debug] {
        assert!(!text.contains(KEY) && !text.contains("question"), "{text}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(folder.path().join(JOURNAL_NAME)).expect("there");
        assert_eq!(
            metadata.permissions().mode() & 0o077,
            0,
            "answers are their owner's"
        );
    }
    // Over TLS, a service that does not speak it sees no key.
    let plain = Server::start(|_| Act::answer("heard", 1));
    let address = plain.address().replace("http://", "https://");
    let fresh = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let run = run_at(&address, fresh.path(), &log, &options, Hurried::default());
    assert!(run.is_err() && plain.calls() == 0);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// The service dies halfway; what was had stays, and another on the same address completes it.
#[test]
fn a_service_that_dies_leaves_what_was_had() {
    let log = log(8);
    let folder = folder();
    let options = CollectOptions {
        concurrency: 1,
        retries_max: 1,
        ..options(&["small"], 8, "1")
    };
    let answer_some = Server::start(|seen| match seen.index {
        0..5 => Act::answer("fine", 5),
        _ => Act::Raw(Vec::new()),
    });
    let address = answer_some.address();
    let run = run_at(&address, folder.path(), &log, &options, Hurried::default()).expect("some");
    let calls = &run.report.arms[0].calls;
    assert_eq!((calls.answered, calls.failed["connection-lost"]), (5, 3));
    assert_eq!((calls.sent, calls.unknown_calls), (11, 6));
    assert_eq!(calls.spent_usd, calls.unknown_usd + small(5));
    assert!(!run.report.warnings.is_empty());
    let paid: BTreeSet<String> = answer_some.paid().into_keys().collect();
    drop(answer_some);
    // Nobody is there now: nothing is sent, and nothing charged.
    let run = run_at(&address, folder.path(), &log, &options, Hurried::default()).expect("cached");
    let calls = &run.report.arms[0].calls;
    assert_eq!((calls.cached, calls.failed["not-connected"]), (5, 3));
    assert_eq!(run.report.budget.spent_usd, Usd::ZERO);
    // Another endpoint is another service: answers of the first are not its own.
    let second = Server::start(|_| Act::answer("fine", 5));
    let run = run_at(
        &second.address(),
        folder.path(),
        &log,
        &options,
        Hurried::default(),
    );
    let run = run.expect("it runs");
    assert_eq!((run.report.arms[0].calls.answered, second.calls()), (8, 8));
    assert_eq!(
        second
            .paid()
            .keys()
            .filter(|body| paid.contains(*body))
            .count(),
        5
    );
}

/// From an observational log to full information on the sample, judged, and read back.
#[test]
fn a_filled_log_is_full_information_where_it_was_sampled() {
    let server = Server::start(|seen| {
        if seen.body.contains(r#""model":"judge""#) {
            Act::answer("0.5", 2)
        } else {
            Act::answer("an answer", 5)
        }
    });
    let folder = folder();
    let log = log(40);
    let options = CollectOptions {
        judge: Some("judge".to_owned()),
        ..options(&["large", "small"], 20, "1")
    };
    let run = fill(&server, &folder, &log, &options);
    let run = run.expect("it runs");
    let report = &run.report;
    let judge = report.judge.as_ref().expect("a judge");
    assert_eq!(
        (judge.scored, judge.scored_logged, judge.labels_kept),
        (40, 20, 0)
    );
    // Equal answers to equal prompts are judged once: the judge is told no arm's name.
    assert_eq!(judge.calls.answered + judge.calls.cached, 40);
    assert_eq!((report.arms[0].missing, report.arms[1].missing), (0, 20));
    assert_eq!(
        report.budget.spent_usd,
        report.arms[1].calls.spent_usd + report.budget.judge_usd
    );
    assert_eq!((report.sample.answered, report.sample.labelled), (20, 20));
    let filled = run.filled.expect("not stopped");
    for name in ["all.jsonl", "all.csv", "all.parquet"] {
        let path = folder.path().join(name);
        filled.write(&path, false).expect("written");
        let all = read(&Input::Path(path), &ReadOptions::default()).expect("read");
        assert_eq!(
            (all.log.requests.len(), all.report.outcomes),
            (40, 60),
            "{name}"
        );
        for (before, after) in log.requests.iter().zip(&all.log.requests) {
            assert_eq!(before.id, after.id);
            assert_eq!(before.prompt, after.prompt);
            let production = after.served_outcome().expect("still known");
            assert_eq!(all.log.arms[production.arm as usize].as_str(), "large");
            let chance = after.extra.get("collect_propensity");
            assert_eq!(chance.is_some(), after.outcomes.len() == 2);
            assert_eq!(
                after.extra.get("judge").map(String::as_str),
                chance.map(|_| "judge")
            );
        }
        let path = folder.path().join(format!("sample-{name}"));
        filled.write(&path, true).expect("written");
        let sample = read(&Input::Path(path), &ReadOptions::default()).expect("read");
        assert_eq!(
            sample.report.evidence.kind,
            EvidenceKind::FullInformation,
            "{name}"
        );
        assert_eq!(sample.log.requests.len(), 20);
        let new = sample
            .log
            .requests
            .iter()
            .flat_map(|r| &r.outcomes)
            .find(|o| o.served == Some(false));
        let new = new.expect("collected");
        assert_eq!(new.cost, Some(small(1)));
        assert_eq!((new.input_tokens, new.output_tokens), (Some(20), Some(5)));
        assert_eq!(new.status.as_deref(), Some("ok"));
        assert_eq!(new.quality.map(plimsoll::Quality::get), Some(0.5));
    }
    // Filling the filled log asks nothing: its labels are this judge's own.
    let rows = std::fs::read_to_string(folder.path().join("all.csv")).expect("text");
    let again = fill(&server, &folder, &log_of(&rows), &options);
    let again = again.expect("it runs");
    let judge = again.report.judge.expect("a judge");
    assert_eq!(
        (
            again.report.arms[1].missing,
            judge.labels_kept,
            judge.calls.sent
        ),
        (0, 0, 0)
    );
}

#[test]
fn labels_of_two_origins_are_told() {
    let server = Server::start(|_| Act::answer("0.5", 2));
    let folder = folder();
    let rows = "request_id,model,prompt,quality,response\nr1,large,a,1,said\nr2,large,b,,\n";
    let mut options = CollectOptions {
        judge: Some("judge".to_owned()),
        ..options(&["small"], 2, "1")
    };
    let run = fill(&server, &folder, &log_of(rows), &options);
    let run = run.expect("it runs");
    let judge = run.report.judge.expect("a judge");
    assert_eq!(
        (judge.labels_kept, judge.without_text, judge.scored),
        (1, 1, 2)
    );
    assert_eq!(run.report.warnings.len(), 2, "{:?}", run.report.warnings);
    let judge_of = |rows: &[plimsoll_datasets::LogRow], id: &str| {
        let row = rows.iter().find(|row| row.request_id == id).expect("there");
        row.extra
            .iter()
            .find(|(name, _)| name == "judge")
            .expect("named")
            .1
            .clone()
    };
    let filled = run.filled.expect("not stopped");
    assert_eq!(
        judge_of(filled.rows(), "r1"),
        "judge and the log's own labels"
    );
    assert_eq!(judge_of(filled.rows(), "r2"), "judge");
    options.rejudge = true;
    let run = fill(&server, &folder, &log_of(rows), &options);
    let run = run.expect("it runs");
    let filled = run.filled.expect("not stopped");
    assert_eq!(judge_of(filled.rows(), "r1"), "judge");
    assert_eq!(
        filled.rows()[0].quality.map(plimsoll::Quality::get),
        Some(0.5)
    );
    assert_eq!(run.report.judge.expect("a judge").labels_kept, 0);
}

#[test]
fn each_answer_is_billed_as_its_own_arm_was() {
    let server = Server::start(|_| Act::answer("fine", 5));
    let folder = folder();
    let rows = "\
request_id,model,prompt,served,service_tier,cache_write_tokens
r1,large,a,true,flex,9
r1,tiny,a,false,batch,
";
    let run = fill(
        &server,
        &folder,
        &log_of(rows),
        &options(&["small"], 1, "1"),
    );
    let filled = run.expect("it runs").filled.expect("not stopped");
    let path = folder.path().join("filled.csv");
    filled.write(&path, false).expect("written");
    let log = log_of(&std::fs::read_to_string(&path).expect("rows"));
    let of = |arm: &str| {
        let arm = log.arms.iter().position(|own| own.as_str() == arm);
        let mut outcomes = log.requests[0].outcomes.iter();
        let outcome = outcomes.find(|outcome| Some(outcome.arm as usize) == arm);
        outcome.expect("there").billing.clone().unwrap_or_default()
    };
    assert_eq!(of("large").service_tier.as_deref(), Some("flex"));
    assert_eq!(of("large").cache_write_tokens, Some(9));
    assert_eq!(of("tiny").service_tier.as_deref(), Some("batch"));
    assert_eq!(of("tiny").cache_write_tokens, None);
    assert_eq!(*of("small"), plimsoll_datasets::Billing::default());
}

#[test]
fn a_judge_that_chats_is_a_counted_failure() {
    let server = Server::start(|seen| {
        if seen.body.contains(r#""model":"judge""#) {
            Act::answer("Score: 0.9", 4)
        } else {
            Act::answer("yes", 5)
        }
    });
    let folder = folder();
    let options = CollectOptions {
        judge: Some("judge".to_owned()),
        ..options(&["small"], 3, "1")
    };
    for sent in [3, 0] {
        let run = fill(&server, &folder, &log(3), &options);
        let run = run.expect("answers were had");
        let judge = run.report.judge.expect("a judge");
        assert_eq!(judge.calls.failed["bad-score"], 6);
        assert_eq!(
            (judge.scored, judge.calls.answered, judge.calls.cached),
            (0, 0, 0)
        );
        assert!(judge.calls.sent >= sent);
        let filled = run.filled.expect("not stopped");
        assert!(filled.rows().iter().all(|row| row.quality.is_none()));
    }
    assert!(
        server.paid().values().all(|times| *times == 1),
        "what was paid is kept"
    );
}
