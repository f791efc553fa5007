//! A thousand seeded runs against a service that does everything wrong, on a disk that survives the
//! processes that are killed on it. What the service charges is counted where it charges.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use plimsoll::{Seed, Usd};
use plimsoll_collect::{
    Clock, CollectError, CollectOptions, Collected, Journal, Outgoing, Reply, SendError, Stop,
    Storage, Transport, collect_on,
};
use plimsoll_datasets::{Catalogue, OutcomeLog};
use tokio::sync::Notify;

use crate::common::{log, names, prices, usd};

/// SplitMix64.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    /// A whole number from 0 to `sides` − 1.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick(&mut self, sides: u64) -> usize {
        usize::try_from(self.roll(sides)).expect("small")
    }
}

/// Everything outside the process under test.
struct World {
    dice: Dice,
    prices: Catalogue,
    cap: Usd,
    /// What the service has charged, ever.
    billed: Usd,
    /// Usable answers handed over, by digest, ever.
    delivered: BTreeMap<String, u32>,
    sent: u64,
    /// Chance in a hundred of a call going wrong.
    trouble: u64,
    /// Steps until the process is killed.
    fuse: Option<u64>,
    /// The journal on disk.
    disk: Vec<u8>,
    /// Appends until the disk is full.
    room: Option<u64>,
    millis: u64,
    /// What went by, for comparing runs.
    trace: Vec<(String, u64)>,
}

#[derive(Clone)]
struct Outside {
    world: Arc<Mutex<World>>,
    killed: Arc<Notify>,
}

impl Outside {
    fn new(seed: u64, cap: Usd) -> Self {
        let world = World {
            dice: Dice(seed),
            prices: prices(),
            cap,
            billed: Usd::ZERO,
            delivered: BTreeMap::new(),
            sent: 0,
            trouble: 0,
            fuse: None,
            disk: Vec::new(),
            room: None,
            millis: 0,
            trace: Vec::new(),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            killed: Arc::default(),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("whole")
    }

    fn roll(&self, sides: u64) -> u64 {
        self.world().dice.roll(sides)
    }

    /// Lets others go first, a drawn number of times; the process may be killed meanwhile.
    async fn dawdle(&self) {
        for _ in 0..=self.roll(6) {
            let (was, is) = {
                let mut world = self.world();
                let was = world.fuse;
                world.fuse = was.map(|fuse| fuse.saturating_sub(1));
                (was, world.fuse)
            };
            if is == Some(0) {
                if was != is {
                    self.killed.notify_one();
                }
                // Nobody comes back to a process that was killed.
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Clock for Outside {
    fn date(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.world().millis)
    }

    fn millis(&self) -> u64 {
        self.world().millis
    }

    async fn sleep(&self, time: Duration) {
        self.dawdle().await;
        self.world().millis += u64::try_from(time.as_millis()).expect("short");
    }
}

struct Disk(Outside);

impl Storage for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.0.world();
        if let Some(room) = &mut world.room {
            if *room == 0 {
                let part = world.dice.pick(bytes.len() as u64);
                world.disk.extend_from_slice(&bytes[..part]);
                return Err(io::Error::other("no space left"));
            }
            *room -= 1;
        }
        world.disk.extend_from_slice(bytes);
        Ok(())
    }
}

impl World {
    /// The service works, charges for it, and never beyond what was asked for.
    fn bill(&mut self, call: Outgoing<'_>) -> (u64, u64) {
        let body: serde_json::Value = serde_json::from_slice(call.body).expect("JSON");
        let limit = body["max_tokens"].as_u64().expect("a limit");
        let input = 1 + self.dice.roll(call.body.len() as u64);
        let output = 1 + self.dice.roll(limit);
        let price = self.prices.prices_at(call.model, None).expect("priced");
        let usage = plimsoll_datasets::Usage {
            input_tokens: input,
            output_tokens: output,
            ..plimsoll_datasets::Usage::default()
        };
        self.billed += price.cost(&usage).expect("sane");
        assert!(
            self.billed <= self.cap,
            "{} of {} USD",
            self.billed,
            self.cap
        );
        (input, output)
    }
}

fn ok(body: String) -> Reply {
    Reply {
        status: 200,
        body: body.into_bytes(),
        ..Reply::default()
    }
}

fn status(status: u16, retry_after: Option<&str>) -> Reply {
    Reply {
        status,
        retry_after: retry_after.map(str::to_owned),
        ..Reply::default()
    }
}

impl Transport for Outside {
    fn endpoint(&self) -> &'static str {
        "simulated"
    }

    async fn send(&self, call: Outgoing<'_>) -> Result<Reply, SendError> {
        self.world().sent += 1;
        self.dawdle().await;
        let is_judge = call.model == "judge";
        let text = if is_judge { "0.75" } else { "an answer" };
        let (is_trouble, fate) = {
            let mut world = self.world();
            let trouble = world.trouble;
            (world.dice.roll(100) < trouble, world.dice.roll(16))
        };
        // What is not worked on is not charged.
        if is_trouble {
            match fate {
                0 => return Err(SendError::Connect),
                1 => return Ok(status(429, Some("2"))),
                2 => return Ok(status(429, Some("Thu, 01 Jan 1970 00:10:00 GMT"))),
                3 => return Ok(status(500, None)),
                4 => return Ok(status(503, Some("1"))),
                5 => return Ok(status(400, None)),
                6 => return Ok(status(307, None)),
                _ => {}
            }
        }
        let (input, output) = self.world().bill(call);
        // The reply is on its way; the process may die before it comes.
        self.dawdle().await;
        let usage = format!(r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}"#);
        let choices = format!(r#""choices":[{{"message":{{"content":"{text}"}}}}]"#);
        if is_trouble {
            match fate {
                7 => return Err(SendError::Timeout),
                8 => return Err(SendError::Dropped),
                9 => return Err(SendError::TooLarge),
                10 => return Ok(status(504, None)),
                11 => return Ok(ok("<html>".to_owned())),
                12 => return Ok(ok(r#"{"choices":[]}"#.to_owned())),
                13 => {
                    return Ok(ok(format!(
                        r#"{{"choices":[{{"message":{{"content":null}}}}],{usage}}}"#
                    )));
                }
                14 => {
                    return Ok(ok(format!(
                        r#"{{{choices},"usage":{{"prompt_tokens":-1,"completion_tokens":2}}}}"#
                    )));
                }
                _ => {}
            }
        }
        let mut world = self.world();
        let delivered = world.delivered.entry(call.digest.to_owned()).or_default();
        *delivered += 1;
        assert_eq!(*delivered, 1, "an answer was paid for twice");
        let told = world.billed;
        world.trace.push((
            call.digest.to_owned(),
            u64::try_from(told.pico()).expect("small"),
        ));
        drop(world);
        // Without token counts.
        if is_trouble && fate == 15 {
            return Ok(ok(format!("{{{choices}}}")));
        }
        Ok(ok(format!("{{{choices},{usage}}}")))
    }
}

/// A process: it runs to its end, or is killed. What it wrote stays on disk.
fn process(
    outside: &Outside,
    log: &OutcomeLog,
    options: &CollectOptions,
) -> Option<Result<Collected, CollectError>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let bytes = {
        let mut world = outside.world();
        let whole = Journal::whole_lines(&world.disk);
        world.disk.truncate(whole);
        world.disk.clone()
    };
    let disk = Box::new(Disk(outside.clone()));
    let journal = match Journal::resume(PathBuf::from("disk"), &bytes, disk) {
        Ok(journal) => journal,
        Err(error) => return Some(Err(error)),
    };
    let earlier = journal.earlier().spent_usd;
    let (cap, stop) = (options.budget, Stop::default());
    let prices = prices();
    let progress = move |progress: plimsoll_collect::CollectProgress| {
        assert!(
            progress.committed + earlier <= cap.max(earlier),
            "{progress:?} of {cap}"
        );
    };
    let run = collect_on(
        log,
        &prices,
        options,
        journal,
        outside.clone(),
        outside.clone(),
        &stop,
        progress,
    );
    runtime.block_on(async {
        tokio::select! {
            result = run => Some(result),
            () = outside.killed.notified() => None,
        }
    })
}

fn options(dice: &mut Dice, cap: Usd) -> CollectOptions {
    let with_judge = dice.roll(2) == 0;
    CollectOptions {
        judge: with_judge.then(|| "judge".to_owned()),
        concurrency: 1 + dice.pick(12),
        retries_max: u32::try_from(dice.roll(4)).expect("small"),
        output_tokens_max: 20 + dice.roll(200),
        seed: Seed(dice.roll(1000)),
        ..CollectOptions::new(names(&["small", "tiny"]), 1 + dice.pick(12), cap, 0)
    }
}

/// What a finished run says adds up.
fn check(seed: u64, outside: &Outside, options: &CollectOptions, run: &Collected) {
    let report = &run.report;
    let budget = report.budget;
    let arms: Usd = report.arms.iter().map(|arm| arm.calls.spent_usd).sum();
    assert_eq!(arms + budget.judge_usd, budget.spent_usd, "seed {seed}");
    let total = budget.earlier.spent_usd + budget.spent_usd;
    assert_eq!(total + budget.remaining_usd, options.budget, "seed {seed}");
    assert!(
        outside.world().billed <= total,
        "seed {seed}: more was charged than is known"
    );
    for arm in &report.arms {
        let calls = &arm.calls;
        let all = calls.answered + calls.cached + calls.failures();
        assert_eq!(all, arm.missing, "seed {seed}: {arm:?}");
        assert!(calls.unknown_usd <= calls.spent_usd);
    }
}

/// Digests whose answers the journal on disk has.
fn kept(disk: &[u8]) -> BTreeSet<String> {
    let mut digests = BTreeMap::new();
    let mut kept = BTreeSet::new();
    let whole = &disk[..Journal::whole_lines(disk)];
    for line in std::str::from_utf8(whole).expect("text").lines() {
        let (_, json) = line.split_once(' ').expect("a check");
        let line: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let call = line["call"].as_u64();
        if let Some(digest) = line["digest"].as_str() {
            digests.insert(call, digest.to_owned());
        }
        if line["answer"].is_object() {
            kept.extend(digests.get(&call).cloned());
        }
    }
    kept
}

/// The 1,000 runs: some are killed up to three times, some find the disk full; the last is not.
fn story(seed: u64) -> (Outside, u32, u32) {
    let mut dice = Dice(seed ^ 0x5eed);
    let log = log(1 + dice.pick(14));
    // From nothing at all to plenty.
    let cap = Usd::from_pico(i128::from(1 + dice.roll(40_000_000_000)));
    let options = options(&mut dice, cap);
    let outside = Outside::new(seed, cap);
    let (mut kills, mut full) = (0, 0);
    for _ in 0..dice.roll(4) {
        {
            let mut world = outside.world();
            world.trouble = dice.roll(80);
            world.fuse = Some(1 + dice.roll(150));
            world.room = (dice.roll(4) == 0).then(|| dice.roll(30));
        }
        match process(&outside, &log, &options) {
            None => kills += 1,
            Some(Err(CollectError::Io { .. })) => full += 1,
            Some(Err(CollectError::Nothing { .. })) => {}
            Some(Err(error)) => panic!("seed {seed}: {error}"),
            Some(Ok(run)) => check(seed, &outside, &options, &run),
        }
        let mut world = outside.world();
        let kept = kept(&world.disk);
        if world.room == Some(0) {
            // What the full disk did not take is lost, charged in full, and may be asked again.
            world.delivered.retain(|digest, _| kept.contains(digest));
        }
        assert!(
            world.delivered.keys().all(|digest| kept.contains(digest)),
            "seed {seed}"
        );
        // A kill can tear what is being written just then.
        if dice.roll(2) == 0 {
            let torn = &br#"0123456789abcdef {"event":"reserve","call":99,"dig"#[..=dice.pick(40)];
            let torn = torn.to_vec();
            world.disk.extend(torn);
        }
    }
    {
        let mut world = outside.world();
        (world.fuse, world.room, world.trouble) = (None, None, dice.roll(60));
    }
    match process(&outside, &log, &options).expect("not killed") {
        Ok(run) => {
            assert!(run.filled.is_some(), "seed {seed}: nobody stopped it");
            check(seed, &outside, &options, &run);
        }
        Err(CollectError::Nothing { .. }) => {}
        Err(error) => panic!("seed {seed}: {error}"),
    }
    (outside, kills, full)
}

#[test]
fn a_thousand_troubled_runs_never_spend_beyond_the_cap_nor_pay_twice() {
    let (mut kills, mut full, mut sent, mut near) = (0, 0, 0, 0);
    for seed in 0..1000 {
        let (outside, killed, filled) = story(seed);
        let world = outside.world();
        kills += killed;
        full += filled;
        sent += world.sent;
        near += u32::from(world.billed.pico() * 4 > world.cap.pico());
    }
    eprintln!("{sent} calls, {kills} kills, {full} full disks, {near} runs near their cap");
    // The runs are worth something only if all of this happened, often.
    assert!(sent > 10_000 && kills > 300 && full > 30 && near > 200);
}

#[test]
fn equal_seeds_tell_equal_stories() {
    for seed in [3, 4, 5] {
        let (one, other) = (story(seed).0, story(seed).0);
        assert_eq!(one.world().trace, other.world().trace);
        assert_eq!(one.world().disk, other.world().disk);
    }
}

/// Once all is answered, a rerun sends nothing, however the run is made.
#[test]
fn a_rerun_pays_nothing() {
    for seed in 0..50 {
        let mut dice = Dice(seed);
        let log = log(10);
        let cap = usd("10");
        let first = options(&mut dice, cap);
        let outside = Outside::new(seed, cap);
        let run = process(&outside, &log, &first)
            .expect("not killed")
            .expect("it runs");
        assert!(run.report.arms.iter().all(|arm| arm.calls.failures() == 0));
        let sent = outside.world().sent;
        let billed = outside.world().billed;
        assert_eq!(billed, run.report.budget.spent_usd);
        let again = CollectOptions {
            concurrency: 3,
            ..first
        };
        let run = process(&outside, &log, &again)
            .expect("not killed")
            .expect("it runs");
        assert_eq!(outside.world().sent, sent);
        assert_eq!(run.report.budget.spent_usd, Usd::ZERO);
        assert_eq!(run.report.budget.earlier.spent_usd, billed);
        assert!(
            run.report
                .arms
                .iter()
                .all(|arm| arm.calls.cached == arm.missing)
        );
    }
}

/// A service that takes more than it was allowed: its word is not taken, and it is not asked again.
#[test]
fn an_arm_beyond_its_bound_is_given_up() {
    struct Greedy;
    impl Transport for Greedy {
        fn endpoint(&self) -> &'static str {
            "greedy"
        }
        async fn send(&self, _: Outgoing<'_>) -> Result<Reply, SendError> {
            let body = r#"{"choices":[{"message":{"content":"much"}}],
                "usage":{"prompt_tokens":10,"completion_tokens":1000000}}"#;
            Ok(ok(body.to_owned()))
        }
    }
    let outside = Outside::new(1, usd("1"));
    let options = CollectOptions {
        concurrency: 1,
        ..CollectOptions::new(names(&["small"]), 5, usd("1"), 0)
    };
    let journal =
        Journal::resume(PathBuf::new(), &[], Box::new(Disk(outside.clone()))).expect("new");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let stop = Stop::default();
    let (log, prices) = (log(5), prices());
    let run = collect_on(
        &log,
        &prices,
        &options,
        journal,
        Greedy,
        outside,
        &stop,
        |_| (),
    );
    match runtime.block_on(run) {
        Err(CollectError::Nothing { why, spent_usd, .. }) => {
            let want = [("arm-given-up".to_owned(), 4), ("bad-usage".to_owned(), 1)];
            assert_eq!(why, BTreeMap::from(want));
            assert!(spent_usd > Usd::ZERO);
        }
        other => panic!("{other:?}"),
    }
}

/// A run that is asked to stop finishes what it sent, and goes on later without paying again.
#[test]
fn a_stopped_run_goes_on_where_it_was() {
    for seed in 0..20 {
        let log = log(12);
        let cap = usd("10");
        let options = CollectOptions {
            concurrency: 3,
            ..CollectOptions::new(names(&["small", "tiny"]), 12, cap, 0)
        };
        let outside = Outside::new(seed, cap);
        let journal = Journal::resume(PathBuf::new(), &[], Box::new(Disk(outside.clone())));
        let stop = Stop::default();
        let (stopper, after) = (stop.clone(), 1 + usize::try_from(seed).expect("small") % 9);
        let progress = move |progress: plimsoll_collect::CollectProgress| {
            if progress.done == after {
                stopper.stop();
            }
        };
        let prices = prices();
        let (transport, clock) = (outside.clone(), outside.clone());
        let journal = journal.expect("new");
        let run = collect_on(
            &log, &prices, &options, journal, transport, clock, &stop, progress,
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let run = runtime.block_on(run).expect("it stops");
        assert!(run.filled.is_none());
        let had: u64 = run.report.arms.iter().map(|arm| arm.calls.answered).sum();
        assert!(had >= after as u64 && had < 24, "{had} of 24");
        assert_eq!(
            run.report.budget.spent_usd,
            outside.world().billed,
            "nothing is unknown"
        );
        let run = process(&outside, &log, &options)
            .expect("not killed")
            .expect("it runs");
        assert_eq!(run.report.budget.earlier.unknown_calls, 0);
        assert_eq!(
            run.report
                .arms
                .iter()
                .map(|arm| arm.calls.cached)
                .sum::<u64>(),
            had
        );
        assert_eq!(outside.world().sent, 24);
    }
}
