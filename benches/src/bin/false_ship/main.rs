//! How often is a policy shipped that should not be? Logs with known truth, tuning inside the loop.
//! `cargo run --release -p plimsoll-benches --bin false_ship -- [RUNS] [KIND] [EVIDENCE] [PREDICTOR]`,
//! where `all` stands for every one.
//!
//! | kind | truth |
//! |---|---|
//! | `aa` | all arms are one: the line is what each of them reaches |
//! | `permuted` | labels permuted between the arms of each request; the line is all of the best arm |
//! | `below` | the reference just reaches the line, every other arm is 0.005 below it |
//! | `looks` | fifty looks at a growing log on which the certified policy is exactly at the line |
//! | `easy` | every arm is well above the line: shipping is right, and the rate is the power |
//!
//! Each on tables of every arm's answers (`full`) and on logs that know the served answer and its
//! propensity alone (`logged`). Ships: anything but the reference is certified by `tune`, or "ship"
//! is said by `replay`. Prints one CSV row per kind, evidence and method, with the Clopper–Pearson
//! interval of the rate; every kind but `easy` must stay below δ.

mod looks;
mod world;

use plimsoll::{ObjectiveConfig, PolicyConfig, PredictorChoice, RuleKind, Seed};
use plimsoll_datasets::{EvidenceKind, OutcomeLog, Split};
use plimsoll_harness::bounds::{clopper_pearson_lower, clopper_pearson_upper};
use plimsoll_harness::certificate::{TuneOptions, Tuning, tune};
use plimsoll_harness::{Decision, ReplayInput, ReplayOptions, RowCounts, replay};
use rayon::prelude::*;

use world::LINE;

/// Default number of runs.
const RUNS: u64 = 2000;
/// δ.
const DELTA: f64 = 0.05;
/// Resamples of the savings' interval on which a replay's verdict rests.
const RESAMPLES: usize = 400;

/// What policies are made of, by name.
const PREDICTORS: [(&str, PredictorChoice); 2] = [
    ("tasks", PredictorChoice::Tasks),
    ("linear", PredictorChoice::Linear),
];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the logs know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    Full,
    Logged,
}

impl Evidence {
    const ALL: [Self; 2] = [Self::Full, Self::Logged];

    const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Logged => "logged",
        }
    }

    /// Requests of one log: served answers alone tell less.
    const fn requests(self) -> usize {
        match self {
            Self::Full => 600,
            Self::Logged => 2000,
        }
    }

    fn log(self, kind: &str, requests: usize, seed: u64, name: &str) -> OutcomeLog {
        match self {
            Self::Full => world::log(kind, requests, seed, name),
            Self::Logged => world::logged(kind, requests, seed, name),
        }
    }

    fn input(self, log: &OutcomeLog) -> ReplayInput<'_> {
        ReplayInput {
            log,
            evidence: match self {
                Self::Full => EvidenceKind::FullInformation,
                Self::Logged => EvidenceKind::LoggedWithPropensities,
            },
            rows: RowCounts::default(),
            catalogue_digest: None,
        }
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().map_or(Ok(RUNS), |text| text.parse())?;
    let (kind, evidence, predictor) = (arguments.next(), arguments.next(), arguments.next());
    let asked = |asked: &Option<String>, name: &str| {
        let every = |text: &&String| *text == name || *text == "all";
        asked.as_ref().is_none_or(|text| every(&text))
    };
    println!("kind,evidence,method,predictor,runs,shipped,rate,low,high");
    for known in Evidence::ALL {
        if !asked(&evidence, known.name()) {
            continue;
        }
        for name in ["aa", "permuted", "below", "easy"] {
            if asked(&kind, name) {
                for (called, fitted) in PREDICTORS {
                    if asked(&predictor, called) {
                        verdicts(name, known, fitted, runs)?;
                    }
                }
            }
        }
        if asked(&kind, "looks") {
            looks::looks(known, runs)?;
        }
    }
    Ok(())
}

fn verdicts(
    kind: &str,
    evidence: Evidence,
    predictor: PredictorChoice,
    runs: u64,
) -> Result<(), Failure> {
    let shipped = count(runs, |seed| tuned(kind, evidence, predictor, seed))?;
    row(kind, evidence, "tune", predictor, runs, shipped);
    let shipped = count(runs, |seed| replayed(kind, evidence, predictor, seed))?;
    row(kind, evidence, "replay", predictor, runs, shipped);
    Ok(())
}

fn count(runs: u64, ships: impl Fn(u64) -> Result<bool, Failure> + Sync) -> Result<u64, Failure> {
    let all: Vec<bool> = (0..runs)
        .into_par_iter()
        .map(&ships)
        .collect::<Result<_, Failure>>()?;
    Ok(all.into_iter().filter(|w| *w).count() as u64)
}

fn row(
    kind: &str,
    evidence: Evidence,
    method: &str,
    predictor: PredictorChoice,
    runs: u64,
    shipped: u64,
) {
    #[expect(clippy::cast_precision_loss, reason = "few runs")]
    let rate = shipped as f64 / runs as f64;
    let low = clopper_pearson_lower(shipped, runs, 0.025).unwrap_or(0.0);
    let high = clopper_pearson_upper(shipped, runs, 0.025).unwrap_or(1.0);
    let evidence = evidence.name();
    println!(
        "{kind},{evidence},{method},{predictor:?},{runs},{shipped},{rate:.4},{low:.4},{high:.4}"
    );
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

fn tuned(
    kind: &str,
    evidence: Evidence,
    predictor: PredictorChoice,
    seed: u64,
) -> Result<bool, Failure> {
    let log = evidence.log(kind, evidence.requests(), seed, "r");
    let mut options = TuneOptions::new(policy(kind, predictor), Seed(seed));
    options.resamples = 20;
    Ok(match tune(&evidence.input(&log), &options, &|_| ())? {
        Tuning::Refused(_) => false,
        Tuning::Certified(certified) => {
            let certificate = certified.certificate;
            let reference = certificate.line.relative_to.as_deref().unwrap_or("large");
            certificate.policy.name != format!("always {reference}")
        }
    })
}

fn replayed(
    kind: &str,
    evidence: Evidence,
    predictor: PredictorChoice,
    seed: u64,
) -> Result<bool, Failure> {
    let log = evidence.log(kind, evidence.requests(), seed, "r");
    let split = Split::parse("hash:0.7")?;
    let mut options = ReplayOptions::new(policy(kind, predictor), split, Seed(seed));
    options.resamples = RESAMPLES;
    let evaluation = replay(&evidence.input(&log), &options, &|_| ())?.evaluation;
    Ok(evaluation.verdict.decision == Decision::Ship)
}
