//! Evaluations of logs that know only what the served arm answered.

use plimsoll::{
    Aim, ArmId, ObjectiveConfig, PolicyConfig, PredictorChoice, Propensity, Quality, RuleKind, Seed,
};
use plimsoll_datasets::{EvidenceKind, Outcome, OutcomeLog, Request, Split};
use plimsoll_harness::{Decision, Evaluation, EvidenceError, LOGGED, ReplayOptions, replay};

use crate::logs::{coin, input, outcome, uniform};

/// Two arms on easy and hard requests. The cheap one fails half of the hard ones.
const QUALITY: [[f64; 2]; 2] = [[0.95, 0.5], [0.96, 0.93]];
const COST: [&str; 2] = ["0.001", "0.02"];

/// The probability of the cheap arm, given whether a request is hard.
type Chance = fn(bool) -> f64;

/// What a log is made of: `cheap(hard)` is the true probability of the cheap arm, `claim(hard)`
/// the one that is written down (`None`: none is).
struct Recipe {
    n: usize,
    seed: u64,
    cheap: Chance,
    claim: Option<Chance>,
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
        let right = coin(self.seed, i, 3, QUALITY[arm][usize::from(hard)]);
        let propensity = self.claim.map(|claim| {
            let p = if arm == 0 {
                claim(hard)
            } else {
                1.0 - claim(hard)
            };
            Propensity::new(p).expect("in range")
        });
        let outcome = Outcome {
            propensity,
            ..outcome(arm, right, COST[arm])
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
    seed: 3,
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
    let input = input(log, log.evidence().kind);
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
    // One in five logs does not prove what aims at proof; this is one of the four.
    let log = Recipe {
        n: 20_000,
        seed: 3,
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
    let log = log.log();
    let outcomes = || log.requests.iter().flat_map(|r| &r.outcomes);
    let cheap: Vec<f64> = outcomes()
        .filter(|o| o.arm == 0)
        .filter_map(|o| o.quality.map(Quality::get))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "few rows")]
    let naive = cheap.iter().sum::<f64>() / cheap.len() as f64;
    assert!((naive - 0.95).abs() < 0.02, "{naive}");
    let mut options = options(ObjectiveConfig::floor(RuleKind::AverageFloor, 0.7));
    options.policy.predictor.kind = PredictorChoice::Beta;
    match run(&log, &options) {
        Err(EvidenceError::NoOverlap { share, quality }) => {
            assert!(share > 0.3, "{share}");
            assert!(quality[0] < 0.725 && 0.725 < quality[1], "{quality:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn o04_wrong_propensities_never_ship() {
    let cases: [(Chance, Chance); 3] = [
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

/// Aiming at proof leaves as much margin as the bound needs, whatever the weights are.
#[test]
fn aiming_at_proof_is_proven_on_most_logs() {
    let logging: [fn(bool) -> f64; 2] = [|_| 0.5, |_| 0.15];
    let logs = 8;
    for cheap in logging {
        let proven = (0..logs).filter(|seed| {
            let log = Recipe {
                n: 5000,
                seed: 100 + seed,
                cheap,
                claim: Some(cheap),
                ..FAIR
            };
            let mut options = options(proof(0.85));
            options.policy.predictor.kind = PredictorChoice::Tasks;
            options.resamples = 50;
            let e = run(&log.log(), &options).expect("evaluates");
            eprintln!(
                "margin {:.4} from {:.4}",
                e.floor.margin, e.floor.margin_low
            );
            e.floor.margin_low >= 0.0
        });
        let proven = proven.count();
        // Four of five are aimed at; three or fewer of 8 have a chance of 1 in 100 then.
        assert!(proven >= 4, "{proven} of {logs}");
    }
}

/// Where weights are too heavy for an asymptotic interval, cost and savings get one that holds.
#[test]
fn thin_logs_get_finite_sample_intervals_and_cautions() {
    let of = |cheap: fn(bool) -> f64, n| {
        let log = Recipe {
            n,
            cheap,
            claim: Some(cheap),
            ..FAIR
        };
        let mut options = options(ObjectiveConfig::retain(0.5));
        options.policy.predictor.kind = PredictorChoice::Tasks;
        run(&log.log(), &options).expect("evaluates")
    };
    let (thin, ample) = (of(|_| 0.08, 2000), of(|_| 0.5, 6000));
    let method = |e: &Evaluation, quantity: &str| {
        let mut choices = e.trust.intervals.iter();
        let choice = choices.find(|c| c.quantity == quantity).expect(quantity);
        assert!(!choice.reason.is_empty());
        choice.method.clone()
    };
    let methods = |e: &Evaluation| ["quality", "cost", "savings"].map(|of| method(e, of));
    let asymptotic = ["cluster-robust t", "cluster-robust t", "cluster bootstrap"];
    assert_eq!(methods(&ample), asymptotic.map(str::to_owned));
    let finite = ["weighted betting", "weighted betting", "ratio betting"];
    assert_eq!(methods(&thin), finite.map(str::to_owned));
    let width = |e: &Evaluation| e.savings.fraction.high - e.savings.fraction.low;
    assert!(width(&thin) > width(&ample), "{:?}", thin.savings);

    let cautions = |e: &Evaluation| {
        let rows = &e.off_policy.as_ref().expect("logged").estimators;
        let row = |name: &str| rows.iter().find(|r| r.name == name).expect("a row").clone();
        (row("DR"), row("SNIPS"))
    };
    let (robust, weighted) = cautions(&thin);
    assert_eq!(
        (robust.caution, robust.savings),
        (None, thin.savings.fraction)
    );
    let caution = weighted.caution.expect("a caution");
    assert!(caution.contains("effective sample of"), "{caution}");
    assert_eq!(cautions(&ample).1.caution, None);
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

/// The verdict of a log whose requests are changed before it is read.
fn verdict(recipe: &Recipe, change: impl Fn(usize, &mut Request)) -> Evaluation {
    let mut log = recipe.log();
    for (i, request) in log.requests.iter_mut().enumerate() {
        change(i, request);
    }
    let mut options = options(proof(0.8));
    options.policy.predictor.kind = PredictorChoice::Tasks;
    run(&log, &options).expect("evaluates")
}

fn assert_refused(e: &Evaluation, gate: &str) {
    assert_eq!(e.verdict.decision, Decision::InsufficientEvidence);
    let failed = e.trust.gates.iter().find(|g| !g.passed && g.name == gate);
    assert!(failed.is_some(), "{gate}: {:#?}", e.trust.gates);
}

#[test]
fn o03_few_heavy_requests_are_not_enough_evidence() {
    let thin = Recipe {
        cheap: |_| 0.015,
        claim: Some(|_| 0.015),
        ..FAIR
    };
    assert_refused(&verdict(&thin, |_, _| ()), "effective sample size");
}

#[test]
fn o07_labels_that_are_missing_by_arm_are_not_enough_evidence() {
    // One in five failures of the cheap arm is never labelled.
    let e = verdict(&FAIR, |i, request| {
        let outcome = &mut request.outcomes[0];
        let failed = outcome.quality.is_some_and(|q| q.get() < 0.5);
        if outcome.arm == 0 && failed && i % 5 == 0 {
            outcome.quality = None;
        }
    });
    assert_refused(&e, "labels");
    let bounds = e.trust.missing.iter().find(|m| m.model == "cheap");
    let bounds = bounds.expect("the arm lacks labels");
    assert!(bounds.quality_low < bounds.quality_high);
}

#[test]
fn o08_a_changed_or_partial_judge_is_no_evidence() {
    let judged = |version: fn(usize) -> &'static str| {
        verdict(&FAIR, move |i, request| {
            request
                .extra
                .insert("judge".to_owned(), version(i).to_owned());
        })
    };
    assert_refused(&judged(|i| if i < 3000 { "v1" } else { "v2" }), "one judge");
    assert_refused(&judged(|_| "dear"), "independent judge");
    let sound = judged(|_| "v1");
    assert_eq!(sound.trust.judges, ["v1"]);
    // Nobody has compared the judge with people: its score is not called quality.
    assert_eq!(sound.trust.score(), "judged quality");
    let reasons = sound.verdict.reasons.join(" ");
    let judged = reasons.matches("judged quality").count();
    assert!(judged > 0, "{reasons}");
    assert_eq!(reasons.matches("quality").count(), judged, "{reasons}");
    assert!(sound.trust.gates.iter().all(|gate| gate.passed));
}

#[test]
fn o17_every_call_that_was_paid_counts() {
    // A cascade: on every tenth request the cheap arm's answer was followed by a dear call.
    let cascade = |i: usize, request: &mut Request| {
        let outcome = &mut request.outcomes[0];
        if outcome.arm == 0 && i.is_multiple_of(10) {
            outcome.cost = Some("0.021".parse().expect("money"));
        }
    };
    let (alone, paid) = (verdict(&FAIR, |_, _| ()), verdict(&FAIR, cascade));
    let cheap = |e: &Evaluation| {
        let row = e.mix.iter().find(|row| row.model == "cheap");
        row.expect("an arm").cost_usd
    };
    assert!((cheap(&alone) - 0.001).abs() < 1e-9, "{}", cheap(&alone));
    assert!((cheap(&paid) - 0.003).abs() < 0.0005, "{}", cheap(&paid));
    assert!(paid.savings.fraction.point < alone.savings.fraction.point);
}
