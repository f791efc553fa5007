//! Off-policy estimates over 10 million rows × 10 arms, and 1,000 Poisson bootstrap resamples,
//! beside C and NumPy on the same rows in the same run. See `benches/peers/README.md`.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use cpu_time::ProcessTime;
use plimsoll_benches::Numbers;
use plimsoll_harness::ope::PoissonBootstrap;
use plimsoll_harness::ope::fused::{Columns, FusedSettings, estimate};

const ARMS: usize = 10;
const REPEATS: u32 = 10;
const CHUNK: usize = 8192;
const CLUSTERS: usize = 1_000_000;
const RESAMPLES: usize = 1000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let rows = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 10_000_000,
    };
    let folder = std::env::temp_dir().join(format!("plimsoll-ope-{}", std::process::id()));
    fs::create_dir(&folder)?;
    println!("| what | side | CPU seconds | Plimsoll / side |\n|---|---|---|---|");
    let done = estimators(rows, &folder);
    bootstrap(&folder);
    fs::remove_dir_all(&folder)?;
    done?;
    if let Some(peak) = peak_megabytes() {
        println!("\nPeak memory of this process: {peak} MB.");
    }
    Ok(())
}

/// A log whose columns a peer can read as they are.
struct Log {
    action: Vec<u8>,
    outcome: Vec<f32>,
    propensity: Vec<f32>,
    target: Vec<f32>,
    predictions: Vec<f32>,
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of a benchmark")]
fn log(rows: usize) -> Log {
    let mut numbers = Numbers::new(1);
    let mut log = Log {
        action: Vec::with_capacity(rows),
        outcome: Vec::with_capacity(rows),
        propensity: Vec::with_capacity(rows),
        target: Vec::with_capacity(rows * ARMS),
        predictions: Vec::with_capacity(rows * ARMS),
    };
    for _ in 0..rows {
        let draw = |numbers: &mut Numbers| -> [f32; ARMS] {
            let weights = [(); ARMS].map(|()| (0.05 + numbers.draw()) as f32);
            let sum: f32 = weights.iter().sum();
            weights.map(|w| w / sum)
        };
        let (logging, target) = (draw(&mut numbers), draw(&mut numbers));
        let mut left = numbers.draw() as f32;
        let logged = logging.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        let logged = logged.unwrap_or(ARMS - 1);
        let predictions = [(); ARMS].map(|()| numbers.draw() as f32);
        log.action.push(logged as u8);
        log.propensity.push(logging[logged]);
        log.outcome.push(f32::from(u8::from(
            (numbers.draw() as f32) < predictions[logged],
        )));
        log.target.extend(target);
        log.predictions.extend(predictions);
    }
    log
}

fn estimators(rows: usize, folder: &Path) -> Outcome<()> {
    let log = log(rows);
    fs::write(folder.join("action.bin"), &log.action)?;
    for (name, column) in [
        ("outcome", &log.outcome),
        ("propensity", &log.propensity),
        ("target", &log.target),
        ("predictions", &log.predictions),
    ] {
        let mut file =
            std::io::BufWriter::new(fs::File::create(folder.join(format!("{name}.bin")))?);
        for x in column {
            std::io::Write::write_all(&mut file, &x.to_le_bytes())?;
        }
    }
    let columns = Columns {
        action: &log.action,
        outcome: &log.outcome,
        propensity: &log.propensity,
        target: &log.target,
        predictions: &log.predictions,
        arms: ARMS,
    };
    let timed = || -> Outcome<f64> {
        let start = ProcessTime::now();
        for _ in 0..REPEATS {
            black_box(estimate(black_box(&columns), FusedSettings::default())?);
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(REPEATS))
    };
    // The peers use one thread. Several wait for each other's memory, and that counts as time.
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let ours = one.install(|| timed().map_err(|error| error.to_string()))?;
    let what = format!("7 estimators, {rows} rows × {ARMS} arms");
    row(&what, "Plimsoll", Some(ours), ours);
    row(&what, "Plimsoll, all threads", Some(timed()?), ours);
    drop(log);
    let place = folder.display().to_string();
    let (rows, arms, repeats) = (rows.to_string(), ARMS.to_string(), REPEATS.to_string());
    for (side, flags) in C_FLAGS {
        let arguments = [&place, &rows, &arms, &repeats];
        row(
            &what,
            side,
            in_c("fused.c", flags, folder, &arguments.map(String::as_str)),
            ours,
        );
    }
    let chunk = CHUNK.to_string();
    let theirs = in_python(&[&place, &rows, &arms, &chunk, &repeats]);
    row(&what, "NumPy, chunked", theirs, ours);
    Ok(())
}

fn bootstrap(folder: &Path) {
    let mut numbers = Numbers::new(2);
    let clusters: Vec<u64> = (0..CLUSTERS as u64).collect();
    let columns: Vec<Vec<f64>> = (0..4)
        .map(|_| (0..CLUSTERS).map(|_| numbers.draw()).collect())
        .collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let bootstrap = PoissonBootstrap {
        resamples: RESAMPLES,
        seed: 1,
    };
    let start = ProcessTime::now();
    black_box(bootstrap.sums(black_box(&clusters), &columns));
    let ours = start.elapsed().as_secs_f64();
    let what = format!("{RESAMPLES} resamples of 3 estimators, {CLUSTERS} clusters");
    row(&what, "Plimsoll", Some(ours), ours);
    let (rows, resamples) = (CLUSTERS.to_string(), RESAMPLES.to_string());
    for (side, flags) in C_FLAGS {
        row(
            &what,
            side,
            in_c("poisson.c", flags, folder, &[&rows, &resamples]),
            ours,
        );
    }
    let theirs = in_python(&["poisson", &rows, &resamples]);
    row(&what, "NumPy", theirs, ours);
}

const C_FLAGS: [(&str, &[&str]); 2] = [
    ("C, -O3", &["-O3"]),
    ("C, -O3 -march=native", &["-O3", "-march=native"]),
];

fn row(what: &str, side: &str, seconds: Option<f64>, ours: f64) {
    match seconds {
        Some(seconds) => println!("| {what} | {side} | {seconds:.4} | {:.2} |", ours / seconds),
        None => println!("| {what} | {side} | not run: its tools are missing | |"),
    }
}

fn peers() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

fn in_c(source: &str, flags: &[&str], folder: &Path, arguments: &[&str]) -> Option<f64> {
    let binary = folder.join("peer");
    let built = Command::new("gcc")
        .args(flags)
        .arg(peers().join(source))
        .args(["-lm", "-o"])
        .arg(&binary)
        .status()
        .ok()?;
    built.success().then_some(())?;
    seconds(Command::new(&binary).args(arguments))
}

fn in_python(arguments: &[&str]) -> Option<f64> {
    seconds(
        Command::new("python3")
            .arg(peers().join("ope_numpy.py"))
            .args(arguments),
    )
}

/// The number after `cpu_seconds` in what a peer prints.
fn seconds(command: &mut Command) -> Option<f64> {
    let output = command.output().ok()?;
    output.status.success().then_some(())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("cpu_seconds "))?;
    line.trim().parse().ok()
}

/// Peak resident memory, where the system tells.
fn peak_megabytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes / 1000)
}
