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

use plimsoll_harness::{Decision, Evaluation, Gate, Interval};

use crate::document::Spark;
use crate::format::{self, Shown, Unit};

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
