//! Decisions and updates per second, by number of arms K and features d.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plimsoll::{
    AverageFloor, CostPredictor, Exploration, ExplorationKind, Feedback, PerRequestFloor,
    Predictor, PredictorConfig, PredictorKind, Quality, Router, RouterParts, Rule, Seed,
};
use plimsoll_engine_benches::{arms, contexts};

const AVERAGE: Rule = Rule::AverageFloor(AverageFloor {
    lambda_low: 1.0,
    lambda_high: 1.0,
    share_high: 0.0,
    cost_scale: 1e-3,
});
const FLOOR: Rule = Rule::PerRequestFloor(PerRequestFloor {
    quality: 0.5,
    delta: 0.1,
});
const INVERSE_GAP: Exploration = Exploration {
    kind: ExplorationKind::InverseGap { gamma: 100.0 },
    share_max: 0.02,
    quality_min: Some(0.3),
    cost_max_usd: None,
};

/// A router whose arms have parted: each has learned outcomes of its own.
fn router(
    kind: PredictorKind,
    count: u64,
    d: usize,
    rule: Rule,
    exploration: Exploration,
) -> Router {
    let arms = arms(count);
    let config = PredictorConfig::new(kind);
    let mut router = Router::new(RouterParts {
        predictor: Predictor::prior(&config, arms.len(), d).expect("a prior"),
        cost: CostPredictor::fit(&arms, []).expect("no rows"),
        arms,
        features: None,
        calibration: vec![],
        rule,
        exploration,
        control: None,
    })
    .expect("a router");
    for (i, context) in contexts(200, d).iter().enumerate() {
        let arm = router.arms()[i % router.arms().len()].id.clone();
        let quality = Quality::new(if i % 3 == 0 { 0.0 } else { 1.0 }).expect("in range");
        router
            .feedback(context, &Feedback::new(arm, quality))
            .expect("learns");
    }
    router
}

fn routing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routing");
    group.throughput(Throughput::Elements(1));
    for (count, d) in [(5, 32), (20, 32), (5, 384), (20, 384)] {
        let contexts = contexts(64, d);
        for (name, rule, exploration) in [
            ("average-floor", AVERAGE, Exploration::NONE),
            ("average-floor+inverse-gap", AVERAGE, INVERSE_GAP),
            ("per-request-floor", FLOOR, Exploration::NONE),
        ] {
            let router = router(PredictorKind::Linear, count, d, rule, exploration);
            let id = BenchmarkId::new(format!("decide/linear/{name}"), format!("K{count} d{d}"));
            let mut at = 0;
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    at = (at + 1) % contexts.len();
                    router
                        .decide(black_box(&contexts[at]), "request", Seed(1))
                        .expect("decides")
                });
            });
        }
        let mut learner = router(PredictorKind::Linear, count, d, AVERAGE, INVERSE_GAP);
        let id = BenchmarkId::new("decide+learn/linear", format!("K{count} d{d}"));
        let quality = Quality::new(1.0).expect("in range");
        let mut at = 0;
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                at = (at + 1) % contexts.len();
                let decision = learner
                    .decide(&contexts[at], "request", Seed(1))
                    .expect("decides");
                let feedback = Feedback::new(decision.arm, quality);
                learner.feedback(&contexts[at], &feedback).expect("learns");
            });
        });
    }
    let mut beta = router(PredictorKind::Beta, 10, 0, AVERAGE, Exploration::NONE);
    let context = &contexts(1, 0)[0];
    let feedback = Feedback::new(
        beta.arms()[0].id.clone(),
        Quality::new(1.0).expect("in range"),
    );
    group.bench_function("decide+learn/beta/K10", |bencher| {
        bencher.iter(|| {
            beta.decide(black_box(context), "request", Seed(1))
                .expect("decides");
            beta.feedback(context, &feedback).expect("learns");
        });
    });
    group.finish();
}

criterion_group!(benches, routing);
criterion_main!(benches);
