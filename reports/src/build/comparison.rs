//! The report of several policies on the same evaluated rows.

use plimsoll_harness::{Comparison, Decision, Evaluation, FrontierKind, Interval};

use super::quality::mark;
use super::{change, claimed, headline, interval_level, percent, quality, usd, whiskers};
use crate::chart::{Chart, Frontier, FrontierMark};
use crate::document::{
    Block, Cell, Document, Fact, Headline, Section, Table, Tone, numbers, words,
};
use crate::escape::{finding, label, passage, shorten};
use crate::format::{self, Unit};

const ROWS_MAX: usize = 100;

/// The document of a comparison.
pub(crate) fn comparison_document(c: &Comparison) -> Document {
    let first = c.evaluations.first();
    Document {
        title: format!("Comparison of {} policies", c.evaluations.len()),
        kicker: first.map_or_else(
            || "Comparison without policies".to_owned(),
            |e| {
                format!(
                    "Comparison on {} requests",
                    format::count(e.requests.evaluated)
                )
            },
        ),
        headline: comparison_headline(c),
        sections: sections(c),
        colophon: first.map_or_else(String::new, |e| {
            format!(
                "Plimsoll {} · seed {}",
                label(&e.manifest.version),
                e.manifest.seed
            )
        }),
    }
}

fn name(c: &Comparison, index: usize) -> String {
    match c.names.get(index) {
        Some(name) => label(name),
        None => format!("policy {}", index + 1),
    }
}

fn comparison_headline(c: &Comparison) -> Headline {
    let count = |decision| {
        c.evaluations
            .iter()
            .filter(|e| super::decision(e) == decision)
            .count()
    };
    let ship = count(Decision::Ship);
    let summary = format!(
        "{} policies judged on the same requests: {} to ship, {} to hold, {} without enough \
         evidence. Choosing the best of several by its point estimate favours the lucky one: read \
         the paired differences.{}",
        c.evaluations.len(),
        ship,
        count(Decision::Hold),
        count(Decision::InsufficientEvidence),
        c.evaluations
            .first()
            .map_or_else(String::new, headline::judged)
    );
    let reasons = c
        .evaluations
        .iter()
        .enumerate()
        .take(ROWS_MAX)
        .map(|(i, e)| {
            let why = e
                .verdict
                .reasons
                .first()
                .map_or_else(String::new, |r| finding(r));
            format!("{}: {}. {why}", name(c, i), headline::word(e))
                .trim_end()
                .to_owned()
        })
        .collect();
    Headline {
        tone: if ship > 0 {
            Tone::Good
        } else if c.evaluations.is_empty() {
            Tone::Neutral
        } else if c.evaluations.iter().all(claimed) {
            Tone::Bad
        } else {
            Tone::Caution
        },
        word: match ship {
            _ if c.evaluations.is_empty() => "Nothing to compare".to_owned(),
            0 => "None to ship".to_owned(),
            1 => "One to ship".to_owned(),
            n => format!("{n} to ship"),
        },
        sentence: summary,
        figures: Vec::new(),
        note: String::new(),
        reasons,
        collect: Vec::new(),
    }
}

/// Policies of a comparison answer the same requests, so the same judges scored them.
fn all_said(c: &Comparison, quality: &'static str, judged: &'static str) -> &'static str {
    c.evaluations
        .first()
        .map_or(quality, |e| super::said(e, quality, judged))
}

fn sections(c: &Comparison) -> Vec<Section> {
    let mut policies = Section::new("policies", "The policies");
    policies.push(Block::Table(policy_table(c)));
    if c.evaluations.iter().any(|e| !claimed(e)) {
        policies.say(format!(
            "Savings marked as not proven describe this sample: the evidence does not settle \
             whether they come with the {} that was asked for.",
            all_said(c, "quality", "judged quality")
        ));
    }
    let mut sections = vec![policies];
    if !c.differences.is_empty() {
        let mut section = Section::new("differences", "Paired differences");
        section.say(
            "The same requests answered both ways; positive savings speak for the policy named first.",
        );
        section.push(Block::Table(difference_table(c)));
        sections.push(section);
    }
    if let Some(first) = c.evaluations.first() {
        let mut section = Section::detail(
            "frontier",
            all_said(c, "Cost and quality", "Cost and judged quality"),
        );
        section.push(Block::Chart(Chart::Frontier(chart(c, first))));
        sections.push(section);
        sections.push(methods(c, first));
    }
    sections
}

fn policy_table(c: &Comparison) -> Table {
    let level = c.evaluations.first().map_or_else(String::new, |e| {
        format!(" with {} intervals", interval_level(e))
    });
    let mut table = Table::new(
        "policies-table",
        format!("Every policy against its baseline{level}"),
        vec![
            words("Policy"),
            words("Verdict"),
            numbers("Saved"),
            numbers("Cost per request"),
            numbers(all_said(c, "Quality", "Judged quality")),
            numbers("Margin, lower bound"),
        ],
    );
    for (index, e) in c.evaluations.iter().enumerate() {
        let mut saved = Cell::estimate(percent(e.savings.fraction));
        if !claimed(e) {
            saved.text.push_str(" not proven");
        }
        table.push_toned(
            headline::tone(e),
            vec![
                Cell::new(name(c, index)),
                Cell::new(format!(
                    "{} {}",
                    headline::tone(e).sign(),
                    headline::word(e)
                )),
                saved,
                Cell::estimate(usd(e.policy.cost_usd)),
                Cell::estimate(quality(e.policy.quality, e.floor.quality)),
                Cell::new(format::number(e.floor.margin_low, Unit::Change, &[])),
            ],
        );
    }
    table.cap(ROWS_MAX);
    table
}

fn difference_table(c: &Comparison) -> Table {
    let mut table = Table::new(
        "differences-table",
        "One policy minus another, request by request",
        vec![
            words("Policies"),
            numbers(all_said(c, "Quality", "Judged quality")),
            numbers("Cost per request"),
            numbers("Saved"),
        ],
    );
    let values: Vec<Interval> = c.differences.iter().map(|d| d.quality).collect();
    for (d, spark) in c.differences.iter().zip(whiskers(&values, 0.0)) {
        table.push(vec![
            Cell::new(format!("{} − {}", label(&d.name), label(&d.against))),
            Cell::estimate(change(d.quality)).with(spark),
            Cell::estimate(format::interval(d.cost_usd, Unit::UsdChange, &[])),
            Cell::estimate(format::interval(d.savings, Unit::PercentChange, &[])),
        ]);
    }
    table.legend = "Whiskers: the difference with its interval; the dotted line is none.";
    table.cap(ROWS_MAX);
    table
}

fn chart(c: &Comparison, first: &Evaluation) -> Frontier {
    let background = first
        .frontier
        .iter()
        .filter(|p| {
            matches!(
                p.kind,
                FrontierKind::Arm | FrontierKind::Hull | FrontierKind::Oracle
            )
        })
        .map(|p| mark(p, &first.baseline.model));
    let policies = c
        .evaluations
        .iter()
        .enumerate()
        .take(ROWS_MAX)
        .map(|(i, e)| FrontierMark {
            kind: FrontierKind::Here,
            label: shorten(&name(c, i), 28),
            quality: e.policy.quality,
            cost_usd: e.policy.cost_usd,
            certified: claimed(e) && e.floor.margin_low >= 0.0,
            baseline: false,
        });
    Frontier {
        title: all_said(
            c,
            "Cost–quality frontier of the policies",
            "The policies by cost and judged quality",
        )
        .to_owned(),
        description: format!(
            "Mean cost per request against mean {}: {} policies among the arms.",
            all_said(c, "quality", "judged quality"),
            c.evaluations.len()
        ),
        caption: "Up is better, left is cheaper; the line is the first policy's.".to_owned(),
        axis: all_said(c, "↑ mean quality", "↑ mean judged quality"),
        line: first.floor.quality,
        marks: background.chain(policies).collect(),
    }
}

fn methods(c: &Comparison, first: &Evaluation) -> Section {
    let mut section = Section::new("methods", "How to get this again");
    let m = &first.manifest;
    section.push(Block::Facts(vec![
        Fact::new("Log", format!("BLAKE3 {}", label(&m.log_digest))),
        Fact::new("Split", label(&m.split)),
        Fact::new("Seed", m.seed.to_string()),
        Fact::new("Plimsoll", label(&m.version)),
    ]));
    let mut commands: Vec<String> = c
        .evaluations
        .iter()
        .take(ROWS_MAX)
        .map(|e| passage(&e.manifest.command, 2_000))
        .collect();
    // One command judges all policies of a comparison.
    commands.dedup();
    section.push(Block::Code {
        title: "Reproduce",
        text: commands.join("\n"),
    });
    section
}
