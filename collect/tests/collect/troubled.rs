//! Random trouble over real sockets and real threads: what the service charges stays below the cap.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll::{Seed, Usd};
use plimsoll_collect::{CollectError, CollectOptions};

use crate::common::{log, names, usd};
use crate::server::{Act, Server, answer_body};
use crate::sockets::fill;

/// A number below `sides` that depends on everything given.
fn draw(seed: u64, body: &str, nth: usize, sides: u64) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (seed, body, nth).hash(&mut hasher);
    hasher.finish() % sides
}

/// The service's answers are as long as they may be, and its own marks add to what it is sent: bills
/// come near their bounds.
const OUTPUT_TOKENS: u64 = 16;

fn input_tokens(body: &str) -> u64 {
    body.len() as u64 + 500
}

/// What the service has charged: every call that it worked on, whatever reached the client.
#[derive(Clone, Default)]
struct Bill(Arc<Mutex<(Usd, BTreeMap<String, u32>)>>);

impl Bill {
    fn work(&self, body: &str, is_delivered: bool) {
        let mut bill = self.0.lock().expect("whole");
        let [input, output] = if body.contains(r#""model":"judge""#) {
            [2_000_000, 4_000_000]
        } else if body.contains(r#""model":"small""#) {
            [1_000_000, 2_000_000]
        } else {
            [500_000, 1_000_000]
        };
        let pico = input * i128::from(input_tokens(body)) + output * i128::from(OUTPUT_TOKENS);
        bill.0 += Usd::from_pico(pico);
        if is_delivered {
            *bill.1.entry(body.to_owned()).or_default() += 1;
        }
    }

    fn usd(&self) -> Usd {
        self.0.lock().expect("whole").0
    }
}

fn service(seed: u64, bill: Bill) -> Server {
    Server::start(move |seen| {
        let is_judge = seen.body.contains(r#""model":"judge""#);
        let whole = answer_body(if is_judge { "0.5" } else { "an answer" }, OUTPUT_TOKENS);
        let tokens = input_tokens(&seen.body);
        let whole = whole.replace(
            r#""prompt_tokens":20"#,
            &format!(r#""prompt_tokens":{tokens}"#),
        );
        let fate = draw(seed, &seen.body, seen.nth, 24);
        match fate {
            0 => return Act::status(429, &[("Retry-After", "1")], ""),
            1 => return Act::status(503, &[], ""),
            2 => return Act::status(400, &[], ""),
            3 => return Act::status(302, &[("Location", "/")], ""),
            _ => {}
        }
        bill.work(&seen.body, fate > 9);
        let headed = format!(
            "HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{whole}",
            whole.len()
        );
        match fate {
            4 => Act::Stall(Duration::from_millis(600)),
            5 => Act::Raw(headed[..headed.len() / 2].into()),
            6 => Act::Raw(Vec::new()),
            7 => Act::json("<html>busy</html>"),
            8 => Act::json(&whole.replace("prompt_tokens\":", "prompt_tokens\":-")),
            9 => Act::status(504, &[], ""),
            10 => Act::json(&whole.replace("usage", "uses")),
            _ => Act::json(&whole).after(Duration::from_millis(fate % 5)),
        }
    })
}

#[test]
fn real_threads_and_sockets_stay_below_the_cap() {
    let (mut calls, mut near) = (0, 0);
    for seed in 0..25_u64 {
        let bill = Bill::default();
        let server = service(seed, bill.clone());
        let folder = tempfile::tempdir().expect("a folder");
        let cap =
            usd(["0.002", "0.004", "0.008", "0.016", "0.2"]
                [usize::try_from(seed % 5).expect("small")]);
        let options = CollectOptions {
            judge: (seed % 2 == 0).then(|| "judge".to_owned()),
            concurrency: 8,
            output_tokens_max: OUTPUT_TOKENS,
            retries_max: 2,
            seed: Seed(seed),
            ..CollectOptions::new(names(&["small", "tiny"]), 15, cap, 0)
        };
        for _ in 0..3 {
            let run = fill(&server, &folder, &log(15), &options);
            assert!(bill.usd() <= cap, "seed {seed}: {} of {cap}", bill.usd());
            match run {
                Ok(run) => {
                    let budget = run.report.budget;
                    let spent = budget.earlier.spent_usd + budget.spent_usd;
                    assert!(bill.usd() <= spent && spent <= cap, "seed {seed}");
                    assert_eq!(budget.earlier.unknown_calls, 0, "no process died");
                }
                Err(CollectError::Nothing { .. }) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        let bill = bill.0.lock().expect("whole");
        assert!(
            bill.1.values().all(|times| *times == 1),
            "seed {seed}: paid twice"
        );
        near += u32::from(bill.0.pico() * 2 > cap.pico());
        calls += server.calls();
    }
    eprintln!("{calls} calls, {near} of 25 bills above half their cap");
    assert!(calls > 400 && near > 9);
}
