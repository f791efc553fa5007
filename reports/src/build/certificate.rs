//! The reports of certificates, refusals and checks.

use plimsoll_harness::certificate::{
    Bound, Certificate, CertifiedSegment, Check, Part, SegmentStatus, Shortfall, Standing, Tested,
};

use super::{percent, quality, usd};
use crate::document::{
    Block, Cell, Document, Fact, Figure, Headline, Section, Table, Tone, numbers, words,
};
use crate::escape::{finding, label, passage, sentence};
use crate::format::{self, Unit};

const ROWS_MAX: usize = 200;
/// Passed policies shown before the one at which the sequence stopped.
const PASSED_SHOWN: usize = 8;

/// The document of a certificate.
pub(crate) fn certificate_document(c: &Certificate) -> Document {
    Document {
        title: format!("Certificate: {}", label(&c.policy.name)),
        kicker: format!(
            "Certificate on {} requests that had no part in finding the policy",
            format::count(c.parts.certify.requests)
        ),
        headline: certified(c),
        sections: vec![
            sequence(&c.sequence, &c.stopped),
            segments(&c.segments),
            evidence(c),
        ],
        colophon: colophon(&c.version, &c.digests.log, c.seed),
    }
}

fn certified(c: &Certificate) -> Headline {
    let has_savings = c.savings.fraction.low > 0.0;
    let saved = percent(c.savings.fraction);
    let money = usd(c.savings.usd);
    let value = quality(c.quality, c.line.quality);
    let mut reasons = vec![finding(&c.stopped)];
    if let Some(next) = &c.next {
        let more = next.requests_more.map_or_else(
            || "it was seen below the line, so more labels may not help".to_owned(),
            |n| {
                format!(
                    "about {} more labelled requests would prove a margin like the one seen",
                    format::count(n)
                )
            },
        );
        reasons.push(format!(
            "The next cheaper policy, {}, would save about {}: {more}.",
            label(&next.policy.name),
            format::percent(next.expected_savings)
        ));
    }
    if !c.waived.is_empty() {
        let waived: Vec<String> = c.waived.iter().map(|w| label(w)).collect();
        reasons.push(format!("Waived by name: {}.", waived.join(", ")));
    }
    Headline {
        tone: if has_savings {
            Tone::Good
        } else {
            Tone::Neutral
        },
        word: if has_savings {
            "Certified".to_owned()
        } else {
            "Certified, saves nothing".to_owned()
        },
        sentence: finding(&c.claim),
        figures: vec![
            Figure {
                key: "savings",
                label: "Saved".to_owned(),
                range: Some(saved.range()),
                value: saved.point,
                note: Some(format!(
                    "{} per request ({}), against {}",
                    money.point,
                    money.range(),
                    label(&c.baseline.model)
                )),
            },
            Figure {
                key: "quality",
                label: "Quality".to_owned(),
                range: Some(value.range()),
                value: value.point,
                note: Some(format!("the line is {}", format::quality(c.line.quality))),
            },
            Figure {
                key: "margin",
                label: "Margin, proven".to_owned(),
                value: format::at_least(c.bound.low),
                range: None,
                note: Some(format!("seen {}", change(c.bound.margin))),
            },
        ],
        note: "Ranges are two-sided 95 % intervals on the certify part; its costs had no say in \
               the choice."
            .to_owned(),
        reasons,
        collect: Vec::new(),
    }
}

fn change(value: f64) -> String {
    format::number(value, Unit::Change, &[])
}

fn sequence(tested: &[Tested], stopped: &str) -> Section {
    let mut section = Section::new("sequence", "The path from safe to cheap");
    section.say(
        "Each policy was tested at the same level, in this order, which was fixed on other \
         requests; the first failure ends it, and the last that passed is certified.",
    );
    let mut table = Table::new(
        "sequence-table",
        sentence(stopped),
        vec![
            words("Policy"),
            numbers("Expected savings"),
            numbers("Margin"),
            numbers("Lower bound"),
            numbers("p-value"),
            words("Outcome"),
        ],
    );
    // A reader wants to see where the path ends; the safe beginning is in the JSON.
    let passed = tested.iter().take_while(|step| step.passed).count();
    table.omitted = passed.saturating_sub(PASSED_SHOWN);
    for step in &tested[table.omitted..] {
        let shown = |pick: fn(&Bound) -> f64| step.bound.as_ref().map(pick);
        let (tone, outcome) = match (&step.bound, step.passed) {
            (None, _) => (Tone::Neutral, "not tested".to_owned()),
            (_, true) => (Tone::Good, "✓ passed".to_owned()),
            (_, false) if step.vetoes.is_empty() => (Tone::Bad, "✕ failed".to_owned()),
            (_, false) => {
                let vetoes: Vec<String> = step.vetoes.iter().take(3).map(|v| label(v)).collect();
                (Tone::Bad, format!("✕ vetoed by {}", vetoes.join(", ")))
            }
        };
        let p_value = step.bound.as_ref().and_then(|b| b.p_value);
        table.push_toned(
            tone,
            vec![
                Cell::new(label(&step.policy.name)),
                Cell::new(format::percent(step.expected_savings)),
                Cell::new(format::optional(shown(|b| b.margin), change)),
                Cell::new(format::optional(shown(|b| b.low), change)),
                Cell::new(format::optional(p_value, format::plain)),
                Cell::new(outcome),
            ],
        );
    }
    table.cap(ROWS_MAX);
    section.push(Block::Table(table));
    section
}

fn segments(segments: &[CertifiedSegment]) -> Section {
    let mut section = Section::new("segments", "Segments");
    if segments.is_empty() {
        section.say("The log has no segments: no task, tenant or other column with two values.");
        return section;
    }
    let mut table = Table::new(
        "segments-table",
        "Every segment under the certified policy, each bound by itself",
        vec![
            words("Segment"),
            numbers("Requests"),
            numbers("Margin"),
            numbers("Lower bound"),
            words("Status"),
        ],
    );
    for s in segments {
        let (tone, word) = match s.status {
            SegmentStatus::Proven => (Tone::Good, "proven"),
            SegmentStatus::Open => (Tone::Caution, "open: neither proven nor broken"),
            SegmentStatus::Broken => (Tone::Bad, "broken"),
            SegmentStatus::Waived => (Tone::Caution, "waived"),
        };
        table.push_toned(
            tone,
            vec![
                Cell::new(label(&format!("{}={}", s.column, s.value))),
                Cell::new(format::count(s.requests)),
                Cell::new(change(s.bound.margin)),
                Cell::new(change(s.bound.low)),
                Cell::new(format!("{} {word}", tone.sign())),
            ],
        );
    }
    table.cap(ROWS_MAX);
    section.push(Block::Table(table));
    section
}

fn evidence(c: &Certificate) -> Section {
    let mut section = Section::new("evidence", "What it rests on");
    let part = |part: &Part| {
        format!(
            "{} in {}",
            format::counted(part.requests, "request"),
            format::counted(part.clusters, "cluster")
        )
    };
    section.push(Block::Facts(vec![
        Fact::new("Fitted on", part(&c.parts.fit)),
        Fact::new("Chosen on", part(&c.parts.choose)),
        Fact::new("Certified on", part(&c.parts.certify)),
        Fact::new("Level δ", format::plain(c.delta)),
        Fact::new(
            "Bound",
            format!("{}: {}", label(&c.bound.method), sentence(&c.bound.reason)),
        ),
        Fact::new(
            "Looked at",
            format!(
                "{} policies from {} and {}; {} on the path, {} tested",
                format::count(c.looked_at.policies),
                format::counted(c.looked_at.predictors, "predictor"),
                format::counted(c.looked_at.rules, "rule"),
                format::count(c.looked_at.sequence),
                format::count(c.looked_at.tested)
            ),
        ),
        Fact::new("Looks", format::count(c.looks)),
        Fact::new(
            "Valid until",
            c.expiry
                .valid_until
                .as_deref()
                .map_or_else(|| "no date".to_owned(), label),
        ),
        Fact::new("Router", format!("BLAKE3 {}", label(&c.digests.snapshot))),
        Fact::new("Log", format!("BLAKE3 {}", label(&c.digests.log))),
    ]));
    section.say(sentence(&c.expiry.rule));
    section.push(reproduce(&c.command));
    section
}

fn reproduce(command: &str) -> Block {
    Block::Code {
        title: "Reproduce",
        text: passage(command, 2_000),
    }
}

fn colophon(version: &str, log: &str, seed: u64) -> String {
    let short: String = log.chars().take(12).collect();
    format!(
        "Plimsoll {} · log {} · seed {seed}",
        label(version),
        label(&short)
    )
}

/// The document of a refusal.
pub(crate) fn shortfall_document(s: &Shortfall) -> Document {
    let mut sections = Vec::new();
    if let Some(safest) = &s.safest {
        sections.push(sequence(
            std::slice::from_ref(safest),
            "the safest policy of the path failed, so nothing after it was tested",
        ));
    }
    sections.push(labels(s));
    let mut again = Section::new("methods", "How to get this again");
    again.push(reproduce(&s.command));
    sections.push(again);
    let more = s.requests_more.map(|n| {
        format!(
            "About {} more labelled requests are needed in all.",
            format::count(n)
        )
    });
    Document {
        title: "No certificate".to_owned(),
        kicker: format!(
            "Tuning on {}",
            format::counted(s.requests, "usable request")
        ),
        headline: Headline {
            tone: if s.out_of_reach {
                Tone::Bad
            } else {
                Tone::Caution
            },
            word: if s.out_of_reach {
                "Out of reach".to_owned()
            } else {
                "Not enough evidence".to_owned()
            },
            sentence: more.clone().unwrap_or_else(|| {
                if s.out_of_reach {
                    "No policy of these arms keeps this line: lower it or add better arms."
                        .to_owned()
                } else {
                    "Nothing was certified.".to_owned()
                }
            }),
            figures: Vec::new(),
            note: String::new(),
            reasons: s.reasons.iter().map(|r| finding(r)).collect(),
            collect: more.into_iter().collect(),
        },
        sections,
        colophon: colophon(&s.version, &s.log_digest, s.seed),
    }
}

fn labels(s: &Shortfall) -> Section {
    let plan = &s.labels;
    let mut section = Section::new("labels", "What to label first");
    if !plan.requests.is_empty() {
        let mut table = Table::new(
            "labels-table",
            "Requests of the log that lack a label, those that narrow the bound most first",
            vec![words("Request"), words("Arms"), words("Segment")],
        );
        for request in &plan.requests {
            let arms: Vec<String> = request.arms.iter().take(5).map(|a| label(a)).collect();
            let segment = request.segment.as_deref().map_or_else(String::new, label);
            table.push(vec![
                Cell::new(label(&request.request_id)),
                Cell::new(arms.join(", ")),
                Cell::new(segment),
            ]);
        }
        section.push(Block::Table(table));
    }
    if !plan.arms.is_empty() {
        let mut table = Table::new(
            "labels-arms",
            "Labels missing per arm",
            vec![words("Arm"), numbers("Missing")],
        );
        for arm in &plan.arms {
            table.push(vec![
                Cell::new(label(&arm.model)),
                Cell::new(format::count(arm.missing)),
            ]);
        }
        table.cap(ROWS_MAX);
        section.push(Block::Table(table));
    }
    if plan.segments.is_empty() {
        section.say("Every request counts alike: the log has no segments.");
    } else {
        let mut table = Table::new(
            "labels-segments",
            "Segments, those with the fewest labelled requests first",
            vec![words("Segment"), numbers("Labelled"), numbers("Missing")],
        );
        for s in &plan.segments {
            table.push(vec![
                Cell::new(label(&format!("{}={}", s.column, s.value))),
                Cell::new(format::count(s.labelled)),
                Cell::new(format::count(s.missing)),
            ]);
        }
        section.push(Block::Table(table));
    }
    section
}

/// The document of a check.
pub(crate) fn check_document(c: &Check) -> Document {
    let (tone, word) = match c.standing {
        Standing::Holds => (Tone::Good, "Holds"),
        Standing::Open => (Tone::Caution, "Not settled by the new requests"),
        Standing::Broken => (Tone::Bad, "Broken"),
        Standing::Expired => (Tone::Caution, "Expired"),
    };
    let mut figures = vec![Figure {
        key: "margin",
        label: "Margin on new requests".to_owned(),
        value: change(c.bound.margin),
        range: Some(format!(
            "{} to {}",
            change(c.bound.low),
            change(c.bound.high)
        )),
        note: Some("bounds that hold at every look".to_owned()),
    }];
    if let Some(savings) = c.savings {
        let shown = percent(savings);
        figures.push(Figure {
            key: "savings",
            label: "Saved".to_owned(),
            range: Some(shown.range()),
            value: shown.point,
            note: Some("its range is for this one look".to_owned()),
        });
    }
    let mut section = Section::new("rows", "What was judged");
    section.push(Block::Facts(vec![
        Fact::new("Policy", label(&c.policy.name)),
        Fact::new("New requests", format::count(c.rows.judged)),
        Fact::new("Clusters", format::count(c.rows.clusters)),
        Fact::new(
            "The certificate's own, set aside",
            format::count(c.rows.known),
        ),
        Fact::new("Without outcomes", format::count(c.rows.set_aside)),
        Fact::new(
            "Beyond the size of a cluster",
            format::count(c.rows.beyond_cluster_size),
        ),
        Fact::new("Quality", format::quality(c.quality)),
        Fact::new("Line", format::quality(c.line.quality)),
        Fact::new("Looks, this one included", format::count(c.looks)),
    ]));
    section.push(reproduce(&c.command));
    Document {
        title: format!("Certificate: {word}"),
        kicker: "Certificate held against a newer log".to_owned(),
        headline: Headline {
            tone,
            word: word.to_owned(),
            sentence: finding(&c.claim),
            figures,
            note: format!(
                "Bounds are one-sided at {} confidence.",
                format::setting_percent(c.confidence)
            ),
            reasons: c.reasons.iter().map(|r| finding(r)).collect(),
            collect: c
                .requests_more
                .map(|n| {
                    format!(
                        "About {} more new requests would settle it.",
                        format::count(n)
                    )
                })
                .into_iter()
                .collect(),
        },
        sections: vec![section],
        colophon: format!(
            "Plimsoll {} · router {}",
            label(&c.version),
            label(&c.snapshot_digest.chars().take(12).collect::<String>())
        ),
    }
}
