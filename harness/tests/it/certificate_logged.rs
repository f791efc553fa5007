//! Tuning on logs that know the served answer alone, and checks of certificates against them.

use plimsoll::{
    ArmId, ObjectiveConfig, PolicyConfig, PredictorChoice, Propensity, Quality, RuleKind, Seed,
};
use plimsoll_datasets::{Outcome, OutcomeLog, Request};
use plimsoll_harness::certificate::{
    Certificate, CertificateError, Certified, Check, CheckOptions, Files, Shortfall, Standing,
    TuneOptions, Tuning, check, tune,
};
use plimsoll_harness::{EvidenceError, ReplayInput, RowCounts};

use crate::logs;

/// [`logs::uniform`], of seeds that lie far apart.
fn uniform(seed: u64, i: usize, what: u64) -> f64 {
    logs::uniform(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93), i, what)
}

const DAY: i64 = 86_400_000_000;

/// The probability of the small arm, given whether a request is hard.
type Chance = fn(bool) -> f64;

/// Half of the requests are hard; one arm answers each.
#[derive(Clone, Copy)]
struct World {
    /// Chances of a good answer to easy and to hard requests.
    small: (f64, f64),
    large: (f64, f64),
    small_usd: &'static str,
    /// How often the small arm is served, and how often the log says so (`None`: it does not say).
    chance: Chance,
    claim: Option<Chance>,
    /// Whether the task column says which requests are hard.
    visible: bool,
    /// Chance that a bad answer of the small arm lacks its label.
    unlabelled: f64,
    /// Requests per session.
    session: usize,
    /// Microseconds of the first request.
    start: i64,
    name: &'static str,
}

const FIRST: World = World {
    small: (0.97, 0.5),
    large: (0.98, 0.96),
    small_usd: "0.001",
    chance: |_| 0.5,
    claim: Some(|_| 0.5),
    visible: true,
    unlabelled: 0.0,
    session: 1,
    start: 1_700_000_000_000_000,
    name: "r",
};

const LATER: World = World {
    start: FIRST.start + 20 * DAY,
    name: "s",
    ..FIRST
};

/// The router that is certified, served without a choice: easy requests go to the small arm.
const DEPLOYED: World = World {
    chance: |hard| if hard { 0.0 } else { 1.0 },
    claim: Some(|hard| if hard { 0.0 } else { 1.0 }),
    ..LATER
};

fn log(n: usize, seed: u64, world: &World) -> OutcomeLog {
    OutcomeLog {
        arms: ["large", "small"]
            .map(|a| ArmId::new(a).expect("a name"))
            .to_vec(),
        requests: (0..n).map(|i| request(n, i, seed, world)).collect(),
        digest: format!("{}-{n}-{seed}", world.name),
    }
}

fn request(n: usize, i: usize, seed: u64, world: &World) -> Request {
    let hard = uniform(seed, i, 1) < 0.5;
    let arm = usize::from(uniform(seed, i, 2) < (world.chance)(hard));
    let chances = [world.large, world.small][arm];
    let right = uniform(seed, i, 3) < if hard { chances.1 } else { chances.0 };
    let lost = arm == 1 && !right && uniform(seed, i, 4) < world.unlabelled;
    let propensity = world.claim.map(|claim| {
        let small = claim(hard);
        Propensity::new(if arm == 1 { small } else { 1.0 - small }).expect("a probability")
    });
    let step = 28 * DAY / i64::try_from(n).expect("small");
    Request {
        id: format!("{}{i}", world.name),
        session_id: (world.session > 1).then(|| format!("{} {}", world.name, i / world.session)),
        task: world
            .visible
            .then(|| if hard { "hard" } else { "easy" }.to_owned()),
        timestamp_us: Some(world.start + step * i64::try_from(i).expect("small")),
        outcomes: vec![Outcome {
            arm: u32::try_from(arm).expect("two arms"),
            quality: (!lost).then(|| Quality::new(f64::from(u8::from(right))).expect("0 or 1")),
            cost: Some(["0.010", world.small_usd][arm].parse().expect("money")),
            input_tokens: None,
            output_tokens: None,
            cached_input_tokens: None,
            reasoning_tokens: None,
            propensity,
            served: Some(true),
            latency_ms: None,
            status: None,
            billing: None,
        }],
        ..Request::default()
    }
}

fn input(log: &OutcomeLog) -> ReplayInput<'_> {
    ReplayInput {
        log,
        evidence: log.evidence().kind,
        rows: RowCounts::default(),
        catalogue_digest: None,
    }
}

fn options(objective: ObjectiveConfig) -> TuneOptions {
    let mut policy = PolicyConfig::new(objective);
    policy.predictor.kind = PredictorChoice::Tasks;
    let mut options = TuneOptions::new(policy, Seed(5));
    options.resamples = 200;
    options
}

fn floor(quality: f64) -> TuneOptions {
    options(ObjectiveConfig::floor(RuleKind::AverageFloor, quality))
}

fn certified(log: &OutcomeLog, options: &TuneOptions) -> Certified {
    match tune(&input(log), options, &|_| ()).expect("it can be tuned") {
        Tuning::Certified(certified) => *certified,
        Tuning::Refused(shortfall) => panic!("{:?}", shortfall.reasons),
    }
}

fn refused(log: &OutcomeLog, options: &TuneOptions) -> Shortfall {
    match tune(&input(log), options, &|_| ()).expect("it can be tuned") {
        Tuning::Certified(certified) => panic!("{:?}", certified.certificate.claim),
        Tuning::Refused(shortfall) => *shortfall,
    }
}

fn sealed(n: usize, quality: f64) -> (Certificate, Vec<u8>) {
    certified(&log(n, 1, &FIRST), &floor(quality)).seal("policy", Files::default())
}

fn try_check(log: &OutcomeLog, sealed: &(Certificate, Vec<u8>)) -> Result<Check, CertificateError> {
    let options = CheckOptions {
        resamples: 50,
        ..CheckOptions::default()
    };
    check(&input(log), &sealed.0, &sealed.1, &options)
}

fn checked(log: &OutcomeLog, sealed: &(Certificate, Vec<u8>)) -> Check {
    try_check(log, sealed).expect("it can be checked")
}

/// What the certified router truly earns in a world.
fn truth(certified: &Certified, world: &World) -> f64 {
    let router = &certified.router;
    let value = |hard: bool| {
        let mut request = request(1, 0, 1, world);
        request.task = Some(if hard { "hard" } else { "easy" }.to_owned());
        let context = router
            .context(&plimsoll_harness::study::raw_context(&request))
            .expect("a context");
        let distribution = router.distribution(&context).expect("a distribution");
        let p = distribution.probabilities();
        let of = |chances: (f64, f64)| if hard { chances.1 } else { chances.0 };
        p[0] * of(world.large) + p[1] * of(world.small)
    };
    f64::midpoint(value(false), value(true))
}

#[test]
fn a_safe_policy_is_certified_from_served_answers() {
    for (objective, line) in [
        (ObjectiveConfig::floor(RuleKind::AverageFloor, 0.9), 0.9),
        (ObjectiveConfig::retain(0.93), 0.93 * 0.97),
    ] {
        let got = certified(&log(8000, 1, &FIRST), &options(objective));
        let certificate = &got.certificate;
        let bound = &certificate.bound;
        assert!(bound.method.contains("weighted"), "{bound:?}");
        assert!(bound.low >= 0.0 && bound.margin > bound.low, "{bound:?}");
        assert!(bound.high > bound.margin, "{bound:?}");
        // Easy requests are half of all, and 90 % cheaper on the small arm.
        let savings = certificate.savings.fraction;
        assert!(savings.low > 0.3 && savings.high < 0.75, "{savings:?}");
        assert!(truth(&got, &FIRST) >= line, "{}", truth(&got, &FIRST));
        let parts = &certificate.parts;
        let all = parts.fit.requests + parts.choose.requests + parts.certify.requests;
        assert_eq!(all, 8000);
    }
}

#[test]
fn equal_seeds_give_equal_certificates_on_any_number_of_threads() {
    let log = log(3000, 1, &FIRST);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool")
            .install(|| certified(&log, &floor(0.85)))
    };
    let (one, four) = (run(1), run(4));
    assert_eq!(one.certificate, four.certificate);
    assert_eq!(one.router.snapshot(), four.router.snapshot());
}

#[test]
fn thin_overlap_certifies_nothing() {
    // The line needs the large arm, which the log hardly tried.
    let thin = World {
        chance: |_| 0.985,
        claim: Some(|_| 0.985),
        ..FIRST
    };
    let short = refused(&log(6000, 1, &thin), &floor(0.9));
    assert!(!short.out_of_reach, "{:?}", short.reasons);
    assert!(
        short.requests_more.is_none_or(|more| more > 1000),
        "{short:?}"
    );
}

#[test]
fn no_overlap_certifies_nothing() {
    // What decided the arm is in no column: either arm's value elsewhere is unknown.
    let none = World {
        visible: false,
        ..DEPLOYED
    };
    for line in [0.6, 0.9] {
        match tune(&input(&log(6000, 1, &none)), &floor(line), &|_| ()) {
            Err(CertificateError::Evidence(EvidenceError::NoOverlap { share, .. })) => {
                assert!(share > 0.3, "{share}");
            }
            Ok(Tuning::Refused(shortfall)) => assert!(!shortfall.reasons.is_empty()),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn wrong_propensities_certify_nothing() {
    let cases: [(Chance, Chance, &str); 3] = [
        // Twice as likely as written down.
        (|_| 0.5, |_| 0.25, "mean weight"),
        // Decided by hardness, written down as a coin.
        (|hard| if hard { 0.1 } else { 0.9 }, |_| 0.5, "balance"),
        // Arms swapped.
        (|_| 0.8, |_| 0.2, "mean weight"),
    ];
    for (chance, claim, gate) in cases {
        let wrong = World {
            chance,
            claim: Some(claim),
            ..FIRST
        };
        // A line far below: the bound alone would let it pass.
        let short = refused(&log(8000, 1, &wrong), &floor(0.6));
        assert!(
            short.reasons.iter().any(|reason| reason.contains(gate)),
            "{gate}: {:?}",
            short.reasons
        );
        assert_eq!(short.requests_more, None);
    }
}

#[test]
fn labels_that_are_missing_by_arm_certify_nothing() {
    let world = World {
        unlabelled: 0.2,
        ..FIRST
    };
    let short = refused(&log(8000, 1, &world), &floor(0.8));
    assert!(
        short
            .reasons
            .iter()
            .any(|reason| reason.starts_with("labels:")),
        "{:?}",
        short.reasons
    );
    assert_eq!(short.labels.arms[0].model, "small");
}

/// ROBUSTNESS.md O15 on served answers: policies truly 0.005 below the line, tuning inside the loop.
#[test]
fn o15_policies_below_the_line_are_rarely_certified() {
    let line = 0.905;
    let world = World {
        small: (line - 0.005, line - 0.005),
        large: (line, line),
        ..FIRST
    };
    let wrong = (0..100)
        .filter(|&seed| {
            let options = TuneOptions {
                seed: Seed(seed),
                resamples: 10,
                ..floor(line)
            };
            let tuned = tune(&input(&log(800, 1000 + seed, &world)), &options, &|_| ());
            matches!(tuned.expect("it can be tuned"), Tuning::Certified(_))
        })
        .count();
    // P(Bin(100, 0.05) > 13) < 0.001.
    assert!(wrong <= 13, "{wrong} of 100");
}

#[test]
fn a_check_weighs_served_answers() {
    let sealed = sealed(8000, 0.9);
    let same = checked(&log(6000, 2, &LATER), &sealed);
    assert_eq!(same.standing, Standing::Holds, "{:?}", same.reasons);
    assert!(
        same.bound.method.contains("weighted") && same.bound.method.contains("anytime"),
        "{:?}",
        same.bound
    );
    assert_eq!(same.rows.judged + same.rows.known, 6000);
    let few = checked(&log(300, 2, &LATER), &sealed);
    assert_eq!(few.standing, Standing::Open, "{:?}", few.reasons);
    assert!(few.requests_more.is_some());
    let fallen = World {
        small: (0.5, 0.5),
        ..LATER
    };
    let broken = checked(&log(6000, 3, &fallen), &sealed);
    assert_eq!(broken.standing, Standing::Broken, "{:?}", broken.reasons);
}

#[test]
fn a_check_needs_no_choice_where_the_router_itself_was_served() {
    let sealed = sealed(8000, 0.9);
    let got = checked(&log(4000, 2, &DEPLOYED), &sealed);
    assert_eq!(got.standing, Standing::Holds, "{:?}", got.reasons);
}

#[test]
fn a_relative_line_is_checked_by_weights_too() {
    let options = options(ObjectiveConfig::retain(0.93));
    let sealed = certified(&log(8000, 1, &FIRST), &options).seal("policy", Files::default());
    let got = checked(&log(8000, 2, &LATER), &sealed);
    assert_eq!(got.standing, Standing::Holds, "{:?}", got.reasons);
    assert!(
        (got.line.quality - 0.93 * 0.97).abs() < 0.02,
        "{:?}",
        got.line
    );
    let fallen = World {
        small: (0.5, 0.5),
        ..LATER
    };
    let got = checked(&log(8000, 3, &fallen), &sealed);
    assert_eq!(got.standing, Standing::Broken, "{:?}", got.reasons);
}

#[test]
fn a_log_that_cannot_be_trusted_settles_nothing() {
    let sealed = sealed(8000, 0.9);
    let open = |world: World, word: &str| {
        let got = checked(&log(6000, 2, &world), &sealed);
        assert_eq!(got.standing, Standing::Open, "{word}: {:?}", got.reasons);
        assert!(
            got.reasons.iter().any(|reason| reason.contains(word)),
            "{word}: {:?}",
            got.reasons
        );
        assert_eq!(got.requests_more, None);
    };
    open(
        World {
            claim: Some(|_| 0.25),
            ..LATER
        },
        "mean weight",
    );
    open(
        World {
            chance: |hard| if hard { 0.1 } else { 0.9 },
            ..LATER
        },
        "balance",
    );
    open(
        World {
            unlabelled: 0.2,
            ..LATER
        },
        "labels:",
    );
    // Served the other way round, without a choice: nothing is known of the certified router.
    let other = World {
        chance: |hard| if hard { 1.0 } else { 0.0 },
        claim: Some(|hard| if hard { 1.0 } else { 0.0 }),
        ..LATER
    };
    match try_check(&log(6000, 2, &other), &sealed) {
        Err(CertificateError::Evidence(EvidenceError::NoOverlap { share, .. })) => {
            assert!(share > 0.3, "{share}");
        }
        other => panic!("{other:?}"),
    }
    let silent = World {
        claim: None,
        ..LATER
    };
    let error = try_check(&log(6000, 2, &silent), &sealed).expect_err("no propensities");
    assert_eq!(error, CertificateError::Observational);
}

/// ROBUSTNESS.md O05: what had a part in the certificate proves nothing new, usable or not.
#[test]
fn o05_the_certificates_own_served_answers_are_no_new_evidence() {
    let world = World {
        unlabelled: 0.01,
        ..FIRST
    };
    let own = log(8000, 1, &world);
    let lacking = own.requests.iter();
    let lacking = lacking.filter(|r| r.outcomes[0].quality.is_none()).count() as u64;
    assert!(lacking > 5);
    let sealed = certified(&own, &floor(0.9)).seal("policy", Files::default());
    let same = CertificateError::SameRows {
        requests: 8000 - lacking,
    };
    assert_eq!(try_check(&own, &sealed).expect_err("the same rows"), same);
    // Another name for the same rows, and a label that turned up since.
    let mut late = own.clone();
    late.digest = "late".into();
    for request in &mut late.requests {
        let quality = &mut request.outcomes[0].quality;
        *quality = quality.or(Quality::new(0.0).ok());
    }
    let same = CertificateError::SameRows { requests: 8000 };
    assert_eq!(try_check(&late, &sealed).expect_err("the same rows"), same);
    let mut grown = own;
    grown.digest = "grown".into();
    grown.requests.extend(log(2000, 4, &LATER).requests);
    let got = checked(&grown, &sealed);
    assert!(got.rows.judged >= 1950, "{:?}", got.rows);
    assert_eq!(got.rows.known + got.rows.judged, 10_000 - lacking);
}

#[test]
fn a_certificate_expires_on_served_answers_too() {
    let sealed = sealed(8000, 0.9);
    let expired = |world: World, word: &str| {
        let got = checked(&log(2000, 2, &world), &sealed);
        assert_eq!(got.standing, Standing::Expired, "{:?}", got.reasons);
        assert!(
            got.reasons.iter().any(|r| r.contains(word)),
            "{:?}",
            got.reasons
        );
    };
    expired(
        World {
            start: FIRST.start + 60 * DAY,
            ..LATER
        },
        "valid until",
    );
    expired(
        World {
            small_usd: "0.002",
            ..LATER
        },
        "`small` costs",
    );
}

#[test]
fn certificates_and_logs_of_either_kind_go_together() {
    let sealed = sealed(8000, 0.9);
    let mut full = log(1500, 7, &LATER);
    for (i, request) in full.requests.iter_mut().enumerate() {
        let hard = request.task.as_deref() == Some("hard");
        let mut both = Vec::new();
        for (arm, chances, cost) in [(0, LATER.large, "0.010"), (1, LATER.small, "0.001")] {
            let chance = if hard { chances.1 } else { chances.0 };
            let right = uniform(7, i, 30 + u64::from(arm)) < chance;
            both.push(Outcome {
                arm,
                quality: Some(Quality::new(f64::from(u8::from(right))).expect("0 or 1")),
                cost: Some(cost.parse().expect("money")),
                propensity: None,
                served: None,
                ..request.outcomes[0].clone()
            });
        }
        request.outcomes = both;
    }
    let got = checked(&full, &sealed);
    assert_eq!(got.standing, Standing::Holds, "{:?}", got.reasons);
    assert!(!got.bound.method.contains("weighted"));
    // And a certificate from a table, against served answers.
    full.digest = "table".into();
    let from_table = certified(&full, &floor(0.9)).seal("policy", Files::default());
    let later = World {
        start: LATER.start + 10 * DAY,
        name: "t",
        ..LATER
    };
    let got = checked(&log(6000, 8, &later), &from_table);
    assert_eq!(got.standing, Standing::Holds, "{:?}", got.reasons);
}

/// ROBUSTNESS.md O11: fifty looks at served answers prove what is not so in at most δ of runs.
#[test]
fn o11_fifty_looks_cost_nothing() {
    let sealed = sealed(8000, 0.9);
    let at_line = World {
        small: (0.9, 0.9),
        large: (0.9, 0.9),
        ..LATER
    };
    let wrong = (0..40)
        .filter(|&seed| {
            let whole = log(1000, 5000 + seed, &at_line);
            (1..=50).any(|look| {
                let mut part = whole.clone();
                part.requests.truncate(look * 20);
                try_check(&part, &sealed).is_ok_and(|got| got.bound.low > 0.0)
            })
        })
        .count();
    // P(Bin(40, 0.05) > 8) < 0.001.
    assert!(wrong <= 8, "{wrong} of 40");
}

/// More rows never take back what was proven, whole sessions at a time.
#[test]
fn o11_a_growing_log_of_served_answers_keeps_its_order() {
    let sessions = World {
        session: 4,
        ..FIRST
    };
    let own = log(8000, 1, &sessions);
    let sealed = certified(&own, &floor(0.85)).seal("policy", Files::default());
    assert_eq!(sealed.0.cluster_requests_max, 4);
    // Propensities fall as the log grows, and sessions become larger.
    let (small, large) = (
        World {
            chance: |_| 0.6,
            claim: Some(|_| 0.6),
            session: 2,
            ..LATER
        },
        World {
            start: LATER.start + DAY,
            chance: |_| 0.12,
            claim: Some(|_| 0.12),
            session: 4,
            name: "u",
            ..LATER
        },
    );
    let mut whole = log(600, 9, &small);
    for request in &mut whole.requests {
        request.timestamp_us = request
            .timestamp_us
            .map(|t| LATER.start + (t - LATER.start) / 100);
    }
    whole.requests.extend(log(600, 10, &large).requests);
    let bounds: Vec<f64> = (5..=30)
        .map(|look| {
            let mut part = whole.clone();
            part.requests.truncate(look * 40);
            checked(&part, &sealed).bound.low
        })
        .collect();
    // Bounds are found by bisection to 1e-6, on the safe side.
    let kept = bounds.windows(2).all(|pair| pair[1] >= pair[0] - 1e-6);
    assert!(kept, "{bounds:?}");
    assert!(bounds[0] < bounds[25], "{bounds:?}");
}
