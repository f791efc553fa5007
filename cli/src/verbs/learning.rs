//! `plimsoll replay --learning`: a policy that goes on learning.

use plimsoll::{ExplorationChoice, ExplorationConfig, Seed};
use plimsoll_datasets::{Input, Warning};
use plimsoll_harness::learning::{
    Delay, Injection, LearningError, LearningOptions, LearningReport, Order, Wait, engine_learner,
    replay,
};
use plimsoll_reports::render_learning;

use super::judging::{Command, policy};
use crate::app::Context;
use crate::args::{LearningArgs, ReplayArgs};
use crate::exit::Exit;
use crate::log_input::Loaded;
use crate::output::Output;
use crate::policy_file::Policy;
use crate::problem::Failure;
use crate::progress::Progress;

/// ε of the policy that is replayed when none is given: without exploring nothing is learned.
const EPSILON: f64 = 0.05;

pub(crate) fn run(context: &Context, args: &ReplayArgs) -> Result<Exit, Failure> {
    let output = Output::new(context, args.judge.format)?;
    let mut policy = policy(context, args.policy.as_deref())?;
    if args.policy.is_none() {
        let note = "no --policy: exploring 5 % of the requests, each other arm alike";
        context.console.note(note);
        policy.config.exploration = ExplorationConfig {
            kind: ExplorationChoice::Epsilon,
            share_max: EPSILON,
            epsilon: EPSILON,
            ..ExplorationConfig::default()
        };
    }
    let options = options(context, &policy, args)?;
    options.validate()?;
    let loaded = Loaded::read(context, &Input::parse(&args.log.log), &args.log.reading)?;
    for warning in &loaded.report.warnings {
        if matches!(warning, Warning::Misspelt { .. }) {
            context.console.note(&format!("warning: {warning}"));
        }
    }
    let progress = Progress::new(context.console);
    progress.runs(options.seeds);
    let replayed = replay(
        &loaded.replay_input(),
        &engine_learner(&options.policy),
        &options,
    );
    drop(progress);
    let report = replayed?;
    output.write(|form, style| render_learning(&report, form, style))?;
    if output.file().is_some() {
        context.console.note(&summary(&report));
    }
    context.console.next(&next(args, &report));
    Ok(Exit::Done)
}

fn options(
    context: &Context,
    policy: &Policy,
    args: &ReplayArgs,
) -> Result<LearningOptions, Failure> {
    let own = &args.learning;
    let mut options = LearningOptions::new(policy.config.clone(), Seed(context.settings.seed));
    options.policy_toml.clone_from(&policy.toml);
    options.seeds = own.seeds.unwrap_or(options.seeds);
    options.warm_up = own.warm_up.unwrap_or(options.warm_up);
    options.label_share = own.label_share.unwrap_or(options.label_share);
    options.horizon = own.horizon;
    options.prices_announced = !own.unannounced;
    if own.shuffle {
        options.order = Order::Shuffled;
    }
    if let Some(delay) = &own.delay {
        options.delay = delay.parse::<Delay>()?;
    }
    if let Some(wait) = &own.censor_after {
        options.censor_after = Some(Wait::parse("censor-after", wait)?);
    }
    for (option, text) in injections(own) {
        options.injections.push(Injection::parse(option, text)?);
    }
    options.command = command(context, args);
    Ok(options)
}

/// The scenario's options as given, by name.
fn injections(args: &LearningArgs) -> impl Iterator<Item = (&'static str, &str)> {
    [
        ("drift", &args.drift),
        ("price", &args.price),
        ("arm-appears", &args.arm_appears),
        ("arm-vanishes", &args.arm_vanishes),
    ]
    .into_iter()
    .flat_map(|(option, texts)| texts.iter().map(move |text| (option, text.as_str())))
}

/// A command that gives the same report again.
fn command(context: &Context, args: &ReplayArgs) -> String {
    let own = &args.learning;
    let mut command = Command::new("replay", &args.log.log)
        .files("policy", args.policy.as_deref())
        .flag("learning");
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            command = std::mem::take(&mut command).option(name, &value);
        }
    };
    option("seeds", own.seeds.map(|n| n.to_string()));
    option("warm-up", own.warm_up.map(|x| x.to_string()));
    option("delay", own.delay.clone());
    option("label-share", own.label_share.map(|x| x.to_string()));
    option("censor-after", own.censor_after.clone());
    option("horizon", own.horizon.map(|n| n.to_string()));
    for (name, text) in injections(own) {
        option(name, Some(text.to_owned()));
    }
    for (name, given) in [("shuffle", own.shuffle), ("unannounced", own.unannounced)] {
        if given {
            command = command.flag(name);
        }
    }
    command.reading(context, &args.log.reading).seeded(context)
}

/// The first learner in one line.
fn summary(report: &LearningReport) -> String {
    match (report.learners.first(), report.logged.first()) {
        (Some(learner), _) => format!(
            "quality {:.3} at a line of {:.3}, cost {} USD (median of {} seeds)",
            learner.quality.median, report.line, learner.cost_usd.median, report.seeds
        ),
        (None, Some(learner)) => format!(
            "quality {:.3} ({:.3} to {:.3}) over {:.0} accepted requests",
            learner.dr_ns.quality.point,
            learner.dr_ns.quality.low,
            learner.dr_ns.quality.high,
            learner.dr_ns.accepted.median
        ),
        (None, None) => "nothing was replayed".to_owned(),
    }
}

/// What to try next: a drift of the arm that gets most requests, or a page.
fn next(args: &ReplayArgs, report: &LearningReport) -> String {
    let log = crate::console::shell_word(&args.log.log);
    let scenario = injections(&args.learning).next().is_some();
    let busiest = report.learners.first().and_then(|learner| {
        let shares = learner.shares.iter().zip(&report.arms);
        shares
            .max_by(|a, b| a.0.median.total_cmp(&b.0.median))
            .map(|(_, arm)| arm)
    });
    match busiest {
        Some(arm) if !scenario && arm.quality > 0.25 => {
            let drift = crate::console::shell_word(&format!("{}:0.5:-0.2", arm.model));
            format!("plimsoll replay {log} --learning --drift {drift} -o learning.html")
        }
        _ => format!("plimsoll replay {log} --learning -o learning.html"),
    }
}

impl From<LearningError> for Failure {
    fn from(error: LearningError) -> Self {
        let exit = match error {
            LearningError::Evidence(error) => return error.into(),
            LearningError::Observational
            | LearningError::TooFew { .. }
            | LearningError::MissingOutcomes { .. }
            | LearningError::NotUniform { .. } => Exit::Evidence,
            LearningError::Probabilities { .. } => Exit::Error,
            _ => Exit::Usage,
        };
        let mut failure = Self::plain(exit, error.code(), error.to_string(), error.help());
        if exit == Exit::Evidence {
            for problem in &mut failure.problems {
                problem.impact = Some("nothing is stated about the policy".to_owned());
            }
        }
        failure
    }
}
