//! `plimsoll import`: from the export of a gateway or tracing tool to an outcome log.

use std::fmt::Write as _;
use std::path::Path;

use plimsoll_datasets::{
    Detected, ImportError, ImportKind, ImportOptions, ImportReport, Input, Join, ReadOptions,
    detect, import,
};

use crate::app::Context;
use crate::args::ImportArgs;
use crate::console::{printable, shell_word};
use crate::exit::Exit;
use crate::log_input::{keep_rejects, unit};
use crate::output::deliver;
use crate::problem::Failure;
use crate::progress::Progress;
use crate::staging::{Staging, refuse_existing};

pub(crate) fn run(context: &Context, args: &ImportArgs) -> Result<Exit, Failure> {
    let inputs: Vec<Input> = args.exports.iter().map(|text| Input::parse(text)).collect();
    if args.detect {
        return say_kind(context, args, &inputs);
    }
    let file = context
        .global
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    let Some(file) = file else {
        return Err(Failure::plain(
            Exit::Usage,
            "P0730",
            "an import needs a file to write to",
            "add -o log.parquet, or .csv or .jsonl",
        ));
    };
    refuse_existing(file, context.global.force)?;
    if let Some(path) = &args.rejects {
        refuse_existing(path, context.global.force)?;
    }
    let kind = match args.from {
        Some(kind) => kind,
        None => detected(context, &inputs)?,
    };
    let options = options(context, args, kind);
    let staging = Staging::new(file, context.global.force)?;
    let progress = Progress::new(context.console);
    let done = import(&inputs, &options, &staging.path(), &|rows| {
        progress.rows(rows);
    });
    drop(progress);
    let report = match done {
        Ok(report) => report,
        Err(error) => {
            let rejects = match &error {
                ImportError::TooManyRejects { rejects, .. }
                | ImportError::NothingLeft { rejects, .. } => rejects.as_slice(),
                _ => &[],
            };
            if !rejects.is_empty() {
                keep_rejects(context, args.rejects.as_deref(), rejects)?;
            }
            return Err(error.into());
        }
    };
    keep_rejects(context, args.rejects.as_deref(), &report.rejects)?;
    staging.commit()?;
    let text = if context.global.json {
        format!("{:#}", serde_json::json!({ "schema": 1, "import": report }))
    } else {
        printable(&terminal(&report, args))
    };
    context.console.data(&text)?;
    context.console.note(&format!("wrote {}", file.display()));
    let name = shell_word(&file.to_string_lossy());
    context.console.next(&format!("plimsoll validate {name}"));
    Ok(Exit::Done)
}

fn options(context: &Context, args: &ImportArgs, kind: ImportKind) -> ImportOptions {
    ImportOptions {
        quality: args.quality.clone(),
        scale: args.scale,
        join: args.join.as_deref().map(|file| Join {
            input: Input::parse(file),
            on: args.on.clone(),
        }),
        maps: args.maps.clone(),
        keep: args.keep.clone(),
        group_by: args.group_by.clone(),
        without_prompts: args.no_prompts,
        redact: !args.no_redact,
        timestamp_unit: args.timestamp_unit.map(unit),
        window_bytes: (args.window_mb as usize) << 20,
        read: args.limits.of(ReadOptions {
            max_reject: args.max_reject.unwrap_or(context.settings.max_reject),
            ..ReadOptions::default()
        }),
        ..ImportOptions::new(kind)
    }
}

/// The kind that the first input looks like, and a note that it was taken for that.
fn detected(context: &Context, inputs: &[Input]) -> Result<ImportKind, Failure> {
    if inputs.contains(&Input::Stdin) {
        return Err(Failure::plain(
            Exit::Usage,
            "P0731",
            "standard input cannot be looked at twice",
            "name the kind with --from",
        ));
    }
    let found = looked_at(inputs)?;
    let (kind, why) = (found[0].kind, found[0].why);
    if let Some(other) = found.iter().find(|other| other.kind != kind) {
        return Err(Failure::plain(
            Exit::Usage,
            "P0732",
            format!(
                "the exports are of two kinds: {} looks like {}, {} like {}",
                found[0].file,
                kind.name(),
                other.file,
                other.kind.name()
            ),
            "import them one after the other, or name their kind with --from",
        ));
    }
    context.console.note(&format!(
        "taken for {}: {why}; --from says otherwise",
        kind.name()
    ));
    Ok(kind)
}

/// What the inputs look like; some of several may say nothing by themselves.
fn looked_at(inputs: &[Input]) -> Result<Vec<Detected>, ImportError> {
    let (mut found, mut failed) = (Vec::new(), None);
    for input in inputs {
        match detect(input) {
            Ok(one) => found.push(one),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

fn say_kind(context: &Context, args: &ImportArgs, inputs: &[Input]) -> Result<Exit, Failure> {
    let found = looked_at(inputs)?;
    let text = if context.wants_json() {
        format!(
            "{:#}",
            serde_json::json!({ "schema": 1, "detected": found })
        )
    } else {
        let mut text = String::new();
        for one in &found {
            let (name, about, evidence) = (one.kind.name(), one.kind.about(), one.kind.evidence());
            let (file, why) = (&one.file, one.why);
            let _ = writeln!(
                text,
                "{file}: {name}\n  {about}\n  because it holds {why}\n  {evidence}"
            );
        }
        printable(&text)
    };
    deliver(context, &text)?;
    let kind = found[0].kind;
    if found.iter().all(|other| other.kind == kind) {
        let files: Vec<String> = args.exports.iter().map(|file| shell_word(file)).collect();
        let (files, kind) = (files.join(" "), kind.name());
        context.console.next(&format!(
            "plimsoll import --from {kind} {files} -o log.parquet"
        ));
    }
    Ok(Exit::Done)
}

fn terminal(report: &ImportReport, args: &ImportArgs) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} records, {} calls of models, {} rows",
        report.kind.name(),
        report.records,
        report.calls,
        report.rows
    );
    for (what, count) in &report.skipped {
        let _ = writeln!(text, "  left out, {count}: {what}");
    }
    for (reason, count) in &report.rejected {
        let _ = writeln!(text, "  rejected as {reason}: {count}");
    }
    if report.duplicates > 0 {
        let _ = writeln!(text, "  written twice, counted once: {}", report.duplicates);
    }
    if report.merged_requests > 0 {
        let _ = writeln!(
            text,
            "\n{} requests took {} calls, {} of them more than one model\n  {}",
            report.merged_requests, report.merged_calls, report.several_models, report.rule
        );
        if report.cost_unknown_in_part > 0 {
            let _ = writeln!(
                text,
                "  the cost of {} is unknown because one call's is",
                report.cost_unknown_in_part
            );
        }
    }
    let _ = writeln!(
        text,
        "\ncosts: {} rows have none (unknown, not free), {} cost exactly 0",
        report.unpriced, report.free
    );
    if report.redacted > 0 {
        let _ = writeln!(
            text,
            "prompts: {} keys, tokens or mail addresses were blotted out",
            report.redacted
        );
    }
    labels(&mut text, report);
    if report.labels.labelled == 0 && (args.quality.is_some() || args.join.is_some()) {
        text.push_str("warning: nothing was found where --quality and --join look; is the field's name right?\n");
    }
    let _ = writeln!(text, "\nevidence: {}", report.evidence);
    text
}

fn labels(text: &mut String, report: &ImportReport) {
    let labels = &report.labels;
    let all = labels.labelled + labels.unlabelled;
    let _ = writeln!(
        text,
        "labels: {} of {all} rows ({})",
        labels.labelled,
        percent(labels.labelled, all)
    );
    for (why, count) in &labels.faults {
        let _ = writeln!(text, "  {count} mean nothing: {why}");
    }
    if labels.read_apart > 0 {
        let _ = writeln!(
            text,
            "  {} were read apart, {} found no request, {} names have two that contradict",
            labels.read_apart, labels.unmatched, labels.contradicting
        );
    }
    if labels.superseded > 0 {
        let _ = writeln!(text, "  {} gave way to later ones", labels.superseded);
    }
    if labels.labelled == 0 && !labels.scores.is_empty() {
        let names: Vec<String> = labels
            .scores
            .iter()
            .map(|(name, count)| format!("score:{name} ({count})"))
            .collect();
        let _ = writeln!(text, "  choose one with --quality: {}", names.join(", "));
    }
    let width = labels.arms.iter().map(|arm| arm.arm.chars().count());
    let width = width.max().unwrap_or(0);
    if labels.labelled > 0 {
        for arm in &labels.arms {
            let _ = writeln!(
                text,
                "  {:width$}  {:>9} of {:>9}  {:>7}",
                arm.arm,
                arm.labelled,
                arm.requests,
                percent(arm.labelled, arm.requests)
            );
        }
    }
    match labels.p_same_share {
        Some(p) if p < 0.01 => {
            let _ = writeln!(
                text,
                "warning: arms are labelled unequally often (p = {p:.1e}): if people label when \
                 they are annoyed, labelled answers are not like the others"
            );
        }
        Some(p) => {
            let _ = writeln!(text, "  arms are labelled about equally often (p = {p:.2})");
        }
        None => {}
    }
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
    let share = part as f64 / whole as f64;
    super::validate::percent(share)
}
