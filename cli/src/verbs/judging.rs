//! From the command line to the harness's options: what `replay`, `compare` and `explain` share.

use std::path::Path;

use plimsoll::{Seed, Usd};
use plimsoll_datasets::{Split, SplitError};
use plimsoll_harness::{EvidenceError, ReplayOptions};

use crate::app::Context;
use crate::args::{JudgeArgs, ReadingArgs, Unit};
use crate::console::shell_word;
use crate::exit::Exit;
use crate::policy_file::Policy;
use crate::problem::Failure;
use crate::settings::RESAMPLES;

/// The name of the best single arm as a baseline.
const BEST_SINGLE: &str = plimsoll::BEST_SINGLE;

/// Share of requests to learn from.
const TRAIN_SHARE: f64 = 0.7;

/// The options of one judged policy.
pub(crate) fn options(
    context: &Context,
    policy: &Policy,
    args: &JudgeArgs,
    command: String,
) -> Result<ReplayOptions, Failure> {
    let split_text = split_text(args);
    let split = Split::parse(&split_text).map_err(|error| no_split(&error))?;
    Ok(ReplayOptions {
        policy_toml: policy.toml.clone(),
        baseline: (args.baseline != BEST_SINGLE).then(|| args.baseline.clone()),
        split_text,
        resamples: context.settings.resamples as usize,
        show_text: args.show_text,
        segments: args.segments.clone(),
        waived: waived(&args.waived)?,
        invoice_usd: args.invoice_usd.as_deref().map(invoice).transpose()?,
        command,
        ..ReplayOptions::new(policy.config.clone(), split, Seed(context.settings.seed))
    })
}

/// Waivers as `column=value`; blanks around the sign do not matter.
pub(super) fn waived(segments: &[String]) -> Result<Vec<String>, Failure> {
    let parse = |text: &String| {
        let (column, value) = text.split_once('=')?;
        let (column, value) = (column.trim(), value.trim());
        (!column.is_empty()).then(|| format!("{column}={value}"))
    };
    let wrong = |text: &String| {
        Failure::plain(
            Exit::Usage,
            "P0715",
            format!("--waive: `{text}` names no segment"),
            "give a column and its value, for instance --waive task=chat",
        )
    };
    let each = |text: &String| parse(text).ok_or_else(|| wrong(text));
    segments.iter().map(each).collect()
}

fn split_text(args: &JudgeArgs) -> String {
    args.split
        .clone()
        .unwrap_or_else(|| format!("hash:{}", args.train_share.unwrap_or(TRAIN_SHARE)))
}

/// A share of 1 leaves no untouched rows: that is a lack of evidence, not a slip.
fn no_split(error: &SplitError) -> Failure {
    if let SplitError::Share { got } = error
        && let Some(share) = got.parse().ok().filter(|share| *share >= 1.0)
    {
        return EvidenceError::SameRows { share }.into();
    }
    Failure::plain(Exit::Usage, error.code(), error.to_string(), error.help())
}

fn invoice(text: &str) -> Result<Usd, Failure> {
    text.parse().map_err(|error: plimsoll::MoneyError| {
        let what = format!("--invoice-usd: {error}");
        Failure::plain(
            Exit::Usage,
            "P0711",
            what,
            "give a decimal number, for instance 1250.00",
        )
    })
}

/// A command that gives the same evaluation again: files by name, nothing that does not matter.
#[derive(Default)]
pub(crate) struct Command(String);

impl Command {
    /// `plimsoll VERB LOG`.
    pub(crate) fn new(verb: &str, log: &str) -> Self {
        let name = if log == "-" {
            "-".to_owned()
        } else {
            file_name(Path::new(log))
        };
        Self(format!("plimsoll {verb} {}", shell_word(&name)))
    }

    /// `--name VALUE`.
    pub(crate) fn option(mut self, name: &str, value: &str) -> Self {
        self.0 = format!("{} --{name} {}", self.0, shell_word(value));
        self
    }

    /// `--name FILE` for each file.
    pub(crate) fn files<'p>(self, name: &str, files: impl IntoIterator<Item = &'p Path>) -> Self {
        files
            .into_iter()
            .fold(self, |command, path| command.option(name, &file_name(path)))
    }

    /// `--name`.
    pub(crate) fn flag(mut self, name: &str) -> Self {
        self.0 = format!("{} --{name}", self.0);
        self
    }

    /// Everything about reading that changes the result.
    pub(crate) fn reading(mut self, context: &Context, reading: &ReadingArgs) -> Self {
        let settings = &context.settings;
        self = self.files("prices", settings.prices.as_deref());
        if settings.max_reject != plimsoll_datasets::ReadOptions::MAX_REJECT {
            self = self.option("max-reject", &settings.max_reject.to_string());
        }
        if let Some(unit) = reading.timestamp_unit {
            self = self.option("timestamp-unit", unit_name(unit));
        }
        self
    }

    /// The seed, and the command as a whole.
    pub(crate) fn seeded(self, context: &Context) -> String {
        self.option("seed", &context.settings.seed.to_string()).0
    }

    /// Everything about reading and judging that changes the result.
    pub(crate) fn judging(
        mut self,
        context: &Context,
        reading: &ReadingArgs,
        args: &JudgeArgs,
    ) -> String {
        let settings = &context.settings;
        self = self.reading(context, reading);
        if args.baseline != BEST_SINGLE {
            self = self.option("baseline", &args.baseline);
        }
        self = self.option("split", &split_text(args));
        for column in &args.segments {
            self = self.option("segment", column);
        }
        for segment in &args.waived {
            self = self.option("waive", segment);
        }
        if let Some(invoice) = &args.invoice_usd {
            self = self.option("invoice-usd", invoice);
        }
        if settings.resamples != RESAMPLES {
            self = self.option("resamples", &settings.resamples.to_string());
        }
        if args.show_text {
            self.0.push_str(" --show-text");
        }
        self.seeded(context)
    }
}

const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::S => "s",
        Unit::Ms => "ms",
        Unit::Us => "us",
        Unit::Ns => "ns",
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |n| n.to_string_lossy().into(),
    )
}

/// The policy of a file, or the default, which is announced.
pub(crate) fn policy(context: &Context, path: Option<&Path>) -> Result<Policy, Failure> {
    if let Some(path) = path {
        return Policy::read(path);
    }
    context.console.note(
        "no --policy: keeping 98 % of the best single arm's quality on average, at 95 % confidence",
    );
    Policy::default_policy()
}
