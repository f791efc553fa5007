//! Money: other floors, the mix of arms, the month.

use plimsoll_harness::{Evaluation, FrontierKind, FrontierPoint, MixRow};

use super::{
    SAVED, caveat, claim_none, claimed, interval_level, is_scenario, percent, quality, said,
    thousandths, usd,
};
use crate::chart::{Chart, Fan};
use crate::document::{Block, Cell, Fact, Section, Spark, Table, Tone, numbers, words};
use crate::escape::{finding, label};
use crate::format;

const MIX_ROWS_MAX: usize = 12;
const WHAT_IF_ROWS_MAX: usize = 50;

pub(super) fn what_if(e: &Evaluation) -> Section {
    let mut section = Section::new("what-if", "What if the line were elsewhere");
    let sweep: Vec<&FrontierPoint> = e
        .frontier
        .iter()
        .filter(|p| p.kind == FrontierKind::Sweep)
        .collect();
    let mut certified: Vec<&FrontierPoint> =
        sweep.iter().copied().filter(|p| p.certified).collect();
    if certified.is_empty() {
        section.say(if sweep.is_empty() {
            "No other floors were tried."
        } else {
            "None of the other floors that were tried could be proven on the evaluated requests, \
             so none is offered."
        });
        return section;
    }
    certified.sort_by(|a, b| {
        a.retain
            .unwrap_or(a.quality.point)
            .total_cmp(&b.retain.unwrap_or(b.quality.point))
            .then(a.cost_usd.point.total_cmp(&b.cost_usd.point))
    });
    section.say(format!(
        "The same policy tuned to other floors. Only the {} of {} settings whose bound on {} \
         clears their own floor on the evaluated requests are shown; choosing among them after \
         the fact is a look at the data, so tune again before shipping another one.",
        certified.len(),
        sweep.len(),
        e.trust.score()
    ));
    section.push(Block::Table(what_if_table(e, &certified)));
    section
}

fn what_if_table(e: &Evaluation, points: &[&FrontierPoint]) -> Table {
    let mut table = Table::new(
        "what-if-table",
        format!(
            "Settings whose bound clears their own floor, from the lowest to the highest{}",
            caveat(e)
        ),
        vec![
            words("Setting"),
            numbers(said(e, "Quality kept", "Judged quality kept")),
            numbers(SAVED),
            numbers(said(e, "Quality", "Judged quality")),
            numbers("Cost per request"),
        ],
    );
    for point in points {
        table.push(vec![
            Cell::new(label(&point.label)),
            Cell::new(format::optional(point.retain, format::setting_percent)),
            Cell::new(format::percent(point.savings)),
            Cell::estimate(quality(point.quality, e.floor.quality)),
            Cell::estimate(usd(point.cost_usd)),
        ]);
    }
    table.cap(WHAT_IF_ROWS_MAX);
    claim_none(e, &mut table);
    // What is not proven is not shown large.
    if claimed(e) && table.rows.len() > 1 {
        let own = points
            .iter()
            .position(|p| p.retain.is_some() && p.retain == e.floor.retain);
        table.slider = Some(
            own.unwrap_or(table.rows.len() - 1)
                .min(table.rows.len() - 1),
        );
    }
    table
}

pub(super) fn mix(e: &Evaluation) -> Section {
    let mut section = Section::new("mix", "Model mix, before and after");
    let used: Vec<&MixRow> = sorted_mix(e);
    if used.is_empty() {
        section.say("The evaluation holds no shares of requests per arm.");
        return section;
    }
    let mut table = Table::new(
        "mix-table",
        "Share of requests per arm",
        vec![
            words("Arm"),
            numbers("Before"),
            numbers("After"),
            numbers(said(
                e,
                "Quality if it answered all",
                "Judged quality if it answered all",
            )),
            numbers("Cost if it answered all"),
        ],
    );
    for row in &used {
        table.push(vec![
            Cell::new(label(&row.model)).with(Spark::Bars {
                before: thousandths(row.before, 0.0, 1.0),
                after: thousandths(row.after, 0.0, 1.0),
            }),
            Cell::new(format::percent(row.before)),
            Cell::new(format::percent(row.after)),
            Cell::new(format::quality(row.quality)),
            Cell::new(format::usd(row.cost_usd)),
        ]);
    }
    table.cap(MIX_ROWS_MAX);
    table.legend = "Bars: outlined before, filled after.";
    let idle = e
        .mix
        .iter()
        .filter(|m| m.before <= 0.0 && m.after <= 0.0)
        .count();
    section.say(format!(
        "After: {} in use{}.",
        format::counted(e.mix.iter().filter(|m| m.after > 0.0).count() as u64, "arm"),
        if idle > 0 {
            format!(", {idle} idle")
        } else {
            String::new()
        }
    ));
    section.push(Block::Table(table));
    section
}

/// The arms in use, those with most requests first.
fn sorted_mix(e: &Evaluation) -> Vec<&MixRow> {
    let mut rows: Vec<&MixRow> = e
        .mix
        .iter()
        .filter(|m| m.before > 0.0 || m.after > 0.0)
        .collect();
    rows.sort_by(|a, b| {
        b.after
            .total_cmp(&a.after)
            .then(b.before.total_cmp(&a.before))
            .then_with(|| a.model.cmp(&b.model))
    });
    rows
}

pub(super) fn projection(e: &Evaluation) -> Section {
    let mut section = Section::new("projection", "What that is per month");
    let Some(projection) = &e.projection else {
        section
            .say("No monthly figure: the log has no timestamps, or covers less than seven days.");
        return section;
    };
    if is_scenario(e) {
        section.say("No monthly figure: there is no evidence to base a forecast on.");
        return section;
    }
    let month = usd(projection.usd_per_month);
    if !claimed(e) {
        section.push(Block::Notice(
            Tone::Caution,
            "The savings are not proven, so this is arithmetic and not a forecast.".to_owned(),
        ));
    }
    section.push(Block::Facts(vec![
        Fact::new(
            format!("Saved in 30 days{}", caveat(e)),
            format!(
                "{} ({} interval: {})",
                month.point,
                interval_level(e),
                month.range()
            ),
        ),
        Fact::new(
            "Requests in 30 days",
            format::about(projection.requests_per_month),
        ),
        Fact::new("Days in the log", format::about(projection.lookback_days)),
        Fact::new(
            format!("Share saved{}", caveat(e)),
            percent(e.savings.fraction).full(),
        ),
    ]));
    section.push(Block::Chart(Chart::Fan(Fan {
        title: format!("Money saved over 30 days{}", caveat(e)),
        description: format!(
            "Savings add up from nothing on day 0 to {} on day 30; the fan is the {} interval, {}.",
            month.point,
            interval_level(e),
            month.range()
        ),
        total: projection.usd_per_month,
    })));
    section.say(finding(&projection.note));
    section
}
