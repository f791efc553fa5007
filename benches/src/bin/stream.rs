//! Streaming replay of a large Parquet log beside a plain Polars scan of the same columns.
//!
//! `cargo run --release -p plimsoll-benches --bin stream -- [LOG.parquet] [--requests N]`
//!
//! Without a log, one of N requests (10⁷ by default) is generated in the temporary folder and
//! kept there. Each side runs in a process of its own, in turns; the lines printed are wall time,
//! processor time and peak resident memory (`VmHWM`), the last line is the ratio of the medians.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use plimsoll::{ObjectiveConfig, PolicyConfig, Seed};
use plimsoll_datasets::{
    Input, LoggedFiles, Logging, SimulateConfig, Split, StreamOptions, simulate,
};
use plimsoll_harness::ReplayOptions;
use plimsoll_harness::stream::{StreamStage, replay_stream};
use polars::prelude::{LazyFrame, PlRefPath, ScanArgsParquet, col, len};

use plimsoll_benches::process::{Run, child, cpu_seconds, measured, median};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Columns of numbers that the replay reads.
const NUMBERS: [&str; 4] = ["quality", "cost_usd", "propensity", "input_tokens"];
/// Columns of texts that the replay reads.
const TEXTS: [&str; 5] = ["request_id", "model", "task", "tenant", "session_id"];

/// Runs of each side.
const RUNS: usize = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--scan", log] => measured(|| scan(Path::new(log))),
        ["--replay", log] => measured(|| replay(Path::new(log))),
        ["--generate", log, requests] => generate(Path::new(log), requests.parse()?),
        [] => compare(None, 10_000_000),
        ["--requests", requests] => compare(None, requests.parse()?),
        [log] => compare(Some(PathBuf::from(log)), 0),
        _ => Err("usage: stream [LOG.parquet | --requests N]".into()),
    }
}

fn compare(log: Option<PathBuf>, requests: u64) -> Result<()> {
    let given = log.is_some();
    let own = || std::env::temp_dir().join(format!("plimsoll-stream-{requests}.parquet"));
    let log = log.unwrap_or_else(own);
    if !given && !log.exists() {
        generate(&log, requests)?;
    }
    let (mut scans, mut replays) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        scans.push(child("--scan", &log)?);
        replays.push(child("--replay", &log)?);
    }
    let [scan, replay] = [("scan and sum", &scans), ("replay", &replays)].map(|(name, runs)| {
        let of = |pick: fn(&Run) -> f64| median(runs.iter().map(pick).collect());
        let (wall, cpu) = (of(|run| run.wall_seconds), of(|run| run.cpu_seconds));
        let peak = of(|run| run.peak_mib);
        println!("{name}: {wall:.2} s, {cpu:.2} CPU-s, {peak:.0} MiB at most (medians of {RUNS})");
        (wall, cpu)
    });
    println!(
        "replay / scan: {:.2} in wall time, {:.2} in processor time",
        replay.0 / scan.0,
        replay.1 / scan.1
    );
    Ok(())
}

/// Streams the log through the default policy.
fn replay(log: &Path) -> Result<()> {
    let began = Instant::now();
    let options = StreamOptions {
        prompts: true,
        ..StreamOptions::default()
    };
    let input = Input::Path(log.to_owned());
    let files = LoggedFiles::open(&input, &options)?.ok_or("this log is not streamed")?;
    let policy = PolicyConfig::new(ObjectiveConfig::retain(0.98));
    let options = ReplayOptions::new(policy, Split::parse("hash:0.7")?, Seed(1));
    let stage = |stage: StreamStage| {
        let wall = began.elapsed().as_secs_f64();
        let cpu = cpu_seconds().unwrap_or(f64::NAN);
        eprintln!("{wall:.2} s, {cpu:.2} CPU-s: {stage:?}");
    };
    let streamed = replay_stream(&files, None, &options, &stage)?;
    let evaluation = streamed.evaluation;
    println!(
        "{:?}: savings {:?}, quality change {:?}, {} evaluated",
        evaluation.verdict,
        evaluation.savings.fraction,
        evaluation.quality_change,
        evaluation.requests.evaluated
    );
    Ok(())
}

/// Sums of the numeric columns, and total lengths of the texts: the least a scan can do.
fn scan(log: &Path) -> Result<()> {
    let numbers = NUMBERS.map(|name| col(name).sum());
    let texts = TEXTS.map(|name| col(name).str().len_bytes().sum());
    let path = PlRefPath::new(log.to_string_lossy());
    let args = ScanArgsParquet {
        glob: false,
        ..Default::default()
    };
    let sums = LazyFrame::scan_parquet(path, args)?
        .select([&[len(), col("timestamp").max()], numbers.as_slice(), &texts].concat())
        .collect()?;
    println!("{:?}", sums.get(0));
    Ok(())
}

fn generate(log: &Path, requests: u64) -> Result<()> {
    let config = SimulateConfig {
        requests,
        seed: Seed(1),
        logging: Logging::Epsilon { epsilon: 0.2 },
        text: false,
        ..SimulateConfig::default()
    };
    simulate(&config, log, None, &|_| ())?;
    Ok(())
}
