//! `plimsoll compare`: several policies on the same requests.

use plimsoll_datasets::Input;
use plimsoll_harness::ReplayOptions;
use plimsoll_reports::render_comparison;

use super::judging::{Command, options};
use super::names;
use crate::app::Context;
use crate::args::CompareArgs;
use crate::console::shell_word;
use crate::exit::Exit;
use crate::log_input::Loaded;
use crate::output::{Output, verdict_line};
use crate::policy_file::Policy;
use crate::problem::Failure;
use crate::progress::Progress;

pub(crate) fn run(context: &Context, args: &CompareArgs) -> Result<Exit, Failure> {
    if args.policies.len() < 2 {
        let help = "give --policy twice, or use `plimsoll replay` for one policy";
        return Err(Failure::plain(
            Exit::Usage,
            "P0710",
            "a comparison needs two policies",
            help,
        ));
    }
    let output = Output::new(context, args.judge.format)?;
    let command = Command::new("compare", &args.log.log)
        .files(
            "policy",
            args.policies.iter().map(std::path::PathBuf::as_path),
        )
        .judging(context, &args.log.reading, &args.judge);
    let policies: Vec<Policy> = args
        .policies
        .iter()
        .map(|path| Policy::read(path))
        .collect::<Result<_, Failure>>()?;
    let named: Vec<(String, ReplayOptions)> = policies
        .iter()
        .map(|policy| {
            let options = options(context, policy, &args.judge, command.clone())?;
            Ok((policy.name.clone(), options))
        })
        .collect::<Result<_, Failure>>()?;
    let loaded = Loaded::read(context, &Input::parse(&args.log.log), &args.log.reading)?;
    names::check(context, &loaded, &args.judge, &policies)?;
    let progress = Progress::new(context.console);
    let compared = plimsoll_harness::compare(&loaded.replay_input(), &named, &|stage| {
        progress.stage(stage);
    });
    drop(progress);
    let comparison = compared?;
    output.write(|form, style| render_comparison(&comparison, form, style))?;
    for (name, evaluation) in comparison.names.iter().zip(&comparison.evaluations) {
        if output.file().is_some() {
            context
                .console
                .note(&format!("{name}: {}", verdict_line(evaluation)));
        }
    }
    let (log, first) = (
        shell_word(&args.log.log),
        args.policies[0].to_string_lossy(),
    );
    let policy = shell_word(&first);
    context.console.next(&format!(
        "plimsoll replay {log} --policy {policy} -o report.html"
    ));
    Ok(Exit::of_evaluations(&comparison.evaluations))
}
