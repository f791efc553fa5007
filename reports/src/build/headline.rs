//! The verdict, the money and the risk, in plain words.

use plimsoll_harness::{Decision, Evaluation};

use super::{change, claimed, interval_level, percent, quality, range_in_words, usd};
use crate::document::{Figure, Headline, Tone};
use crate::escape::{label, visible};
use crate::format::{self, Unit};

/// The verdict in one or three words.
pub(super) fn word(e: &Evaluation) -> &'static str {
    match e.verdict.decision {
        Decision::Ship => "Ship",
        Decision::Hold => "Hold",
        Decision::InsufficientEvidence => "Not enough evidence",
    }
}

pub(super) fn tone(e: &Evaluation) -> Tone {
    match e.verdict.decision {
        Decision::Ship => Tone::Good,
        Decision::Hold => Tone::Bad,
        Decision::InsufficientEvidence => Tone::Caution,
    }
}

pub(super) fn headline(e: &Evaluation) -> Headline {
    Headline {
        tone: tone(e),
        word: word(e).to_owned(),
        sentence: sentence(e),
        figures: figures(e),
        reasons: e.verdict.reasons.iter().map(|r| visible(r)).collect(),
        collect: if claimed(e) { Vec::new() } else { collect(e) },
    }
}

fn sentence(e: &Evaluation) -> String {
    if claimed(e) {
        format!("{} {}", money_sentence(e), quality_sentence(e))
    } else {
        format!(
            "The evidence settles neither the savings nor the quality of this policy, so no \
             savings are claimed. {}",
            quality_sentence(e)
        )
    }
}

fn money_sentence(e: &Evaluation) -> String {
    let saved = percent(e.savings.fraction);
    let requests = format::count(e.requests.evaluated);
    let baseline = label(&e.baseline.model);
    let range = format!("{} interval {}", interval_level(e), saved.range());
    let fraction = e.savings.fraction;
    if fraction.point > 0.0 {
        let doubt = if fraction.low > 0.0 {
            ""
        } else {
            ", which includes no saving at all"
        };
        format!(
            "On {requests} requests it had never seen, the policy spends {} less than sending \
             everything to {baseline} ({range}{doubt}).",
            saved.point
        )
    } else if fraction.point < 0.0 {
        let extra = format::number(-fraction.point, Unit::Percent, &[]);
        format!(
            "On {requests} requests it had never seen, the policy spends {extra} more than sending \
             everything to {baseline} (savings {}, {range}).",
            saved.point
        )
    } else {
        format!(
            "On {requests} requests it had never seen, the policy spends as much as sending \
             everything to {baseline} ({range})."
        )
    }
}

/// Where quality stands against the line, and how sure that is.
pub(super) fn quality_sentence(e: &Evaluation) -> String {
    let line = format::quality(e.floor.quality);
    let level = format::setting_percent(e.floor.confidence);
    let is = format::number(e.policy.quality.point, Unit::Quality, &[e.floor.quality]);
    let low = format::number(e.floor.margin_low, Unit::Change, &[]);
    let high = format::number(e.floor.margin_high, Unit::Change, &[]);
    if e.floor.margin_low >= 0.0 {
        format!(
            "Its quality is {is}; that it keeps to the line of {line} is proven at {level} \
             confidence (the margin is at least {low})."
        )
    } else if e.floor.margin_high < 0.0 {
        format!(
            "Its quality is {is}; that it breaks the line of {line} is shown at {level} \
             confidence (the margin is at most {high})."
        )
    } else {
        format!(
            "Its quality is {is}; at {level} confidence the data prove neither that it keeps to \
             the line of {line} nor that it breaks it (the margin lies between {low} and {high})."
        )
    }
}

fn figures(e: &Evaluation) -> Vec<Figure> {
    let mut figures = Vec::new();
    if claimed(e) {
        let fraction = percent(e.savings.fraction);
        let money = usd(e.savings.usd);
        figures.push(Figure {
            key: "savings",
            label: "Saved".to_owned(),
            range: Some(range_in_words(&fraction, e)),
            value: fraction.point,
            note: Some(format!("{} per request ({})", money.point, money.range())),
        });
        if let Some(projection) = &e.projection {
            let month = usd(projection.usd_per_month);
            figures.push(Figure {
                key: "savings-month",
                label: "Saved per month".to_owned(),
                range: Some(range_in_words(&month, e)),
                value: month.point,
                note: Some(format!(
                    "at {} requests in 30 days",
                    format::about(projection.requests_per_month)
                )),
            });
        }
    } else {
        figures.push(Figure {
            key: "savings",
            label: "Saved".to_owned(),
            value: "Not proven".to_owned(),
            range: None,
            note: Some("see below what would settle it".to_owned()),
        });
    }
    let value = quality(e.policy.quality, e.floor.quality);
    figures.push(Figure {
        key: "quality",
        label: "Quality".to_owned(),
        range: Some(range_in_words(&value, e)),
        value: value.point,
        note: Some(format!("the line is {}", format::quality(e.floor.quality))),
    });
    let delta = change(e.quality_change);
    figures.push(Figure {
        key: "quality-change",
        label: "Quality against the baseline".to_owned(),
        range: Some(range_in_words(&delta, e)),
        value: delta.point,
        note: Some(format!(
            "{} scores {}",
            label(&e.baseline.model),
            format::quality(e.baseline.quality)
        )),
    });
    figures
}

/// What to gather so that the next evaluation can decide.
fn collect(e: &Evaluation) -> Vec<String> {
    let mut list = Vec::new();
    if super::trust::evidence_name(e) == "observational" {
        list.push(
            "Log the probability with which each arm was chosen, or replay a sample of requests \
             on every arm: without either, savings can only be bounded."
                .to_owned(),
        );
    }
    if e.diagnostics.unlabelled_share > 0.0 {
        list.push(format!(
            "Label answers: {} of the compared outcomes have no quality.",
            format::percent(e.diagnostics.unlabelled_share)
        ));
    }
    if e.diagnostics.unpriced_share > 0.0 {
        list.push(format!(
            "Price the calls: {} of the compared outcomes have no cost; give token counts and a \
             price catalogue.",
            format::percent(e.diagnostics.unpriced_share)
        ));
    }
    if e.floor.margin_low < 0.0 && e.floor.margin_high >= 0.0 {
        list.push(format!(
            "Evaluate more requests: with {} independent {}, the margin to the line lies between \
             {} and {}. Four times as many about halve that width.",
            format::count(e.diagnostics.clusters),
            if e.diagnostics.cluster_by == "session_id" {
                "sessions"
            } else {
                "requests"
            },
            format::number(e.floor.margin_low, Unit::Change, &[]),
            format::number(e.floor.margin_high, Unit::Change, &[]),
        ));
    }
    if e.requests.set_aside > 0 {
        list.push(format!(
            "Complete the {} requests that were set aside because an arm has no usable outcome \
             there.",
            format::count(e.requests.set_aside)
        ));
    }
    if list.is_empty() {
        list.push("Evaluate more requests under the same policy.".to_owned());
    }
    list
}
