//! How often is a policy shipped that should not be? Logs with known truth, tuning inside the loop.
//! `cargo run --release -p plimsoll-benches --bin false_ship -- [RUNS] [KIND]`.
//!
//! | kind | truth |
//! |---|---|
//! | `aa` | all arms are one: the line is what each of them reaches |
//! | `permuted` | labels permuted between the arms of each request; the line is all of the best arm |
//! | `below` | the reference just reaches the line, every other arm is 0.005 below it |
//! | `looks` | fifty looks at a growing log on which the certified policy is exactly at the line |
//!
//! A run is wrong when anything but the reference is certified by `tune`, or "ship" is said by
//! `replay`. Prints one CSV row per kind and method, with the Clopper–Pearson interval of the rate.

use plimsoll::{
    ArmId, ObjectiveConfig, PolicyConfig, PredictorChoice, Quality, RuleKind, Seed, Usd,
};
use plimsoll_datasets::{EvidenceKind, Outcome, OutcomeLog, Request, Split};
use plimsoll_harness::bounds::{clopper_pearson_lower, clopper_pearson_upper};
use plimsoll_harness::certificate::{CheckOptions, Files, TuneOptions, Tuning, check, tune};
use plimsoll_harness::{Decision, ReplayInput, ReplayOptions, RowCounts, replay};
use rayon::prelude::*;

/// Default number of runs.
const RUNS: u64 = 2000;
/// Requests of one log.
const REQUESTS: usize = 600;
/// The line of the kinds with a fixed one.
const LINE: f64 = 0.9;
/// How far below it policies are.
const BELOW: f64 = 0.005;
/// Looks at a growing log, and requests between them.
const LOOKS: (usize, usize) = (50, 20);
/// δ.
const DELTA: f64 = 0.05;

const ARMS: [(&str, &str); 3] = [("large", "0.010"), ("medium", "0.004"), ("small", "0.001")];

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().map_or(Ok(RUNS), |text| text.parse())?;
    let only = arguments.next();
    println!("kind,method,predictor,runs,wrong,rate,low,high");
    for kind in ["aa", "permuted", "below"] {
        if only.as_deref().is_some_and(|only| only != kind) {
            continue;
        }
        for predictor in [PredictorChoice::Tasks, PredictorChoice::Linear] {
            let wrong = count(runs, |seed| tuned_wrong(kind, predictor, seed))?;
            row(kind, "tune", predictor, runs, wrong);
            let wrong = count(runs, |seed| replayed_wrong(kind, predictor, seed))?;
            row(kind, "replay", predictor, runs, wrong);
        }
    }
    if only.as_deref().is_none_or(|only| only == "looks") {
        let sealed = certificate()?;
        let wrong = count(runs, |seed| Ok(anytime_wrong(&sealed, seed)))?;
        row("looks", "certificate", PredictorChoice::Tasks, runs, wrong);
        let wrong = count(runs, |seed| Ok(naive_wrong(seed)))?;
        row("looks", "naive", PredictorChoice::Tasks, runs, wrong);
    }
    Ok(())
}

fn count(runs: u64, wrong: impl Fn(u64) -> Result<bool, Failure> + Sync) -> Result<u64, Failure> {
    let all: Vec<bool> = (0..runs)
        .into_par_iter()
        .map(&wrong)
        .collect::<Result<_, Failure>>()?;
    Ok(all.into_iter().filter(|w| *w).count() as u64)
}

fn row(kind: &str, method: &str, predictor: PredictorChoice, runs: u64, wrong: u64) {
    #[expect(clippy::cast_precision_loss, reason = "few runs")]
    let rate = wrong as f64 / runs as f64;
    let low = clopper_pearson_lower(wrong, runs, 0.025).unwrap_or(0.0);
    let high = clopper_pearson_upper(wrong, runs, 0.025).unwrap_or(1.0);
    println!("{kind},{method},{predictor:?},{runs},{wrong},{rate:.4},{low:.4},{high:.4}");
}

/// The objective under which nothing cheaper than the reference may be shipped.
fn objective(kind: &str) -> ObjectiveConfig {
    match kind {
        "permuted" => ObjectiveConfig::retain(1.0),
        _ => ObjectiveConfig::floor(RuleKind::AverageFloor, LINE),
    }
}

fn policy(kind: &str, predictor: PredictorChoice) -> PolicyConfig {
    let mut policy = PolicyConfig::new(objective(kind));
    policy.predictor.kind = predictor;
    policy
}

fn tuned_wrong(kind: &str, predictor: PredictorChoice, seed: u64) -> Result<bool, Failure> {
    let log = log(kind, REQUESTS, seed, "r");
    let mut options = TuneOptions::new(policy(kind, predictor), Seed(seed));
    options.resamples = 20;
    let tuned = tune(&input(&log), &options, &|_| ())?;
    // A policy that is only the dearest arm changes nothing; any other is cheaper.
    Ok(matches!(tuned, Tuning::Certified(c) if c.certificate.savings.fraction.point > 0.0))
}

fn replayed_wrong(kind: &str, predictor: PredictorChoice, seed: u64) -> Result<bool, Failure> {
    let log = log(kind, REQUESTS, seed, "r");
    let split = Split::parse("hash:0.7")?;
    let mut options = ReplayOptions::new(policy(kind, predictor), split, Seed(seed));
    options.resamples = 400;
    let evaluation = replay(&input(&log), &options, &|_| ())?.evaluation;
    Ok(evaluation.verdict.decision == Decision::Ship)
}

/// A certified router, made on a log where there is much to save.
fn certificate() -> Result<(plimsoll_harness::certificate::Certificate, Vec<u8>), Failure> {
    let log = log("easy", 2000, 7, "c");
    let options = TuneOptions::new(policy("easy", PredictorChoice::Tasks), Seed(7));
    match tune(&input(&log), &options, &|_| ())? {
        Tuning::Certified(certified) => Ok(certified.seal("", Files::default())),
        Tuning::Refused(shortfall) => Err(shortfall.reasons.join("; ").into()),
    }
}

fn anytime_wrong(
    sealed: &(plimsoll_harness::certificate::Certificate, Vec<u8>),
    seed: u64,
) -> bool {
    let whole = log("aa", LOOKS.0 * LOOKS.1, 1_000_000 + seed, "l");
    let options = CheckOptions {
        resamples: 2,
        ..CheckOptions::default()
    };
    (1..=LOOKS.0).any(|look| {
        let mut part = whole.clone();
        part.requests.truncate(look * LOOKS.1);
        check(&input(&part), &sealed.0, &sealed.1, &options).is_ok_and(|got| got.bound.low > 0.0)
    })
}

/// The exact bound for one look, read fifty times.
fn naive_wrong(seed: u64) -> bool {
    let whole = log("aa", LOOKS.0 * LOOKS.1, 1_000_000 + seed, "l");
    let good = |request: &Request| request.outcomes[0].quality.is_some_and(|q| q.get() > 0.5);
    (1..=LOOKS.0).any(|look| {
        let part = &whole.requests[..look * LOOKS.1];
        let successes = part.iter().filter(|r| good(r)).count() as u64;
        clopper_pearson_lower(successes, part.len() as u64, DELTA).is_some_and(|low| low > LINE)
    })
}

fn input(log: &OutcomeLog) -> ReplayInput<'_> {
    ReplayInput {
        log,
        evidence: EvidenceKind::FullInformation,
        rows: RowCounts::default(),
        catalogue_digest: None,
    }
}

fn log(kind: &str, requests: usize, seed: u64, name: &str) -> OutcomeLog {
    OutcomeLog {
        arms: ARMS
            .map(|(arm, _)| ArmId::new(arm).expect("a name"))
            .to_vec(),
        requests: (0..requests)
            .map(|i| request(kind, i, seed, name))
            .collect(),
        digest: format!("{kind}-{requests}-{seed}"),
    }
}

fn request(kind: &str, i: usize, seed: u64, name: &str) -> Request {
    let task = i % 4;
    let chance = |arm: usize| match kind {
        "below" if arm > 0 => LINE - BELOW,
        "aa" | "below" => LINE,
        "easy" => 0.98,
        // Arms that differ by task, before their labels are permuted.
        _ => [0.95, 0.85, 0.75][(arm + task) % 3],
    };
    let mut good: Vec<bool> = (0..ARMS.len())
        .map(|arm| uniform(seed, i, arm as u64) < chance(arm))
        .collect();
    if kind == "permuted" {
        for last in (1..good.len()).rev() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "three arms"
            )]
            let other = (uniform(seed, i, 10 + last as u64) * (last + 1) as f64) as usize;
            good.swap(last, other);
        }
    }
    let outcomes = good
        .iter()
        .zip(ARMS)
        .zip(0..)
        .map(|((good, (_, cost)), arm)| Outcome {
            arm,
            quality: Some(Quality::new(f64::from(u8::from(*good))).expect("0 or 1")),
            cost: Some(cost.parse::<Usd>().expect("money")),
            ..Outcome::new(arm)
        });
    Request {
        id: format!("{name}{i}"),
        task: Some(format!("task {task}")),
        outcomes: outcomes.collect(),
        ..Request::default()
    }
}

/// A number in [0, 1) that depends on its arguments only.
fn uniform(seed: u64, i: usize, what: u64) -> f64 {
    let mut x = seed.wrapping_mul(0xD6E8_FEB8_6659_FD93)
        ^ (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (what << 48);
    for _ in 0..3 {
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x ^= x >> 27;
    }
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float")]
    let unit = (x >> 11) as f64 / (1_u64 << 53) as f64;
    unit
}
