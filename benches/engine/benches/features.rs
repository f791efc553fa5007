//! Feature extraction in bytes per second, by length of the prompt.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plimsoll::{FeatureMap, FeatureMapConfig, RawContext, TextFeatures};
use plimsoll_engine_benches::prompt;

fn extract(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("features");
    let features = TextFeatures::default();
    let map = FeatureMap::fit(
        FeatureMapConfig::default(),
        [RawContext {
            text: Some(&prompt(10_000)),
            ..RawContext::default()
        }],
    )
    .expect("fits");
    for bytes in [200, 2_000, 20_000] {
        let text = prompt(bytes);
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut out = Vec::new();
        group.bench_with_input(
            BenchmarkId::new("extract", bytes),
            &text,
            |bencher, text| {
                bencher.iter(|| features.extract(black_box(text), &mut out));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("extract-sparse", bytes),
            &text,
            |bencher, text| {
                bencher.iter(|| features.extract_sparse(black_box(text)));
            },
        );
        group.bench_with_input(BenchmarkId::new("map", bytes), &text, |bencher, text| {
            let raw = RawContext {
                text: Some(text),
                ..RawContext::default()
            };
            bencher.iter(|| map.map(black_box(&raw)).expect("maps"));
        });
    }
    group.finish();
}

criterion_group!(benches, extract);
criterion_main!(benches);
