//! Streaming replay of a large Parquet log beside a plain Polars scan of the same columns.
//!
//! `cargo run --release -p plimsoll-benches --bin stream -- [LOG.parquet] [--requests N]`
//!
//! Without a log, one of N requests (10⁷ by default) is generated in the temporary folder and
//! kept there. Each side runs in a process of its own, in turns; the lines printed are wall time,
//! processor time and peak resident memory (`VmHWM`), the last line is the ratio of the medians.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use plimsoll::Seed;
use plimsoll_datasets::{Logging, SimulateConfig, simulate};
use polars::prelude::{LazyFrame, PlRefPath, ScanArgsParquet, col, len};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Columns of numbers that the replay reads.
const NUMBERS: [&str; 4] = ["quality", "cost_usd", "propensity", "input_tokens"];
/// Columns of texts that the replay reads.
const TEXTS: [&str; 5] = ["request_id", "model", "task", "tenant", "session_id"];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--scan", log] => scan(Path::new(log)),
        ["--generate", log, requests] => generate(Path::new(log), requests.parse()?),
        _ => Ok(()),
    }
}

/// Sums of the numeric columns, and total lengths of the texts: the least a scan can do.
fn scan(log: &Path) -> Result<()> {
    let began = Instant::now();
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
    println!("{:?}", began.elapsed());
    Ok(())
}

fn generate(log: &Path, requests: u64) -> Result<()> {
    let began = Instant::now();
    let config = SimulateConfig {
        requests,
        seed: Seed(1),
        logging: Logging::Epsilon { epsilon: 0.2 },
        text: false,
        ..SimulateConfig::default()
    };
    simulate(&config, log, None, &|_| ())?;
    println!("{:?}", began.elapsed());
    Ok(())
}
