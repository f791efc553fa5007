//! Writing a simulation's log: drawn in blocks on all cores, written in order.

use std::path::Path;

use plimsoll::Usd;
use rayon::prelude::*;

use crate::row::LogRow;
use crate::simulate::{
    ArmTruth, Logging, SimulateConfig, SimulateError, SimulatedArm, Simulation, SimulationSummary,
    Ticket,
};
use crate::write::LogWriter;

/// Requests drawn at a time.
const BLOCK: usize = 8_192;

/// What is written and counted of one request.
struct Page {
    rows: Vec<LogRow>,
    truth: Vec<LogRow>,
    /// True chance and cost per arm.
    arms: Vec<(f64, Usd)>,
}

/// Writes a simulation's log, and beside it the truth: a log of all arms whose quality is the
/// true chance of a good answer.
///
/// `progress` is told the number of requests written so far, now and then. Memory does not grow
/// with the number of requests, and the bytes do not depend on the number of threads.
///
/// # Errors
/// [`SimulateError`] when a setting is outside its range or a file cannot be written; then no file
/// appears.
pub fn simulate(
    config: &SimulateConfig,
    log: &Path,
    truth: Option<&Path>,
    progress: &dyn Fn(u64),
) -> Result<SimulationSummary, SimulateError> {
    let mut simulation = Simulation::new(config)?;
    let mut writer = LogWriter::create(log, &columns(config))?;
    let truth_columns = ["request_id", "model", "quality", "cost_usd", "task"];
    let mut truth = truth
        .map(|path| LogWriter::create(path, &truth_columns))
        .transpose()?;
    let mut sums = vec![(0.0, Usd::ZERO); config.arms.len()];
    let (mut done, mut rows) = (0, 0);
    loop {
        let block: Vec<Ticket> = std::iter::from_fn(|| simulation.next_ticket())
            .take(BLOCK)
            .collect();
        if block.is_empty() {
            break;
        }
        let with_truth = truth.is_some();
        let pages: Vec<Page> = block
            .into_par_iter()
            .map(|ticket| page(&simulation, ticket, with_truth))
            .collect();
        for page in pages {
            done += 1;
            rows += page.rows.len() as u64;
            for row in page.rows {
                writer.write_owned(row)?;
            }
            for ((chance, cost), (quality_sum, cost_sum)) in page.arms.into_iter().zip(&mut sums) {
                *quality_sum += chance;
                *cost_sum += cost;
            }
            if let Some(truth) = &mut truth {
                for row in page.truth {
                    truth.write_owned(row)?;
                }
            }
        }
        progress(done);
    }
    writer.finish()?;
    truth.map(LogWriter::finish).transpose()?;
    Ok(summary(config, rows, sums))
}

fn page(simulation: &Simulation, ticket: Ticket, with_truth: bool) -> Page {
    let drawn = simulation.draw(ticket);
    Page {
        rows: simulation.rows(&drawn),
        truth: if with_truth {
            simulation.truth(&drawn)
        } else {
            vec![]
        },
        arms: drawn
            .arms
            .iter()
            .map(|answer| (answer.chance, answer.cost.unwrap_or_default()))
            .collect(),
    }
}

fn columns(config: &SimulateConfig) -> Vec<&'static str> {
    let mut columns = vec![
        "request_id",
        "model",
        "quality",
        "cost_usd",
        "input_tokens",
        "output_tokens",
        "timestamp",
        "served",
        "task",
        "tenant",
        "session_id",
        "latency_ms",
        "status",
    ];
    if config.text {
        columns.push("prompt");
    }
    if config.logging != Logging::FullInformation {
        columns.push("propensity");
    }
    columns
}

fn summary(config: &SimulateConfig, rows: u64, sums: Vec<(f64, Usd)>) -> SimulationSummary {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of requests stay below 2^53"
    )]
    let mean = |sum: f64| sum / config.requests as f64;
    let arm = |(arm, (quality, cost_usd)): (&SimulatedArm, (f64, Usd))| ArmTruth {
        arm: arm.name.clone(),
        quality: mean(quality),
        cost_usd,
    };
    SimulationSummary {
        requests: config.requests,
        rows,
        arms: config.arms.iter().zip(sums).map(arm).collect(),
    }
}
