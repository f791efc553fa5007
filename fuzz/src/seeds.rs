//! Inputs to begin with: small, made by the engine itself, one of each kind there is.

use std::sync::OnceLock;

use plimsoll::{
    ArmBelief, ArmId, ArmSpec, AverageFloor, BetaThompson, Call, Cap, Cascade, CascadeConfig,
    ClusterBandit, Context, CostPredictor, Event, Exploration, ExplorationKind, Feedback, Fixed,
    JournalHeader, JournalWriter, KlUcb, KnnBandit, LambdaControl, Ledger, LinTs, LinUcb,
    LinearConfig, Live, MeanConfig, OpenLimits, PerRequestFloor, Policy, PostHoc, Predictor,
    PredictorBandit, PredictorConfig, PredictorKind, PredictorRule, Price, Quality, Random, Report,
    Reward, Router, RouterParts, Rule, Scope, ScopeKind, Seed, SharedLinear, SharedRule, SquareCb,
    Ucb1, Workspace,
};

use crate::{events, live, router};

const ARMS: usize = 2;
const DIMENSIONS: usize = 2;

fn arm(name: &str) -> ArmId {
    ArmId::new(name).expect("a name")
}

fn arms() -> Vec<ArmSpec> {
    let spec = |(i, name): (u32, &str)| {
        let price = Price::from_pico_per_token(1_000 << i);
        let mut spec = ArmSpec::new(arm(name)).priced(price, price);
        spec.provider = Some("north".to_owned());
        spec
    };
    (0..).zip(["a", "b"]).map(spec).collect()
}

fn contexts() -> Vec<Context> {
    let context = |i: u32| Context {
        features: vec![f64::from(i % 3) - 1.0, 0.25 * f64::from(i % 5)],
        task: Some(["chat", "code"][i as usize % 2].to_owned()),
        input_tokens: Some(100),
        ..Context::default()
    };
    (0..6).map(context).collect()
}

fn prior(kind: PredictorKind) -> Predictor {
    let config = PredictorConfig {
        clusters: 2,
        rows_max: 8,
        ..PredictorConfig::new(kind)
    };
    Predictor::prior(&config, ARMS, DIMENSIONS).expect("a prior")
}

fn policies() -> Vec<Box<dyn Policy>> {
    let (mean, reward, linear) = (
        MeanConfig::default(),
        Reward::default(),
        LinearConfig::default(),
    );
    let low_rank = LinearConfig {
        rank: Some(1),
        ..linear
    };
    let over = |kind, rule| PredictorBandit::new(prior(kind), rule, reward).expect("sound");
    let shared = |rule| {
        SharedLinear::new(SharedLinear::hybrid(ARMS), DIMENSIONS, rule, linear).expect("sound")
    };
    let cascade = |reliable| {
        let reward = Reward {
            cost_weight: 1.0,
            cost_scale: 0.01,
        };
        let config = CascadeConfig {
            reward,
            ..CascadeConfig::default()
        };
        Cascade::new(prior(PredictorKind::Beta), vec![reliable; ARMS], config).expect("sound")
    };
    vec![
        Box::new(Fixed::new(ARMS, 0).expect("an arm")),
        Box::new(Random::new(ARMS).expect("arms")),
        Box::new(
            plimsoll::EpsilonGreedy::default()
                .policy(ARMS, mean)
                .expect("sound"),
        ),
        Box::new(Ucb1::default().policy(ARMS, mean).expect("sound")),
        Box::new(KlUcb { c: 3.0 }.policy(ARMS, mean).expect("sound")),
        Box::new(BetaThompson.policy(ARMS, mean).expect("sound")),
        Box::new(
            plimsoll::GaussianThompson::default()
                .policy(ARMS, mean)
                .expect("sound"),
        ),
        Box::new(over(
            PredictorKind::Linear,
            PredictorRule::Ucb { width: 0.5 },
        )),
        Box::new(over(PredictorKind::Logistic, PredictorRule::Thompson)),
        Box::new(over(PredictorKind::Tasks, PredictorRule::Thompson)),
        Box::new(
            SquareCb::default()
                .over(prior(PredictorKind::Linear), reward)
                .expect("sound"),
        ),
        Box::new(
            KnnBandit::default()
                .policy(ARMS, DIMENSIONS)
                .expect("sound"),
        ),
        Box::new(
            ClusterBandit::default()
                .policy(ARMS, &contexts())
                .expect("sound"),
        ),
        Box::new(LinUcb::new(ARMS, DIMENSIONS, 0.5, linear).expect("sound")),
        Box::new(LinUcb::new(ARMS, DIMENSIONS, 0.5, low_rank).expect("sound")),
        Box::new(LinTs::new(ARMS, DIMENSIONS, 0.5, linear).expect("sound")),
        Box::new(shared(SharedRule::Ucb { alpha: 0.5 })),
        Box::new(shared(SharedRule::Thompson { scale: 0.5 })),
        Box::new(cascade(PostHoc::PERFECT)),
        Box::new(cascade(PostHoc::WORTHLESS)),
    ]
}

fn rules() -> Vec<Router> {
    let average = AverageFloor {
        lambda_low: 1.0,
        lambda_high: 4.0,
        share_high: 0.3,
        cost_scale: 1e-3,
    };
    let floor = PerRequestFloor {
        quality: 0.6,
        delta: 0.2,
    };
    let mixed = Rule::Mix(vec![(arm("a"), 0.5), (arm("b"), 0.5)]);
    let budget = plimsoll::Budget::new(plimsoll::Usd::from_pico(50_000_000), 1e-6, 1e-3);
    let rules = [
        (
            PredictorKind::Beta,
            Rule::AverageFloor(average),
            Some(LambdaControl::new(0.7)),
        ),
        (PredictorKind::Linear, Rule::PerRequestFloor(floor), None),
        (PredictorKind::Knn, Rule::Budget(budget), None),
        (PredictorKind::Beta, mixed, None),
    ];
    let exploration = Exploration {
        kind: ExplorationKind::InverseGap { gamma: 10.0 },
        share_max: 0.1,
        quality_min: Some(0.2),
        cost_max_usd: None,
    };
    rules
        .into_iter()
        .map(|(kind, rule, control)| {
            Router::new(RouterParts {
                predictor: prior(kind),
                cost: CostPredictor::fit(&arms(), []).expect("priced"),
                arms: arms(),
                features: None,
                calibration: vec![],
                rule,
                exploration,
                control,
            })
            .expect("the parts fit")
        })
        .collect()
}

/// A router of each kind, each with a few outcomes learned.
fn routers() -> Vec<Router> {
    let plain = policies().into_iter().map(|policy| {
        let cost = CostPredictor::fit(&arms(), []).expect("priced");
        Router::with_policy(arms(), None, cost, policy).expect("the parts fit")
    });
    let mut routers: Vec<Router> = plain.chain(rules()).collect();
    for router in &mut routers {
        for (i, context) in contexts().iter().enumerate() {
            let quality = Quality::new(if i % 3 == 0 { 0.0 } else { 1.0 }).expect("in range");
            let feedback = Feedback::new(arm(["a", "b"][i % 2]), quality);
            router.feedback(context, &feedback).expect("learns");
        }
    }
    routers
}

/// Services that lives begin with: some routers, without and with caps.
pub(crate) fn starts() -> &'static [Live] {
    static STARTS: OnceLock<Vec<Live>> = OnceLock::new();
    STARTS.get_or_init(|| {
        let mut ledger = Ledger::default();
        let cap = |limit: &str, window_ms| Cap {
            limit: limit.parse().expect("an amount"),
            window_ms,
        };
        let scope = Scope::new(ScopeKind::Tenant, "acme");
        ledger
            .set_cap(scope, cap("0.000001", Some(60_000)))
            .expect("a cap");
        ledger
            .set_default_cap(ScopeKind::Provider, cap("1", None))
            .expect("a cap");
        let limits = OpenLimits {
            open_max: 4,
            closed_max: 4,
            ..OpenLimits::default()
        };
        let routers = routers().into_iter().rev().step_by(3);
        let live = |(i, router): (usize, Router)| {
            let live = Live::new(router, limits);
            if i % 2 == 1 {
                live.with_ledger(ledger.clone())
            } else {
                live
            }
        };
        routers.enumerate().map(live).collect()
    })
}

/// Decisions and what became of them.
pub(crate) fn life(start: &Live, requests: usize) -> Vec<Event> {
    let (mut live, mut work, mut all) = (start.clone(), Workspace::default(), Vec::new());
    for (i, context) in contexts().iter().cycle().take(requests).enumerate() {
        let key = format!("r{i}");
        let call = Call {
            tenant: Some("acme"),
            output_tokens_max: Some(100),
            ..Call::new(context, &key, Seed(1))
        };
        let at_ms = 1_000 + 10 * i as u64;
        let Ok((_, decided)) = live.decide(&call, at_ms, &mut work) else {
            continue;
        };
        let mut report = Report::label(key, at_ms + 5, Quality::new(1.0).expect("in range"));
        report.cost = Some(plimsoll::Usd::from_pico(50_000));
        for event in [Event::Decided(decided), Event::Reported(report)] {
            let _ = live.apply(&event);
            all.push(event);
        }
    }
    all
}

fn changes() -> Vec<Event> {
    let (a, b) = (arm("a"), arm("b"));
    let belief = ArmBelief::Like {
        arm: a.clone(),
        strength: 5.0,
    };
    let scope = Scope::new(ScopeKind::Arm, "b");
    let cap = Cap {
        limit: "0.5".parse().expect("an amount"),
        window_ms: Some(1_000),
    };
    let quality = Quality::new(0.5).expect("in range");
    let mut newer = arms()[0].clone();
    newer.id = arm("c");
    vec![
        Event::Feedback {
            context: contexts()[0].clone(),
            feedback: Feedback::new(a.clone(), quality),
        },
        Event::ArmArchived {
            arm: a,
            archived: true,
        },
        Event::ArmChanged {
            spec: arms()[1].clone(),
        },
        Event::ArmAdded {
            spec: newer,
            belief,
        },
        Event::ArmMarkedDown {
            arm: b,
            until_ms: Some(9),
        },
        Event::Released {
            id: "r1".to_owned(),
            at_ms: 2_000,
        },
        Event::CapSet { scope, cap },
    ]
}

/// Seeds: target, name, bytes.
#[must_use]
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for made in routers() {
        let mut name = made.policy().name().to_owned();
        while names.contains(&name) {
            name.push('+');
        }
        names.push(name.clone());
        all.push((
            "router",
            name.replace('+', "-other"),
            router::disassemble(&made),
        ));
    }
    for (i, start) in starts().iter().enumerate() {
        let index = u8::try_from(i).expect("few");
        let lived = life(start, 3);
        let mut end = start.clone();
        for event in &lived[..lived.len().min(5)] {
            let _ = end.apply(event);
        }
        all.push(("live", format!("live-{i}"), live::disassemble(&end)));
        all.push(("events", format!("life-{i}"), events::input(index, &lived)));
        all.push((
            "events",
            format!("changes-{i}"),
            events::input(index, &changes()),
        ));
    }
    let (mut writer, header) = JournalWriter::new(JournalHeader {
        generation: 1,
        first: 5,
    });
    let start = [vec![6, 0], header].concat();
    let mut journal = start.clone();
    for group in changes().chunks(3) {
        journal.extend(writer.frame(group).expect("small").0);
    }
    all.push(("journal", "whole".to_owned(), journal.clone()));
    journal[1] = 0b100;
    all.push(("journal", "damaged".to_owned(), journal.clone()));
    journal[1] = 0;
    journal.truncate(journal.len() - 7);
    all.push(("journal", "torn".to_owned(), journal));
    // Lists in lists, each claiming 65,535 items: once, room for all was made.
    let mut payload = [0x99, 0xff, 0xff].repeat(80);
    payload.extend([0; 4]);
    let length = u32::try_from(payload.len()).expect("small");
    let frame = [
        &length.to_le_bytes()[..],
        &1_u32.to_le_bytes(),
        &[0; 24],
        &payload,
    ]
    .concat();
    all.push((
        "journal",
        "claims".to_owned(),
        [&start, &frame[..]].concat(),
    ));
    let damages: [(&str, &[u8]); 5] = [
        ("none", &[]),
        ("torn", &[0, 0x82, 90, 0]),
        ("old", &[2, 2, 0, 0, 2, 1, 0, 0]),
        ("flip", &[1, 0x81, 60, 0]),
        ("swap", &[4, 0x81, 2, 0]),
    ];
    all.extend(damages.map(|(name, bytes)| ("recovery", name.to_owned(), bytes.to_vec())));
    let policies = [
        (
            "retain",
            "[objective]\nrule = \"average-floor\"\nrelative_to = \"best-single\"\nretain = 0.98\nconfidence = 0.9\naim = \"proof\"\n[exploration]\nkind = \"inverse-gap\"\ngamma = 50.0\nshare_max = 0.1\n[arms]\nexclude = [\"old\"]\ncoverage_min = 0.5\n",
        ),
        (
            "floor",
            "[objective]\nrule = \"per-request-floor\"\nquality = 0.8\ndelta = 0.1\n[predictor]\nkind = \"knn\"\nneighbours = 5\nshrink = 2.0\ncalibration = \"isotonic\"\n[arms]\ninclude = [\"a\", \"b\"]\n",
        ),
        (
            "margin",
            "[objective]\nrule = \"non-inferiority\"\nrelative_to = \"a\"\nmargin = 0.05\n[predictor]\nkind = \"linear\"\nridge = 2.0\nforgetting = 0.99\n",
        ),
        (
            "budget",
            "objective = { rule = \"budget\", budget_usd = 0.002 }\npredictor = { kind = \"clusters\", clusters = 8, nearest = 2, prior_mean = 0.4, prior_strength = 3.0 }\n",
        ),
    ];
    all.extend(policies.map(|(name, text)| ("config", name.to_owned(), text.into())));
    let amounts = ["0.15", "-1e-12", "12.5e3", "+.5", "1e20", "tenant:acme"];
    all.extend(amounts.map(|text| ("money", text.replace(':', "-"), text.into())));
    let texts = [
        ("question", "What is 2 + 2?\nA. 3\nB. 4"),
        ("code", "fix:\n```rust\nfn f() {}\n```"),
        ("scripts", "日本語 é \u{0} \u{10FFFF}"),
    ];
    all.extend(texts.map(|(name, text)| ("text", name.to_owned(), text.into())));
    all
}
