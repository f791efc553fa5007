//! Documents from data: one builder per kind of report.

mod certificate;
mod comparison;
mod evaluation;
mod explanation;
mod headline;
mod money;
mod quality;
mod trust;

pub(crate) use certificate::{certificate_document, check_document, shortfall_document};
pub(crate) use comparison::comparison_document;
pub(crate) use evaluation::evaluation_document;
pub(crate) use explanation::explanation_document;

use plimsoll_harness::{Decision, Evaluation, Interval};

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

/// Money with its interval.
fn usd(value: Interval) -> Shown {
    format::interval(value, Unit::Usd, &[])
}

/// The confidence of the two-sided intervals.
fn interval_level(e: &Evaluation) -> String {
    format::setting_percent(e.manifest.interval_confidence)
}

/// Whether a savings figure may be claimed at all.
fn claimed(e: &Evaluation) -> bool {
    e.verdict.decision != Decision::InsufficientEvidence
}

/// A caption's tail for numbers that must not be quoted.
fn caveat(e: &Evaluation) -> &'static str {
    if claimed(e) { "" } else { " (not proven)" }
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

/// Whiskers of one column on one common axis that contains zero.
fn whiskers(values: &[Interval]) -> Vec<Spark> {
    let finite = |v: f64| if v.is_finite() { v } else { 0.0 };
    let from = values.iter().map(|v| finite(v.low)).fold(0.0, f64::min);
    let to = values.iter().map(|v| finite(v.high)).fold(0.0, f64::max);
    values
        .iter()
        .map(|v| Spark::Whisker {
            low: thousandths(v.low, from, to),
            point: thousandths(v.point, from, to),
            high: thousandths(v.high, from, to),
            zero: thousandths(0.0, from, to),
        })
        .collect()
}
