//! What was computed how, and how to get it again.

use plimsoll_harness::Evaluation;

use super::{caveat, claimed, interval_level};
use crate::document::{Block, Cell, Fact, Section, Table, Tone, numbers, words};
use crate::escape::{label, passage};
use crate::format;

const ROWS_MAX: usize = 200;
const POLICY_CHARS_MAX: usize = 20_000;
const COMMAND_CHARS_MAX: usize = 4_000;

pub(super) fn metrics(e: &Evaluation) -> Section {
    let mut section = Section::detail("metrics", "Metrics of the field");
    section.say(
        "For comparison with published tables; each follows its source, and none of them enters \
         the verdict.",
    );
    let m = &e.metrics;
    let mut table = Table::new(
        "metrics-table",
        format!("Metrics on the evaluated requests{}", caveat(e)),
        vec![words("Metric"), numbers("Value"), words("Variant")],
    );
    let share = |v: Option<f64>| format::optional(v, format::percent);
    let plain = |v: Option<f64>| format::optional(v, format::plain);
    let rows = [
        (
            "AIQ",
            plain(Some(m.aiq)),
            "RouterBench's paper: area over c_max − c_min",
        ),
        (
            "AIQ (code)",
            plain(Some(m.aiq_code)),
            "RouterBench's code: area over c_max",
        ),
        ("CostSave", share(m.cost_save), "LLMRouterBench"),
        ("PerfGain", share(Some(m.perf_gain)), "LLMRouterBench"),
        (
            "QNC",
            plain(m.qnc),
            "least relative cost matching the best arm",
        ),
        ("APGR", plain(m.apgr), "RouteLLM, two arms only"),
        ("CPT(50 %)", share(m.cpt50), "RouteLLM, two arms only"),
        ("CPT(80 %)", share(m.cpt80), "RouteLLM, two arms only"),
        ("RouterArena", plain(m.router_arena), "β = 0.1"),
    ];
    for (name, value, variant) in rows {
        table.push(vec![Cell::new(name), Cell::new(value), Cell::new(variant)]);
    }
    for at in &m.savings_at {
        table.push(vec![
            Cell::new(format!(
                "Saved at {} of the best arm",
                format::setting_percent(at.retain)
            )),
            Cell::new(share(at.savings)),
            Cell::new("λ read off the evaluated rows: optimistic"),
        ]);
    }
    table.cap(ROWS_MAX);
    section.push(Block::Table(table));
    section
}

pub(super) fn methods(e: &Evaluation) -> Section {
    let mut section = Section::new("methods", "Methods, and how to get this again");
    let m = &e.manifest;
    section.say(format!(
        "Predictors and thresholds were chosen on the training requests only; {}. \
         Two-sided intervals are at {}, by {} over {} resamples; the \
         line is judged by a one-sided {} bound at {}.",
        looks(e),
        interval_level(e),
        label(&m.interval_method),
        format::count(u64::from(m.resamples)),
        label(&e.floor.bound),
        format::setting_percent(e.floor.confidence),
    ));
    if !claimed(e) {
        section.say("Numbers marked as not proven describe this sample and promise nothing.");
    }
    let d = &e.diagnostics;
    let digest = |text: &str| label(text);
    section.push(Block::Facts(vec![
        Fact::new("Predictor", label(&e.policy.predictor)),
        Fact::new("λ", format::optional(d.lambda, format::plain)),
        Fact::new("τ", format::optional(d.tau, format::plain)),
        Fact::new("Split", label(&m.split)),
        Fact::new("Seed", m.seed.to_string()),
        Fact::new("Log", format!("BLAKE3 {}", digest(&m.log_digest))),
        Fact::new(
            "Price catalogue",
            m.catalogue_digest
                .as_deref()
                .map_or_else(|| "none".to_owned(), |c| format!("BLAKE3 {}", digest(c))),
        ),
        Fact::new("Policy", format!("BLAKE3 {}", digest(&m.policy_digest))),
        Fact::new("Plimsoll", label(&m.version)),
    ]));
    if let Some(table) = predictors(e) {
        section.push(Block::Table(table));
    }
    section.push(Block::Code {
        title: "Reproduce",
        text: passage(&m.command, COMMAND_CHARS_MAX),
    });
    section.push(Block::Code {
        title: "Policy as used",
        text: passage(&m.policy_toml, POLICY_CHARS_MAX),
    });
    section
}

fn predictors(e: &Evaluation) -> Option<Table> {
    let rows = &e.diagnostics.predictors;
    if rows.is_empty() {
        return None;
    }
    let mut table = Table::new(
        "predictors",
        "Predictors tried on the training requests",
        vec![
            words("Predictor"),
            numbers("Saved, cross-validated"),
            words("Chosen"),
        ],
    );
    for row in rows {
        table.push_toned(
            if row.chosen {
                Tone::Good
            } else {
                Tone::Neutral
            },
            vec![
                Cell::new(label(&row.name)),
                Cell::new(format::percent(row.train_savings)),
                Cell::new(if row.chosen { "✓ chosen" } else { "no" }),
            ],
        );
    }
    table.cap(ROWS_MAX);
    Some(table)
}

/// How often the evaluated requests were looked at.
fn looks(e: &Evaluation) -> String {
    match e.trust.looks {
        0 => "the evaluated requests took no part in that".to_owned(),
        1 => "the evaluated requests were looked at once".to_owned(),
        n => format!(
            "the evaluated requests have been looked at {} times, this time included",
            format::count(n)
        ),
    }
}
