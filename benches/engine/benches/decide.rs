//! One decision with K = 10 arms, call by call: median, 99 % quantile and their ratio.
//!
//! Criterion averages over many calls and cannot see a tail, so that every call is timed by
//! itself here; the cost of reading the clock is measured too and taken off the median.

use std::hint::black_box;
use std::time::Instant;

use plimsoll::{
    AverageFloor, BetaThompson, Call, Context, CostPredictor, EpsilonGreedy, Exploration,
    FeatureMap, FeatureMapConfig, Feedback, LinTs, LinUcb, LinearConfig, MeanConfig, Policy,
    Predictor, PredictorConfig, PredictorKind, Quality, RawContext, Router, RouterParts, Rule,
    Seed, Workspace,
};
use plimsoll_engine_benches::{arms, contexts, prompt};

const ARMS: usize = 10;
const CALLS: usize = 20_000;

fn main() {
    let clock = quantiles(CALLS, |_| {});
    println!(
        "reading the clock: {} ns (taken off every median)\n",
        clock.0
    );
    println!("| decision, K = 10 | median ns | p99 ns | p99 ÷ median |\n|---|---|---|---|");
    for (name, router, d) in cases() {
        let contexts = contexts(64, d);
        let mut work = Workspace::default();
        let timed = quantiles(CALLS, |i| {
            let call = Call::new(&contexts[i % 64], "a request's key", Seed(1));
            black_box(router.choose(black_box(&call), &mut work).expect("decides"));
        });
        print(name, timed, clock.0);
    }
    text(clock.0);
}

fn cases() -> Vec<(&'static str, Router, usize)> {
    let means = MeanConfig::default();
    let linear = LinearConfig::default();
    vec![
        (
            "ε-greedy",
            around(
                EpsilonGreedy::default()
                    .policy(ARMS, means)
                    .expect("in range"),
            ),
            0,
        ),
        (
            "Beta Thompson",
            around(BetaThompson.policy(ARMS, means).expect("in range")),
            0,
        ),
        ("average floor over beta", rule(PredictorKind::Beta, 0), 0),
        (
            "average floor over linear, d = 32",
            rule(PredictorKind::Linear, 32),
            32,
        ),
        (
            "LinUCB, d = 32",
            around(LinUcb::new(ARMS, 32, 0.5, linear).expect("in range")),
            32,
        ),
        (
            "LinTS, d = 32",
            around(LinTs::new(ARMS, 32, 0.5, linear).expect("in range")),
            32,
        ),
    ]
}

fn around(policy: impl Policy + 'static) -> Router {
    let arms = arms(10);
    let cost = CostPredictor::fit(&arms, []).expect("no rows");
    let d = policy.dimensions().unwrap_or(0);
    taught(
        Router::with_policy(arms, None, cost, Box::new(policy)).expect("a router"),
        d,
    )
}

fn rule(kind: PredictorKind, d: usize) -> Router {
    let arms = arms(10);
    let parts = RouterParts {
        predictor: Predictor::prior(&PredictorConfig::new(kind), ARMS, d).expect("a prior"),
        cost: CostPredictor::fit(&arms, []).expect("no rows"),
        arms,
        features: None,
        calibration: vec![],
        rule: Rule::AverageFloor(AverageFloor {
            lambda_low: 1.0,
            lambda_high: 1.0,
            share_high: 0.0,
            cost_scale: 1e-3,
        }),
        exploration: Exploration::NONE,
        control: None,
    };
    taught(Router::new(parts).expect("a router"), d)
}

/// Each arm has outcomes of its own.
fn taught(mut router: Router, d: usize) -> Router {
    for (i, context) in contexts(300, d).iter().enumerate() {
        let id = router.arms()[i % ARMS].id.clone();
        let quality = Quality::new(if i % 3 == 0 { 0.0 } else { 1.0 }).expect("in range");
        router
            .feedback(context, &Feedback::new(id, quality))
            .expect("learns");
    }
    router
}

/// From the prompt's text to the arm.
fn text(clock: u64) {
    let prompts: Vec<String> = (0..16).map(|i| prompt(2_000 + i)).collect();
    let raw = |text| RawContext {
        text: Some(text),
        ..RawContext::default()
    };
    let map = FeatureMap::fit(
        FeatureMapConfig::default(),
        prompts.iter().map(|text| raw(text.as_str())),
    )
    .expect("fits");
    let d = map.dimensions();
    let router = rule(PredictorKind::Linear, d);
    let mut work = Workspace::default();
    let timed = quantiles(CALLS / 4, |i| {
        let context: Context = map.map(&raw(&prompts[i % 16])).expect("maps");
        let call = Call::new(&context, "a request's key", Seed(1));
        black_box(router.choose(&call, &mut work).expect("decides"));
    });
    print("text of 2 kB, then average floor over linear", timed, clock);
}

fn print(name: &str, (median, p99): (u64, u64), clock: u64) {
    let median = median.saturating_sub(clock).max(1);
    let p99 = p99.saturating_sub(clock);
    println!(
        "| {name} | {median} | {p99} | {}.{} |",
        p99 / median,
        p99 * 10 / median % 10
    );
}

/// Median and 99 % quantile of the calls' times in nanoseconds: the best of five rounds, because
/// others use the machine too.
fn quantiles(calls: usize, mut call: impl FnMut(usize)) -> (u64, u64) {
    let round = |call: &mut dyn FnMut(usize)| {
        let mut times: Vec<u64> = (0..calls)
            .map(|i| {
                let start = Instant::now();
                call(i);
                u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
            })
            .collect();
        times.sort_unstable();
        (times[calls / 2], times[calls - calls / 100])
    };
    (0..5)
        .map(|_| round(&mut call))
        .reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))
        .expect("five rounds")
}
