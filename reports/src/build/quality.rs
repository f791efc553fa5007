//! Quality: against the line, against other arms, by segment, by request.

use plimsoll_harness::{Evaluation, FrontierKind, FrontierPoint, Interval, Reference, Segment};

use super::{
    SAVED, baseline, caveat, change, claim_none, correction, headline, is_against_production,
    is_scenario, percent, quality, said, usd, whiskers,
};
use crate::chart::{Chart, Frontier, FrontierMark, Gauge};
use crate::document::{
    Answer, Block, Cell, Column, Fact, Section, Side, Table, Tone, numbers, words,
};
use crate::escape::{label, passage, sentence, shorten};
use crate::format::{self, Unit};

const SEGMENT_ROWS_MAX: usize = 40;
const ARM_ROWS_MAX: usize = 200;
const MIX_ARMS_MAX: usize = 4;
const PROMPT_CHARS_MAX: usize = 2_000;

pub(super) fn against_the_line(e: &Evaluation) -> Section {
    let mut section = Section::new(
        "quality",
        said(
            e,
            "Quality against the line",
            "Judged quality against the line",
        ),
    );
    let floor = &e.floor;
    section.push(Block::Chart(Chart::Gauge(Gauge {
        title: section.title.to_owned(),
        description: format!(
            "Policy {} {} ({}), baseline {}, line {}.",
            e.trust.score(),
            quality(e.policy.quality, floor.quality).full(),
            super::interval_level(e),
            format::quality(e.baseline.quality),
            format::quality(floor.quality)
        ),
        caption: format!(
            "Hatched is what lies below the line. The ring is the policy with its {} interval; \
             the bracket opens at {}, the least {} that its one-sided bound allows; the \
             triangle is the baseline.",
            super::interval_level(e),
            format::number(
                floor.quality + floor.margin_low,
                Unit::Quality,
                &[floor.quality]
            ),
            e.trust.score()
        ),
        line: floor.quality,
        policy: e.policy.quality,
        baseline: e.baseline.quality,
        baseline_label: baseline(e),
        proven_from: floor.quality + floor.margin_low,
    })));
    let origin = match (&floor.relative_to, floor.retain) {
        (Some(arm), Some(retain)) => {
            format!(
                "{} of the {} of {}",
                format::setting_percent(retain),
                e.trust.score(),
                label(arm)
            )
        }
        (Some(arm), None) => format!("relative to {}", label(arm)),
        _ => format!("drawn as an absolute {}", e.trust.score()),
    };
    let level = format::setting_percent(floor.confidence);
    let margin = change(Interval {
        point: floor.margin,
        low: floor.margin_low,
        high: floor.margin_high,
    });
    section.push(Block::Facts(vec![
        Fact::new(
            "The line",
            format!("{} ({origin})", format::quality(floor.quality)),
        ),
        Fact::new("Rule", rule_in_words(&floor.rule)),
        Fact::new("Margin to the line", margin.point),
        Fact::new(format!("Margin, {level} lower bound"), margin.low),
        Fact::new(format!("Margin, {level} upper bound"), margin.high),
        Fact::new(
            "Bound",
            format!("{}: {}", label(&floor.bound), sentence(&floor.bound_reason)),
        ),
    ]));
    section
}

fn rule_in_words(rule: &str) -> String {
    match rule {
        "average-floor" => "average-floor: the mean over all requests keeps to the line".to_owned(),
        "per-request-floor" => {
            "per-request-floor: each request is likely enough to clear the line".to_owned()
        }
        other => label(other),
    }
}

pub(super) fn frontier(e: &Evaluation) -> Section {
    let mut section = Section::new(
        "frontier",
        said(e, "Cost and quality", "Cost and judged quality"),
    );
    if e.frontier.is_empty() {
        section.push(Block::Notice(
            Tone::Neutral,
            format!(
                "The evaluation holds no points of cost and {}.",
                e.trust.score()
            ),
        ));
    } else {
        section.push(Block::Chart(Chart::Frontier(frontier_chart(e))));
    }
    section.push(Block::Table(references(e)));
    if let Some(table) = arms(e) {
        section.push(Block::Table(table));
    }
    section
}

fn frontier_chart(e: &Evaluation) -> Frontier {
    Frontier {
        title: said(
            e,
            "Cost–quality frontier",
            "Frontier of cost and judged quality",
        )
        .to_owned(),
        description: format!(
            "Mean cost per request against mean {} for {} arms, their hull, the policy at \
             other floors, the oracle, and the policy as judged: {} at {} per request.",
            e.trust.score(),
            e.frontier
                .iter()
                .filter(|p| p.kind == FrontierKind::Arm)
                .count(),
            format::quality(e.policy.quality.point),
            format::usd(e.policy.cost_usd.point),
        ),
        caption: "Each mark is a way to answer all evaluated requests: up is better, left is \
                  cheaper. The hull is what fixed random mixes of arms reach; a policy earns its \
                  keep above it."
            .to_owned(),
        axis: said(e, "↑ mean quality", "↑ mean judged quality"),
        line: e.floor.quality,
        marks: e
            .frontier
            .iter()
            .map(|p| mark(p, &e.baseline.model))
            .collect(),
    }
}

/// A point of the frontier as the chart marks it.
pub(super) fn mark(point: &FrontierPoint, baseline: &str) -> FrontierMark {
    FrontierMark {
        kind: point.kind,
        label: shorten(&point.label, 28),
        quality: point.quality,
        cost_usd: point.cost_usd,
        certified: point.certified,
        baseline: point.kind == FrontierKind::Arm && point.label == baseline,
    }
}

fn references(e: &Evaluation) -> Table {
    let mut table = Table::new(
        "references",
        format!("The policy and what else could have been done{}", caveat(e)),
        vec![
            words("Choice"),
            numbers(said(e, "Quality", "Judged quality")),
            numbers("Cost per request"),
            numbers(SAVED),
            Column {
                page_only: true,
                ..words("What it is")
            },
        ],
    );
    table.push_toned(
        headline::tone(e),
        vec![
            Cell::new("This policy"),
            Cell::estimate(quality(e.policy.quality, e.floor.quality)),
            Cell::estimate(usd(e.policy.cost_usd)),
            Cell::estimate(percent(e.savings.fraction)),
            Cell::new(sentence(&e.policy.name)),
        ],
    );
    table.push(vec![
        Cell::new("Baseline"),
        Cell::new(format::number(
            e.baseline.quality,
            Unit::Quality,
            &[e.floor.quality],
        )),
        Cell::new(format::usd(e.baseline.cost_usd)),
        Cell::new(format::percent(0.0)),
        Cell::new(if is_against_production(e) {
            "what production did".to_owned()
        } else {
            format!("{} answers everything", label(&e.baseline.model))
        }),
    ]);
    let r = &e.references;
    let named: [(&str, Option<&Reference>); 6] = [
        ("Best single arm", Some(&r.best_single)),
        ("Static mix", Some(&r.static_mix_hull)),
        ("Random mix at this cost", Some(&r.cost_matched_random)),
        ("Table by task", r.per_task_table.as_ref()),
        ("Nearest neighbours", r.knn.as_ref()),
        ("Oracle", r.oracle.as_ref()),
    ];
    for (name, reference) in named {
        let Some(reference) = reference else { continue };
        table.push(vec![
            Cell::new(name),
            Cell::new(format::number(
                reference.quality,
                Unit::Quality,
                &[e.floor.quality],
            )),
            Cell::new(format::usd(reference.cost_usd)),
            Cell::new(format::percent(reference.savings)),
            Cell::new(about(reference)),
        ]);
    }
    claim_none(e, &mut table);
    table
}

fn about(reference: &Reference) -> String {
    let mut text = sentence(&reference.about);
    if !reference.mix.is_empty() {
        let mut parts: Vec<String> = reference
            .mix
            .iter()
            .take(MIX_ARMS_MAX)
            .map(|m| format!("{} {}", format::percent(m.share), label(&m.model)))
            .collect();
        if reference.mix.len() > MIX_ARMS_MAX {
            parts.push(format!("{} more", reference.mix.len() - MIX_ARMS_MAX));
        }
        text = format!("{text}: {}", parts.join(", "));
    }
    text
}

fn arms(e: &Evaluation) -> Option<Table> {
    let hull: Vec<&str> = e
        .frontier
        .iter()
        .filter(|p| p.kind == FrontierKind::Hull)
        .map(|p| p.label.as_str())
        .collect();
    let mut points: Vec<_> = e
        .frontier
        .iter()
        .filter(|p| p.kind == FrontierKind::Arm)
        .collect();
    if points.is_empty() {
        return None;
    }
    points.sort_by(|a, b| {
        b.quality
            .point
            .total_cmp(&a.quality.point)
            .then_with(|| a.label.cmp(&b.label))
    });
    let mut table = Table::new(
        "arms",
        format!("Every arm answering everything, best first{}", caveat(e)),
        vec![
            words("Arm"),
            numbers(said(e, "Quality", "Judged quality")),
            numbers("Cost per request"),
            numbers(SAVED),
            words("On the hull"),
        ],
    );
    for point in &points {
        table.push(vec![
            Cell::new(label(&point.label)),
            Cell::estimate(quality(point.quality, e.floor.quality)),
            Cell::estimate(usd(point.cost_usd)),
            Cell::new(format::percent(point.savings)),
            Cell::new(if hull.contains(&point.label.as_str()) {
                "yes"
            } else {
                "no"
            }),
        ]);
    }
    table.cap(ARM_ROWS_MAX);
    table.folded = points.len() > 8;
    claim_none(e, &mut table);
    Some(table)
}

pub(super) fn segments(e: &Evaluation) -> Section {
    let mut section = Section::new("segments", "Segments");
    if e.segments.is_empty() {
        section.say("The log names no segments (task, tenant or other columns) to look into.");
        return section;
    }
    let broken = e.segments.iter().filter(|s| s.broken).count();
    if broken > 0 {
        section.push(Block::Notice(
            Tone::Bad,
            format!(
                "The line is shown to be broken in {} of {} segments, after {}.",
                format::count(broken as u64),
                format::count(e.segments.len() as u64),
                correction(e)
            ),
        ));
    } else {
        section.say(format!(
            "In none of {} segments is the line shown to be broken, after {}. In a \
             small segment that says little: read the intervals.",
            format::count(e.segments.len() as u64),
            correction(e)
        ));
    }
    section.push(Block::Table(segment_table(e)));
    section
}

fn segment_table(e: &Evaluation) -> Table {
    let mut table = Table::new(
        "segments-table",
        format!(
            "{}{} by segment, broken and large ones first{}",
            said(e, "Quality", "Judged quality"),
            if is_scenario(e) { "" } else { " and savings" },
            caveat(e)
        ),
        vec![
            words("Segment"),
            numbers("Requests"),
            numbers(said(e, "Baseline quality", "Baseline's judged quality")),
            numbers(said(e, "Policy quality", "Policy's judged quality")),
            numbers("Change"),
            numbers(SAVED),
            words("Line"),
        ],
    );
    let mut rows: Vec<&Segment> = e.segments.iter().collect();
    rows.sort_by(|a, b| {
        b.broken
            .cmp(&a.broken)
            .then(b.requests.cmp(&a.requests))
            .then_with(|| (&a.column, &a.value).cmp(&(&b.column, &b.value)))
    });
    let omitted = rows.len().saturating_sub(SEGMENT_ROWS_MAX);
    rows.truncate(SEGMENT_ROWS_MAX);
    let changes: Vec<Interval> = rows.iter().map(|s| s.quality_change).collect();
    for (segment, spark) in rows.into_iter().zip(whiskers(&changes, 0.0)) {
        table.push_toned(
            if segment.broken {
                Tone::Bad
            } else {
                Tone::Neutral
            },
            vec![
                Cell::new(format!(
                    "{}: {}",
                    label(&segment.column),
                    label(&segment.value)
                )),
                Cell::new(format::count(segment.requests)),
                Cell::new(format::quality(segment.baseline_quality)),
                Cell::estimate(quality(segment.quality, e.floor.quality)),
                Cell::estimate(change(segment.quality_change)).with(spark),
                Cell::estimate(percent(segment.savings)),
                Cell::new(match (segment.broken, segment.waived) {
                    (true, true) => "✕ broken, waived",
                    (true, false) => "✕ broken",
                    _ => "not broken",
                }),
            ],
        );
    }
    table.omitted = omitted;
    claim_none(e, &mut table);
    table.legend = "Whiskers: the change with its interval; the dotted line is no change.";
    table
}

pub(super) fn changed(e: &Evaluation) -> Option<Section> {
    if e.changed.is_empty() {
        return None;
    }
    let mut section = Section::detail("changed", "Changed answers");
    let text = e.changed.iter().any(|c| c.prompt.is_some());
    section.say(format!(
        "The {} requests that change their arm and lose most {}, worst first{}.{}",
        e.changed.len(),
        e.trust.score(),
        caveat(e),
        if text {
            ""
        } else {
            " Prompts are left out; ask for text to see them."
        }
    ));
    let signed = |v| format::number(v, Unit::Change, &[]);
    let answers = e.changed.iter().map(|c| Answer {
        request: label(&c.request_id),
        score: e.trust.score(),
        task: c.task.as_deref().map(label),
        prompt: c.prompt.as_deref().map(|p| passage(p, PROMPT_CHARS_MAX)),
        before: Side {
            model: label(&c.before),
            quality: format::quality(c.quality_before),
            cost: format::usd(c.cost_usd_before),
        },
        after: Side {
            model: label(&c.after),
            quality: format::quality(c.quality_after),
            cost: format::usd(c.cost_usd_after),
        },
        change: signed(c.quality_after - c.quality_before),
        tone: if c.quality_after < c.quality_before {
            Tone::Bad
        } else {
            Tone::Neutral
        },
    });
    section.push(Block::Answers(answers.collect()));
    Some(section)
}
