//! `plimsoll tune`: the cheapest policy that is proven to keep the line, and its certificate.

use std::path::{Path, PathBuf};

use plimsoll::{BEST_SINGLE, PolicyConfig, RuleKind, Seed};
use plimsoll_datasets::Input;
use plimsoll_harness::certificate::{
    Certificate, Certified, Files, SegmentMode, Shares, TuneOptions, Tuning, tune,
};
use plimsoll_reports::{render_certificate, render_shortfall};

use super::certified::{failure, form};
use super::judging::{Command, policy, waived};
use super::names;
use crate::app::Context;
use crate::args::{JudgeArgs, RuleArg, SegmentArg, TuneArgs};
use crate::console::shell_word;
use crate::exit::Exit;
use crate::log_input::Loaded;
use crate::policy_file::Policy;
use crate::problem::Failure;
use crate::progress::Progress;
use crate::settings::RESAMPLES;
use crate::staging::{Staging, refuse_existing};

/// Where the three files go.
struct Targets {
    policy: PathBuf,
    snapshot: PathBuf,
    certificate: PathBuf,
}

pub(crate) fn run(context: &Context, args: &TuneArgs) -> Result<Exit, Failure> {
    let targets = Targets::of(context.global.output.as_deref())?;
    for path in targets.all() {
        refuse_existing(path, context.global.force)?;
    }
    let policy = objective(context, args)?;
    let options = options(context, args, policy.config.clone())?;
    let loaded = Loaded::read(context, &Input::parse(&args.log.log), &args.log.reading)?;
    let judge = JudgeArgs {
        baseline: args.baseline.clone(),
        ..JudgeArgs::default()
    };
    names::check(context, &loaded, &judge, std::slice::from_ref(&policy))?;
    let progress = Progress::new(context.console);
    let tuned = tune(&loaded.replay_input(), &options, &|stage| {
        progress.tuning(stage);
    });
    drop(progress);
    let form = form(context, args.format);
    let log = shell_word(&args.log.log);
    match tuned.map_err(failure)? {
        Tuning::Certified(certified) => {
            let certificate = write(context, &targets, *certified)?;
            let style = context.console.style();
            context
                .console
                .data(&render_certificate(&certificate, form, &style)?)?;
            let path = shell_word(&targets.certificate.to_string_lossy());
            context
                .console
                .next(&format!("plimsoll replay NEWER_LOG --certificate {path}"));
            Ok(Exit::Done)
        }
        Tuning::Refused(shortfall) => {
            let style = context.console.style();
            context
                .console
                .data(&render_shortfall(&shortfall, form, &style)?)?;
            context.console.next(&format!("plimsoll validate {log}"));
            Ok(if shortfall.out_of_reach {
                Exit::Gate
            } else {
                Exit::Evidence
            })
        }
    }
}

/// The policy to start from, with what the command line says about the line.
fn objective(context: &Context, args: &TuneArgs) -> Result<Policy, Failure> {
    let stated = args.quality.is_some() || args.retain.is_some() || args.relative_to.is_some();
    let mut policy = if stated && args.policy.is_none() {
        Policy::default_policy()?
    } else {
        policy(context, args.policy.as_deref())?
    };
    let objective = &mut policy.config.objective;
    if let Some(quality) = args.quality {
        objective.quality = Some(quality);
        objective.retain = None;
        objective.relative_to = None;
    }
    if args.retain.is_some() || args.relative_to.is_some() {
        objective.quality = None;
        objective.retain = args.retain.or(objective.retain);
        let relative_to = args.relative_to.clone().or(objective.relative_to.take());
        objective.relative_to = Some(relative_to.unwrap_or_else(|| BEST_SINGLE.to_owned()));
    }
    if let Some(confidence) = args.confidence {
        objective.confidence = confidence;
    }
    match policy.config.validate() {
        Ok(()) => Ok(policy),
        Err(errors) => {
            let first = &errors[0];
            let (what, help) = (first.to_string(), first.help());
            Err(Failure::plain(Exit::Usage, first.code(), what, help))
        }
    }
}

fn options(
    context: &Context,
    args: &TuneArgs,
    policy: PolicyConfig,
) -> Result<TuneOptions, Failure> {
    let seed = Seed(context.settings.seed);
    let mut options = TuneOptions::new(policy, seed);
    options.rules = match args.rule {
        None => options.rules,
        Some(RuleArg::AverageFloor) => vec![RuleKind::AverageFloor],
        Some(RuleArg::PerRequestFloor) => vec![RuleKind::PerRequestFloor],
    };
    options.parts = Shares::parse(&args.parts).map_err(failure)?;
    options.baseline = (args.baseline != BEST_SINGLE).then(|| args.baseline.clone());
    options.segments.clone_from(&args.segments);
    options.segment_mode = match args.segment_mode {
        SegmentArg::Veto => SegmentMode::Veto,
        SegmentArg::Prove => SegmentMode::Prove,
    };
    options.waived = waived(&args.waived)?;
    options.resamples = context.settings.resamples as usize;
    options.command = command(context, args);
    Ok(options)
}

/// A command that gives the same certificate again.
fn command(context: &Context, args: &TuneArgs) -> String {
    let mut command = Command::new("tune", &args.log.log)
        .files("policy", args.policy.as_deref())
        .reading(context, &args.log.reading);
    let numbers = [
        ("quality", args.quality),
        ("retain", args.retain),
        ("confidence", args.confidence),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            command = command.option(name, &value.to_string());
        }
    }
    if let Some(arm) = &args.relative_to {
        command = command.option("relative-to", arm);
    }
    command = command.option("parts", &args.parts);
    match args.rule {
        None => {}
        Some(RuleArg::AverageFloor) => command = command.option("rule", "average-floor"),
        Some(RuleArg::PerRequestFloor) => command = command.option("rule", "per-request-floor"),
    }
    if args.baseline != BEST_SINGLE {
        command = command.option("baseline", &args.baseline);
    }
    for column in &args.segments {
        command = command.option("segment", column);
    }
    if args.segment_mode == SegmentArg::Prove {
        command = command.option("segments", "prove");
    }
    for segment in &args.waived {
        command = command.option("waive", segment);
    }
    if context.settings.resamples != RESAMPLES {
        command = command.option("resamples", &context.settings.resamples.to_string());
    }
    command.seeded(context)
}

/// Writes all three files, or none of them when one cannot be written.
fn write(
    context: &Context,
    targets: &Targets,
    certified: Certified,
) -> Result<Certificate, Failure> {
    let name = |path: &Path| {
        path.file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    };
    let toml = format!(
        "# Tuned by plimsoll. What was proven of it stands in {}.\n\
         # The certified router is {}, with everything it has learnt; this file says from what\n\
         # it was made, and fitting it anew gives another router.\n\n{}",
        name(&targets.certificate),
        name(&targets.snapshot),
        Policy::text_of(&certified.policy)?
    );
    let files = Files {
        policy: name(&targets.policy),
        snapshot: name(&targets.snapshot),
    };
    let (certificate, snapshot) = certified.seal(&toml, files);
    let json = plimsoll_reports::certificate_json(&certificate)?;
    let contents: [(&Path, &[u8]); 3] = [
        (&targets.snapshot, &snapshot),
        (&targets.policy, toml.as_bytes()),
        (&targets.certificate, json.as_bytes()),
    ];
    let mut staged = Vec::new();
    for (path, bytes) in contents {
        let staging = Staging::new(path, context.global.force)?;
        std::fs::write(staging.path(), bytes).map_err(|error| {
            let what = format!("cannot write {}: {error}", path.display());
            Failure::plain(Exit::Error, "P0703", what, "check that there is room")
        })?;
        staged.push(staging);
    }
    for staging in staged {
        staging.commit()?;
    }
    for path in targets.all() {
        context.console.note(&format!("wrote {}", path.display()));
    }
    Ok(certificate)
}

impl Targets {
    /// `policy.toml`, `policy.snapshot` and `certificate.json` in a folder; or beside a policy file
    /// of another name, under its name.
    fn of(output: Option<&Path>) -> Result<Self, Failure> {
        let Some(output) = output else {
            return Ok(Self::within(Path::new("")));
        };
        if output.is_dir() {
            return Ok(Self::within(output));
        }
        if output.extension().is_none_or(|ending| ending != "toml") {
            return Err(Failure::plain(
                Exit::Usage,
                "P0712",
                format!("{} is neither a folder nor a policy file", output.display()),
                "give an existing folder, or a name that ends in .toml",
            ));
        }
        if output.file_name().is_some_and(|name| name == "policy.toml") {
            return Ok(Self::within(output.parent().unwrap_or(Path::new(""))));
        }
        Ok(Self {
            policy: output.to_owned(),
            snapshot: output.with_extension("snapshot"),
            certificate: output.with_extension("certificate.json"),
        })
    }

    fn within(folder: &Path) -> Self {
        Self {
            policy: folder.join("policy.toml"),
            snapshot: folder.join("policy.snapshot"),
            certificate: folder.join("certificate.json"),
        }
    }

    fn all(&self) -> [&Path; 3] {
        [&self.policy, &self.snapshot, &self.certificate]
    }
}
