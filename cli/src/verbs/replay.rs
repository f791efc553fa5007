//! `plimsoll replay`: judge a policy on the recorded requests it has not seen.

use plimsoll_datasets::Input;
use plimsoll_harness::stream::replay_stream;
use plimsoll_reports::render_evaluation;

use super::certified;
use super::judging::{Command, options, policy};
use super::names;
use crate::app::Context;
use crate::args::ReplayArgs;
use crate::exit::Exit;
use crate::log_input::{Loaded, streamed};
use crate::output::{Output, next_after, verdict_line};
use crate::problem::Failure;
use crate::progress::Progress;

pub(crate) fn run(context: &Context, args: &ReplayArgs) -> Result<Exit, Failure> {
    if args.learning.learning {
        return super::learning::run(context, args);
    }
    if let Some(certificate) = &args.certificate {
        return certified::run(context, args, certificate);
    }
    let output = Output::new(context, args.judge.format)?;
    let policy_path = args.policy.as_deref();
    let policy = policy(context, policy_path)?;
    let command = Command::new("replay", &args.log.log)
        .files("policy", policy_path)
        .judging(context, &args.log.reading, &args.judge);
    let options = options(context, &policy, &args.judge, command)?;
    let input = Input::parse(&args.log.log);
    let progress = || Progress::new(context.console);
    let evaluation = if let Some(files) = streamed(context, &input, &args.log.reading, &options)? {
        let progress = progress();
        replay_stream(&files, None, &options, &|stage| progress.streaming(stage))?.evaluation
    } else {
        let loaded = Loaded::read(context, &input, &args.log.reading)?;
        names::check(context, &loaded, &args.judge, std::slice::from_ref(&policy))?;
        let progress = progress();
        let stage = |stage| progress.stage(stage);
        plimsoll_harness::replay(&loaded.replay_input(), &options, &stage)?.evaluation
    };
    output.write(|form, style| render_evaluation(&evaluation, form, style))?;
    if output.file().is_some() {
        context.console.note(&verdict_line(&evaluation));
    }
    context
        .console
        .next(&next_after(&evaluation, &args.log.log, policy_path));
    Ok(Exit::of_evaluation(&evaluation))
}
