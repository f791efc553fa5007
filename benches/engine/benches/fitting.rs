//! Batch fits of every predictor on a full-information table, and one prediction of each.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use plimsoll::{Predictor, PredictorConfig, PredictorKind, TrainingRows};
use plimsoll_engine_benches::{contexts, outcomes};

fn fitting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fitting");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    let (n, d, arms) = (10_000, 320, 11);
    let contexts = contexts(n, d);
    let quality = outcomes(n, arms);
    let rows = TrainingRows {
        contexts: &contexts,
        arms,
        quality: &quality,
        weights: None,
    };
    for kind in PredictorKind::ALL {
        let config = PredictorConfig::new(kind);
        let size = format!("n{n} d{d} K{arms}");
        group.bench_function(BenchmarkId::new(format!("fit/{kind}"), &size), |bencher| {
            bencher.iter(|| Predictor::fit(&config, black_box(&rows)).expect("fits"));
        });
        let predictor = Predictor::fit(&config, &rows).expect("fits");
        let mut out = Vec::new();
        group.bench_function(
            BenchmarkId::new(format!("predict/{kind}"), &size),
            |bencher| {
                bencher.iter(|| {
                    predictor
                        .predict(black_box(&contexts[17]), &mut out)
                        .expect("valid");
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, fitting);
criterion_main!(benches);
