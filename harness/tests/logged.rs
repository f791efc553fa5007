//! Evaluations of logs that know only what the served arm answered.

use plimsoll::{
    Aim, ArmId, ObjectiveConfig, PolicyConfig, PredictorChoice, Propensity, Quality, RuleKind, Seed,
};
use plimsoll_datasets::{EvidenceKind, Outcome, OutcomeLog, Request, Split};
use plimsoll_harness::{
    Decision, Evaluation, EvidenceError, LOGGED, ReplayInput, ReplayOptions, RowCounts, replay,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A number in [0, 1) that depends on its arguments only.
fn uniform(seed: u64, i: usize, what: u64) -> f64 {
    let key = (seed << 40) ^ ((i as u64) << 8) ^ what;
    Xoshiro256PlusPlus::seed_from_u64(key).random()
}

/// Two arms on easy and hard requests. The cheap one fails half of the hard ones.
const QUALITY: [[f64; 2]; 2] = [[0.95, 0.5], [0.96, 0.93]];
const COST: [&str; 2] = ["0.001", "0.02"];

/// What a log is made of: `cheap(hard)` is the true probability of the cheap arm, `claim(hard)`
/// the one that is written down (`None`: none is).
struct Recipe {
    n: usize,
    seed: u64,
    cheap: fn(bool) -> f64,
    claim: Option<fn(bool) -> f64>,
    /// Whether the task column says which requests are hard.
    visible: bool,
}

impl Recipe {
    fn log(&self) -> OutcomeLog {
        let requests = (0..self.n).map(|i| self.request(i)).collect();
        OutcomeLog {
            arms: ["cheap", "dear"]
                .map(|a| ArmId::new(a).expect("a name"))
                .to_vec(),
            requests,
            digest: format!("test {}", self.seed),
        }
    }

    fn request(&self, i: usize) -> Request {
        let hard = uniform(self.seed, i, 1) < 0.5;
        let arm = usize::from(uniform(self.seed, i, 2) >= (self.cheap)(hard));
        let right = uniform(self.seed, i, 3) < QUALITY[arm][usize::from(hard)];
        let propensity = self.claim.map(|claim| {
            let p = if arm == 0 {
                claim(hard)
            } else {
                1.0 - claim(hard)
            };
            Propensity::new(p).expect("in range")
        });
        let outcome = Outcome {
            arm: u32::try_from(arm).expect("two arms"),
            quality: Some(Quality::new(f64::from(u8::from(right))).expect("in range")),
            cost: Some(COST[arm].parse().expect("money")),
            input_tokens: None,
            output_tokens: None,
            cached_input_tokens: None,
            reasoning_tokens: None,
            propensity,
            served: None,
            latency_ms: None,
            status: None,
        };
        Request {
            id: format!("r{i}"),
            task: self
                .visible
                .then(|| if hard { "hard" } else { "easy" }.to_owned()),
            outcomes: vec![outcome],
            ..Request::default()
        }
    }
}

const FAIR: Recipe = Recipe {
    n: 6000,
    seed: 1,
    cheap: |_| 0.5,
    claim: Some(|_| 0.5),
    visible: true,
};

fn options(objective: ObjectiveConfig) -> ReplayOptions {
    let split = Split::parse("hash:0.6").expect("a split");
    let mut options = ReplayOptions::new(PolicyConfig::new(objective), split, Seed(11));
    options.resamples = 300;
    options
}

fn run(log: &OutcomeLog, options: &ReplayOptions) -> Result<Evaluation, EvidenceError> {
    let input = ReplayInput {
        log,
        evidence: log.evidence().kind,
        rows: RowCounts::default(),
        catalogue_digest: None,
    };
    Ok(replay(&input, options, &|_| ())?.evaluation)
}

fn proof(retain: f64) -> ObjectiveConfig {
    ObjectiveConfig {
        aim: Aim::Proof,
        ..ObjectiveConfig::retain(retain)
    }
}

#[test]
fn a_log_with_propensities_is_evaluated_and_ships_what_saves() {
    let mut options = options(proof(0.9));
    options.policy.predictor.kind = PredictorChoice::Tasks;
    // The slack of an average floor is spent where it buys most: on hard requests.
    options.waived = vec!["task=hard".to_owned()];
    let log = Recipe {
        n: 20_000,
        seed: 2,
        ..FAIR
    };
    let e = run(&log.log(), &options).expect("evaluates");
    assert_eq!(e.evidence, EvidenceKind::LoggedWithPropensities);
    assert_eq!(e.verdict.decision, Decision::Ship, "{:#?}", e.verdict);
    // Sending easy requests to the cheap arm saves half of 95 %; the truth lies in the interval.
    assert!(e.savings.fraction.low > 0.3, "{:?}", e.savings);
    assert!(e.references.oracle.is_none() && e.changed.is_empty());
    let off = e.off_policy.expect("an off-policy section");
    assert_eq!(off.propensities, "logged");
    let chosen = off.estimators.iter().filter(|row| row.chosen).count();
    assert_eq!(chosen, 1);
    assert!(e.trust.gates.iter().all(|gate| gate.passed));
}

#[test]
fn o14_the_logging_policy_against_itself_saves_nothing() {
    let mut options = options(ObjectiveConfig::retain(0.9));
    options.baseline = Some(LOGGED.to_owned());
    let log = FAIR.log();
    let e = run(&log, &options).expect("evaluates");
    assert_eq!(e.baseline.model, LOGGED);
    // Production spends the mean of both arms.
    assert!(
        (e.baseline.cost_usd - 0.0105).abs() < 0.0005,
        "{:?}",
        e.baseline
    );
    let full = Recipe {
        claim: None,
        ..FAIR
    };
    assert!(full.log().evidence().kind == EvidenceKind::Observational);
}

#[test]
fn o01_a_log_without_a_choice_is_refused_with_bounds() {
    // Hard requests always go to the dear arm: the cheap arm looks like 0.95 and is 0.725.
    let log = Recipe {
        cheap: |hard| if hard { 0.0 } else { 1.0 },
        claim: Some(|hard| if hard { 0.0 } else { 1.0 }),
        ..FAIR
    };
    let mut options = options(ObjectiveConfig::floor(RuleKind::AverageFloor, 0.7));
    options.policy.predictor.kind = PredictorChoice::Beta;
    match run(&log.log(), &options) {
        Err(EvidenceError::NoOverlap { share, quality }) => {
            assert!(share > 0.3, "{share}");
            assert!(quality[0] < 0.725 && 0.725 < quality[1], "{quality:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn o04_wrong_propensities_never_ship() {
    let cases: [(fn(bool) -> f64, fn(bool) -> f64); 3] = [
        // Twice as likely as written down.
        (|_| 0.5, |_| 0.25),
        // Decided by hardness, written down as a coin.
        (|hard| if hard { 0.1 } else { 0.9 }, |_| 0.5),
        // Arms swapped.
        (|_| 0.8, |_| 0.2),
    ];
    for (cheap, claim) in cases {
        let log = Recipe {
            cheap,
            claim: Some(claim),
            ..FAIR
        };
        let e = run(&log.log(), &options(proof(0.9))).expect("evaluates");
        assert_eq!(e.verdict.decision, Decision::InsufficientEvidence);
        assert!(e.trust.gates.iter().any(|gate| !gate.passed));
    }
}

#[test]
fn o02_without_propensities_nothing_ships() {
    for visible in [true, false] {
        let log = Recipe {
            cheap: |hard| if hard { 0.1 } else { 0.9 },
            claim: None,
            visible,
            ..FAIR
        };
        let e = run(&log.log(), &options(proof(0.8))).expect("evaluates");
        assert_eq!(e.evidence, EvidenceKind::Observational);
        assert_eq!(e.verdict.decision, Decision::InsufficientEvidence);
        let off = e.off_policy.expect("an off-policy section");
        assert_eq!(off.propensities, "estimated");
        assert!(off.confounding.is_some() && off.worst_case.is_some());
    }
}
