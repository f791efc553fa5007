//! Reading a log as the command line says: prices, rejects, notes.

use std::path::Path;

use plimsoll_datasets::{
    Catalogue, CatalogueError, Input, LoggedFiles, OutcomeLog, PricingSummary, ReadError,
    ReadOptions, Reject, StreamOptions, TimestampUnit, ValidationReport, read_with_progress,
    write_rejects,
};
use plimsoll_harness::stream::is_streamed;
use plimsoll_harness::{ReplayInput, ReplayOptions, RowCounts};

use crate::app::Context;
use crate::args::{ReadingArgs, Unit};
use crate::console::shell_word;
use crate::exit::Exit;
use crate::input::read_text;
use crate::problem::{Failure, Problem};
use crate::progress::Progress;
use crate::staging::{Staging, refuse_existing};

/// A log, ready to be judged.
pub(crate) struct Loaded {
    pub(crate) log: OutcomeLog,
    pub(crate) report: ValidationReport,
    pub(crate) pricing: Option<PricingSummary>,
    pub(crate) catalogue_digest: Option<String>,
}

/// The value of `--prices` that means the catalogue in the binary.
pub(crate) const BUILT_IN: &str = "built-in";

/// How the command line wants a log to be read.
fn read_options(context: &Context, args: &ReadingArgs) -> ReadOptions {
    args.limits.of(ReadOptions {
        max_reject: context.settings.max_reject,
        timestamp_unit: args.timestamp_unit.map(unit),
        ..ReadOptions::default()
    })
}

/// The log's files when it is so large that it is streamed; `None`: it is held in memory.
///
/// A log that must be priced first is held in memory.
pub(crate) fn streamed(
    context: &Context,
    input: &Input,
    args: &ReadingArgs,
    options: &ReplayOptions,
) -> Result<Option<LoggedFiles>, Failure> {
    if context.settings.prices.is_some() || args.rejects.is_some() {
        return Ok(None);
    }
    let how = StreamOptions {
        read: read_options(context, args),
        prompts: false,
    };
    let files = LoggedFiles::open(input, &how)?.filter(|files| is_streamed(files, options));
    if let Some(files) = files.as_ref().filter(|files| files.has_prompts()) {
        context.console.note(&format!(
            "streaming {} rows: prompts of a log this large are not read",
            files.rows()
        ));
    }
    Ok(files)
}

impl Loaded {
    /// Reads and prices a log.
    pub(crate) fn read(
        context: &Context,
        input: &Input,
        args: &ReadingArgs,
    ) -> Result<Self, Failure> {
        let prices = context.settings.prices.as_deref();
        Self::read_at(context, input, args, prices.map(catalogue).transpose()?)
    }

    /// Reads a log as it is, whatever prices are given.
    pub(crate) fn read_unpriced(
        context: &Context,
        input: &Input,
        args: &ReadingArgs,
    ) -> Result<Self, Failure> {
        Self::read_at(context, input, args, None)
    }

    fn read_at(
        context: &Context,
        input: &Input,
        args: &ReadingArgs,
        prices: Option<Catalogue>,
    ) -> Result<Self, Failure> {
        if let Some(path) = &args.rejects {
            refuse_existing(path, context.global.force)?;
        }
        let options = read_options(context, args);
        let progress = Progress::new(context.console);
        let read = read_with_progress(input, &options, &|rows| progress.rows(rows));
        drop(progress);
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                if let ReadError::TooManyRejects { rejects, .. } = &error {
                    keep_rejects(context, args.rejects.as_deref(), rejects)?;
                }
                return Err(error.into());
            }
        };
        keep_rejects(context, args.rejects.as_deref(), &read.rejects)?;
        let (mut log, mut report) = (read.log, read.report);
        let pricing = prices.as_ref().map(|catalogue| {
            let summary = catalogue.price_log(&mut log);
            report.measure(&log);
            summary
        });
        let catalogue_digest = prices.map(|catalogue| catalogue.digest().to_owned());
        if report.rows_rejected > 0 {
            let (rejected, rows) = (report.rows_rejected, report.rows_read);
            context
                .console
                .note(&format!("{rejected} of {rows} rows rejected and not used"));
        }
        Ok(Self {
            log,
            report,
            pricing,
            catalogue_digest,
        })
    }

    /// The log as the harness takes it.
    pub(crate) fn replay_input(&self) -> ReplayInput<'_> {
        ReplayInput {
            log: &self.log,
            evidence: self.report.evidence.kind,
            rows: RowCounts {
                read: self.report.rows_read,
                rejected: self.report.rows_rejected,
                duplicates: self.report.rows_duplicate,
                conflicts: self.report.rows_conflicting,
            },
            catalogue_digest: self.catalogue_digest.clone(),
        }
    }
}

/// Reads a price catalogue; `built-in` is the one in the binary.
pub(crate) fn catalogue(path: &Path) -> Result<Catalogue, Failure> {
    if path == Path::new(BUILT_IN) {
        return Ok(Catalogue::embedded());
    }
    let text = read_text(path)?;
    if text.trim_start().starts_with('{') {
        let what = format!("{} is JSON, not a catalogue of ours", path.display());
        let name = shell_word(&path.to_string_lossy());
        let help = format!("make one: plimsoll prices import {name} --since DATE -o prices.toml");
        return Err(Failure::plain(Exit::Error, "P0410", what, help));
    }
    Catalogue::read(&text).map_err(|error| catalogue_failure(path, &error))
}

/// What is wrong with a catalogue, and where.
pub(crate) fn catalogue_failure(path: &Path, error: &CatalogueError) -> Failure {
    let file = path.display();
    let at = match error.location() {
        Some(place) => format!("{file}:{place}"),
        None => file.to_string(),
    };
    let (exit, impact) = match error {
        CatalogueError::UnknownArm { .. } | CatalogueError::BadPattern { .. } => {
            (Exit::Usage, None)
        }
        _ => (Exit::Error, Some("no prices were read".to_owned())),
    };
    Failure::new(
        exit,
        Problem {
            code: error.code(),
            what: error.to_string(),
            at: Some(at),
            impact,
            help: error.help(),
            excerpt: None,
        },
    )
}

pub(crate) fn keep_rejects(
    context: &Context,
    path: Option<&Path>,
    rejects: &[Reject],
) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let staging = Staging::new(path, context.global.force)?;
    write_rejects(&staging.path(), rejects)?;
    staging.commit()?;
    context.console.note(&format!(
        "wrote {} rejects to {}",
        rejects.len(),
        path.display()
    ));
    Ok(())
}

pub(crate) const fn unit(unit: Unit) -> TimestampUnit {
    match unit {
        Unit::S => TimestampUnit::Seconds,
        Unit::Ms => TimestampUnit::Milliseconds,
        Unit::Us => TimestampUnit::Microseconds,
        Unit::Ns => TimestampUnit::Nanoseconds,
    }
}
