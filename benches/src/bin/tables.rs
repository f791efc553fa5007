//! Measures savings and kept floors on recorded tables: every table, floor and seed, next to
//! every reference. `cargo run --release -p plimsoll-benches --bin tables -- FOLDER [SEEDS]`.
//!
//! Prints one tidy CSV row per run, then means per table and floor.

use std::collections::BTreeMap;
use std::path::Path;

use plimsoll::{ObjectiveConfig, PolicyConfig, PredictorChoice, Seed};
use plimsoll_datasets::{Input, ReadOptions, Split, read};
use plimsoll_harness::{Evaluation, Forecasts, ReplayInput, ReplayOptions, RowCounts, replay_with};

const TABLES: [&str; 5] = [
    "zeroeval",
    "routellm_mmlu",
    "routellm_gsm8k",
    "ulab9",
    "paretobandit_val",
];
const RETAIN: [f64; 3] = [0.99, 0.97, 0.95];
/// A floor counts as missed when quality falls this far below it.
const TOLERANCE: f64 = 0.01;

/// One run in short.
struct Run {
    savings: f64,
    margin: f64,
    references: [f64; 5],
    predictors: Vec<(String, f64)>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of tables")?;
    let seeds: u64 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let only = arguments.next();
    let kind = arguments.next().unwrap_or_else(|| "auto".to_owned());
    println!(
        "table,retain,seed,predictor,savings,quality,floor,margin,static_mix,knn,tasks,cost_matched_quality,oracle,verdict"
    );
    let mut runs: BTreeMap<(String, u64), Vec<Run>> = BTreeMap::new();
    for table in TABLES
        .iter()
        .filter(|t| only.as_deref().is_none_or(|o| o == "all" || o == **t))
    {
        let path = Path::new(&folder).join(format!("{table}.parquet"));
        let log = read(
            &Input::parse(&path.to_string_lossy()),
            &ReadOptions::default(),
        )?;
        for seed in 0..seeds {
            let mut forecasts = Forecasts::default();
            for retain in RETAIN {
                let evaluation = run(&log, retain, seed, &kind, &mut forecasts)?;
                print_row(table, retain, seed, &evaluation);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0..100"
                )]
                let key = ((*table).to_owned(), (retain * 100.0).round() as u64);
                runs.entry(key).or_default().push(short(&evaluation));
            }
        }
    }
    summary(&runs);
    Ok(())
}

fn run(
    log: &plimsoll_datasets::ReadLog,
    retain: f64,
    seed: u64,
    kind: &str,
    forecasts: &mut Forecasts,
) -> Result<Evaluation, Box<dyn std::error::Error>> {
    let mut policy = PolicyConfig::new(ObjectiveConfig::retain(retain));
    policy.predictor.kind = match kind {
        "beta" => PredictorChoice::Beta,
        "tasks" => PredictorChoice::Tasks,
        "linear" => PredictorChoice::Linear,
        "logistic" => PredictorChoice::Logistic,
        "knn" => PredictorChoice::Knn,
        "clusters" => PredictorChoice::Clusters,
        _ => PredictorChoice::Auto,
    };
    let input = ReplayInput {
        log: &log.log,
        evidence: log.report.evidence.kind,
        rows: RowCounts::default(),
        catalogue_digest: None,
    };
    let options = ReplayOptions {
        // Intervals are not read here.
        resamples: 50,
        ..ReplayOptions::new(policy, Split::parse("hash:0.7")?, Seed(seed))
    };
    Ok(replay_with(&input, &options, forecasts, &|_| ())?.evaluation)
}

fn references(e: &Evaluation) -> [f64; 5] {
    let r = &e.references;
    let optional =
        |x: &Option<plimsoll_harness::Reference>| x.as_ref().map_or(f64::NAN, |x| x.savings);
    [
        r.static_mix_hull.savings,
        optional(&r.knn),
        optional(&r.per_task_table),
        r.cost_matched_random.quality,
        r.oracle.as_ref().map_or(0.0, |o| o.savings),
    ]
}

fn print_row(table: &str, retain: f64, seed: u64, e: &Evaluation) {
    let [hull, knn, tasks, matched, oracle] = references(e);
    println!(
        "{table},{retain},{seed},{},{:.4},{:.4},{:.4},{:+.4},{hull:.4},{knn:.4},{tasks:.4},{matched:.4},{oracle:.4},{:?}",
        e.policy.predictor.replace(',', ";"),
        e.savings.fraction.point,
        e.policy.quality.point,
        e.floor.quality,
        e.floor.margin,
        e.verdict.decision
    );
}

fn short(e: &Evaluation) -> Run {
    let chosen = (e.policy.predictor.clone(), e.savings.fraction.point);
    let others = e.diagnostics.sensitivity.iter().filter_map(|row| {
        row.change
            .strip_prefix("predictor ")
            .map(|name| (name.to_owned(), row.savings))
    });
    Run {
        savings: e.savings.fraction.point,
        margin: e.floor.margin,
        references: references(e),
        predictors: std::iter::once(chosen).chain(others).collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "few runs")]
fn summary(runs: &BTreeMap<(String, u64), Vec<Run>>) {
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    println!("\ntable            floor  savings  static   knn    tasks  oracle  margin  missed");
    let (mut missed, mut total) = (0, 0);
    let mut all: Vec<&Run> = Vec::new();
    for ((table, retain), list) in runs {
        let of = |pick: &dyn Fn(&Run) -> f64| mean(list.iter().map(pick).collect());
        let late = list.iter().filter(|r| r.margin < -TOLERANCE).count();
        missed += late;
        total += list.len();
        println!(
            "{table:<17} {retain:>3}  {:>7.2}  {:>6.2}  {:>6.2}  {:>6.2}  {:>6.2}  {:+.4}  {late}/{}",
            of(&|r| r.savings) * 100.0,
            of(&|r| r.references[0]) * 100.0,
            of(&|r| r.references[1]) * 100.0,
            of(&|r| r.references[2]) * 100.0,
            of(&|r| r.references[4]) * 100.0,
            of(&|r| r.margin),
            list.len()
        );
        all.extend(list);
    }
    println!("missed the floor by more than {TOLERANCE}: {missed} of {total}");
    let overall = |pick: &dyn Fn(&Run) -> f64| mean(all.iter().map(|r| pick(r)).collect());
    println!(
        "mean savings: policy {:.2} %",
        overall(&|r| r.savings) * 100.0
    );
    let names = ["static mix", "knn", "tasks"];
    for (i, name) in names.iter().enumerate() {
        println!(
            "mean savings: {name} {:.2} %",
            overall(&|r| r.references[i]) * 100.0
        );
    }
    let mut by_predictor: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, savings) in all.iter().flat_map(|r| &r.predictors) {
        by_predictor.entry(name).or_default().push(*savings);
    }
    for (name, savings) in by_predictor {
        println!(
            "fixed predictor {name}: {:.2} % over {} runs",
            mean(savings.clone()) * 100.0,
            savings.len()
        );
    }
}
