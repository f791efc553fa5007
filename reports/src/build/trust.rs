//! How far to trust it: the gates, the evidence and its gaps.

use plimsoll_harness::{Evaluation, Gate};

use super::{evidence_name, judges, overlap, said};
use crate::chart::{Calibration, Chart};
use crate::document::{Block, Cell, Column, Fact, Section, Table, Tone, numbers, words};
use crate::escape::{finding, label, sentence};
use crate::format::{self, Unit};

const ARM_ROWS_MAX: usize = 200;
const WARNINGS_MAX: usize = 30;
const GATE_ROWS_MAX: usize = 40;

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
    gates(e, &mut section);
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
        Fact::new("Independent clusters", clusters(e)),
        Fact::new("Looks at these requests", looks(e)),
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
    if let Some(judges) = judges(e) {
        facts.push(Fact::new("Scored by", judges));
    }
    if let Some(error) = d.calibration_error {
        facts.push(Fact::new("Calibration error", format::plain(error)));
    }
    section.push(Block::Facts(facts));
    overlap::blocks(e, &mut section);
    calibration(e, &mut section);
    coverage(e, &mut section);
    section
}

/// The conditions of trust, those that fail on top.
fn gates(e: &Evaluation, section: &mut Section) {
    let gates = &e.trust.gates;
    if gates.is_empty() {
        return;
    }
    let failed = gates.iter().filter(|g| !g.passed).count();
    let of = format::counted(gates.len() as u64, "condition");
    if failed > 0 {
        section.push(Block::Notice(
            Tone::Bad,
            format!(
                "{} of {of} of trust failed, so the evidence does not suffice, whatever the \
                 figures say.",
                format::count(failed as u64)
            ),
        ));
    } else {
        section.push(Block::Notice(
            Tone::Good,
            if gates.len() == 1 {
                "The condition of trust holds.".to_owned()
            } else {
                format!("All of {of} of trust hold.")
            },
        ));
    }
    let mut table = Table::new(
        "gates",
        "Conditions of trust",
        vec![
            words("Condition"),
            words("Result"),
            words("Measured"),
            Column {
                page_only: failed == 0,
                ..words("What it means")
            },
        ],
    );
    let (bad, good): (Vec<&Gate>, Vec<&Gate>) = gates.iter().partition(|g| !g.passed);
    for gate in bad.into_iter().chain(good) {
        let (tone, result) = if gate.passed {
            (Tone::Neutral, "✓ passed")
        } else {
            (Tone::Bad, "✕ failed")
        };
        table.push_toned(
            tone,
            vec![
                Cell::new(label(&gate.name)),
                Cell::new(result),
                Cell::new(measured(gate)),
                Cell::new(finding(&gate.about)),
            ],
        );
    }
    table.cap(GATE_ROWS_MAX);
    section.push(Block::Table(table));
}

/// What a gate measured; a number is not torn from its per cent sign.
pub(super) fn measured(gate: &Gate) -> String {
    sentence(&gate.measured).replace(" %", &format!("{}%", format::THIN))
}

fn clusters(e: &Evaluation) -> String {
    let (t, d) = (&e.trust, &e.diagnostics);
    if t.clusters == 0 {
        return format!("{} by {}", format::count(d.clusters), label(&d.cluster_by));
    }
    format!(
        "{} by {}, the largest with {} of the requests",
        format::count(t.clusters),
        label(&t.cluster_by),
        format::percent(t.largest_cluster_share)
    )
}

fn looks(e: &Evaluation) -> String {
    match e.trust.looks {
        0 => "not recorded".to_owned(),
        1 => "1, this one".to_owned(),
        n => format!("{}, this one included", format::count(n)),
    }
}

fn calibration(e: &Evaluation, section: &mut Section) {
    let bins = &e.diagnostics.calibration;
    if bins.is_empty() {
        return;
    }
    section.push(Block::Chart(Chart::Calibration(Calibration {
        title: format!("Predicted and observed {}", e.trust.score()),
        description: format!(
            "Observed against predicted {} in {} bins; on the diagonal a prediction is right.",
            e.trust.score(),
            bins.len()
        ),
        axis: said(e, "predicted quality", "predicted judged quality"),
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
