//! `plimsoll simulate`: a synthetic log whose truth is known.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use plimsoll::Seed;
use plimsoll_datasets::{SimulateConfig, SimulatedArm, SimulationSummary, simulate};

use crate::app::Context;
use crate::args::SimulateArgs;
use crate::console::shell_word;
use crate::exit::Exit;
use crate::problem::Failure;
use crate::progress::Progress;
use crate::staging::Staging;
use crate::toml_check::nearest;

/// The name under which a log for stdout is staged; its ending chooses the format.
const FOR_STDOUT: &str = "plimsoll-simulated.jsonl";

pub(crate) fn run(context: &Context, args: &SimulateArgs) -> Result<Exit, Failure> {
    let config = config(context, args)?;
    let file = context
        .global
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    let force = context.global.force;
    let log = match file {
        Some(file) => Staging::new(file, force)?,
        None => Staging::new(&std::env::temp_dir().join(FOR_STDOUT), true)?,
    };
    let truth = args
        .truth
        .as_deref()
        .map(|path| Staging::new(path, force))
        .transpose()?;
    let progress = Progress::new(context.console);
    let truth_path = truth.as_ref().map(Staging::path);
    let summary = simulate(&config, &log.path(), truth_path.as_deref(), &|done| {
        progress.requests(done, config.requests);
    });
    drop(progress);
    let summary = summary?;
    if let Some(truth) = truth {
        truth.commit()?;
    }
    let Some(file) = file else {
        let staged = File::open(log.path()).map_err(|error| {
            Failure::plain(Exit::Error, "P0704", error.to_string(), "try -o FILE")
        })?;
        context.console.stream(staged)?;
        context
            .console
            .next("plimsoll simulate -o log.jsonl, then plimsoll validate log.jsonl");
        return Ok(Exit::Done);
    };
    log.commit()?;
    context.console.data(&summarise(context, &summary))?;
    context.console.note(&format!("wrote {}", file.display()));
    let name = shell_word(&file.to_string_lossy());
    context.console.next(&format!("plimsoll validate {name}"));
    Ok(Exit::Done)
}

fn config(context: &Context, args: &SimulateArgs) -> Result<SimulateConfig, Failure> {
    let default = SimulateConfig::default();
    Ok(SimulateConfig {
        requests: args.requests,
        arms: arms(&args.arms)?,
        tasks: args.tasks.unwrap_or(default.tasks),
        seed: Seed(context.settings.seed),
        drift: args.drift,
        missing_label_share: args.missing_labels,
        logging: args.logging,
        days: args.days.unwrap_or(default.days),
        text: !args.no_text,
        ..default
    })
}

/// The default arms of these names, in this order; all of them when none is named.
fn arms(names: &[String]) -> Result<Vec<SimulatedArm>, Failure> {
    let known = SimulatedArm::defaults();
    if names.is_empty() {
        return Ok(known);
    }
    let find = |name: &String| {
        known
            .iter()
            .find(|arm| arm.name == *name)
            .cloned()
            .ok_or_else(|| {
                let all: Vec<&str> = known.iter().map(|arm| arm.name.as_str()).collect();
                let help = match nearest(name, &all) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the simulated arms are {}", all.join(", ")),
                };
                Failure::plain(
                    Exit::Usage,
                    "P0713",
                    format!("no simulated arm `{name}`"),
                    help,
                )
            })
    };
    names.iter().map(find).collect()
}

fn summarise(context: &Context, summary: &SimulationSummary) -> String {
    if context.global.json {
        return format!(
            "{:#}",
            serde_json::json!({ "schema": 1, "simulation": summary })
        );
    }
    let mut text = format!("{} requests, {} rows\n", summary.requests, summary.rows);
    let _ = writeln!(
        text,
        "{:8}  {:>12}  {:>14}",
        "arm", "true quality", "total cost"
    );
    for arm in &summary.arms {
        let cost = arm.cost_usd.as_f64();
        let _ = writeln!(
            text,
            "{:8}  {:>12.4}  {:>14}",
            arm.arm,
            arm.quality,
            format!("${cost:.2}")
        );
    }
    text
}
