//! The report of one decision.

use plimsoll_harness::Explanation;

use crate::document::{
    Block, Cell, Document, Fact, Headline, Section, Table, Tone, numbers, words,
};
use crate::escape::{finding, label};
use crate::format;

const ARM_ROWS_MAX: usize = 200;

/// The document of an explanation.
pub(crate) fn explanation_document(x: &Explanation) -> Document {
    let mut section = Section::new("arms", "The arms as the policy saw them");
    section.push(Block::Facts(facts(x)));
    section.push(Block::Table(arms(x)));
    Document {
        title: format!(
            "Why request {} went to {}",
            label(&x.request_id),
            label(&x.chosen)
        ),
        kicker: format!("Explanation of request {}", label(&x.request_id)),
        headline: Headline {
            tone: Tone::Neutral,
            word: format!("Sent to {}", label(&x.chosen)),
            sentence: finding(&x.reason),
            figures: Vec::new(),
            note: String::new(),
            reasons: Vec::new(),
            collect: Vec::new(),
        },
        sections: vec![section],
        colophon: String::new(),
    }
}

fn facts(x: &Explanation) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("Chosen with probability", format::percent(x.propensity)),
        Fact::new(
            "Seen in training",
            if x.seen_in_training {
                "yes: its quality is known to the predictor"
            } else {
                "no"
            },
        ),
    ];
    if let Some(task) = &x.task {
        facts.insert(0, Fact::new("Task", label(task)));
    }
    facts
}

fn arms(x: &Explanation) -> Table {
    let mut table = Table::new(
        "arms-table",
        "Every arm, cheapest first",
        vec![
            words("Arm"),
            numbers("Probability"),
            numbers("Predicted quality"),
            numbers("Expected cost"),
            numbers("Observed quality"),
            numbers("Observed cost"),
        ],
    );
    for arm in &x.arms {
        let chosen = arm.model == x.chosen;
        let mark = if chosen { "✓ " } else { "" };
        table.push_toned(
            if chosen { Tone::Good } else { Tone::Neutral },
            vec![
                Cell::new(format!("{mark}{}", label(&arm.model))),
                Cell::new(format::percent(arm.probability)),
                Cell::new(format::quality(arm.predicted_quality)),
                Cell::new(format::usd(arm.expected_cost_usd)),
                Cell::new(format::optional(arm.observed_quality, format::quality)),
                Cell::new(format::optional(arm.observed_cost_usd, format::usd)),
            ],
        );
    }
    table.cap(ARM_ROWS_MAX);
    table
}
