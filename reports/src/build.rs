//! Documents from data: one builder per kind of report.

mod certificate;
mod comparison;
mod evaluation;
mod explanation;
mod headline;
mod learning;
mod methods;
mod money;
mod off_policy;
mod overlap;
mod quality;
mod sensitivity;
mod trust;

pub(crate) use certificate::{certificate_document, check_document, shortfall_document};
pub(crate) use comparison::comparison_document;
pub(crate) use evaluation::evaluation_document;
pub(crate) use explanation::explanation_document;
pub(crate) use learning::learning_document;

use plimsoll_harness::{Decision, Evaluation, Gate, Interval, LOGGED};

use crate::document::{Spark, Table};
use crate::escape::label;
use crate::format::{self, Shown, Unit};

const JUDGES_MAX: usize = 10;

/// A share with its interval.
fn percent(value: Interval) -> Shown {
    format::interval(value, Unit::Percent, &[0.0])
}

/// A quality with its interval, told apart from the line.
fn quality(value: Interval, line: f64) -> Shown {
    format::interval(value, Unit::Quality, &[line])
}

/// A difference of qualities with its interval.
fn change(value: Interval) -> Shown {
    format::interval(value, Unit::Change, &[])
}

/// A mean weight with its interval, told apart from 1.
fn ratio(value: Interval) -> Shown {
    format::interval(value, Unit::Ratio, &[])
}

/// Money with its interval.
fn usd(value: Interval) -> Shown {
    format::interval(value, Unit::Usd, &[])
}

/// The confidence of the two-sided intervals.
fn interval_level(e: &Evaluation) -> String {
    format::setting_percent(e.manifest.interval_confidence)
}

/// The evidence kind as the JSON spells it.
fn evidence_name(e: &Evaluation) -> String {
    match serde_json::to_value(e.evidence) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "unknown".to_owned(),
    }
}

/// Whether the log's propensities are unknown or guessed: then nothing it says is evidence.
fn is_scenario(e: &Evaluation) -> bool {
    let guessed = |o: &plimsoll_harness::OffPolicy| o.propensities != "logged";
    evidence_name(e) == "observational" || e.off_policy.as_ref().is_some_and(guessed)
}

/// The gates of trust that do not hold.
fn failed_gates(e: &Evaluation) -> impl Iterator<Item = &Gate> {
    e.trust.gates.iter().filter(|gate| !gate.passed)
}

/// The decision that may be shown: never a better one than the evidence allows.
fn decision(e: &Evaluation) -> Decision {
    if is_scenario(e) || failed_gates(e).next().is_some() {
        Decision::InsufficientEvidence
    } else {
        e.verdict.decision
    }
}

/// Whether a savings figure may be claimed at all.
fn claimed(e: &Evaluation) -> bool {
    decision(e) != Decision::InsufficientEvidence
}

/// The title of columns that hold savings.
const SAVED: &str = "Saved";

/// Takes the savings out of a table of a scenario, which may not claim any.
fn claim_none(e: &Evaluation, table: &mut Table) {
    if is_scenario(e) {
        table.without(SAVED);
    }
}

/// A caption's tail for numbers that must not be quoted.
fn caveat(e: &Evaluation) -> &'static str {
    if claimed(e) {
        ""
    } else if is_scenario(e) {
        " (a scenario, not proven)"
    } else {
        " (not proven)"
    }
}

/// The word for what labels measure: of two spellings the one that the evidence bears.
///
/// A judge's score is not quality until people have checked it, and no report calls it so.
fn said(e: &Evaluation, quality: &'static str, judged: &'static str) -> &'static str {
    if e.trust.judges.is_empty() {
        quality
    } else {
        judged
    }
}

/// Whether the policy is compared with what production itself did, not with one arm.
fn is_against_production(e: &Evaluation) -> bool {
    // An arm of that name would be in the mix, and then the name means the arm.
    e.baseline.model == LOGGED && !e.mix.iter().any(|row| row.model == LOGGED)
}

/// What the policy is compared with, as a name.
fn baseline(e: &Evaluation) -> String {
    if is_against_production(e) {
        "production".to_owned()
    } else {
        label(&e.baseline.model)
    }
}

/// How segments are judged all at once.
fn correction(e: &Evaluation) -> &'static str {
    if evidence_name(e) == "full-information" {
        "Holm's correction"
    } else {
        "Bonferroni's correction"
    }
}

/// Who scored the answers, where the log says so.
fn judges(e: &Evaluation) -> Option<String> {
    let all = &e.trust.judges;
    let mut names: Vec<String> = all.iter().take(JUDGES_MAX).map(|j| label(j)).collect();
    if all.len() > JUDGES_MAX {
        names.push(format!("{} more", all.len() - JUDGES_MAX));
    }
    (!names.is_empty()).then(|| names.join(", "))
}

/// Where `value` lies between `from` and `to`, in thousandths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is clamped to 0..=1000"
)]
fn thousandths(value: f64, from: f64, to: f64) -> u32 {
    if !value.is_finite() || to <= from {
        return 0;
    }
    ((value - from) / (to - from) * 1000.0)
        .round()
        .clamp(0.0, 1000.0) as u32
}

/// Whiskers of one column on one common axis that contains the reference, for instance zero.
fn whiskers(values: &[Interval], reference: f64) -> Vec<Spark> {
    let finite = |v: f64| if v.is_finite() { v } else { reference };
    let ends = |end: fn(&Interval) -> f64| values.iter().map(move |v| finite(end(v)));
    let from = ends(|v| v.low).fold(reference, f64::min);
    let to = ends(|v| v.high).fold(reference, f64::max);
    values
        .iter()
        .map(|v| Spark::Whisker {
            low: thousandths(v.low, from, to),
            point: thousandths(v.point, from, to),
            high: thousandths(v.high, from, to),
            zero: thousandths(reference, from, to),
        })
        .collect()
}
