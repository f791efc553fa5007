//! Cascades: what a signal is worth, and that every call is paid for.

use plimsoll::{
    CalibrationKind, Call, Cascade, CascadeConfig, CascadeStep, Context, CostPredictor,
    DecideError, NextStep, Policy, PolicyError, PostHoc, PostHocRow, Predictor, PredictorConfig,
    PredictorKind, Random, Reward, Router, Seed, TrainingRows, Usd, Workspace, cascade_cost,
};

use crate::common::{Numbers, arms, plimsoll_float};

/// Chance of a good answer per arm; each arm costs ten times the one before.
const GOOD: [f64; 3] = [0.6, 0.75, 0.9];
const COST_PICO: [i128; 3] = [100_000_000, 1_000_000_000, 10_000_000_000];

/// A dollar is worth 50 right answers.
const REWARD: Reward = Reward {
    cost_weight: 50.0,
    cost_scale: 1.0,
};

fn predictor() -> Predictor {
    let contexts = vec![Context::default(); 1_000];
    let labels = |i: u32| {
        let right = |good: f64| f64::from(i) < 1_000.0 * good;
        GOOD.map(|good| Some(f64::from(u8::from(right(good)))))
    };
    let quality: Vec<_> = (0..1_000).flat_map(labels).collect();
    let rows = TrainingRows {
        contexts: &contexts,
        arms: 3,
        quality: &quality,
        weights: None,
    };
    Predictor::fit(&PredictorConfig::new(PredictorKind::Beta), &rows).expect("fits")
}

/// A router whose arms are expected to cost [`COST_PICO`] each.
fn router(post_hoc: PostHoc, config: CascadeConfig) -> Router {
    let context = Context::default();
    let bills = (0..3).map(|arm| plimsoll::CostRow {
        context: &context,
        arm,
        output_tokens: None,
        cost: Some(Usd::from_pico(COST_PICO[arm])),
    });
    let unpriced: Vec<_> = arms(3)
        .into_iter()
        .map(|spec| plimsoll::ArmSpec::new(spec.id))
        .collect();
    let cost = CostPredictor::fit(&unpriced, bills).expect("fits");
    let cascade = Cascade::new(predictor(), vec![post_hoc; 3], config).expect("fits");
    Router::with_policy(unpriced, None, cost, Box::new(cascade)).expect("fits")
}

fn plain() -> CascadeConfig {
    CascadeConfig {
        reward: REWARD,
        ..CascadeConfig::default()
    }
}

/// Sum of quality, sum of bills and number of calls over `n` requests.
struct Played {
    quality: f64,
    bills: Usd,
    calls: usize,
}

/// Plays requests; `signal` sees whether an answer is good, and a random number.
fn play(router: &Router, n: usize, seed: u64, signal: impl Fn(bool, f64) -> f64) -> Played {
    let (context, mut work) = (Context::default(), Workspace::default());
    let mut numbers = Numbers(seed);
    let mut played = Played {
        quality: 0.0,
        bills: Usd::ZERO,
        calls: 0,
    };
    for request in 0..n {
        let good = GOOD.map(|chance| numbers.next() < chance);
        let mut run: Vec<CascadeStep> = Vec::new();
        loop {
            let key = format!("{request}#{}", run.len());
            let call = Call::new(&context, &key, Seed(seed));
            match router.next_step(&call, &run, &mut work).expect("decides") {
                NextStep::Ask { arm, .. } => {
                    let bill = Usd::from_pico(COST_PICO[arm]);
                    played.bills += bill;
                    played.calls += 1;
                    run.push(CascadeStep::new(
                        arm,
                        signal(good[arm], numbers.next()),
                        bill,
                    ));
                }
                NextStep::Stop { arm, .. } => {
                    played.quality += f64::from(u8::from(good[arm]));
                    break;
                }
            }
        }
    }
    played
}

fn net(played: &Played) -> f64 {
    played.quality - REWARD.cost_weight * played.bills.as_f64()
}

/// λc is 0.005, 0.05 and 0.5: plain routing is worth 0.6 − 0.005, 0.75 − 0.05 and 0.9 − 0.5.
#[test]
fn a_worthless_signal_makes_a_cascade_plain_routing() {
    let router = router(PostHoc::WORTHLESS, plain());
    for seed in 0..5 {
        let n = 2_000;
        let played = play(&router, n, seed, |_, noise| noise);
        // One call each, all to the best single arm, whatever the noise says.
        assert_eq!(played.calls, n, "seed {seed}");
        assert_eq!(
            played.bills,
            Usd::from_pico(COST_PICO[1] * n as i128),
            "seed {seed}"
        );
    }
}

/// A signal that is fitted on noise is worth no more than one known to be worthless.
#[test]
fn a_signal_fitted_on_noise_does_not_escalate() {
    let mut numbers = Numbers(3);
    let rows: Vec<_> = (0..3_000)
        .map(|_| PostHocRow {
            expected: GOOD[1],
            signal: numbers.next(),
            observed: f64::from(u8::from(numbers.next() < GOOD[1])),
            weight: 1.0,
        })
        .collect();
    let fitted = PostHoc::fit(CalibrationKind::Platt, &rows).expect("fits");
    let played = play(&router(fitted, plain()), 2_000, 1, |_, noise| noise);
    assert_eq!(played.calls, 2_000);
}

/// n = 20,000 requests, seeds 0–4. By hand: arm 0 always, arm 1 on its failures, arm 2 never
/// (0.9 − 0.5 is gained by it on the failures of both: 0.4 > 0, so it is asked as well).
/// Calls per request: 1 + 0.4 + 0.1; quality: 1 − 0.4·0.25·0.1 = 0.99; cost in quality:
/// 0.005 + 0.4·0.05 + 0.1·0.5 = 0.075. Net 0.915, against 0.70 of the best single arm.
#[test]
fn a_perfect_signal_is_worth_what_hand_computation_says() {
    let router = router(PostHoc::PERFECT, plain());
    let n = 20_000;
    for seed in 0..5 {
        let played = play(&router, n, seed, |good, _| f64::from(u8::from(good)));
        let each = |sum: f64| sum / plimsoll_float(n);
        let (quality, calls) = (each(played.quality), each(plimsoll_float(played.calls)));
        // Six standard errors.
        assert!(
            (quality - 0.99).abs() < 6.0 * 0.0007,
            "seed {seed}: {quality}"
        );
        assert!((calls - 1.5).abs() < 6.0 * 0.005, "seed {seed}: {calls}");
        let net = each(net(&played));
        assert!((net - 0.915).abs() < 6.0 * 0.0012, "seed {seed}: {net}");
    }
}

/// Between the two, value rises with the signal: a judge right in 50, 70, 90 and 100 of 100 cases.
#[test]
fn a_better_signal_is_worth_more() {
    let mut numbers = Numbers(17);
    let mut last = f64::NEG_INFINITY;
    let mut nets = Vec::new();
    for right in [0.5, 0.7, 0.9, 1.0] {
        let judge = |good: bool, noise: f64| f64::from(u8::from(good == (noise < right)));
        let post_hoc: Vec<_> = GOOD
            .iter()
            .map(|chance| {
                let row = |_| {
                    let good = numbers.next() < *chance;
                    PostHocRow {
                        expected: *chance,
                        signal: judge(good, numbers.next()),
                        observed: f64::from(u8::from(good)),
                        weight: 1.0,
                    }
                };
                let rows: Vec<_> = (0..4_000).map(row).collect();
                PostHoc::fit(CalibrationKind::Platt, &rows).expect("fits")
            })
            .collect();
        let mut router = router(PostHoc::WORTHLESS, plain());
        let cascade = router.policy_mut().downcast_mut::<Cascade>();
        let cascade = cascade.expect("a cascade");
        for (arm, post_hoc) in post_hoc.into_iter().enumerate() {
            cascade.set_post_hoc(arm, post_hoc).expect("in range");
        }
        let net = net(&play(&router, 20_000, 2, judge)) / 20_000.0;
        // Net values are known to about 0.003.
        assert!(net > last - 0.006, "{right}: {net} after {last}");
        last = net;
        nets.push(net);
    }
    assert!(
        nets[3] > nets[0] + 0.15 && nets[2] > nets[0] + 0.03,
        "{nets:?}"
    );
}

#[test]
fn every_call_is_paid_for() {
    let step = |arm: usize| CascadeStep::new(arm, 0.0, Usd::from_pico(COST_PICO[arm]));
    let run = [step(0), step(1), step(2)];
    assert_eq!(cascade_cost(&run), Usd::from_pico(COST_PICO.iter().sum()));
    assert_eq!(cascade_cost(&[]), Usd::ZERO);
    // A cap counts what was spent: 0.0005 USD pay for arms 0, not for 0 and then 1.
    let router = router(PostHoc::PERFECT, plain());
    let (context, mut work) = (Context::default(), Workspace::default());
    let mut call = Call::new(&context, "capped", Seed(1));
    let mut next = |most: f64, run: &[CascadeStep]| {
        call.cost_max_usd = Some(most);
        router.next_step(&call, run, &mut work)
    };
    assert!(matches!(
        next(0.000_5, &[]),
        Ok(NextStep::Ask { arm: 0, .. })
    ));
    assert!(matches!(
        next(0.000_5, &run[..1]),
        Ok(NextStep::Stop { arm: 0, .. })
    ));
    assert!(matches!(
        next(0.001_05, &run[..1]),
        Ok(NextStep::Stop { arm: 0, .. })
    ));
    assert!(matches!(
        next(0.001_15, &run[..1]),
        Ok(NextStep::Ask { arm: 1, .. })
    ));
    assert!(matches!(
        next(0.000_01, &[]),
        Err(DecideError::OverCostMax { .. })
    ));
}

#[test]
fn the_first_step_is_the_decision_and_a_restored_cascade_goes_on_alike() {
    let config = CascadeConfig {
        epsilon: 0.3,
        ..plain()
    };
    let router = router(PostHoc::PERFECT, config);
    let restored = Router::restore(&router.snapshot()).expect("restores");
    let (context, mut work) = (Context::default(), Workspace::default());
    let run = [CascadeStep::new(0, 0.0, Usd::ZERO)];
    for i in 0..500 {
        let key = i.to_string();
        let call = Call::new(&context, &key, Seed(4));
        let choice = router.choose(&call, &mut work).expect("decides");
        let first = router.next_step(&call, &[], &mut work).expect("decides");
        let (arm, propensity) = (choice.arm, choice.propensity);
        assert_eq!(first, NextStep::Ask { arm, propensity });
        let second = router.next_step(&call, &run, &mut work);
        assert_eq!(second, restored.next_step(&call, &run, &mut work));
    }
}

/// ε = 0.3 over two arms and stopping: 0.1 each, and 0.7 more for the rule's own step.
#[test]
fn propensities_of_later_steps_are_their_frequencies() {
    let config = CascadeConfig {
        epsilon: 0.3,
        ..plain()
    };
    let router = router(PostHoc::PERFECT, config);
    let (context, mut work) = (Context::default(), Workspace::default());
    let run = [CascadeStep::new(0, 0.0, Usd::ZERO)];
    let (n, mut seen) = (20_000, [0_u32; 3]);
    for i in 0..n {
        let key = i.to_string();
        let call = Call::new(&context, &key, Seed(9));
        let (step, propensity) = match router.next_step(&call, &run, &mut work).expect("decides") {
            NextStep::Ask { arm, propensity } => (arm - 1, propensity),
            NextStep::Stop { propensity, .. } => (2, propensity),
        };
        let expect = [0.8, 0.1, 0.1][step];
        assert!((propensity.get() - expect).abs() < 1e-12);
        seen[step] += 1;
    }
    for (seen, expect) in seen.into_iter().zip([0.8, 0.1, 0.1]) {
        let share = f64::from(seen) / f64::from(n);
        assert!((share - expect).abs() < 5.0 * 0.003, "{share} {expect}");
    }
}

#[test]
fn impossible_runs_are_refused() {
    let router = router(PostHoc::PERFECT, plain());
    let context = Context::default();
    let call = Call::new(&context, "r", Seed(1));
    let step = |arm, signal| CascadeStep::new(arm, signal, Usd::ZERO);
    let refused = |run: &[CascadeStep]| {
        let error = router.next_step(&call, run, &mut Workspace::default());
        error.expect_err("refused")
    };
    let code = |run: &[CascadeStep]| refused(run).code();
    assert_eq!(code(&[step(3, 0.5)]), "P0173");
    assert_eq!(code(&[step(0, 0.5), step(1, 0.5), step(0, 0.5)]), "P0570");
    assert_eq!(code(&[step(0, 1.5)]), "P0170");
    assert_eq!(code(&[step(0, f64::NAN)]), "P0170");
    let bill = |pico| CascadeStep::new(0, 0.5, Usd::from_pico(pico));
    assert_eq!(code(&[bill(-1)]), "P0170");
    assert_eq!(code(&[bill(i128::MAX), bill(i128::MAX)]), "P0170");
    // A policy that is no cascade says so.
    let cost = CostPredictor::fit(&arms(2), []).expect("fits");
    let random = Box::new(Random::new(2).expect("two"));
    let other = Router::with_policy(arms(2), None, cost, random).expect("fits");
    let error = other.next_step(&call, &[], &mut Workspace::default());
    assert_eq!(error.expect_err("refused").code(), "P0571");
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let made = |post_hoc: Vec<PostHoc>, config| Cascade::new(predictor(), post_hoc, config);
    let three = || vec![PostHoc::PERFECT; 3];
    assert!(matches!(
        made(vec![PostHoc::PERFECT; 2], plain()),
        Err(PolicyError::Shape { .. })
    ));
    for (epsilon, calls_max) in [(1.5, None), (f64::NAN, None), (0.1, Some(0))] {
        let config = CascadeConfig {
            epsilon,
            calls_max,
            ..plain()
        };
        assert!(matches!(
            made(three(), config),
            Err(PolicyError::Parameter { .. })
        ));
    }
    let mut bad = three();
    bad[1].reliability = f64::NAN;
    assert!(matches!(
        made(bad, plain()),
        Err(PolicyError::Parameter { .. })
    ));
    // One call at most is plain routing, however good the signal.
    let config = CascadeConfig {
        calls_max: Some(1),
        ..plain()
    };
    let played = play(&router(PostHoc::PERFECT, config), 500, 0, |_, _| 0.0);
    assert_eq!(played.calls, 500);
    assert_eq!(made(three(), config).expect("fits").arms(), 3);
}
