//! Synthetic logs: their truth, their bytes and the sample made of them.

use std::fs;

use plimsoll::{Quality, Seed, Usd};
use plimsoll_datasets::{
    EvidenceKind, Input, Logging, ReadOptions, SAMPLE_NAME, SimulateConfig, SimulatedRequest,
    Simulation, read, sample_config, sample_log, simulate,
};

fn requests(config: &SimulateConfig) -> Vec<SimulatedRequest> {
    Simulation::new(config)
        .expect("a valid configuration")
        .collect()
}

#[test]
fn the_sample_is_made_again_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(SAMPLE_NAME);
    simulate(&sample_config(), &path, None, &|_| ()).expect("a sample");
    assert!(
        fs::read(&path).expect("a sample") == sample_log(),
        "run the example make_sample"
    );
    assert!(sample_log().len() < 400_000, "{} bytes", sample_log().len());
}

#[test]
fn the_sample_is_a_clean_log_of_four_weeks() {
    let input = Input::bytes(SAMPLE_NAME, sample_log());
    let read = read(&input, &ReadOptions::default()).expect("the sample");
    assert_eq!(read.report.rows_read, 12_000);
    assert!(read.rejects.is_empty() && read.report.warnings.is_empty());
    assert_eq!(read.report.evidence.kind, EvidenceKind::FullInformation);
    let days = read.report.time.expect("times").days;
    assert!((27.0..28.1).contains(&days), "{days}");
    let sessions = read.report.clusters.expect("sessions").count;
    assert!((1_400..1_600).contains(&sessions), "{sessions}");
}

/// The least cost at which a mean true quality is kept when the truth is known, as a share of the
/// first arm's cost: found by weighing cost against quality, as the average-floor rule does.
fn least_cost_share(requests: &[SimulatedRequest], retain: f64) -> f64 {
    let cells = |request: &SimulatedRequest| -> Vec<(f64, f64)> {
        let cell = |row: &plimsoll_datasets::LogRow| {
            (
                row.quality.map_or(0.0, Quality::get),
                row.cost.map_or(0.0, Usd::as_f64),
            )
        };
        request.truth.iter().map(cell).collect()
    };
    let table: Vec<_> = requests.iter().map(cells).collect();
    let first = table
        .iter()
        .map(|row| row[0])
        .fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    let at = |lambda: f64| {
        let best = |row: &Vec<(f64, f64)>| {
            let price = |cell: &(f64, f64)| cell.1 - lambda * cell.0;
            row.iter()
                .copied()
                .min_by(|a, b| price(a).total_cmp(&price(b)))
                .unwrap_or_default()
        };
        table
            .iter()
            .map(best)
            .fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at(middle).0 >= retain * first.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    at(high).1 / first.1
}

#[test]
fn a_router_that_knew_the_truth_would_save_most_of_the_cost() {
    let sample = requests(&sample_config());
    let saved = 1.0 - least_cost_share(&sample, 0.98);
    eprintln!("saved at 98 %: {saved:.3}");
    assert!((0.5..0.9).contains(&saved), "{saved}");
}

#[test]
fn outcomes_follow_their_true_chances() {
    let config = SimulateConfig {
        requests: 8_000,
        seed: Seed(5),
        ..SimulateConfig::default()
    };
    let requests = requests(&config);
    for arm in 0..4 {
        let (mut seen, mut chance, mut variance) = (0.0, 0.0, 0.0);
        for request in &requests {
            let p = request.truth[arm].quality.map_or(0.0, Quality::get);
            seen += request.rows[arm].quality.map_or(0.0, Quality::get);
            chance += p;
            variance += p * (1.0 - p);
        }
        let z: f64 = (seen - chance) / f64::sqrt(variance);
        assert!(z.abs() < 4.0, "arm {arm}: z = {z}");
    }
}

#[test]
fn logged_propensities_are_the_frequencies() {
    let logging = Logging::Epsilon { epsilon: 0.2 };
    let config = SimulateConfig {
        requests: 8_000,
        logging,
        ..SimulateConfig::default()
    };
    let mut counts = [0_u32; 4];
    for request in requests(&config) {
        let [row] = request.rows.as_slice() else {
            panic!("one row per request")
        };
        let arm = request
            .truth
            .iter()
            .position(|truth| truth.model == row.model)
            .expect("an arm");
        let propensity = row.propensity.expect("a propensity").get();
        assert!((propensity - if arm == 0 { 0.85 } else { 0.05 }).abs() < 1e-12);
        counts[arm] += 1;
    }
    for (arm, count) in counts.iter().enumerate() {
        let (n, p) = (8_000.0, if arm == 0 { 0.85 } else { 0.05 });
        let z: f64 = (f64::from(*count) - n * p) / f64::sqrt(n * p * (1.0 - p));
        assert!(z.abs() < 4.0, "arm {arm}: {count}");
    }
}

#[test]
fn logs_and_truths_are_files_of_any_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = SimulateConfig {
        requests: 300,
        missing_label_share: 0.1,
        logging: Logging::Epsilon { epsilon: 0.5 },
        ..SimulateConfig::default()
    };
    let mut logs = Vec::new();
    for name in ["a.parquet", "a.csv", "a.jsonl.gz"] {
        let (path, truth) = (
            folder.path().join(name),
            folder.path().join(format!("truth-{name}")),
        );
        let summary = simulate(&config, &path, Some(&truth), &|_| ()).expect(name);
        assert_eq!((summary.requests, summary.rows), (300, 300));
        let log = read(&Input::Path(path), &ReadOptions::default()).expect(name);
        assert_eq!(
            log.report.evidence.kind,
            EvidenceKind::LoggedWithPropensities
        );
        assert!((0.03..0.2).contains(&log.report.unlabelled_share));
        let truth = read(&Input::Path(truth), &ReadOptions::default()).expect(name);
        assert_eq!(truth.report.outcomes, 1_200);
        let quality: f64 = truth
            .log
            .requests
            .iter()
            .filter_map(|request| {
                request
                    .outcomes
                    .iter()
                    .find(|o| truth.log.arms[o.arm as usize].as_str() == "large")
            })
            .filter_map(|outcome| outcome.quality.map(Quality::get))
            .sum();
        assert!((quality / 300.0 - summary.arms[0].quality).abs() < 1e-9);
        logs.push(log.log.requests);
    }
    assert!(
        logs[0] == logs[1] && logs[1] == logs[2],
        "formats differ in nothing but bytes"
    );
}

#[test]
fn drift_lowers_the_first_arm_only() {
    let calm = requests(&SimulateConfig {
        requests: 500,
        ..SimulateConfig::default()
    });
    let config = SimulateConfig {
        requests: 500,
        drift: 2.0,
        ..SimulateConfig::default()
    };
    for (number, (before, after)) in calm.iter().zip(requests(&config)).enumerate() {
        let chance =
            |request: &SimulatedRequest, arm: usize| request.truth[arm].quality.map(Quality::get);
        assert_eq!(chance(before, 1), chance(&after, 1));
        assert_eq!(chance(&after, 0) < chance(before, 0), number > 0);
    }
}

#[test]
fn impossible_settings_are_named() {
    let good = SimulateConfig::default;
    for (config, field) in [
        (
            SimulateConfig {
                requests: 0,
                ..good()
            },
            "requests",
        ),
        (
            SimulateConfig {
                arms: Vec::new(),
                ..good()
            },
            "arms",
        ),
        (SimulateConfig { tasks: 7, ..good() }, "tasks"),
        (
            SimulateConfig {
                missing_label_share: 1.5,
                ..good()
            },
            "missing_label_share",
        ),
        (
            SimulateConfig {
                logging: Logging::Epsilon { epsilon: f64::NAN },
                ..good()
            },
            "epsilon",
        ),
        (
            SimulateConfig {
                drift: f64::INFINITY,
                ..good()
            },
            "drift",
        ),
        (SimulateConfig { days: 0, ..good() }, "days"),
    ] {
        let error = Simulation::new(&config).expect_err(field);
        assert_eq!(
            (error.code(), error.location().as_deref()),
            ("P0511", Some(field))
        );
    }
}
