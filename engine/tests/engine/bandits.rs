//! ROBUSTNESS.md for the classic bandits, each of them.

use plimsoll::{
    ArmPrior, BetaThompson, Call, ClusterBandit, Context, CostPredictor, EpsilonGreedy, Feedback,
    GaussianThompson, KlUcb, KnnBandit, LinTs, LinUcb, LinearConfig, MeanConfig, Outcome, Policy,
    PolicyError, Predictor, PredictorBandit, PredictorConfig, PredictorKind, PredictorRule,
    PrincipalComponents, Quality, Request, Reward, Router, SUM_TOLERANCE, Seed, SharedLinear,
    SharedRule, SquareCb, Ucb1, Workspace,
};
use proptest::prelude::*;

use crate::common::{arm, arms, contexts, quality, truth};

/// One of each bandit over `count` arms and contexts of four features.
pub(crate) fn every_bandit(count: usize, forgetting: f64, reward: Reward) -> Vec<Box<dyn Policy>> {
    let config = MeanConfig {
        forgetting,
        reward,
        ..MeanConfig::default()
    };
    let hold = EpsilonGreedy {
        hold: Some(20),
        ..EpsilonGreedy::default()
    };
    let predictor = |kind| {
        let config = PredictorConfig {
            forgetting,
            ..PredictorConfig::new(kind)
        };
        Predictor::prior(&config, count, 4).expect("a prior")
    };
    let over = |kind, rule| PredictorBandit::new(predictor(kind), rule, reward).expect("sound");
    let mut knn = KnnBandit::default();
    (knn.config.forgetting, knn.config.rows_max, knn.reward) = (forgetting, 50, reward);
    let mut clusters = ClusterBandit::default();
    (clusters.config.forgetting, clusters.config.clusters) = (forgetting, 3);
    clusters.reward = reward;
    let past = contexts(40, 4, 8);
    let linear = LinearConfig {
        forgetting,
        reward,
        ..LinearConfig::default()
    };
    let low_rank = LinearConfig {
        rank: Some(3),
        ..linear
    };
    let components = PrincipalComponents::fit(&past, 2).expect("fits");
    let inverse_gap = ClusterBandit {
        explore: PredictorRule::InverseGap(SquareCb::default()),
        ..clusters
    };
    vec![
        Box::new(
            EpsilonGreedy::default()
                .policy(count, config)
                .expect("sound"),
        ),
        Box::new(hold.policy(count, config).expect("sound")),
        Box::new(Ucb1::default().policy(count, config).expect("sound")),
        Box::new(KlUcb { c: 3.0 }.policy(count, config).expect("sound")),
        Box::new(BetaThompson.policy(count, config).expect("sound")),
        Box::new(
            GaussianThompson::default()
                .policy(count, config)
                .expect("sound"),
        ),
        Box::new(
            hold.over(predictor(PredictorKind::Tasks), reward)
                .expect("sound"),
        ),
        Box::new(over(
            PredictorKind::Linear,
            PredictorRule::Ucb { width: 0.5 },
        )),
        Box::new(over(PredictorKind::Linear, PredictorRule::Thompson)),
        Box::new(over(PredictorKind::Logistic, PredictorRule::Thompson)),
        Box::new(
            SquareCb::default()
                .over(predictor(PredictorKind::Linear), reward)
                .expect("sound"),
        ),
        Box::new(knn.policy(count, 4).expect("sound")),
        Box::new(clusters.policy(count, &past).expect("sound")),
        Box::new(inverse_gap.policy(count, &past).expect("sound")),
        Box::new(LinUcb::new(count, 4, 0.5, linear).expect("sound")),
        Box::new(LinUcb::new(count, 4, 0.5, low_rank).expect("sound")),
        Box::new(LinUcb::with_components(count, components.clone(), 0.5, linear).expect("sound")),
        Box::new(LinTs::new(count, 4, 0.5, linear).expect("sound")),
        Box::new(LinTs::with_components(count, components, 0.5, linear).expect("sound")),
        Box::new(shared(count, SharedRule::Ucb { alpha: 0.5 }, linear)),
        Box::new(shared(count, SharedRule::Thompson { scale: 0.5 }, linear)),
    ]
}

fn shared(count: usize, rule: SharedRule, config: LinearConfig) -> SharedLinear {
    SharedLinear::new(SharedLinear::hybrid(count), 4, rule, config).expect("sound")
}

fn costly() -> Reward {
    Reward {
        cost_weight: 0.5,
        cost_scale: 1e-3,
    }
}

fn router(policy: Box<dyn Policy>) -> Router {
    let arms = arms(policy.arms());
    let cost = CostPredictor::fit(&arms, []).expect("fits");
    Router::with_policy(arms, None, cost, policy).expect("fits")
}

/// Outcomes number `from..to` of a fixed stream; every seventh without a label.
fn learn(router: &mut Router, from: usize, to: usize) {
    for (i, context) in contexts(to, 4, 17).iter().enumerate().skip(from) {
        let index = (i * 7 / 3) % router.arms().len();
        let feedback = Feedback {
            quality: (i % 7 != 3).then(|| quality(truth(context, index))),
            output_tokens: Some(100 + i as u64 % 50),
            ..Feedback::new(router.arms()[index].id.clone(), quality(0.0))
        };
        router.feedback(context, &feedback).expect("learns");
    }
}

fn check_distribution(out: &[f64], eligible: &[bool], name: &str) {
    let sum: f64 = out.iter().sum();
    assert!((sum - 1.0).abs() <= SUM_TOLERANCE, "{name} {sum} {out:?}");
    for (p, may) in out.iter().zip(eligible) {
        assert!((0.0..=1.0 + SUM_TOLERANCE).contains(p), "{name} {out:?}");
        assert!(*may || *p == 0.0, "{name} {out:?}");
    }
}

#[test]
fn e01_bad_outcomes_leave_every_bandit_unchanged() {
    let context = &contexts(1, 4, 3)[0];
    for mut policy in every_bandit(3, 0.99, Reward::default()) {
        let name = policy.name().to_owned();
        let before = policy.state();
        let good = Outcome {
            quality: Some(quality(1.0)),
            ..Outcome::of_arm(0)
        };
        for weight in [f64::NAN, f64::INFINITY, -1.0, 1e13] {
            let bad = Outcome { weight, ..good };
            assert!(policy.check(context, &bad).is_err(), "{name}");
            assert!(policy.update(context, &bad).is_err(), "{name}");
        }
        let unknown = Outcome { arm: 3, ..good };
        let refused = policy.update(context, &unknown);
        assert!(
            matches!(refused, Err(PolicyError::Arm { got: 3, arms: 3 })),
            "{name}"
        );
        if policy.dimensions().is_some() {
            assert!(policy.update(&Context::default(), &good).is_err(), "{name}");
        }
        assert_eq!(policy.state(), before, "{name}");
        policy.update(context, &good).expect("a good outcome");
        assert_ne!(policy.state(), before, "{name}");
    }
}

#[test]
fn e01_parameters_out_of_range_are_refused() {
    let config = MeanConfig::default();
    let bad = |error: Result<_, PolicyError>, expect: &str| match error.map(|_: PredictorOrMean| ())
    {
        Err(PolicyError::Parameter { name, .. }) => assert_eq!(name, expect),
        other => panic!("{expect}: {other:?}"),
    };
    for got in [f64::NAN, -1.0, 1e300] {
        let reward = Reward {
            cost_weight: got,
            ..Reward::default()
        };
        bad(
            mean(Ucb1 { exploration: got }.policy(2, config)),
            "exploration",
        );
        bad(mean(KlUcb { c: got }.policy(2, config)), "c");
        bad(
            mean(
                EpsilonGreedy {
                    epsilon: got,
                    hold: None,
                }
                .policy(2, config),
            ),
            "epsilon",
        );
        bad(
            mean(
                GaussianThompson {
                    noise_variance: got,
                }
                .policy(2, config),
            ),
            "noise_variance",
        );
        bad(
            mean(BetaThompson.policy(
                2,
                MeanConfig {
                    forgetting: got,
                    ..config
                },
            )),
            "forgetting",
        );
        bad(
            mean(BetaThompson.policy(
                2,
                MeanConfig {
                    prior_mean: got,
                    ..config
                },
            )),
            "prior_mean",
        );
        bad(
            mean(BetaThompson.policy(2, MeanConfig { reward, ..config })),
            "cost_weight",
        );
        let cb = SquareCb {
            gamma_scale: got,
            ..SquareCb::default()
        };
        bad(predictor(cb.policy(2, 1, Reward::default())), "gamma_scale");
        let knn = KnnBandit {
            explore: PredictorRule::Ucb { width: got },
            ..KnnBandit::default()
        };
        bad(predictor(knn.policy(2, 1)), "width");
    }
}

struct PredictorOrMean;

fn mean(of: Result<plimsoll::MeanBandit, PolicyError>) -> Result<PredictorOrMean, PolicyError> {
    of.map(|_| PredictorOrMean)
}

fn predictor(of: Result<PredictorBandit, PolicyError>) -> Result<PredictorOrMean, PolicyError> {
    of.map(|_| PredictorOrMean)
}

#[expect(clippy::float_cmp, reason = "shares of ties are exact")]
#[test]
fn e03_ties_share_evenly_and_no_arm_is_an_error() {
    let context = &contexts(1, 4, 3)[0];
    for reward in [Reward::default(), costly()] {
        let costs = [Some(1e-4); 4];
        for policy in every_bandit(4, 1.0, reward) {
            let mut out = [0.0; 4];
            let mut ask = |eligible: &[bool; 4]| {
                out = [0.0; 4];
                let request = Request {
                    context,
                    eligible,
                    costs: &costs,
                    floor: None,
                };
                policy
                    .distribution(&request, &mut Workspace::default(), &mut out)
                    .map(|()| out)
            };
            let name = policy.name();
            assert_eq!(ask(&[true; 4]), Ok([0.25; 4]), "{name}");
            assert_eq!(
                ask(&[true, false, true, false]),
                Ok([0.5, 0.0, 0.5, 0.0]),
                "{name}"
            );
            assert_eq!(
                ask(&[false, false, true, false]),
                Ok([0.0, 0.0, 1.0, 0.0]),
                "{name}"
            );
            assert_eq!(
                ask(&[false; 4]),
                Err(PolicyError::NothingEligible),
                "{name}"
            );
        }
        for policy in every_bandit(1, 1.0, reward) {
            let mut out = [0.0];
            let request = Request {
                context,
                eligible: &[true],
                costs: &[Some(0.0)],
                floor: None,
            };
            policy
                .distribution(&request, &mut Workspace::default(), &mut out)
                .expect("one arm");
            assert_eq!(out, [1.0], "{}", policy.name());
        }
    }
    let config = MeanConfig::default();
    assert_eq!(Ucb1::default().policy(0, config), Err(PolicyError::NoArms));
    assert!(SquareCb::default().policy(0, 2, Reward::default()).is_err());
}

/// A policy that does not look at costs is not shown any, and its decisions tell them all the same.
#[test]
fn a_policy_blind_to_costs_decides_as_if_there_were_none_and_tells_them() {
    let contexts = contexts(20, 4, 3);
    for policy in every_bandit(3, 1.0, Reward::default()) {
        assert!(!policy.reads_costs(), "{}", policy.name());
        let arms = arms(3);
        let cost = CostPredictor::fit(&arms, []).expect("fits");
        let router = Router::with_policy(arms, None, cost, policy).expect("fits");
        for context in &contexts {
            let decision = router.decide(context, "a key", Seed(1)).expect("decides");
            let arm = router.arms().iter().position(|arm| arm.id == decision.arm);
            let expected = router.cost().expected(context, arm.expect("an arm"));
            assert!(expected.is_some());
            assert_eq!(decision.expected_cost, expected);
            // A cap asks for costs, and changes nothing where every arm is below it.
            let capped = Call {
                cost_max_usd: Some(1e9),
                ..Call::new(context, "a key", Seed(1))
            };
            let choice = router.choose(&capped, &mut Workspace::default());
            assert_eq!(Some(choice.expect("decides").arm), arm);
        }
    }
}

/// With costs an arm without a price is not chosen, and the cheaper of equal arms is preferred.
#[expect(clippy::float_cmp, reason = "shares of ties are exact")]
#[test]
fn costs_count_where_they_are_weighed() {
    let context = &contexts(1, 4, 3)[0];
    for policy in every_bandit(3, 1.0, costly()) {
        let name = policy.name();
        assert!(policy.needs_costs(), "{name}");
        let ask = |costs: &[Option<f64>; 3]| {
            let mut out = [0.0; 3];
            let request = Request {
                context,
                eligible: &[true; 3],
                costs,
                floor: None,
            };
            policy
                .distribution(&request, &mut Workspace::default(), &mut out)
                .map(|()| out)
        };
        assert_eq!(ask(&[None; 3]), Err(PolicyError::NothingEligible), "{name}");
        let p = ask(&[Some(1e-4), None, Some(1e-3)]).expect("two arms");
        check_distribution(&p, &[true, false, true], name);
        // Arms never tried have no finite bound, so that costs cannot rank them yet.
        if name == "ucb1" || name == "kl-ucb" {
            assert_eq!(p, [0.5, 0.0, 0.5]);
        } else {
            assert!(p[0] > p[2], "{name} {p:?}");
        }
    }
}

#[test]
fn s03_resumed_bandits_are_bit_identical() {
    for forgetting in [1.0, 0.98] {
        for reward in [Reward::default(), costly()] {
            for policy in every_bandit(3, forgetting, reward) {
                let name = policy.name().to_owned();
                let mut straight = router(policy);
                learn(&mut straight, 0, 60);
                let bytes = straight.snapshot();
                let mut resumed = Router::restore(&bytes).expect("a snapshot");
                assert_eq!(resumed.snapshot(), bytes, "{name}");
                for end in [61, 75, 120] {
                    let start = usize::try_from(straight.epoch()).expect("small");
                    learn(&mut straight, start, end);
                    learn(&mut resumed, start, end);
                    assert_eq!(straight.state_hash(), resumed.state_hash(), "{name}");
                    for (i, context) in contexts(8, 4, 99).iter().enumerate() {
                        let key = i.to_string();
                        let expect = straight.decide(context, &key, Seed(4)).expect("decides");
                        assert_eq!(resumed.decide(context, &key, Seed(4)), Ok(expect), "{name}");
                    }
                }
            }
        }
    }
}

/// A fork does not see what its origin learns, nor the other way round.
#[test]
fn forks_are_independent() {
    let context = &contexts(1, 4, 3)[0];
    let good = Outcome {
        quality: Some(quality(1.0)),
        ..Outcome::of_arm(1)
    };
    for mut policy in every_bandit(3, 1.0, Reward::default()) {
        let mut fork = policy.fork();
        let before = policy.state();
        policy.update(context, &good).expect("learns");
        assert_eq!(fork.state(), before, "{}", policy.name());
        fork.update(context, &good).expect("learns");
        assert_eq!(fork.state(), policy.state());
        assert_eq!(fork.probabilities(context), policy.probabilities(context));
    }
}

/// S10: damaged states under a valid name are refused or harmless.
#[test]
fn s10_damaged_states_never_panic() {
    let context = &contexts(1, 4, 5)[0];
    let (mut tried, mut opened) = (0, 0);
    for policy in every_bandit(3, 0.99, Reward::default()) {
        let mut whole = router(policy);
        learn(&mut whole, 0, 30);
        let state = whole.policy().state();
        let name = whole.policy().name().to_owned();
        let snapshot = whole.snapshot();
        let at = snapshot
            .windows(state.len())
            .position(|window| window == state)
            .expect("the state is part of the snapshot");
        let stride = (state.len() / 250).max(1);
        for offset in (0..state.len()).step_by(stride) {
            for value in [state[offset] ^ 1, state[offset] ^ 0x80, 0xFF, 0x00] {
                let mut damaged = snapshot.clone();
                damaged[at + offset] = value;
                seal(&mut damaged);
                tried += 1;
                let Ok(mut router) = Router::restore(&damaged) else {
                    continue;
                };
                opened += 1;
                // Numbers may be other than they were; nothing may break over them.
                if let Ok(decision) = router.decide(context, "x", Seed(1)) {
                    assert!(decision.propensity.get() > 0.0, "{name}");
                    let _ = router.feedback(context, &Feedback::new(decision.arm, quality(0.5)));
                    let _ = router.decide(context, "y", Seed(1));
                }
            }
        }
    }
    assert!(opened > 100 && opened < tried, "{opened} of {tried}");
}

/// Writes the checksum that belongs to the bytes.
fn seal(bytes: &mut [u8]) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..20]).update(&bytes[52..]);
    let sum = *hasher.finalize().as_bytes();
    bytes[20..52].copy_from_slice(&sum);
}

/// An arm that is like another knows what that one does, and is less sure.
fn linear_arms_join(policy: &mut dyn Policy) {
    let name = policy.name().to_owned();
    let context = contexts(1, 4, 2).remove(0);
    for i in 0..100 {
        let outcome = Outcome {
            quality: Some(quality(if i % 2 == 0 { 0.9 } else { 0.2 })),
            ..Outcome::of_arm(i % 2)
        };
        policy.update(&context, &outcome).expect("learns");
    }
    let prior = |like| ArmPrior {
        id: arm("new"),
        quality: 0.5,
        strength: 10.0,
        like,
    };
    assert!(policy.add_arm(&prior(Some(2))).is_err(), "{name}");
    policy.add_arm(&prior(Some(0))).expect("a new arm");
    policy.add_arm(&prior(None)).expect("a new arm");
    let mut estimates = Vec::new();
    let request = Request {
        context: &context,
        eligible: &[true; 4],
        costs: &[None; 4],
        floor: None,
    };
    policy
        .estimates(&request, &mut Workspace::default(), &mut estimates)
        .expect("estimates");
    let known = |arm: usize| estimates[arm].quality.expect("predicted");
    assert!((known(2).mean - 0.9).abs() < 0.15, "{name} {estimates:?}");
    assert!(known(2).variance > known(0).variance, "{name}");
    assert!(known(3).variance > known(1).variance, "{name}");
}

/// With a feature of its own for each arm, and none shared, the regressions are disjoint: the
/// bound's choices are LinUCB's, and counted shares are within five standard errors of LinTS's.
#[test]
fn one_hot_shared_features_are_disjoint_models() {
    let config = LinearConfig::default();
    let one_hot: Vec<Vec<f64>> = (0..3)
        .map(|arm| (0..3).map(|i| f64::from(u8::from(i == arm))).collect())
        .collect();
    let of = |rule| SharedLinear::new(one_hot.clone(), 4, rule, config).expect("sound");
    let boxed = |policy: SharedLinear| -> Box<dyn Policy> { Box::new(policy) };
    let disjoint_ucb: Box<dyn Policy> = Box::new(LinUcb::new(3, 4, 0.5, config).expect("sound"));
    let disjoint_ts: Box<dyn Policy> = Box::new(LinTs::new(3, 4, 0.5, config).expect("sound"));
    let mut pairs = [
        (boxed(of(SharedRule::Ucb { alpha: 0.5 })), disjoint_ucb, 0.0),
        (
            boxed(of(SharedRule::Thompson { scale: 0.5 })),
            disjoint_ts,
            5.0,
        ),
    ];
    let pairs_drawn = f64::from(plimsoll::SHARED_DRAW_PAIRS);
    for (shared, disjoint, errors) in &mut pairs {
        for (i, context) in contexts(60, 4, 5).iter().enumerate() {
            let expect = disjoint.probabilities(context).expect("decides");
            let got = shared.probabilities(context).expect("decides");
            for (got, p) in got.iter().zip(expect) {
                let error = (p * (1.0 - p) / pairs_drawn).sqrt();
                let most = *errors * (error + 1.0 / pairs_drawn) + 1e-6;
                assert!((got - p).abs() <= most, "{i} {got} {p}");
            }
            let outcome = Outcome {
                quality: Some(quality(truth(context, i % 3))),
                ..Outcome::of_arm(i % 3)
            };
            shared.update(context, &outcome).expect("learns");
            disjoint.update(context, &outcome).expect("learns");
        }
    }
}

/// All components are a rotation of the centred features: nothing is lost, and λ, γ and α mean the same.
#[test]
fn all_components_are_a_rotation() {
    let log = contexts(80, 4, 6);
    let components = PrincipalComponents::fit(&log, 4).expect("fits");
    let mean = |j: usize| log.iter().map(|c| c.features[j]).sum::<f64>() / 80.0;
    let means: Vec<f64> = (0..4).map(mean).collect();
    let config = LinearConfig::default();
    let mut full = LinUcb::new(3, 4, 0.5, config).expect("sound");
    let mut rotated = LinUcb::with_components(3, components, 0.5, config).expect("sound");
    let (eligible, costs) = ([true; 3], [None; 3]);
    let (mut expect, mut got) = (Vec::new(), Vec::new());
    for (i, context) in contexts(300, 4, 7).iter().enumerate() {
        let mut centred = context.clone();
        let features = centred.features.iter_mut();
        features.zip(&means).for_each(|(x, m)| *x -= m);
        for (policy, context, out) in [
            (&mut full, &centred, &mut expect),
            (&mut rotated, context, &mut got),
        ] {
            let request = Request {
                context,
                eligible: &eligible,
                costs: &costs,
                floor: None,
            };
            let mut work = Workspace::default();
            policy
                .estimates(&request, &mut work, out)
                .expect("estimates");
            let outcome = Outcome {
                quality: Some(quality(truth(&log[i % 80], i % 3))),
                ..Outcome::of_arm(i % 3)
            };
            policy.update(context, &outcome).expect("learns");
        }
        for (got, expect) in got.iter().zip(&expect) {
            assert!(
                (got.score - expect.score).abs() < 1e-5,
                "{got:?} {expect:?}"
            );
        }
    }
}

#[test]
fn components_need_an_intercept_and_no_rank() {
    let components = PrincipalComponents::fit(&contexts(80, 4, 6), 2).expect("fits");
    let with = |config| LinTs::with_components(3, components.clone(), 0.5, config);
    let plain = LinearConfig::default();
    assert_eq!(with(plain).expect("sound").dimensions(), Some(4));
    for (config, what) in [
        (
            LinearConfig {
                rank: Some(2),
                ..plain
            },
            "rank",
        ),
        (
            LinearConfig {
                intercept: false,
                ..plain
            },
            "intercept",
        ),
    ] {
        let error = with(config).expect_err(what);
        assert!(
            matches!(error, PolicyError::Parameter { name, .. } if name == what),
            "{error}"
        );
    }
}

#[test]
fn arms_join_running_means() {
    let prior = |like| ArmPrior {
        id: arm("new"),
        quality: 0.9,
        strength: 20.0,
        like,
    };
    for mut policy in every_bandit(2, 1.0, Reward::default()) {
        let name = policy.name().to_owned();
        if ["lin-ucb", "lin-ts"].contains(&name.as_str()) {
            linear_arms_join(policy.as_mut());
            continue;
        }
        if policy.dimensions().is_some() {
            let refused = policy.add_arm(&prior(None));
            assert!(
                matches!(refused, Err(PolicyError::FixedArms { .. })),
                "{name}"
            );
            continue;
        }
        for (index, value) in [(0, 0.2), (1, 0.3)].repeat(50) {
            let quality = Some(quality(value));
            let outcome = Outcome {
                quality,
                ..Outcome::of_arm(index)
            };
            policy
                .update(&Context::default(), &outcome)
                .expect("learns");
        }
        assert!(policy.add_arm(&prior(Some(2))).is_err(), "{name}");
        policy.add_arm(&prior(None)).expect("a new arm");
        let p = policy.probabilities(&Context::default()).expect("decides");
        assert!(p[2] > 0.9, "{name} {p:?}");
        policy.add_arm(&prior(Some(0))).expect("a new arm");
        assert_eq!(policy.arms(), 4);
        let p = policy.probabilities(&Context::default()).expect("decides");
        assert!(p[3] < 0.1, "{name} {p:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// E08: whatever was learned and whoever may answer, probabilities are probabilities.
    #[test]
    fn e08_every_bandit_makes_a_distribution(
        outcomes in prop::collection::vec(
            (0_usize..5, prop::option::of(0.0..=1.0), prop_oneof![Just(1.0), Just(0.0), 0.0..1e12], -1e3..1e3),
            0..40,
        ),
        eligible in prop::array::uniform5(any::<bool>()),
        costs in prop::array::uniform5(prop::option::of(0.0..10.0)),
        forgetting in prop_oneof![Just(1.0), 0.9..1.0],
        weighs in any::<bool>(),
    ) {
        let reward = if weighs { costly() } else { Reward::default() };
        for mut policy in every_bandit(5, forgetting, reward) {
            let mut x = 0.0;
            for (index, value, weight, feature) in &outcomes {
                x = *feature;
                let context = Context::new(vec![x, 1.0, -x, 0.5]).expect("finite");
                let quality = value.map(|value| Quality::new(value).expect("in [0, 1]"));
                let outcome = Outcome { quality, weight: *weight, ..Outcome::of_arm(*index) };
                policy.update(&context, &outcome).expect("a valid outcome");
            }
            let context = Context::new(vec![x, 1.0, 0.0, -0.5]).expect("finite");
            let request = Request { context: &context, eligible: &eligible, costs: &costs, floor: None };
            let may: Vec<bool> = eligible.iter().zip(&costs).map(|(e, c)| *e && (!weighs || c.is_some())).collect();
            let mut out = [0.0; 5];
            let name = policy.name().to_owned();
            match policy.distribution(&request, &mut Workspace::default(), &mut out) {
                Ok(()) => check_distribution(&out, &may, &name),
                Err(PolicyError::NothingEligible) => prop_assert!(!may.contains(&true), "{}", name),
                // Weights of 10¹² on features of 10³ may leave a regression unsolvable: it says so.
                Err(PolicyError::Predictor(_)) => {}
                Err(error) => prop_assert!(false, "{} {}", name, error),
            }
        }
    }

    /// LinUCB leaves variances out that cannot matter: its choice is that of all scores.
    #[test]
    fn lin_ucb_without_hopeless_variances_chooses_the_highest_score(
        seed in any::<u64>(),
        rounds in 1_usize..600,
        alpha in prop_oneof![Just(0.0), 0.01..3.0],
        eligible in prop::array::uniform5(any::<bool>()),
        forgetting in prop_oneof![Just(1.0), 0.95..1.0],
    ) {
        let config = LinearConfig { forgetting, ..LinearConfig::default() };
        let mut policy = LinUcb::new(5, 3, alpha, config).expect("sound");
        let contexts = contexts(rounds + 20, 3, seed);
        for (round, context) in contexts[..rounds].iter().enumerate() {
            let outcome = Outcome { quality: Some(Quality::new(truth(context, round % 5)).expect("in range")), ..Outcome::of_arm(round % 5) };
            policy.update(context, &outcome).expect("learns");
        }
        for context in &contexts[rounds..] {
            let request = Request { context, eligible: &eligible, costs: &[None; 5], floor: None };
            let (mut work, mut out, mut estimates) = (Workspace::default(), [0.0; 5], Vec::new());
            policy.estimates(&request, &mut work, &mut estimates).expect("estimates");
            let top = estimates.iter().map(|e| e.score).fold(f64::NEG_INFINITY, f64::max);
            let decided = policy.distribution(&request, &mut work, &mut out);
            prop_assert_eq!(decided.is_ok(), top > f64::NEG_INFINITY);
            if decided.is_ok() {
                for (p, estimate) in out.iter().zip(&estimates) {
                    prop_assert_eq!(*p > 0.0, estimate.score >= top);
                }
            }
        }
    }
}
