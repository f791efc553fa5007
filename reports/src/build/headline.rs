//! The verdict, the money and the risk, in plain words.

use plimsoll_harness::{Decision, Evaluation};

use super::trust::measured;
use super::{
    baseline, change, claimed, decision, evidence_name, failed_gates, interval_level,
    is_against_production, is_scenario, judges, percent, quality, said, usd,
};
use crate::document::{Figure, Headline, Tone};
use crate::escape::{finding, label};
use crate::format::{self, Unit};

const REASONS_MAX: usize = 20;
const GATES_MAX: usize = 8;

/// The verdict in one or three words.
pub(super) fn word(e: &Evaluation) -> &'static str {
    match decision(e) {
        Decision::Ship => "Ship",
        Decision::Hold => "Hold",
        Decision::InsufficientEvidence => "Not enough evidence",
    }
}

pub(super) fn tone(e: &Evaluation) -> Tone {
    match decision(e) {
        Decision::Ship => Tone::Good,
        Decision::Hold => Tone::Bad,
        Decision::InsufficientEvidence => Tone::Caution,
    }
}

pub(super) fn headline(e: &Evaluation) -> Headline {
    let scenario = if is_scenario(e) {
        " They hold in this scenario only."
    } else {
        ""
    };
    Headline {
        tone: tone(e),
        word: word(e).to_owned(),
        sentence: summary(e),
        figures: figures(e),
        note: format!(
            "Ranges are two-sided {} intervals.{scenario}{}",
            interval_level(e),
            judged(e)
        ),
        reasons: reasons(e),
        collect: if claimed(e) { Vec::new() } else { collect(e) },
    }
}

/// Whose score stands for quality.
pub(super) fn judged(e: &Evaluation) -> String {
    judges(e).map_or_else(String::new, |names| {
        format!(
            " Judged quality is what {names} scored: no comparison with people's judgement is in \
             the log."
        )
    })
}

fn reasons(e: &Evaluation) -> Vec<String> {
    if decision(e) != e.verdict.decision {
        // Reasons for a verdict that the evidence does not bear are not repeated.
        let why = if is_scenario(e) {
            "Without logged propensities there is no evidence for a decision."
        } else {
            "A condition of trust failed, and without it no decision holds."
        };
        return vec![why.to_owned()];
    }
    let reasons = e.verdict.reasons.iter().take(REASONS_MAX);
    reasons.map(|r| finding(r)).collect()
}

fn summary(e: &Evaluation) -> String {
    if claimed(e) {
        return format!("{} {}", money_sentence(e), quality_sentence(e));
    }
    let gate = failed_gate_sentence(e).unwrap_or_default();
    if is_scenario(e) {
        return format!(
            "Scenario, not evidence: the log does not say with which probability each arm was \
             chosen; no savings are claimed. {gate}{}",
            scenario_sentence(e)
        );
    }
    format!(
        "{gate}The evidence does not settle whether this policy saves money at the {} that \
         was asked for, so no savings are claimed. {}",
        e.trust.score(),
        quality_sentence(e)
    )
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    first + characters.as_str()
}

/// The first gate that fails, by name: it outweighs every figure.
fn failed_gate_sentence(e: &Evaluation) -> Option<String> {
    let gate = failed_gates(e).next()?;
    let more = match failed_gates(e).count() - 1 {
        0 => String::new(),
        n => format!(" (and {} more)", format::count(n as u64)),
    };
    Some(format!(
        "A condition of trust failed: {}, measured {}{more}. ",
        label(&gate.name),
        measured(gate)
    ))
}

/// What a scenario says of quality, and under which assumption.
fn scenario_sentence(e: &Evaluation) -> String {
    let shown = quality(e.policy.quality, e.floor.quality);
    format!(
        "If nothing that the log leaves out decided the choice, the policy's {} would be {} \
         ({}) against the line of {}.",
        e.trust.score(),
        shown.point,
        shown.range(),
        format::quality(e.floor.quality)
    )
}

fn money_sentence(e: &Evaluation) -> String {
    let saved = percent(e.savings.fraction);
    let requests = format::counted(e.requests.evaluated, "request");
    // What a log of single choices cannot have seen is estimated, and says so.
    let (on, spends) = if evidence_name(e) == "full-information" {
        (format!("On {requests} it had never seen"), "spends")
    } else {
        (
            format!("Estimated from the logged choices on {requests} it had never seen"),
            "would spend",
        )
    };
    let instead = if is_against_production(e) {
        "production did".to_owned()
    } else {
        format!("sending everything to {}", label(&e.baseline.model))
    };
    let range = format!("{} interval {}", interval_level(e), saved.range());
    let fraction = e.savings.fraction;
    if fraction.point > 0.0 {
        let doubt = if fraction.low > 0.0 {
            ""
        } else {
            ", which includes no saving at all"
        };
        format!(
            "{on}, the policy {spends} {} less than {instead} ({range}{doubt}).",
            saved.point
        )
    } else if fraction.point < 0.0 {
        let extra = format::number(-fraction.point, Unit::Percent, &[]);
        format!(
            "{on}, the policy {spends} {extra} more than {instead} (savings {}, {range}).",
            saved.point
        )
    } else {
        format!("{on}, the policy {spends} as much as {instead} ({range}).")
    }
}

/// Where quality stands against the line, and how sure that is.
pub(super) fn quality_sentence(e: &Evaluation) -> String {
    let line = format::quality(e.floor.quality);
    let score = e.trust.score();
    let level = format::setting_percent(e.floor.confidence);
    let is = format::number(e.policy.quality.point, Unit::Quality, &[e.floor.quality]);
    let (low, high) = (e.floor.margin_low, e.floor.margin_high);
    // The word "proven" belongs to what may be shipped.
    if low >= 0.0 && decision(e) != Decision::Ship {
        let but = if claimed(e) {
            ""
        } else {
            ", as far as the evidence goes"
        };
        format!(
            "Its {score} of {is} is estimated to keep to the line of {line}{but}: the lower bound \
             of the margin at {level} is {}.",
            format::number(low, Unit::Change, &[])
        )
    } else if high < 0.0 && !claimed(e) {
        format!(
            "Its {score} of {is} is estimated to break the line of {line}, as far as the evidence \
             goes: the upper bound of the margin at {level} is {}.",
            format::number(high, Unit::Change, &[])
        )
    } else if low >= 0.0 {
        format!(
            "Its {score} of {is} keeps to the line of {line}: that is proven at {level} \
             confidence, with at least {} to spare.",
            format::at_least(low)
        )
    } else if high < 0.0 {
        format!(
            "Its {score} of {is} breaks the line of {line}: that is shown at {level} confidence, \
             by at least {}.",
            format::at_least(-high)
        )
    } else {
        format!(
            "Whether its {score} of {is} keeps to the line of {line} is open: at {level} \
             confidence the margin lies between {} and {}.",
            format::number(low, Unit::Change, &[]),
            format::number(high, Unit::Change, &[])
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
            range: Some(fraction.range()),
            value: fraction.point,
            note: Some(format!("{} per request ({})", money.point, money.range())),
        });
        if let Some(projection) = &e.projection {
            let month = usd(projection.usd_per_month);
            figures.push(Figure {
                key: "savings-month",
                label: "Saved per month".to_owned(),
                range: Some(month.range()),
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
            value: if is_scenario(e) {
                "Not claimed"
            } else {
                "Not proven"
            }
            .to_owned(),
            range: None,
            note: Some(
                if is_scenario(e) {
                    "this is a scenario: see below what would settle it"
                } else {
                    "see below what would settle it"
                }
                .to_owned(),
            ),
        });
    }
    let (quality_label, change_label) = if is_scenario(e) {
        (
            said(
                e,
                "Quality in this scenario",
                "Judged quality in this scenario",
            ),
            "Change in this scenario",
        )
    } else {
        (
            said(e, "Quality", "Judged quality"),
            said(e, "Change in quality", "Change in judged quality"),
        )
    };
    let value = quality(e.policy.quality, e.floor.quality);
    figures.push(Figure {
        key: "quality",
        label: quality_label.to_owned(),
        range: Some(value.range()),
        value: value.point,
        note: Some(format!("the line is {}", format::quality(e.floor.quality))),
    });
    let delta = change(e.quality_change);
    figures.push(Figure {
        key: "quality-change",
        label: change_label.to_owned(),
        range: Some(delta.range()),
        value: delta.point,
        note: Some(format!(
            "against {}, which scores {}",
            baseline(e),
            format::quality(e.baseline.quality)
        )),
    });
    figures
}

/// What to gather so that the next evaluation can decide.
fn collect(e: &Evaluation) -> Vec<String> {
    let mut list: Vec<String> = failed_gates(e)
        .take(GATES_MAX)
        .map(|gate| format!("{}: {}", capital(&label(&gate.name)), finding(&gate.about)))
        .collect();
    if is_scenario(e) {
        list.push(
            "Log the probability with which each arm was chosen, or replay a sample of requests \
             on every arm: without either, savings can only be bounded."
                .to_owned(),
        );
    }
    if e.diagnostics.unlabelled_share > 0.0 {
        list.push(format!(
            "Label answers: {} of the compared outcomes have no {}.",
            format::percent(e.diagnostics.unlabelled_share),
            e.trust.score()
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
            "Evaluate more requests: with {}, the margin to the line lies between {} and {}. Four \
             times as many about halve that width.",
            format::counted(
                e.diagnostics.clusters,
                if e.diagnostics.cluster_by == "session_id" {
                    "independent session"
                } else {
                    "independent request"
                }
            ),
            format::number(e.floor.margin_low, Unit::Change, &[]),
            format::number(e.floor.margin_high, Unit::Change, &[]),
        ));
    }
    if e.requests.set_aside > 0 {
        list.push(format!(
            "Complete the {} set aside because an arm has no usable outcome there.",
            format::counted(e.requests.set_aside, "request")
        ));
    }
    if list.is_empty() {
        list.push("Evaluate more requests under the same policy.".to_owned());
    }
    list
}
