//! How far to trust it: the evidence, its gaps, the method, and how to get it again.

use plimsoll_harness::{Decision, Evaluation};

use super::{caveat, interval_level};
use crate::chart::{Calibration, Chart};
use crate::document::{Block, Cell, Fact, Section, Table, Tone, numbers, words};
use crate::escape::{finding, label, passage, sentence};
use crate::format::{self, Unit};

const ARM_ROWS_MAX: usize = 200;
const WARNINGS_MAX: usize = 30;
const POLICY_CHARS_MAX: usize = 20_000;
const COMMAND_CHARS_MAX: usize = 4_000;

/// The evidence kind as the JSON spells it.
pub(super) fn evidence_name(e: &Evaluation) -> String {
    match serde_json::to_value(e.evidence) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "unknown".to_owned(),
    }
}

fn evidence_in_words(e: &Evaluation) -> String {
    match evidence_name(e).as_str() {
        "full-information" => "full information: several arms answered the same requests",
        "logged-with-propensities" => {
            "logged with propensities: one arm per request, chosen with a known probability"
        }
        "observational" => "observational: scenarios and bounds only, never a savings headline",
        other => return label(other),
    }
    .to_owned()
}

pub(super) fn panel(e: &Evaluation) -> Section {
    let mut section = Section::new("trust", "How far to trust this");
    let d = &e.diagnostics;
    for warning in d.warnings.iter().take(WARNINGS_MAX) {
        section.push(Block::Notice(Tone::Caution, finding(warning)));
    }
    let train = |v: f64, unit| format::number(v, unit, &[]);
    let mut facts = vec![
        Fact::new("Evidence", evidence_in_words(e)),
        Fact::new(
            "Requests",
            format!(
                "{} to train, {} evaluated, {} set aside",
                format::count(e.requests.train),
                format::count(e.requests.evaluated),
                format::count(e.requests.set_aside)
            ),
        ),
        Fact::new(
            "Independent clusters",
            format!("{} by {}", format::count(d.clusters), label(&d.cluster_by)),
        ),
        Fact::new(
            "Rows",
            format!(
                "{} read, {} rejected, {} merged, {} refused",
                format::count(d.rows.read),
                format::count(d.rows.rejected),
                format::counted(d.rows.duplicates, "duplicate"),
                format::counted(d.rows.conflicts, "contradiction")
            ),
        ),
        Fact::new(
            "Outcomes without a label",
            format::percent(d.unlabelled_share),
        ),
        Fact::new("Outcomes without a cost", format::percent(d.unpriced_share)),
        Fact::new(
            "Cross-validated on training rows",
            format!(
                "margin {}, saved {}",
                train(d.train_margin, Unit::Change),
                train(d.train_savings, Unit::Percent)
            ),
        ),
    ];
    if let Some(error) = d.calibration_error {
        facts.push(Fact::new("Calibration error", format::plain(error)));
    }
    section.push(Block::Facts(facts));
    calibration(e, &mut section);
    coverage(e, &mut section);
    section
}

fn calibration(e: &Evaluation, section: &mut Section) {
    let bins = &e.diagnostics.calibration;
    if bins.is_empty() {
        return;
    }
    section.push(Block::Chart(Chart::Calibration(Calibration {
        title: "Predicted and observed quality".to_owned(),
        description: format!(
            "Observed against predicted quality in {} bins; on the diagonal a prediction is right.",
            bins.len()
        ),
        bins: bins.clone(),
    })));
    let mut table = Table::new(
        "calibration-table",
        "Calibration on the evaluated requests",
        vec![
            numbers("Predicted"),
            numbers("Observed"),
            numbers("Predictions"),
        ],
    );
    for bin in bins {
        table.push(vec![
            Cell::new(format::quality(bin.predicted)),
            Cell::new(format::quality(bin.observed)),
            Cell::new(format::count(bin.count)),
        ]);
    }
    table.cap(ARM_ROWS_MAX);
    table.folded = true;
    section.push(Block::Table(table));
}

fn coverage(e: &Evaluation, section: &mut Section) {
    let arms = &e.diagnostics.arms;
    if arms.is_empty() {
        return;
    }
    let mut table = Table::new(
        "coverage",
        "How much of every arm was seen",
        vec![
            words("Arm"),
            numbers("Requests"),
            numbers("Coverage"),
            numbers("No label"),
            numbers("No cost"),
            words("Compared"),
        ],
    );
    for arm in arms {
        let compared = match (&arm.left_out, arm.compared) {
            (_, true) => "yes".to_owned(),
            (Some(why), false) => format!("no: {}", sentence(why)),
            (None, false) => "no".to_owned(),
        };
        table.push_toned(
            if arm.compared {
                Tone::Neutral
            } else {
                Tone::Caution
            },
            vec![
                Cell::new(label(&arm.model)),
                Cell::new(format::count(arm.requests)),
                Cell::new(format::percent(arm.coverage)),
                Cell::new(format::percent(arm.unlabelled_share)),
                Cell::new(format::percent(arm.unpriced_share)),
                Cell::new(compared),
            ],
        );
    }
    table.cap(ARM_ROWS_MAX);
    table.folded = arms.len() > 8;
    section.push(Block::Table(table));
}

pub(super) fn sensitivity(e: &Evaluation) -> Option<Section> {
    let rows = &e.diagnostics.sensitivity;
    if rows.is_empty() {
        return None;
    }
    let mut section = Section::detail("sensitivity", "How firm it stands");
    section.say("The headline when one choice changes and all else stays.");
    let mut table = Table::new(
        "sensitivity-table",
        format!("Savings and margin under other choices{}", caveat(e)),
        vec![
            words("Change"),
            numbers("Saved"),
            numbers("Margin to the line"),
        ],
    );
    for row in rows {
        table.push_toned(
            if row.margin < 0.0 {
                Tone::Caution
            } else {
                Tone::Neutral
            },
            vec![
                Cell::new(sentence(&row.change)),
                Cell::new(format::percent(row.savings)),
                Cell::new(format::number(row.margin, Unit::Change, &[])),
            ],
        );
    }
    table.cap(ARM_ROWS_MAX);
    section.push(Block::Table(table));
    Some(section)
}

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
    table.cap(ARM_ROWS_MAX);
    section.push(Block::Table(table));
    section
}

pub(super) fn methods(e: &Evaluation) -> Section {
    let mut section = Section::new("methods", "Methods, and how to get this again");
    let m = &e.manifest;
    section.say(format!(
        "Predictors and thresholds were chosen on the training requests only; the evaluated \
         requests were touched once. Two-sided intervals are at {}, by {} over {} resamples; the \
         line is judged by a one-sided {} bound at {}.",
        interval_level(e),
        label(&m.interval_method),
        format::count(u64::from(m.resamples)),
        label(&e.floor.bound),
        format::setting_percent(e.floor.confidence),
    ));
    if e.verdict.decision == Decision::InsufficientEvidence {
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
    table.cap(ARM_ROWS_MAX);
    Some(table)
}
