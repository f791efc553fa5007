//! What off-policy estimators say: every one of them, what the log earned, what could undo it.

use plimsoll_harness::{Confounding, EstimatorRow, Evaluation, Interval, OffPolicy};

use super::{
    caveat, change, claimed, interval_level, is_scenario, percent, quality, said, usd, whiskers,
};
use crate::chart::{Chart, Forest, ForestRow};
use crate::document::{Block, Cell, Fact, Section, Table, Tone, numbers, words};
use crate::escape::{finding, label, sentence};
use crate::format::{self, Unit};

const ROWS_MAX: usize = 40;
const FOREST_ROWS_MAX: usize = 16;

/// Where the figures come from, for the line under the title; empty for fully observed logs.
pub(super) fn source(e: &Evaluation) -> String {
    let Some(o) = &e.off_policy else {
        return match super::evidence_name(e).as_str() {
            "full-information" => String::new(),
            "observational" => " · the log has no propensities".to_owned(),
            _ => " · estimated from logged choices".to_owned(),
        };
    };
    if is_scenario(e) {
        format!(
            " · adjusted with {} propensities by {}",
            label(&o.propensities),
            label(&o.chosen)
        )
    } else {
        format!(" · estimated from logged choices by {}", label(&o.chosen))
    }
}

pub(super) fn estimates(e: &Evaluation) -> Option<Section> {
    let o = e.off_policy.as_ref()?;
    let mut section = Section::new("off-policy", "Estimated from the log");
    if is_scenario(e) {
        section.push(Block::Notice(
            Tone::Caution,
            "The probabilities with which the arms were chosen are estimated, not logged: whatever \
             the log does not record may explain these figures. They are a scenario, not evidence."
                .to_owned(),
        ));
    }
    section.say(
        "The log knows only the answers of the arms that it chose. Each estimator fills in the \
         others in its own way; where they disagree, none of them deserves much trust.",
    );
    section.push(Block::Facts(facts(e, o)));
    if !o.estimators.is_empty() {
        section.push(Block::Chart(Chart::Forest(savings_forest(e, o))));
        section.push(Block::Chart(Chart::Forest(quality_forest(e, o))));
        section.push(Block::Table(estimator_table(e, o)));
    }
    if let Some(confounding) = &o.confounding {
        sensitivity_model(e, confounding, &mut section);
    }
    Some(section)
}

fn facts(e: &Evaluation, o: &OffPolicy) -> Vec<Fact> {
    let line = e.floor.quality;
    let mut facts = vec![
        Fact::new("Propensities", label(&o.propensities)),
        Fact::new(
            "Estimator in the headline",
            format!("{}: {}", label(&o.chosen), sentence(&o.reason)),
        ),
        Fact::new(
            said(
                e,
                "Quality of the log's own choices",
                "Judged quality of the log's own choices",
            ),
            quality(o.logging.quality, line).full(),
        ),
        Fact::new(
            "Cost of the log's own choices",
            format!("{} per request", usd(o.logging.cost_usd).full()),
        ),
    ];
    if let Some(worst) = &o.worst_case {
        facts.push(Fact::new(
            "Whatever the unseen answers were",
            format!(
                "{} lies between {} and {}: the policy's answer was seen on {} of requests",
                e.trust.score(),
                bound(worst.quality[0], Unit::Quality, &[line]),
                bound(worst.quality[1], Unit::Quality, &[line]),
                format::percent(worst.observed_share)
            ),
        ));
    }
    facts
}

fn bound(value: f64, unit: Unit, lines: &[f64]) -> String {
    format::number(value, unit, lines)
}

fn estimator_table(e: &Evaluation, o: &OffPolicy) -> Table {
    let mut table = Table::new(
        "estimators",
        format!(
            "Every estimator with its {} intervals{}",
            interval_level(e),
            caveat(e)
        ),
        vec![
            words("Estimator"),
            numbers("Saved"),
            numbers(said(e, "Quality", "Judged quality")),
            numbers("Cost per request"),
            words("Remark"),
        ],
    );
    for row in &o.estimators {
        table.push_toned(
            match row {
                EstimatorRow { chosen: true, .. } if claimed(e) => Tone::Good,
                EstimatorRow { chosen: true, .. }
                | EstimatorRow {
                    caution: Some(_), ..
                } => Tone::Caution,
                _ => Tone::Neutral,
            },
            vec![
                Cell::new(name(row)),
                Cell::estimate(percent(row.savings)),
                Cell::estimate(quality(row.quality, e.floor.quality)),
                Cell::estimate(usd(row.cost_usd)),
                Cell::new(remark(row)),
            ],
        );
    }
    table.cap(ROWS_MAX);
    table
}

fn name(row: &EstimatorRow) -> String {
    if row.chosen {
        format!("◆ {}", label(&row.name))
    } else {
        label(&row.name)
    }
}

fn remark(row: &EstimatorRow) -> String {
    let caution = row.caution.as_deref().map(|c| format!("! {}", finding(c)));
    match (row.chosen, caution) {
        (true, Some(caution)) => format!("in the headline. {caution}"),
        (true, None) => "in the headline".to_owned(),
        (false, Some(caution)) => caution,
        (false, None) => String::new(),
    }
}

fn savings_forest(e: &Evaluation, o: &OffPolicy) -> Forest {
    Forest {
        id: "savings-forest",
        title: format!("Savings by estimator{}", caveat(e)),
        description: words_for(o, "savings"),
        caption: caption(e),
        reference: 0.0,
        reference_label: "no saving".to_owned(),
        percent: true,
        rows: forest_rows(o, |row| (row.savings, percent(row.savings).full())),
    }
}

fn quality_forest(e: &Evaluation, o: &OffPolicy) -> Forest {
    let line = e.floor.quality;
    Forest {
        id: "quality-forest",
        title: format!(
            "{} by estimator{}",
            said(e, "Quality", "Judged quality"),
            caveat(e)
        ),
        description: words_for(o, e.trust.score()),
        caption: caption(e),
        reference: line,
        reference_label: format!("the line {}", format::quality(line)),
        percent: false,
        rows: forest_rows(o, |row| (row.quality, quality(row.quality, line).full())),
    }
}

fn words_for(o: &OffPolicy, what: &str) -> String {
    format!(
        "The {what} under the policy by {}, each with its interval; the table below holds the \
         numbers.",
        format::counted(o.estimators.len().min(FOREST_ROWS_MAX) as u64, "estimator")
    )
}

fn caption(e: &Evaluation) -> String {
    format!(
        "Points with {} intervals. The diamond is the estimator in the headline; dotted ones come \
         with a caution; an arrow goes on beyond the edge.",
        interval_level(e)
    )
}

fn forest_rows(
    o: &OffPolicy,
    value: impl Fn(&EstimatorRow) -> (Interval, String),
) -> Vec<ForestRow> {
    let rows = o.estimators.iter().take(FOREST_ROWS_MAX).map(|row| {
        let (value, text) = value(row);
        ForestRow {
            label: label(&row.name),
            value,
            text,
            chosen: row.chosen,
            doubtful: row.caution.is_some(),
        }
    });
    rows.collect()
}

/// The marginal sensitivity model: one plain sentence, then its bounds.
fn sensitivity_model(e: &Evaluation, confounding: &Confounding, section: &mut Section) {
    section.say(undone_by(
        "undo the savings",
        "the savings could already be 0 or less",
        confounding,
        confounding.gamma_savings,
        |b| b.savings[0],
    ));
    section.say(undone_by(
        &format!("bring {} down to the line", e.trust.score()),
        &format!(
            "{} could already be at the line or below it",
            e.trust.score()
        ),
        confounding,
        confounding.gamma_margin,
        |b| b.margin[0],
    ));
    let mut table = Table::new(
        "confounding",
        format!(
            "Bounds when the odds of choosing an arm may be off by Γ{}",
            caveat(e)
        ),
        vec![
            words("Γ"),
            numbers("Saved"),
            numbers(said(e, "Quality", "Judged quality")),
            numbers("Margin to the line"),
        ],
    );
    let line = e.floor.quality;
    let spans: Vec<Interval> = confounding.bounds.iter().map(|b| span(b.savings)).collect();
    for (row, spark) in confounding.bounds.iter().zip(whiskers(&spans, 0.0)) {
        let undone = row.savings[0] <= 0.0 || row.margin[0] <= 0.0;
        table.push_toned(
            if undone { Tone::Caution } else { Tone::Neutral },
            vec![
                Cell::new(format::setting(row.gamma)),
                Cell::new(percent(span(row.savings)).range()).with(spark),
                Cell::new(quality(span(row.quality), line).range()),
                Cell::new(change(span(row.margin)).range()),
            ],
        );
    }
    table.cap(ROWS_MAX);
    table.legend =
        "Whiskers: the savings that remain possible, the least marked; the dotted line is none.";
    section.push(Block::Table(table));
}

/// Bounds as an interval; its mark stands at the worst end.
fn span([low, high]: [f64; 2]) -> Interval {
    Interval {
        point: low,
        low,
        high,
    }
}

/// How strong an unmeasured factor would have to be, in one sentence.
fn undone_by(
    what: &str,
    already: &str,
    confounding: &Confounding,
    gamma: Option<f64>,
    low: impl Fn(&plimsoll_harness::GammaBounds) -> f64,
) -> String {
    let bounds = &confounding.bounds;
    let gamma_max = bounds.iter().map(|b| b.gamma).fold(1.0, f64::max);
    if let Some(gamma) = gamma {
        return format!(
            "An unmeasured factor that makes an arm {} times as likely or unlikely to be chosen \
             (in odds) would be enough to {what}.",
            format::at_most(gamma)
        );
    }
    if bounds.iter().any(|b| low(b) <= 0.0) {
        return format!("Even without any unmeasured factor {already}.");
    }
    if bounds.is_empty() {
        return format!("How strong a factor it would take to {what} was not computed.");
    }
    format!(
        "No unmeasured factor of up to {} times the odds would be enough to {what}.",
        format::setting(gamma_max)
    )
}
