//! Overlap and weights: whether the log says anything about what the policy would do.

use plimsoll_harness::{ArmOverlap, BalanceRow, Evaluation, Interval, Trust, WeightSummary};

use super::{interval_level, ratio, said, thousandths, whiskers};
use crate::chart::{Chart, Forest, ForestRow};
use crate::document::{Block, Cell, Column, Fact, Section, Spark, Table, Tone, numbers, words};
use crate::escape::{label, sentence};
use crate::format::{self, Unit};

const ARM_ROWS_MAX: usize = 40;
const FOREST_ARMS_MAX: usize = 12;
const BALANCE_ROWS_MAX: usize = 100;
const BROKEN_ROWS_MAX: usize = 20;
const INTERVAL_ROWS_MAX: usize = 40;
const WEIGHTS_MAX: usize = 10;

/// Overlap, weights, balance, missing labels and intervals, as far as the log has them.
pub(super) fn blocks(e: &Evaluation, section: &mut Section) {
    let t = &e.trust;
    if !t.overlap.is_empty() {
        section.push(Block::Table(overlap(t)));
    }
    if let Some(weights) = &t.weights {
        section.push(Block::Facts(weight_facts(e, weights)));
        section.push(Block::Chart(Chart::Forest(mean_weights(e, weights))));
    }
    balance(t, section);
    missing(e, section);
    intervals(t, section);
}

/// The arms, those that the policy wants most first.
fn by_target(t: &Trust) -> Vec<&ArmOverlap> {
    let mut arms: Vec<&ArmOverlap> = t.overlap.iter().collect();
    arms.sort_by(|a, b| {
        b.target_share
            .total_cmp(&a.target_share)
            .then(b.logged_share.total_cmp(&a.logged_share))
            .then_with(|| a.model.cmp(&b.model))
    });
    arms
}

fn overlap(t: &Trust) -> Table {
    let weighted = t
        .overlap
        .iter()
        .any(|a| a.mean_weight.is_some() || a.propensity_min.is_some());
    let mut columns = vec![
        words("Arm"),
        Column {
            page_only: weighted,
            ..numbers("Requests")
        },
        numbers(if weighted { "Logged share" } else { "Seen on" }),
        numbers("Policy's share"),
        numbers("Effective"),
    ];
    if weighted {
        columns.push(numbers("Mean weight"));
        columns.push(numbers("Least propensity"));
    }
    let mut table = Table::new(
        "overlap",
        if weighted {
            "Overlap: what the log chose and what the policy would choose"
        } else {
            "Overlap: every compared arm was seen, whatever the policy would choose"
        },
        columns,
    );
    let arms = by_target(t);
    let means: Vec<Interval> = arms.iter().filter_map(|a| a.mean_weight).collect();
    let mut sparks = whiskers(&means, 1.0).into_iter();
    for arm in arms {
        let unseen = arm.logged == 0 && arm.target_share > 0.0;
        let mut cells = vec![
            Cell::new(label(&arm.model)).with(Spark::Bars {
                before: thousandths(arm.logged_share, 0.0, 1.0),
                after: thousandths(arm.target_share, 0.0, 1.0),
            }),
            Cell::new(format::count(arm.logged)),
            Cell::new(format::percent(arm.logged_share)),
            Cell::new(if unseen {
                format!("{} ✕ never seen", format::percent(arm.target_share))
            } else {
                format::percent(arm.target_share)
            }),
            Cell::new(format::about(arm.ess)),
        ];
        let mut tone = if unseen { Tone::Bad } else { Tone::Neutral };
        if weighted {
            let mean = arm.mean_weight.map_or_else(
                || Cell::new(format::absent()),
                |mean| {
                    let cell = Cell::estimate(ratio(mean));
                    match sparks.next() {
                        Some(spark) => cell.with(spark),
                        None => cell,
                    }
                },
            );
            cells.push(match arm.mean_weight {
                Some(interval) if misses_one(interval) => {
                    tone = Tone::Bad;
                    Cell {
                        text: format!("✕ {}", mean.text),
                        ..mean
                    }
                }
                _ => mean,
            });
            cells.push(Cell::new(format::optional(
                arm.propensity_min,
                format::short,
            )));
        }
        table.push_toned(tone, cells);
    }
    table.cap(ARM_ROWS_MAX);
    table.legend = if weighted {
        "Bars: outlined the log's share, filled the policy's. Effective: the sample size that the \
         weights leave. Whiskers: the mean weight; the dotted line is 1, where it must be."
    } else {
        "Bars: outlined seen, filled the policy's share."
    };
    table
}

fn misses_one(interval: Interval) -> bool {
    interval.low > 1.0 || interval.high < 1.0
}

fn weight_facts(e: &Evaluation, w: &WeightSummary) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new(
            "Effective sample size",
            format!(
                "{} of {} ({})",
                format::about(w.ess),
                format::counted(e.requests.evaluated, "request"),
                format::percent(w.ess_share)
            ),
        ),
        Fact::new(
            "Mean weight",
            format!(
                "{}: the {} interval {} 1, {}",
                ratio(w.mean_weight).full(),
                interval_level(e),
                if misses_one(w.mean_weight) {
                    "misses"
                } else {
                    "contains"
                },
                if misses_one(w.mean_weight) {
                    "so the propensities are wrong"
                } else {
                    "as it must"
                }
            ),
        ),
        Fact::new(
            "Largest weight",
            format!(
                "{}, which is {} of all weight",
                format::short(w.weight_max),
                format::percent(w.weight_max_share)
            ),
        ),
        Fact::new(
            "Clipped mass",
            format!(
                "{} of all weight lies above {}",
                format::percent(w.clipped_mass),
                format::short(w.clip)
            ),
        ),
        Fact::new(
            "Without support",
            format!(
                "{} of the policy's choices are ones the log could not have made",
                format::percent(w.unsupported_share)
            ),
        ),
    ];
    if !w.largest.is_empty() {
        let largest = w.largest.iter().take(WEIGHTS_MAX);
        let largest: Vec<String> = largest.map(|v| format::short(*v)).collect();
        facts.push(Fact::new("Largest weights", largest.join(", ")));
    }
    facts
}

fn mean_weights(e: &Evaluation, w: &WeightSummary) -> Forest {
    let mut rows = vec![ForestRow {
        label: "all arms".to_owned(),
        value: w.mean_weight,
        text: ratio(w.mean_weight).full(),
        chosen: true,
        doubtful: misses_one(w.mean_weight),
    }];
    let arms = by_target(&e.trust);
    let known = arms.iter().filter_map(|a| Some((a, a.mean_weight?)));
    let known: Vec<_> = known.collect();
    let cut = known.len().saturating_sub(FOREST_ARMS_MAX);
    rows.extend(
        known
            .into_iter()
            .take(FOREST_ARMS_MAX)
            .map(|(arm, mean)| ForestRow {
                label: label(&arm.model),
                value: mean,
                text: ratio(mean).full(),
                chosen: false,
                doubtful: misses_one(mean),
            }),
    );
    Forest {
        id: "weights-forest",
        title: "Mean weight against 1".to_owned(),
        description: format!(
            "The policy's mean weight is {}; it is 1 when the propensities are right. The table \
             above holds the arms' figures.",
            ratio(w.mean_weight).full()
        ),
        caption: format!(
            "Mean weight with its {} interval, of the policy (diamond) and of each arm: it is 1 \
             when the logged propensities are right, and dotted where the interval misses 1.{}",
            interval_level(e),
            if cut > 0 {
                format!(" {} more arms are in the table.", format::count(cut as u64))
            } else {
                String::new()
            }
        ),
        reference: 1.0,
        reference_label: "1".to_owned(),
        percent: false,
        rows,
    }
}

fn balance(t: &Trust, section: &mut Section) {
    if t.balance.is_empty() {
        return;
    }
    let mut rows: Vec<&BalanceRow> = t.balance.iter().collect();
    rows.sort_by(|a, b| {
        b.broken
            .cmp(&a.broken)
            .then(a.p_value.total_cmp(&b.p_value))
            .then_with(|| (&a.model, &a.covariate).cmp(&(&b.model, &b.covariate)))
    });
    let broken: Vec<&BalanceRow> = rows.iter().copied().filter(|r| r.broken).collect();
    let checks = format::counted(t.balance.len() as u64, "balance check");
    if broken.is_empty() {
        section.say(format!(
            "All of {checks} hold: weighted by its propensity, each arm's requests look like all \
             requests."
        ));
    } else {
        section.push(Block::Notice(
            Tone::Bad,
            format!(
                "{} of {checks} failed after Holm's correction: weighted by its propensity, an \
                 arm's requests do not look like all requests, so the propensities are wrong.",
                format::count(broken.len() as u64)
            ),
        ));
        section.push(Block::Table(balance_table(
            "balance-failed",
            "Balance checks that failed",
            &broken,
            BROKEN_ROWS_MAX,
        )));
    }
    let mut all = balance_table("balance", "All balance checks", &rows, BALANCE_ROWS_MAX);
    all.folded = true;
    section.push(Block::Table(all));
}

fn balance_table(
    id: &'static str,
    caption: &'static str,
    rows: &[&BalanceRow],
    rows_max: usize,
) -> Table {
    let mut table = Table::new(
        id,
        caption,
        vec![
            words("Arm"),
            words("What was compared"),
            numbers("Difference"),
            numbers("p-value"),
            words("Result"),
        ],
    );
    for row in rows {
        table.push_toned(
            if row.broken { Tone::Bad } else { Tone::Neutral },
            vec![
                Cell::new(label(&row.model)),
                Cell::new(label(&row.covariate)),
                Cell::new(format::number(row.difference, Unit::Change, &[])),
                Cell::new(format::short(row.p_value)),
                Cell::new(if row.broken {
                    "✕ failed"
                } else {
                    "✓ holds"
                }),
            ],
        );
    }
    table.cap(rows_max);
    table.legend = "Differences are in standard deviations of what was compared.";
    table
}

fn missing(e: &Evaluation, section: &mut Section) {
    if e.trust.missing.is_empty() {
        return;
    }
    let mut table = Table::new(
        "missing",
        "Missing labels, and what they could hide at worst",
        vec![
            words("Arm"),
            numbers("Outcomes"),
            numbers("No label"),
            numbers(said(
                e,
                "Quality if all were 0",
                "Judged quality if all were 0",
            )),
            numbers(said(
                e,
                "Quality if all were 1",
                "Judged quality if all were 1",
            )),
        ],
    );
    let line = [e.floor.quality];
    for arm in &e.trust.missing {
        table.push(vec![
            Cell::new(label(&arm.model)),
            Cell::new(format::count(arm.outcomes)),
            Cell::new(format::percent(arm.unlabelled_share)),
            Cell::new(format::number(arm.quality_low, Unit::Quality, &line)),
            Cell::new(format::number(arm.quality_high, Unit::Quality, &line)),
        ]);
    }
    table.cap(ARM_ROWS_MAX);
    section.push(Block::Table(table));
}

fn intervals(t: &Trust, section: &mut Section) {
    if t.intervals.is_empty() {
        return;
    }
    let mut table = Table::new(
        "intervals",
        "Which interval was taken, and why",
        vec![words("For"), words("Method"), words("Why")],
    );
    for choice in &t.intervals {
        table.push(vec![
            Cell::new(label(&choice.quantity)),
            Cell::new(label(&choice.method)),
            Cell::new(sentence(&choice.reason)),
        ]);
    }
    table.cap(INTERVAL_ROWS_MAX);
    section.push(Block::Table(table));
}
