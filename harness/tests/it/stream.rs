//! Streaming replay against the replay in memory, and against the truth.

use std::path::{Path, PathBuf};

use plimsoll::{ObjectiveConfig, PolicyConfig, Propensity, Seed};
use plimsoll_datasets::{
    Input, LogRow, LogWriter, LoggedFiles, Logging, SimulateConfig, Simulation, Split,
    StreamOptions, simulate,
};
use plimsoll_harness::stream::{StreamError, Streamed, replay_stream};
use plimsoll_harness::{ArmOverlap, Decision, Evaluation, Interval, ReplayOptions};

const REQUESTS: u64 = 14_000;

fn config(requests: u64) -> SimulateConfig {
    SimulateConfig {
        requests,
        seed: Seed(3),
        logging: Logging::Epsilon { epsilon: 0.5 },
        text: false,
        ..SimulateConfig::default()
    }
}

fn written(folder: &Path, config: &SimulateConfig) -> PathBuf {
    let path = folder.join("log.parquet");
    simulate(config, &path, None, &|_| ()).unwrap();
    path
}

fn options() -> ReplayOptions {
    let policy = PolicyConfig::new(ObjectiveConfig::retain(0.95));
    ReplayOptions::new(policy, Split::parse("hash:0.7").unwrap(), Seed(1))
}

fn stream(path: &Path, options: &ReplayOptions) -> Result<Streamed, StreamError> {
    let input = Input::Path(path.to_owned());
    let reading = StreamOptions {
        prompts: true,
        ..StreamOptions::default()
    };
    let files = LoggedFiles::open(&input, &reading)?.expect("a log that can be streamed");
    replay_stream(&files, None, options, &|_| ())
}

fn same(what: &str, streamed: f64, whole: f64) {
    let tolerance = 1e-9 * (1.0 + whole.abs());
    assert!(
        (streamed - whole).abs() < tolerance,
        "{what}: {streamed} {whole}"
    );
}

fn close(what: &str, streamed: Interval, whole: Interval) {
    same(what, streamed.point, whole.point);
    let (width, other) = (streamed.high - streamed.low, whole.high - whole.low);
    // Of 400 resamples, the ends of a percentile interval are themselves known to some 7 %.
    assert!(
        (width / other - 1.0).abs() < 0.2,
        "{what}: width {width} {other}"
    );
}

/// On a log of which everything is sampled, both ways judge the same rows by the same router.
#[test]
fn streaming_and_in_memory_agree() {
    let folder = tempfile::tempdir().unwrap();
    for (text, requests) in [(false, REQUESTS), (true, REQUESTS / 4)] {
        let config = SimulateConfig {
            missing_label_share: 0.05,
            text,
            ..config(requests)
        };
        let streamed = stream(&written(folder.path(), &config), &options()).unwrap();
        let (all, sample) = (&streamed.evaluation, &streamed.sample);
        assert_eq!(all.requests.evaluated, sample.requests.evaluated);
        assert_eq!(all.requests.train, sample.requests.train);
        let counted = all.requests.train + all.requests.evaluated + all.requests.set_aside;
        assert_eq!(counted, requests);
        assert!(
            all.requests.set_aside > requests / 30,
            "{}",
            all.requests.set_aside
        );
        same(
            "baseline quality",
            all.baseline.quality,
            sample.baseline.quality,
        );
        same(
            "baseline cost",
            all.baseline.cost_usd,
            sample.baseline.cost_usd,
        );
        same("line", all.floor.quality, sample.floor.quality);
        same("margin", all.floor.margin, sample.floor.margin);
        // In memory, 14,000 requests of few effective rows get a finite-sample interval of quality;
        // a stream's is asymptotic.
        same(
            "quality",
            all.policy.quality.point,
            sample.policy.quality.point,
        );
        close("cost", all.policy.cost_usd, sample.policy.cost_usd);
        close("savings", all.savings.fraction, sample.savings.fraction);
        close("saved dollars", all.savings.usd, sample.savings.usd);
        same(
            "quality change",
            all.quality_change.point,
            sample.quality_change.point,
        );
        for (all, sample) in all.mix.iter().zip(&sample.mix) {
            assert_eq!(all.model, sample.model);
            same("share", all.after, sample.after);
            same("arm quality", all.quality, sample.quality);
            same("arm cost", all.cost_usd, sample.cost_usd);
        }
        assert_eq!(all.segments.len(), sample.segments.len());
        for (all, sample) in all.segments.iter().zip(&sample.segments) {
            assert_eq!((&all.column, &all.value), (&sample.column, &sample.value));
            assert_eq!(all.requests, sample.requests);
            same("segment quality", all.quality.point, sample.quality.point);
            same("segment savings", all.savings.point, sample.savings.point);
            assert_eq!(all.broken, sample.broken, "{}", all.value);
        }
        // Buckets of one session and of several, here, stake less than sessions do; at the sizes that
        // are streamed, all hold many.
        let width = |low: f64, margin: f64| margin - low;
        let ratio = width(all.floor.margin_low, all.floor.margin)
            / width(sample.floor.margin_low, sample.floor.margin);
        assert!((0.7..2.5).contains(&ratio), "{ratio}");
        weights_agree(all, sample);
        // One label in twenty is missing: the sample cannot know, the survey does.
        assert_eq!(all.verdict.decision, Decision::InsufficientEvidence);
        let labels = all.trust.gates.iter().find(|gate| gate.name == "labels");
        assert!(labels.is_some_and(|gate| !gate.passed));
    }
}

/// Weights, their gates and the choice of an interval come of sums over rows, not of the sample.
fn weights_agree(all: &Evaluation, sample: &Evaluation) {
    let weights = |evaluation: &Evaluation| evaluation.trust.weights.clone().unwrap();
    let (ours, theirs) = (weights(all), weights(sample));
    same("ess", ours.ess, theirs.ess);
    same("largest weight", ours.weight_max, theirs.weight_max);
    same("its share", ours.weight_max_share, theirs.weight_max_share);
    same("clip", ours.clip, theirs.clip);
    same("clipped mass", ours.clipped_mass, theirs.clipped_mass);
    same(
        "mean weight",
        ours.mean_weight.point,
        theirs.mean_weight.point,
    );
    for (ours, theirs) in all.trust.overlap.iter().zip(&sample.trust.overlap) {
        assert_eq!(ours.model, theirs.model);
        assert_eq!(ours.logged, theirs.logged);
        same("arm's ess", ours.ess, theirs.ess);
        let mean = |row: &ArmOverlap| row.mean_weight.unwrap().point;
        same("arm's mean weight", mean(ours), mean(theirs));
    }
    let gates = all.trust.gates.iter().zip(&sample.trust.gates);
    for (ours, theirs) in gates.filter(|(gate, _)| gate.name != "labels") {
        assert_eq!(
            (&ours.name, ours.passed),
            (&theirs.name, theirs.passed),
            "{} {}",
            ours.measured,
            theirs.measured
        );
        if ours.name != "mean weight" {
            assert_eq!(ours.measured, theirs.measured);
        }
    }
    let method = |evaluation: &Evaluation| {
        let mut choices = evaluation.trust.intervals.iter();
        let choice = choices.find(|choice| choice.quantity == "quality");
        choice.unwrap().method.clone()
    };
    assert_eq!(method(all), method(sample));
}

/// What was taken as known of propensities may turn out wrong beyond the sample: bounds then do
/// without it.
#[test]
fn a_propensity_below_the_known_floor_costs_the_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<LogRow> = Simulation::new(&config(2_500))
        .unwrap()
        .flat_map(|request| request.rows)
        .collect();
    let columns = [
        "request_id",
        "model",
        "quality",
        "cost_usd",
        "task",
        "session_id",
        "propensity",
    ];
    // One row is odd; on which side of the split it lies is a matter of its hash.
    let run = |odd: Option<usize>| {
        let path = folder.path().join("log.parquet");
        let mut writer = LogWriter::create(&path, &columns).unwrap();
        for (index, row) in rows.iter().enumerate() {
            let mut row = row.clone();
            if odd == Some(index) {
                row.propensity = Propensity::new(0.01).ok();
            }
            writer.write(&row).unwrap();
        }
        writer.finish().unwrap();
        stream(&path, &options()).unwrap().evaluation.floor
    };
    let plain = run(None);
    assert!(
        plain.bound_reason.ends_with("with predictions"),
        "{}",
        plain.bound_reason
    );
    let other = (0..20).map(|index| run(Some(100 * index))).find(|floor| {
        floor
            .bound_reason
            .ends_with("propensities are not known beforehand")
    });
    let other = other.expect("three requests in ten are evaluated");
    assert!(other.margin_low < other.margin && other.margin < other.margin_high);
}

/// Every request's true qualities and exact costs are known: the estimates must be near them.
#[test]
fn a_streamed_evaluation_holds_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(60_000);
    let streamed = stream(&written(folder.path(), &config), &options()).unwrap();
    let mut truth: Vec<(String, f64, f64)> = Vec::new();
    for request in Simulation::new(&config).unwrap() {
        for (arm, row) in request.truth.iter().enumerate() {
            if truth.len() <= arm {
                truth.push((row.model.clone(), 0.0, 0.0));
            }
            truth[arm].1 += row.quality.unwrap().get() / 60_000.0;
            truth[arm].2 += row.cost.unwrap().as_f64() / 60_000.0;
        }
    }
    let evaluation = &streamed.evaluation;
    assert_eq!(evaluation.mix.len(), truth.len());
    for (model, quality, cost) in truth {
        let row = evaluation
            .mix
            .iter()
            .find(|row| row.model == model)
            .unwrap();
        assert!(
            (row.quality - quality).abs() < 0.02,
            "{model}: {} {quality}",
            row.quality
        );
        assert!(
            (row.cost_usd / cost - 1.0).abs() < 0.08,
            "{model}: {} {cost}",
            row.cost_usd
        );
        let overlap = evaluation
            .trust
            .overlap
            .iter()
            .find(|row| row.model == model);
        let weight = overlap.unwrap().mean_weight.unwrap();
        // Of four intervals at 95 %, one may miss by a little.
        let slack = 0.5 * (weight.high - weight.low);
        assert!(
            (weight.low - slack..weight.high + slack).contains(&1.0),
            "{model}: {weight:?}"
        );
    }
    let floor = &evaluation.floor;
    assert!(floor.margin_low < floor.margin && floor.margin < floor.margin_high);
    // Few of these rows count much: the sample's finite-sample interval stands, which 6,000 such
    // requests leave wide.
    let saved = evaluation.savings.fraction;
    assert!(saved.point > 0.3, "{saved:?}");
    assert!(saved.low <= streamed.sample.savings.fraction.low && saved.low < saved.point);
}

#[test]
fn threads_and_the_order_of_rows_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(30_000);
    let path = written(folder.path(), &config);
    let run = |threads: usize, path: &Path| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| stream(path, &options()).unwrap())
    };
    let one = run(1, &path);
    let four = run(4, &path);
    let json = |streamed: &Streamed| serde_json::to_string(&streamed.evaluation).unwrap();
    assert_eq!(json(&one), json(&four));

    // The rows backwards: the same requests are drawn and judged.
    let mut rows: Vec<LogRow> = Simulation::new(&config)
        .unwrap()
        .flat_map(|request| request.rows)
        .collect();
    rows.reverse();
    let backwards = folder.path().join("backwards.parquet");
    let columns = [
        "request_id",
        "model",
        "quality",
        "cost_usd",
        "input_tokens",
        "timestamp",
        "task",
        "tenant",
        "session_id",
        "propensity",
    ];
    let mut writer = LogWriter::create(&backwards, &columns).unwrap();
    for row in &rows {
        writer.write(row).unwrap();
    }
    writer.finish().unwrap();
    let other = run(2, &backwards);
    let (a, b) = (&one.evaluation, &other.evaluation);
    assert_eq!(a.requests, b.requests);
    same(
        "savings",
        b.savings.fraction.point,
        a.savings.fraction.point,
    );
    same("quality", b.policy.quality.low, a.policy.quality.low);
    same("floor", b.floor.margin_low, a.floor.margin_low);
}

#[test]
fn rows_without_propensities_and_other_splits_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let columns = ["request_id", "model", "quality", "cost_usd", "propensity"];
    let mut writer = LogWriter::create(&path, &columns).unwrap();
    for (index, request) in Simulation::new(&config(500)).unwrap().enumerate() {
        let mut row = request.rows[0].clone();
        if index % 100 == 7 {
            row.propensity = None;
        }
        writer.write(&row).unwrap();
    }
    writer.finish().unwrap();
    let error = stream(&path, &options()).unwrap_err();
    assert_eq!(error.code(), "P0350");
    assert_eq!(error.to_string(), "5 of 500 rows have no propensity");
    let by_time = ReplayOptions {
        split: Split::parse("time:0.7").unwrap(),
        ..options()
    };
    assert_eq!(stream(&path, &by_time).unwrap_err().code(), "P0351");
}
