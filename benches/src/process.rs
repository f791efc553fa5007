//! Sides of a comparison, each in a process of its own, so that peak memory is its own.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What one run of one side took.
#[derive(Clone, Copy)]
pub struct Run {
    /// Wall seconds.
    pub wall_seconds: f64,
    /// Processor seconds.
    pub cpu_seconds: f64,
    /// Peak resident memory in MiB.
    pub peak_mib: f64,
}

/// The median, the upper one of an even number.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs one side in a process of its own and reads what it printed last.
///
/// # Errors
/// When the process fails or prints no figures.
pub fn child(side: &str, log: &Path) -> Result<Run> {
    let output = Command::new(std::env::current_exe()?)
        .arg(side)
        .arg(log)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().last().unwrap_or_default();
    let figures: Vec<f64> = line
        .split(' ')
        .map_while(|word| word.parse().ok())
        .collect();
    let &[wall_seconds, cpu_seconds, peak_mib] = figures.as_slice() else {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{side} failed: {error}").into());
    };
    println!("{side} {line}");
    Ok(Run {
        wall_seconds,
        cpu_seconds,
        peak_mib,
    })
}

/// Runs `work`, then prints wall seconds, processor seconds and peak MiB of this process.
///
/// # Errors
/// What `work` gives, or when the system tells no figures.
pub fn measured(work: impl FnOnce() -> Result<()>) -> Result<()> {
    let began = Instant::now();
    work()?;
    let wall = began.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: f64 = peak
        .and_then(|kib| kib.trim().strip_suffix(" kB"))
        .unwrap_or("0")
        .parse()?;
    println!("{wall} {} {}", cpu_seconds()?, peak / 1024.0);
    Ok(())
}

/// Processor time of this process so far.
///
/// # Errors
/// When the system tells no figures.
pub fn cpu_seconds() -> Result<f64> {
    // utime and stime are the 14th and 15th field, in ticks of 10 ms.
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2);
    let ticks: f64 = ticks.map_while(|word| word.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}
