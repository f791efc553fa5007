//! How far the headline moves when one choice changes.

use plimsoll_harness::{Evaluation, SensitivityRow};

use super::{caveat, thousandths};
use crate::chart::{Chart, Tornado, TornadoBar};
use crate::document::{Block, Cell, Column, Section, Table, Tone, numbers, words};
use crate::escape::sentence;
use crate::format::{self, Unit};

const BARS_MAX: usize = 12;
const ROWS_MAX: usize = 60;
/// Characters of a bar in a terminal.
const TEXT_BAR: u32 = 25;

pub(super) fn tornado(e: &Evaluation) -> Option<Section> {
    let headline = e.savings.fraction.point;
    let rows = by_distance(e);
    let (first, kept) = (rows.first()?, rows.iter().filter(|r| r.margin >= 0.0));
    let kept = kept.count();
    let mut section = Section::new("sensitivity", "How firm it stands");
    section.say(format!(
        "The estimated savings of {}{} when one choice changes and all else stays, the change \
         that moves them most first: {}. The line is kept in {} of {}.",
        format::percent(headline),
        caveat(e),
        sentence(&first.change),
        format::count(kept as u64),
        format::counted(rows.len() as u64, "change"),
    ));
    section.push(Block::Chart(Chart::Tornado(chart(e, &rows))));
    section.push(Block::Table(table(e, &rows)));
    Some(section)
}

/// The rows, those farthest from the headline first.
fn by_distance(e: &Evaluation) -> Vec<&SensitivityRow> {
    let headline = e.savings.fraction.point;
    let distance = |row: &SensitivityRow| (row.savings - headline).abs();
    let mut rows: Vec<&SensitivityRow> = e.diagnostics.sensitivity.iter().collect();
    rows.sort_by(|a, b| {
        distance(b)
            .total_cmp(&distance(a))
            .then(a.margin.total_cmp(&b.margin))
            .then_with(|| a.change.cmp(&b.change))
    });
    rows
}

fn chart(e: &Evaluation, rows: &[&SensitivityRow]) -> Tornado {
    let headline = format::percent(e.savings.fraction.point);
    let cut = rows.len().saturating_sub(BARS_MAX);
    let more = if cut > 0 {
        format!(" The {cut} that move it least are in the table only.")
    } else {
        String::new()
    };
    Tornado {
        title: format!("Savings under other choices{}", caveat(e)),
        description: format!(
            "Bars from the estimated savings of {headline} to the savings under {} other choices, \
             the longest on top; the table below says the same in numbers.",
            rows.len().min(BARS_MAX)
        ),
        caption: format!(
            "Each bar runs from the estimated savings to what they would be under one other \
             choice. Filled: {} keeps to the line there; hatched: it falls below.{more}",
            e.trust.score()
        ),
        headline: e.savings.fraction.point,
        headline_label: format!("as judged {headline}"),
        bars: rows
            .iter()
            .take(BARS_MAX)
            .map(|row| TornadoBar {
                label: sentence(&row.change),
                savings: row.savings,
                savings_text: format::percent(row.savings),
                margin_text: format::number(row.margin, Unit::Change, &[]),
                kept: row.margin >= 0.0,
            })
            .collect(),
    }
}

fn table(e: &Evaluation, rows: &[&SensitivityRow]) -> Table {
    let mut table = Table::new(
        "sensitivity-table",
        format!("Savings and margin under other choices{}", caveat(e)),
        vec![
            words("Change"),
            Column {
                terminal_only: true,
                ..words("From the estimate (│)")
            },
            numbers("Saved"),
            numbers("Difference in points"),
            numbers("Margin to the line"),
        ],
    );
    let headline = e.savings.fraction.point;
    let finite = || rows.iter().map(|r| r.savings).filter(|v| v.is_finite());
    let low = finite().fold(headline, f64::min);
    let high = finite().fold(headline, f64::max);
    for row in rows {
        table.push_toned(
            if row.margin < 0.0 {
                Tone::Caution
            } else {
                Tone::Neutral
            },
            vec![
                Cell::new(sentence(&row.change)),
                Cell::new(text_bar(headline, row.savings, low, high)),
                Cell::new(format::percent(row.savings)),
                Cell::new(format::number(
                    row.savings - headline,
                    Unit::PercentChange,
                    &[],
                )),
                Cell::new(margin(row)),
            ],
        );
    }
    table.cap(ROWS_MAX);
    table
}

fn margin(row: &SensitivityRow) -> String {
    let margin = format::number(row.margin, Unit::Change, &[]);
    if row.margin < 0.0 {
        format!("{margin} ✕ below")
    } else {
        margin
    }
}

/// A bar of text from the headline, marked `│`, to a value.
fn text_bar(headline: f64, value: f64, low: f64, high: f64) -> String {
    let place = |v: f64| thousandths(v, low, high) * (TEXT_BAR - 1) / 1000;
    let (from, to) = (place(headline), place(value));
    let mark = |at: u32| match at {
        at if at == from => '│',
        at if at >= from.min(to) && at <= from.max(to) => '█',
        _ => '·',
    };
    (0..TEXT_BAR).map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_bar_runs_from_the_headline_to_the_value() {
        assert_eq!(text_bar(0.5, 0.0, 0.0, 1.0), "████████████│············");
        assert_eq!(text_bar(0.5, 1.0, 0.0, 1.0), "············│████████████");
        assert_eq!(text_bar(0.5, 0.5, 0.0, 1.0), "············│············");
        assert_eq!(text_bar(0.5, f64::NAN, 0.5, 0.5).chars().count(), 25);
    }
}
