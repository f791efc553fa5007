//! `plimsoll demo`: the sample log, replayed.

use std::path::Path;

use plimsoll_datasets::{Input, SAMPLE_NAME, sample_log};
use plimsoll_harness::ReplayOptions;
use plimsoll_reports::{Format, Style, render_evaluation};

use super::judging::options;
use crate::app::Context;
use crate::args::{JudgeArgs, ReadingArgs};
use crate::exit::Exit;
use crate::log_input::Loaded;
use crate::policy_file::Policy;
use crate::problem::Failure;
use crate::progress::Progress;
use crate::staging::{refuse_existing, write_file};

const REPORT: &str = "report.html";

/// How a report of this command is told from a user's own.
const MARK: &str = "plimsoll demo --seed";

pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let target = context
        .global
        .output
        .as_deref()
        .unwrap_or(Path::new(REPORT));
    let force = context.global.force || is_own(target);
    refuse_existing(target, force)?;
    let policy = Policy::demo()?;
    let command = format!("{MARK} {}", context.settings.seed);
    let options: ReplayOptions = options(context, &policy, &JudgeArgs::default(), command)?;
    let sample = Input::bytes(SAMPLE_NAME, sample_log());
    let loaded = Loaded::read(context, &sample, &ReadingArgs::default())?;
    let progress = Progress::new(context.console);
    let replayed = plimsoll_harness::replay(&loaded.replay_input(), &options, &|stage| {
        progress.stage(stage);
    });
    drop(progress);
    let evaluation = replayed?.evaluation;
    let page = render_evaluation(&evaluation, Format::Html, &Style::default())?;
    write_file(target, page.as_bytes(), force)?;
    let console = context.console;
    let form = if context.global.json {
        Format::Json
    } else {
        Format::Terminal
    };
    let style = Style {
        color: console.color,
        width: console.width,
    };
    console.data(&render_evaluation(&evaluation, form, &style)?)?;
    console.note(&format!("wrote {}: open it in a browser", target.display()));
    console
        .next("plimsoll init, then plimsoll replay YOUR-LOG --policy policy.toml -o report.html");
    // Nobody's traffic was judged, so no verdict is a failure.
    Ok(Exit::Done)
}

/// Whether the file is an earlier report of this command, which may be replaced.
fn is_own(target: &Path) -> bool {
    std::fs::read_to_string(target).is_ok_and(|text| text.contains(MARK))
}
