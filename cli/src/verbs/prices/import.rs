//! `plimsoll prices import`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use plimsoll_datasets::{
    Catalogue, CatalogueFormat, ImportOptions, ImportReport, MergeReport, merge_prices,
};
use serde_json::json;

use super::read;
use crate::app::Context;
use crate::args::PricesImportArgs;
use crate::console::{printable, shell_word};
use crate::exit::Exit;
use crate::input::read_text;
use crate::log_input::catalogue_failure;
use crate::problem::Failure;
use crate::staging::{refuse_existing, write_file};

pub(crate) fn run(context: &Context, args: &PricesImportArgs) -> Result<Exit, Failure> {
    let target = context.global.output.as_deref();
    let file = target.filter(|path| *path != Path::new("-"));
    if let Some(file) = file {
        refuse_existing(file, context.global.force)?;
    }
    let options = ImportOptions {
        format: args.from.map(Into::into),
        since_us: args.since.as_ref().map(|since| since.us),
        only: args.only.clone(),
    };
    let import = read(&args.file, &options)?;
    let (catalogue, merged) = match &args.merge {
        None => (import.catalogue, None),
        Some(path) => {
            let (catalogue, report) = merge(path, &import.catalogue, args)?;
            (catalogue, Some(report))
        }
    };
    if target.is_some() && file.is_none() {
        context
            .console
            .data(&catalogue.to_toml(&comment(&import.report)))?;
        return Ok(Exit::Done);
    }
    if let Some(file) = file {
        let text = catalogue.to_toml(&comment(&import.report));
        write_file(file, text.as_bytes(), context.global.force)?;
        context.console.note(&format!("wrote {}", file.display()));
    }
    let text = if context.global.json {
        format!(
            "{:#}",
            json!({ "schema": 1, "import": import.report, "merge": merged })
        )
    } else {
        printable(&terminal(&import.report, merged.as_ref()))
    };
    context.console.data(&text)?;
    if options.since_us.is_none() {
        context
            .console
            .note("the prices hold for all times; --since DATE says from when on they do");
    }
    let next = if let Some(file) = file {
        let name = shell_word(&file.to_string_lossy());
        format!("plimsoll validate LOG --prices {name}")
    } else {
        let name = shell_word(&args.file.to_string_lossy());
        format!("plimsoll prices import {name} --since DATE -o prices.toml")
    };
    context.console.next(&next);
    Ok(Exit::Done)
}

fn merge(
    path: &Path,
    new: &Catalogue,
    args: &PricesImportArgs,
) -> Result<(Catalogue, MergeReport), Failure> {
    let failed = |error| catalogue_failure(path, &error);
    let known = Catalogue::read(&read_text(path)?).map_err(failed)?;
    // The command line does not take --merge without --since.
    let since = args.since.as_ref().map_or(i64::MIN, |since| since.us);
    merge_prices(&known, new, since).map_err(failed)
}

/// What a written catalogue says of itself.
fn comment(report: &ImportReport) -> String {
    format!(
        "Prices in US dollars per million tokens, imported from {} (BLAKE3 {}).\n\
         What is not stated is not known; 0 is free. `not_priced` names charges of the source that\n\
         are not held here.",
        whose(report.format),
        report.source_digest,
    )
}

const fn whose(format: CatalogueFormat) -> &'static str {
    match format {
        CatalogueFormat::Litellm => "LiteLLM's catalogue",
        CatalogueFormat::Openrouter => "OpenRouter's catalogue",
        _ => "a catalogue of ours",
    }
}

fn terminal(report: &ImportReport, merged: Option<&MergeReport>) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} models = {} imported + {} skipped{}",
        whose(report.format),
        report.models,
        report.imported,
        report.skipped.len(),
        match report.not_selected {
            0 => String::new(),
            n => format!(" + {n} not selected"),
        },
    );
    if !report.no_models.is_empty() {
        let _ = writeln!(
            text,
            "left out as documentation: {}",
            report.no_models.join(", ")
        );
    }
    skipped(&mut text, report);
    fields(&mut text, report);
    if report.incomplete > 0 {
        let _ = writeln!(
            text,
            "\n{} imported models have such charges: what a request with them costs is not \
             complete (`not_priced` says which)",
            report.incomplete
        );
    }
    rest(&mut text, report);
    if let Some(merged) = merged {
        let _ = writeln!(
            text,
            "\nmerged: {} new, {} at a new price, {} unchanged, {} not in the new catalogue and kept",
            merged.added.len(),
            merged.changed.len(),
            merged.unchanged,
            merged.kept.len(),
        );
        dropped(&mut text, &merged.dropped_aliases);
    }
    text
}

/// Reasons, how often, and some of the names.
fn skipped(text: &mut String, report: &ImportReport) {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for skipped in &report.skipped {
        // What stands after a colon names the fields, but for what is wrong with a field.
        let reason = match skipped.reason.split_once(':') {
            Some((reason, _)) if !reason.starts_with('`') => reason,
            _ => &skipped.reason,
        };
        reasons.entry(reason).or_default().push(&skipped.model);
    }
    if !reasons.is_empty() {
        text.push_str("\nskipped (--json names every model):\n");
    }
    for (reason, models) in reasons {
        let _ = writeln!(text, "  {:>5}  {reason}: {}", models.len(), some(&models));
    }
}

fn fields(text: &mut String, report: &ImportReport) {
    if !report.unsupported_fields.is_empty() {
        text.push_str("\nfields about prices that are not supported, and models that have them:\n");
    }
    for (field, count) in &report.unsupported_fields {
        let zero = match count.models - count.not_zero {
            0 => String::new(),
            zero => format!(" ({zero} of them at 0)"),
        };
        let _ = writeln!(text, "  {:>5}  {field}{zero}", count.models);
    }
    if !report.unknown_fields.is_empty() {
        text.push_str("\nfields of which it is not known what they are about:\n");
    }
    for (field, models) in &report.unknown_fields {
        let _ = writeln!(text, "  {models:>5}  {field}");
    }
}

fn rest(text: &mut String, report: &ImportReport) {
    if !report.unusable_rates.is_empty() {
        text.push_str("\nprice lists left out; calls under these conditions stay unpriced:\n");
    }
    for rate in &report.unusable_rates {
        let _ = writeln!(text, "  {} {}: {}", rate.model, rate.rate, rate.reason);
    }
    let free: Vec<&str> = report.free.iter().map(String::as_str).collect();
    if !free.is_empty() {
        let _ = writeln!(
            text,
            "\nfree, every price is 0: {} models: {}",
            free.len(),
            some(&free)
        );
    }
    if let Some(first) = report.rounded.first() {
        let _ = writeln!(
            text,
            "\n{} prices had digits below a pico-dollar that binary floats leave behind, for \
             instance `{}` of {}: {} is kept as {} (--json names every one)",
            report.rounded.len(),
            first.field,
            first.model,
            first.given,
            first.kept,
        );
    }
    dropped(text, &report.dropped_aliases);
}

fn dropped(text: &mut String, aliases: &[String]) {
    if !aliases.is_empty() {
        let names = aliases.join(", ");
        let _ = writeln!(
            text,
            "\naliases left out, for they mean several models: {names}"
        );
    }
}

/// The first names of many.
fn some(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    format!("{}{more}", shown.join(", "))
}
