//! `plimsoll collect`: asks the arms that a log's requests were not put to.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll::{Seed, Usd};
use plimsoll_collect::{
    ApiKey, Calls, CollectError, CollectOptions, CollectReport, ENDPOINT_DEFAULT, HttpTransport,
    Journal, Stop, SystemClock, Timeouts, collect,
};
use plimsoll_datasets::{Catalogue, Input, LogWriter};

use crate::app::Context;
use crate::args::CollectArgs;
use crate::console::{printable, shell_word};
use crate::exit::Exit;
use crate::interrupt::Gentle;
use crate::log_input::{Loaded, catalogue};
use crate::problem::{Failure, Problem};
use crate::progress::Progress;
use crate::staging::Staging;

/// Variable with the key of the default endpoint. Another endpoint is never sent this key unless
/// its variable is named.
const KEY_ENV: &str = "OPENAI_API_KEY";

pub(crate) fn run(context: &Context, args: &CollectArgs) -> Result<Exit, Failure> {
    let file = output(context)?;
    let options = options(context, args)?;
    let transport = transport(args)?;
    let prices = prices(context, args)?;
    let loaded = Loaded::read_unpriced(context, &Input::parse(&args.log.log), &args.log.reading)?;
    let journal = Journal::open(&folder(args, file))?;
    let stop = Stop::default();
    let (stopper, console) = (stop.clone(), context.console);
    let gentle = Gentle::new(move || {
        console.note("stopping when the calls under way are done; again to stop at once");
        stopper.stop();
    });
    let bar = Arc::new(Progress::new(context.console));
    let shown = Arc::clone(&bar);
    let progress = move |at: plimsoll_collect::CollectProgress| {
        shown.collecting(at.done, at.total, at.committed);
    };
    let clock = SystemClock::default();
    let collected = collect(
        &loaded.log,
        &prices,
        &options,
        journal,
        transport,
        clock,
        &stop,
        progress,
    );
    drop(bar);
    drop(gentle);
    let collected = collected?;
    let again = "the same command goes on from here and pays for nothing twice";
    let Some(filled) = collected.filled else {
        let spent = dollars(collected.report.budget.spent_usd);
        let text =
            format!("stopped: {spent} USD spent, every answer kept, nothing written; {again}");
        context.console.note(&text);
        context.console.next(&command());
        return Ok(Exit::Interrupted);
    };
    let staging = Staging::new(file, context.global.force)?;
    filled.write(&staging.path(), args.sample_only)?;
    staging.commit()?;
    let report = &collected.report;
    context.console.data(&if context.global.json {
        format!(
            "{:#}",
            serde_json::json!({ "schema": 1, "collect": report })
        )
    } else {
        printable(&terminal(report))
    })?;
    context.console.note(&format!("wrote {}", file.display()));
    if report.arms.iter().any(|arm| arm.calls.failures() > 0) {
        context.console.note(&format!(
            "some answers are still missing: {again}, with --force"
        ));
    }
    let name = shell_word(&file.to_string_lossy());
    context.console.next(&format!("plimsoll validate {name}"));
    Ok(Exit::Done)
}

/// The output file, which must be writable before any money is spent.
fn output(context: &Context) -> Result<&Path, Failure> {
    let file = context
        .global
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    let file = file.ok_or_else(|| {
        Failure::plain(
            Exit::Usage,
            "P0911",
            "`collect` writes a log, and no file is named for it",
            "name it with -o, for instance -o filled.parquet",
        )
    })?;
    let staging = Staging::new(file, context.global.force)?;
    drop(LogWriter::create(
        &staging.path(),
        &["request_id", "model"],
    )?);
    Ok(file)
}

fn options(context: &Context, args: &CollectArgs) -> Result<CollectOptions, Failure> {
    let budget: Usd = args
        .budget_usd
        .parse()
        .map_err(|error: plimsoll::MoneyError| {
            let what = format!("--budget-usd: {error}");
            Failure::plain(
                Exit::Usage,
                "P0711",
                what,
                "give a decimal number, for instance 5.00",
            )
        })?;
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now_us = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
    Ok(CollectOptions {
        judge: args.judge.clone(),
        rejudge: args.rejudge,
        concurrency: args.concurrency,
        retries_max: args.max_retries,
        output_tokens_max: args.max_output_tokens,
        judge_output_tokens_max: args.judge_max_output_tokens,
        limit_field: args.limit_field.into(),
        seed: Seed(context.settings.seed),
        response_column: args.response_column.clone(),
        ..CollectOptions::new(args.arms.clone(), args.sample, budget, now_us)
    })
}

/// Prices must be given: money is about to be spent by them.
fn prices(context: &Context, args: &CollectArgs) -> Result<Catalogue, Failure> {
    let none = || CollectError::Unpriced {
        arm: args.arms.first().cloned().unwrap_or_default(),
        meant: None,
    };
    catalogue(context.settings.prices.as_deref().ok_or_else(none)?)
}

fn transport(args: &CollectArgs) -> Result<HttpTransport, Failure> {
    let named = args.key_env.as_deref();
    let variable = named.or(args.endpoint.is_none().then_some(KEY_ENV));
    let key = variable.map(ApiKey::from_env).transpose()?;
    let whole = Duration::from_secs(args.timeout);
    let timeouts = Timeouts {
        connect: Timeouts::default().connect.min(whole),
        whole,
    };
    let endpoint = args.endpoint.as_deref().unwrap_or(ENDPOINT_DEFAULT);
    Ok(HttpTransport::new(endpoint, key.as_ref(), timeouts)?)
}

fn folder(args: &CollectArgs, file: &Path) -> PathBuf {
    args.cache.clone().unwrap_or_else(|| {
        let mut name = file.as_os_str().to_owned();
        name.push(".collect");
        PathBuf::from(name)
    })
}

/// The command as it was given; no part of it is a secret.
fn command() -> String {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| shell_word(&word.to_string_lossy()));
    format!("plimsoll {}", words.collect::<Vec<_>>().join(" "))
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        let exit = match &error {
            CollectError::Write(_) => {
                let CollectError::Write(error) = error else {
                    unreachable!()
                };
                return error.into();
            }
            CollectError::Option { .. }
            | CollectError::Unpriced { .. }
            | CollectError::Endpoint { .. }
            | CollectError::Key { .. } => Exit::Usage,
            CollectError::NoPrompts { .. } => Exit::Evidence,
            CollectError::Journal { .. } => Exit::Data,
            _ => Exit::Error,
        };
        Self::new(
            exit,
            Problem {
                code: error.code(),
                what: error.to_string(),
                help: error.help(),
                impact: Some("no log was written".to_owned()),
                ..Problem::default()
            },
        )
    }
}

fn dollars(amount: Usd) -> String {
    format!("{:.6}", amount.as_f64())
}

fn terminal(report: &CollectReport) -> String {
    let mut text = String::new();
    let sample = &report.sample;
    let _ = writeln!(
        text,
        "sample: {} of {} requests with a prompt, {} strata by task and length, each with chance \
         {:.4}\nfilled: {} answered by every named arm, {} with a quality",
        sample.sampled,
        sample.eligible,
        sample.strata,
        sample.propensity,
        sample.answered,
        sample.labelled,
    );
    table(&mut text, report);
    for arm in &report.arms {
        failures(&mut text, &arm.arm, &arm.calls);
        if arm.ineligible > 0 {
            let (arm, count) = (&arm.arm, arm.ineligible);
            let _ = writeln!(
                text,
                "{arm}: not asked on {count}, where it was no candidate"
            );
        }
    }
    if let Some(judge) = &report.judge {
        failures(&mut text, &judge.judge, &judge.calls);
        let digest = &judge.rubric_digest[..judge.rubric_digest.len().min(16)];
        let _ = writeln!(
            text,
            "judge: {} scored {} answers, {} of them the log's own, by {} ({digest})",
            judge.judge, judge.scored, judge.scored_logged, judge.rubric,
        );
    }
    budget(&mut text, report);
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

fn table(text: &mut String, report: &CollectReport) {
    let arms = report.arms.iter().map(|arm| (arm.arm.clone(), &arm.calls));
    let judge = report
        .judge
        .iter()
        .map(|judge| (format!("{} (judge)", judge.judge), &judge.calls));
    let rows: Vec<(String, &Calls)> = arms.chain(judge).collect();
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(3);
    let _ = writeln!(
        text,
        "\n{:width$}  {:>8}  {:>7}  {:>7}  {:>7}  {:>10}  {:>10}  {:>10}  {:>10}  {:>11}  {:>11}",
        "arm",
        "answered",
        "cached",
        "failed",
        "calls",
        "input",
        "cached in",
        "output",
        "reasoning",
        "spent USD",
        "unknown USD"
    );
    for (name, calls) in rows {
        let tokens = &calls.tokens;
        let _ = writeln!(
            text,
            "{name:width$}  {:>8}  {:>7}  {:>7}  {:>7}  {:>10}  {:>10}  {:>10}  {:>10}  {:>11}  {:>11}",
            calls.answered,
            calls.cached,
            calls.failures(),
            calls.sent,
            tokens.input,
            tokens.cached_input,
            tokens.output,
            tokens.reasoning,
            dollars(calls.spent_usd),
            dollars(calls.unknown_usd),
        );
    }
    text.push('\n');
}

fn failures(text: &mut String, arm: &str, calls: &Calls) {
    if !calls.failed.is_empty() {
        let each = calls
            .failed
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"));
        let _ = writeln!(
            text,
            "{arm} failed: {}",
            each.collect::<Vec<_>>().join(", ")
        );
    }
}

fn budget(text: &mut String, report: &CollectReport) {
    let budget = &report.budget;
    let _ = writeln!(
        text,
        "budget: {} USD, {} spent by this run (judge: {}), {} by earlier ones, {} left",
        budget.cap_usd,
        dollars(budget.spent_usd),
        dollars(budget.judge_usd),
        dollars(budget.earlier.spent_usd),
        dollars(budget.remaining_usd),
    );
    if budget.earlier.unknown_calls > 0 {
        let (calls, charged) = (budget.earlier.unknown_calls, budget.earlier.unknown_usd);
        let _ = writeln!(
            text,
            "  of that, {} for {calls} calls whose outcome was never learned: charged in full",
            dollars(charged)
        );
    }
}
