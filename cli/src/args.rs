//! The command line.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use plimsoll_datasets::{Logging, ReadOptions};

mod collect;
mod import;
mod learning;
mod prices;

pub(crate) use collect::CollectArgs;
pub(crate) use import::ImportArgs;
pub(crate) use learning::LearningArgs;
pub(crate) use prices::{PricesArgs, PricesDiffArgs, PricesImportArgs, PricesListArgs, PricesVerb};

/// Send every LLM request to the cheapest model that keeps quality above your line, and prove on
/// recorded traffic what that saves.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, propagate_version = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const AFTER_HELP: &str = "\
Exit codes:
  0    done: ship, or hold because there is nothing to save
  1    error
  2    usage
  3    not enough evidence
  4    bad data
  5    the quality line is broken or cannot be reached
  130  interrupted

Environment: PLIMSOLL_SEED, PLIMSOLL_THREADS, PLIMSOLL_PRICES, NO_COLOR.
A flag beats the environment, the environment beats --config, --config beats the default.";

/// Options that every verb understands.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Global {
    /// Print JSON on standard output, and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// No colours
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Seed of everything random [default: 7]
    #[arg(long, global = true, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Threads to compute with; results do not depend on it [default: one per core]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Settings in TOML: seed, threads, prices, `max_reject`, resamples, quiet, color
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Write to a file; its ending chooses the format
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite the output file
    #[arg(long, global = true)]
    pub(crate) force: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Replay the sample log: a verdict in the terminal and report.html
    Demo,
    /// Write a commented policy.toml to start from
    Init,
    /// Turn the export of a gateway or tracing tool into an outcome log
    Import(Box<ImportArgs>),
    /// Say what kind of evidence a log is, and what is wrong with it
    Validate(ValidateArgs),
    /// Write a synthetic log whose truth is known
    Simulate(SimulateArgs),
    /// Ask the arms that a log's requests were not put to, within a budget
    Collect(Box<CollectArgs>),
    /// Judge a policy on the recorded requests it has not seen
    Replay(Box<ReplayArgs>),
    /// Find the cheapest policy that is proven to keep the line, and certify it
    Tune(TuneArgs),
    /// Judge several policies on the same requests
    Compare(CompareArgs),
    /// Render a saved evaluation or comparison again
    Report(ReportArgs),
    /// Explain an error code, or why one request went where it went
    Explain(ExplainArgs),
    /// List the models and prices of the catalogue
    Models(ModelsArgs),
    /// List, compare and import price catalogues
    Prices(PricesArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// How a log is read.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// Outcome log: Parquet, CSV or JSONL (.gz, .zst); a file, a folder, a pattern, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) log: String,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
}

/// Options of reading.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ReadingArgs {
    /// Price catalogue in TOML, US dollars per million tokens
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Share of rows that may be rejected, for instance 1% or 0.01 [default: 1%]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_reject: Option<f64>,
    /// Write rejected rows to this file: place and reason of each, never its content
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Unit of integer timestamps
    #[arg(long, value_name = "UNIT")]
    pub(crate) timestamp_unit: Option<Unit>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Bounds on what is read, against damaged and hostile files.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct LimitArgs {
    /// Most bytes to read, decompressed, all files together, for instance 200GiB [default: 64GiB]
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<ByteSize>,
    /// Most bytes of one row [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    max_row_bytes: Option<ByteSize>,
}

impl LimitArgs {
    /// The options with these bounds, where they were given.
    pub(crate) fn of(&self, options: ReadOptions) -> ReadOptions {
        let line_cap = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        ReadOptions {
            byte_cap: self
                .max_bytes
                .map_or(options.byte_cap, |size| size.as_u64()),
            line_cap: self.max_row_bytes.map_or(options.line_cap, line_cap),
            ..options
        }
    }
}

/// Unit of integer timestamps.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Unit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

/// What is judged on what.
#[derive(Args, Clone, Debug)]
pub(crate) struct JudgeArgs {
    /// What the policy is compared with: an arm of the log, best-single (the arm of highest
    /// mean quality on the training rows), or logged (what production chose)
    #[arg(long, value_name = "MODEL", default_value = "best-single")]
    pub(crate) baseline: String,
    /// Share of the requests to learn from; short for --split hash:SHARE [default: 0.7]
    #[arg(long, value_name = "SHARE", value_parser = number, allow_negative_numbers = true)]
    pub(crate) train_share: Option<f64>,
    /// How requests are split: time:SHARE, hash:SHARE or group:COLUMN:SHARE
    #[arg(long, value_name = "SPLIT", conflicts_with = "train_share")]
    pub(crate) split: Option<String>,
    /// A column whose values are judged one by one; may be repeated
    #[arg(long = "segment", value_name = "COLUMN")]
    pub(crate) segments: Vec<String>,
    /// Accept quality below the line in one segment, for instance task=chat; may be repeated
    #[arg(long = "waive", value_name = "COLUMN=VALUE")]
    pub(crate) waived: Vec<String>,
    /// What the log's provider charged for it: replayed costs must agree with it
    #[arg(long, value_name = "USD")]
    pub(crate) invoice_usd: Option<String>,
    /// Bootstrap resamples per interval, at least 2,000 [default: 2000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2000..=1_000_000))]
    pub(crate) resamples: Option<u32>,
    /// Put prompts into the report
    #[arg(long)]
    pub(crate) show_text: bool,
    /// Format of the report
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Form>,
}

impl Default for JudgeArgs {
    fn default() -> Self {
        Self {
            baseline: plimsoll::BEST_SINGLE.to_owned(),
            train_share: None,
            split: None,
            segments: Vec::new(),
            waived: Vec::new(),
            invoice_usd: None,
            resamples: None,
            show_text: false,
            format: None,
        }
    }
}

/// Format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Text for a person at a shell
    Terminal,
    /// The data itself
    Json,
    /// A comment on a pull request
    Markdown,
    /// One tidy table
    Csv,
    /// One self-contained page
    Html,
}

/// `validate`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// `simulate`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SimulateArgs {
    /// Requests to write
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) requests: u64,
    /// Arms that answer, production's first: any of large, medium, small, tiny [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) arms: Vec<String>,
    /// What is logged: full (every arm's answer), or epsilon:E (one arm's answer with its
    /// propensity; another than the first with chance E)
    #[arg(long, value_name = "HOW", default_value = "full", value_parser = logging)]
    pub(crate) logging: Logging,
    /// Number of tasks, 1 to 6
    #[arg(long, value_name = "N")]
    pub(crate) tasks: Option<usize>,
    /// Logits by which the first arm's ability falls from the first to the last request
    #[arg(long, value_name = "LOGITS", default_value = "0", value_parser = number)]
    pub(crate) drift: f64,
    /// Share of labels that are missing
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) missing_labels: f64,
    /// Days from the first to the last request
    #[arg(long, value_name = "N")]
    pub(crate) days: Option<u32>,
    /// Write no prompts: a large log is smaller, and written faster
    #[arg(long)]
    pub(crate) no_text: bool,
    /// Also write the truth: every arm's chance of a good answer
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
}

/// `replay`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Policy file [default: keep 98 % of the best single arm's quality on average]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Hold a certificate of `plimsoll tune` against this newer log, instead of judging a policy
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "train_share", "split", "invoice_usd", "show_text", "segments", "waived"])]
    pub(crate) certificate: Option<PathBuf>,
    /// Write the look into the certificate
    #[arg(long, requires = "certificate")]
    pub(crate) record: bool,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) learning: LearningArgs,
}

/// `tune`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Policy file to start from: objective, predictor, arms
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The line as a mean quality from 0 to 1
    #[arg(long, value_name = "Q", value_parser = number, conflicts_with_all = ["retain", "relative_to"])]
    pub(crate) quality: Option<f64>,
    /// The line as a share of an arm's mean quality [default: 0.98]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) retain: Option<f64>,
    /// That arm [default: best-single]
    #[arg(long, value_name = "MODEL")]
    pub(crate) relative_to: Option<String>,
    /// Confidence of the certificate [default: 0.95]
    #[arg(long, value_name = "C", value_parser = share)]
    pub(crate) confidence: Option<f64>,
    /// Shares of the requests to fit, choose and certify on
    #[arg(long, value_name = "F,C,C", default_value = "0.5,0.2,0.3")]
    pub(crate) parts: String,
    /// Only this rule [default: both]
    #[arg(long, value_name = "RULE")]
    pub(crate) rule: Option<RuleArg>,
    /// What savings are measured against: an arm of the log, or best-single
    #[arg(long, value_name = "MODEL", default_value = "best-single")]
    pub(crate) baseline: String,
    /// A column whose values are segments, besides task and tenant; may be repeated
    #[arg(long = "segment", value_name = "COLUMN")]
    pub(crate) segments: Vec<String>,
    /// Whether a segment below the line vetoes, or every segment must be proven
    #[arg(long = "segments", value_name = "MODE", default_value = "veto")]
    pub(crate) segment_mode: SegmentArg,
    /// Accept quality below the line in one segment, for instance task=chat; may be repeated
    #[arg(long = "waive", value_name = "COLUMN=VALUE")]
    pub(crate) waived: Vec<String>,
    /// Bootstrap resamples per interval, at least 2,000 [default: 2000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2000..=1_000_000))]
    pub(crate) resamples: Option<u32>,
    /// Format of the report
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Form>,
}

/// A rule to tune.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuleArg {
    /// The mean quality stays above the line
    AverageFloor,
    /// Every request by itself reaches a threshold
    PerRequestFloor,
}

/// What is asked of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SegmentArg {
    /// None may be shown to be below its line
    Veto,
    /// Each must be proven
    Prove,
}

/// `compare`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Policy file; give at least two, the first is what the others are compared with
    #[arg(long = "policy", value_name = "FILE", required = true)]
    pub(crate) policies: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

/// `report`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReportArgs {
    /// What `plimsoll replay --json` or `compare --json` wrote; - for stdin
    #[arg(value_name = "SAVED")]
    pub(crate) saved: PathBuf,
    /// Format of the report
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Form>,
}

/// `explain`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainArgs {
    /// An error code such as P0203; or an outcome log, together with --request
    #[arg(value_name = "CODE|LOG")]
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    /// The request to explain, by its `request_id`
    #[arg(long, value_name = "ID")]
    pub(crate) request: Option<String>,
    /// Policy file [default: keep 98 % of the best single arm's quality on average]
    #[arg(long, value_name = "FILE", requires = "request")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

/// `models`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ModelsArgs {
    /// Price catalogue in TOML [default: the one built in]
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Format of the list
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ListForm>,
}

/// Format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListForm {
    /// Text for a person at a shell
    Terminal,
    /// JSON
    Json,
    /// CSV
    Csv,
}

/// `full` or `epsilon:E`.
fn logging(text: &str) -> Result<Logging, String> {
    match text.split_once(':') {
        None if text == "full" => Ok(Logging::FullInformation),
        Some(("epsilon", epsilon)) => Ok(Logging::Epsilon {
            epsilon: share(epsilon)?,
        }),
        _ => Err("wanted full, or epsilon:E with E from 0 to 1".to_owned()),
    }
}

/// A share in [0, 1], as a number or in per cent.
fn share(text: &str) -> Result<f64, String> {
    let value = match text.strip_suffix('%') {
        Some(percent) => number(percent.trim_end())? / 100.0,
        None => number(text)?,
    };
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err("wanted 0 to 1, or 0% to 100%".into())
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err("wanted a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shares_are_numbers_or_per_cent() {
        for (text, want) in [
            ("1%", Some(0.01)),
            ("0.5", Some(0.5)),
            ("100 %", Some(1.0)),
            ("0", Some(0.0)),
        ] {
            assert_eq!(share(text).ok(), want, "{text}");
        }
        for text in ["101%", "-1", "x", "", "NaN", "inf%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
