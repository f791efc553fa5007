//! `plimsoll validate`: what kind of evidence a log is, and what is wrong with it.

use std::fmt::Write as _;

use plimsoll_datasets::{EvidenceKind, Input, PricingSummary, ValidationReport};

use crate::app::Context;
use crate::args::ValidateArgs;
use crate::console::{printable, shell_word};
use crate::exit::Exit;
use crate::log_input::Loaded;
use crate::output::deliver;
use crate::problem::Failure;

pub(crate) fn run(context: &Context, args: &ValidateArgs) -> Result<Exit, Failure> {
    let loaded = Loaded::read(context, &Input::parse(&args.log.log), &args.log.reading)?;
    let report = &loaded.report;
    let text = if context.wants_json() {
        json(report, loaded.pricing.as_ref())
    } else {
        terminal(report, loaded.pricing.as_ref())
    };
    deliver(context, &text)?;
    let log = shell_word(&args.log.log);
    context.console.next(&match report.evidence.kind {
        EvidenceKind::FullInformation if report.unpriced_share > 0.01 => {
            format!("plimsoll validate {log} --prices built-in")
        }
        EvidenceKind::FullInformation => format!("plimsoll replay {log} -o report.html"),
        _ => "plimsoll explain P0305".to_owned(),
    });
    Ok(Exit::Done)
}

fn json(report: &ValidationReport, pricing: Option<&PricingSummary>) -> String {
    let value = serde_json::json!({ "schema": 1, "report": report, "pricing": pricing });
    format!("{value:#}")
}

fn terminal(report: &ValidationReport, pricing: Option<&PricingSummary>) -> String {
    let mut text = String::new();
    evidence(&mut text, report);
    rows(&mut text, report);
    arms(&mut text, report);
    rest(&mut text, report);
    if let Some(pricing) = pricing {
        prices(&mut text, pricing);
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    printable(&text)
}

fn evidence(text: &mut String, report: &ValidationReport) {
    let kind = match report.evidence.kind {
        EvidenceKind::FullInformation => "full information",
        EvidenceKind::LoggedWithPropensities => "logged with propensities",
        EvidenceKind::Observational => "observational",
        _ => "unknown",
    };
    let _ = writeln!(text, "evidence: {kind}\n  {}", report.evidence.why);
}

fn rows(text: &mut String, report: &ValidationReport) {
    let _ = writeln!(
        text,
        "\nrows: {} read, {} rejected, {} duplicate\nrequests: {}\noutcomes: {}, {} unlabelled, \
         {} unpriced",
        report.rows_read,
        report.rows_rejected,
        report.rows_duplicate,
        report.requests,
        report.outcomes,
        percent(report.unlabelled_share),
        percent(report.unpriced_share),
    );
    for (reason, count) in &report.rejects_by_reason {
        let _ = writeln!(text, "  rejected as {reason}: {count}");
    }
    for file in &report.files {
        let _ = writeln!(
            text,
            "  {} ({}, {} rows)",
            file.name, file.format, file.rows
        );
    }
}

fn arms(text: &mut String, report: &ValidationReport) {
    let width = report
        .arms
        .iter()
        .map(|arm| arm.arm.chars().count())
        .max()
        .unwrap_or(0)
        .max(3);
    let _ = writeln!(
        text,
        "\n{:width$}  {:>9}  {:>9}  {:>10}  {:>8}",
        "arm", "outcomes", "coverage", "unlabelled", "unpriced"
    );
    for arm in &report.arms {
        let _ = writeln!(
            text,
            "{:width$}  {:>9}  {:>9}  {:>10}  {:>8}",
            arm.arm,
            arm.outcomes,
            percent(arm.coverage),
            percent(arm.unlabelled_share),
            percent(arm.unpriced_share),
        );
    }
    text.push('\n');
}

fn rest(text: &mut String, report: &ValidationReport) {
    match &report.time {
        Some(time) => {
            let (first, last, days) = (&time.first, &time.last, time.days);
            let _ = writeln!(text, "time: {first} to {last}, {days:.1} days");
        }
        None => text.push_str("time: no timestamps, so no time split and no monthly figure\n"),
    }
    if let Some(clusters) = &report.clusters {
        let (column, count) = (clusters.column, clusters.count);
        let largest = percent(clusters.largest_share);
        let _ = writeln!(
            text,
            "clusters: {count} by {column}, the largest {largest} of requests"
        );
    }
    if !report.segments.is_empty() {
        let name = |segment: &plimsoll_datasets::SegmentColumn| {
            format!("{} ({} values)", segment.column, segment.values)
        };
        let segments: Vec<String> = report.segments.iter().map(name).collect();
        let _ = writeln!(text, "segments: {}", segments.join(", "));
    }
    if !report.columns_varying.is_empty() {
        let columns = report.columns_varying.join(", ");
        let _ = writeln!(
            text,
            "differing within one request, the first value holds: {columns}"
        );
    }
    let _ = writeln!(text, "digest: {}", report.digest);
}

fn prices(text: &mut String, pricing: &PricingSummary) {
    let _ = writeln!(
        text,
        "prices: {} outcomes had a cost, {} got one, {} are unpriced",
        pricing.already_priced, pricing.priced, pricing.unpriced
    );
    for (arm, unknown) in &pricing.unknown_arms {
        let outcomes = unknown.outcomes;
        let _ = writeln!(
            text,
            "  no price for `{arm}`, {outcomes} outcomes: {}",
            unknown.why
        );
    }
    for (why, outcomes) in &pricing.without_rate {
        let _ = writeln!(text, "  unpriced, {outcomes} outcomes of {why}");
    }
    for (outcomes, why) in [
        (pricing.without_tokens, "unpriced without token counts"),
        (
            pricing.inconsistent_tokens,
            "unpriced for counts that contradict each other",
        ),
        (
            pricing.outside_periods,
            "unpriced, at a time for which no price is known",
        ),
        (
            pricing.cached_as_input,
            "with cached input at the price of input, no other is known",
        ),
        (pricing.undated, "without a timestamp, at the latest prices"),
        (
            pricing.before_catalogue,
            "at prices that were looked up later and do not say since when they hold",
        ),
        (pricing.free, "free, at a price of 0"),
    ] {
        if outcomes > 0 {
            let _ = writeln!(text, "  {outcomes} outcomes {why}");
        }
    }
    for how in pricing.resolved_names.values() {
        let _ = writeln!(text, "  {how}");
    }
    for (arm, missing) in &pricing.incomplete_arms {
        let _ = writeln!(
            text,
            "  costs of `{arm}` are not complete for requests with {}",
            missing.join(", ")
        );
    }
}

/// A share in per cent; what is not all or nothing never reads as such.
fn percent(share: f64) -> String {
    let shown = format!("{:.1} %", share * 100.0);
    match shown.as_str() {
        "0.0 %" if share > 0.0 => "<0.1 %".to_owned(),
        "100.0 %" if share < 1.0 => ">99.9 %".to_owned(),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_never_rounded_to_all_or_nothing() {
        for (share, want) in [
            (0.0, "0.0 %"),
            (0.0001, "<0.1 %"),
            (0.5, "50.0 %"),
            (0.9996, ">99.9 %"),
            (1.0, "100.0 %"),
        ] {
            assert_eq!(percent(share), want);
        }
    }
}
