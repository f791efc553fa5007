//! Writes recorded tables as plain rows for the engine's bench of learning quality, which reads no
//! Parquet: `cargo run -p plimsoll-benches --bin learning_rows -- TABLES ROWS`.
//!
//! For each of the five tables in the folder `TABLES`, a file `NAME.csv` in the folder `ROWS`, a
//! scratch folder outside the project. One line per request on which every compared arm was
//! observed: `tokens,x_1..x_d,quality:ARM..,cost:ARM..`, features made by the project's
//! [`FeatureMap`] (32 dimensions of text, structural cues, up to 16 tasks, length). Its scales and
//! word frequencies are fitted on every fifth request; no outcome is looked at.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use plimsoll::{FeatureMap, FeatureMapConfig, TextFeaturesConfig};
use plimsoll_datasets::{Input, ReadLog, ReadOptions, read};
use plimsoll_harness::study::raw_context;
use plimsoll_harness::{ArmChoice, OutcomeTable};

const TABLES: [&str; 5] = [
    "zeroeval",
    "routellm_mmlu",
    "routellm_gsm8k",
    "ulab9",
    "paretobandit_val",
];
/// Dimensions of the hashed text: few, because bandit feedback on a thousand requests is little.
const TEXT_DIMENSIONS: usize = 32;
const TASKS_MAX: usize = 16;
/// One request in so many fits the feature map.
const FIT_EVERY: usize = 5;
/// Least share of requests on which a compared arm was observed.
const COVERAGE_MIN: f64 = 0.97;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of tables")?;
    let out = arguments.next().ok_or("name the folder to write to")?;
    fs::create_dir_all(&out)?;
    for table in TABLES {
        let path = Path::new(&folder).join(format!("{table}.parquet"));
        let log = read(
            &Input::parse(&path.to_string_lossy()),
            &ReadOptions::default(),
        )?;
        let (text, summary) = rows(&log)?;
        fs::write(Path::new(&out).join(format!("{table}.csv")), text)?;
        println!("{table}: {summary}");
    }
    Ok(())
}

/// The lines of one table, and what they hold.
fn rows(log: &ReadLog) -> Result<(String, String), Box<dyn std::error::Error>> {
    let choice = ArmChoice {
        include: vec![],
        exclude: vec![],
        coverage_min: COVERAGE_MIN,
    };
    let table = OutcomeTable::new(&log.log, log.report.evidence.kind, &choice)?;
    let config = FeatureMapConfig {
        text: TextFeaturesConfig {
            dimensions: TEXT_DIMENSIONS,
            ..TextFeaturesConfig::default()
        },
        tasks_max: TASKS_MAX,
    };
    let request = |row: usize| &log.log.requests[table.requests[row]];
    let fitted_on = (0..table.rows()).step_by(FIT_EVERY);
    let map = FeatureMap::fit(config, fitted_on.map(|row| raw_context(request(row))))?;
    let mut text = "tokens".to_owned();
    for i in 1..=map.dimensions() {
        write!(text, ",x_{i}")?;
    }
    for kind in ["quality", "cost"] {
        for arm in &table.arms {
            write!(text, ",{kind}:{}", arm.as_str().replace([',', '\n'], "_"))?;
        }
    }
    text.push('\n');
    for row in 0..table.rows() {
        let context = map.map(&raw_context(request(row)))?;
        write!(text, "{}", context.input_tokens.unwrap_or(0))?;
        for x in &context.features {
            write!(text, ",{x:.5}")?;
        }
        for value in table.quality.row(row).iter().chain(table.cost.row(row)) {
            write!(text, ",{value}")?;
        }
        text.push('\n');
    }
    let (n, k, d) = (table.rows(), table.arms.len(), map.dimensions());
    Ok((text, format!("{n} requests, {k} arms, {d} features")))
}
