//! The report of policies that went on learning.

use plimsoll_harness::Interval;
use plimsoll_harness::learning::{
    Band, LearnerReport, LearningReport, LoggedEstimate, SeriesPoint, Shock, ShockTimes, UsdBand,
};

use super::whiskers;
use crate::chart::{CURVES_MAX, Chart, Curve, CurvePoint, Series};
use crate::document::{
    Block, Cell, Document, Fact, Figure, Headline, Section, Table, Tone, numbers, words,
};
use crate::escape::{finding, label, passage};
use crate::format::{self, Unit};

const ROWS_MAX: usize = 100;

/// The document of a learning replay.
pub(crate) fn learning_document(r: &LearningReport) -> Document {
    let replayed = format::counted(r.requests.replayed, "request");
    Document {
        title: "Learning replay".to_owned(),
        kicker: format!(
            "Learning replay of {replayed} under {}",
            format::counted(r.seeds, "seed")
        ),
        headline: if r.learners.is_empty() {
            logged_headline(r)
        } else {
            headline(r)
        },
        sections: sections(r),
        colophon: format!(
            "Plimsoll {} · seeds from {}",
            label(&r.manifest.version),
            r.manifest.seed
        ),
    }
}

fn sections(r: &LearningReport) -> Vec<Section> {
    let mut sections = Vec::new();
    if !r.learners.is_empty() {
        sections.extend([learners(r), over_time(r)]);
        sections.extend(shocks(r));
        sections.push(phases(r));
    }
    if !r.logged.is_empty() {
        sections.push(logged(r));
    }
    sections.push(methods(r));
    sections
}

fn interval(band: Band) -> Interval {
    Interval {
        point: band.median,
        low: band.low,
        high: band.high,
    }
}

fn amounts(band: &UsdBand) -> Interval {
    Interval {
        point: band.median.as_f64(),
        low: band.low.as_f64(),
        high: band.high.as_f64(),
    }
}

fn figure(key: &'static str, name: &str, shown: &format::Shown, note: Option<String>) -> Figure {
    Figure {
        key,
        label: name.to_owned(),
        value: shown.point.clone(),
        range: Some(shown.range()),
        note,
    }
}

fn headline(r: &LearningReport) -> Headline {
    let own = &r.learners[0];
    let kept = own.line_kept;
    let (tone, word) = if kept >= 0.9 {
        (Tone::Good, "Line kept")
    } else if kept > 0.1 {
        (Tone::Caution, "Line kept in some runs")
    } else {
        (Tone::Bad, "Line missed")
    };
    let quality = format::interval(interval(own.quality), Unit::Quality, &[r.line]);
    let cost = format::interval(amounts(&own.cost_usd), Unit::Usd, &[]);
    let regret = format::interval(amounts(&own.cost_regret_usd), Unit::UsdChange, &[]);
    let lost = format::interval(interval(own.quality_regret), Unit::Change, &[]);
    Headline {
        tone,
        word: word.to_owned(),
        sentence: format!(
            "{} kept a mean quality of {} in {} of the runs while it learned from the answers to \
             its own choices.",
            label(&own.name),
            format::quality(r.line),
            format::setting_percent(kept)
        ),
        figures: vec![
            figure("quality", "Quality", &quality, None),
            figure("cost", "Cost in all", &cost, None),
            figure(
                "cost-regret",
                "Cost regret",
                &regret,
                Some("against the cheapest feasible arm; negative is cheaper".to_owned()),
            ),
            figure(
                "quality-regret",
                "Quality regret",
                &lost,
                Some("summed over requests; negative is better".to_owned()),
            ),
        ],
        note: "Medians over seeds, with the 10 % and 90 % quantiles.".to_owned(),
        reasons: r.notes.iter().map(|n| finding(n)).collect(),
        collect: Vec::new(),
    }
}

fn logged_headline(r: &LearningReport) -> Headline {
    let Some(own) = r.logged.first() else {
        return Headline {
            tone: Tone::Neutral,
            word: "Nothing was replayed".to_owned(),
            sentence: String::new(),
            figures: Vec::new(),
            note: String::new(),
            reasons: Vec::new(),
            collect: Vec::new(),
        };
    };
    let quality = own.dr_ns.quality;
    let (tone, word) = if quality.low >= r.line {
        (Tone::Good, "Above the line")
    } else if quality.high < r.line {
        (Tone::Bad, "Below the line")
    } else {
        (Tone::Caution, "Not told apart from the line")
    };
    let shown = format::interval(quality, Unit::Quality, &[r.line]);
    let cost = format::interval(own.dr_ns.cost_usd, Unit::Usd, &[]);
    Headline {
        tone,
        word: word.to_owned(),
        sentence: format!(
            "Over its first {} requests, {} is estimated at a quality of {} beside a line of {}.",
            format::about(own.dr_ns.accepted.median),
            label(&own.name),
            shown.full(),
            format::quality(r.line)
        ),
        figures: vec![
            figure("quality", "Quality", &shown, None),
            figure("cost", "Cost per request", &cost, None),
        ],
        note: "DR-ns with 95 % normal intervals.".to_owned(),
        reasons: r.notes.iter().map(|n| finding(n)).collect(),
        collect: Vec::new(),
    }
}

fn learners(r: &LearningReport) -> Section {
    let mut section = Section::new("learners", "The learners");
    let mut table = Table::new(
        "learners-table",
        "Every policy on the same stream, medians over seeds",
        vec![
            words("Policy"),
            numbers("Quality"),
            numbers("Line kept"),
            numbers("Cost"),
            numbers("Cost regret"),
            numbers("Quality regret"),
            numbers("Labels seen"),
        ],
    );
    let regrets: Vec<Interval> = r
        .learners
        .iter()
        .map(|l| amounts(&l.cost_regret_usd))
        .collect();
    for (learner, spark) in r.learners.iter().zip(whiskers(&regrets, 0.0)) {
        let cost = amounts(&learner.cost_usd);
        let regret = format::interval(amounts(&learner.cost_regret_usd), Unit::UsdChange, &[]);
        let lost = format::interval(interval(learner.quality_regret), Unit::Change, &[]);
        let quality = format::interval(interval(learner.quality), Unit::Quality, &[r.line]);
        table.push(vec![
            Cell::new(label(&learner.name)),
            Cell::estimate(quality),
            Cell::new(format::setting_percent(learner.line_kept)),
            Cell::estimate(format::interval(cost, Unit::Usd, &[])),
            Cell::estimate(regret).with(spark),
            Cell::estimate(lost),
            Cell::new(format::about(learner.feedback.seen)),
        ]);
    }
    table.legend =
        "Whiskers: cost regret from the 10 % to the 90 % quantile; the dotted line is none.";
    section.push(Block::Table(table));
    let own = &r.learners[0];
    let mut mix = Table::new(
        "mix-table",
        "Where the first policy sent its requests",
        vec![
            words("Arm"),
            numbers("Share"),
            numbers("Quality"),
            numbers("Cost per request"),
        ],
    );
    for (arm, share) in r.arms.iter().zip(&own.shares) {
        mix.push(vec![
            Cell::new(label(&arm.model)),
            Cell::estimate(format::interval(interval(*share), Unit::Percent, &[])),
            Cell::new(format::quality(arm.quality)),
            Cell::new(format::usd(arm.cost_usd)),
        ]);
    }
    mix.cap(ROWS_MAX);
    section.push(Block::Table(mix));
    section
}

fn curve(name: String, points: &[SeriesPoint], of: impl Fn(&SeriesPoint) -> Band) -> Curve {
    let point = |p: &SeriesPoint| {
        let band = of(p);
        CurvePoint {
            request: p.request,
            value: band.median,
            low: band.low,
            high: band.high,
        }
    };
    Curve {
        name,
        points: points.iter().map(point).collect(),
    }
}

fn over_time(r: &LearningReport) -> Section {
    let mut section = Section::detail("over-time", "Over time");
    let marks: Vec<u64> = r.phases.iter().skip(1).map(|p| p.from).collect();
    let all = |of: fn(&SeriesPoint) -> Band| -> Vec<Curve> {
        let curve = |l: &LearnerReport| curve(label(&l.name), &l.series, of);
        r.learners.iter().take(CURVES_MAX).map(curve).collect()
    };
    let caption = |what: &str| {
        format!(
            "{what} Medians over seeds; the band holds 80 % of the first policy's runs, dashed uprights are injections."
        )
    };
    let chart = |id, title: &str, what: &str, unit, curves, level| {
        Block::Chart(Chart::Series(Series {
            id,
            title: title.to_owned(),
            description: format!(
                "{title} of {} policies over the requests.",
                r.learners.len()
            ),
            caption: caption(what),
            unit,
            curves,
            level,
            marks: marks.clone(),
        }))
    };
    section.push(chart(
        "recent-quality",
        "Recent quality",
        "Mean quality of the last requests.",
        Unit::Quality,
        all(|p| p.recent_quality),
        Some((r.line, "line".to_owned())),
    ));
    section.push(chart(
        "cost-regret-curve",
        "Cumulative cost regret",
        "Cost beyond that of the cheapest feasible arm; below zero is cheaper.",
        Unit::UsdChange,
        all(|p| p.cost_regret_usd),
        None,
    ));
    section.push(chart(
        "quality-regret-curve",
        "Cumulative quality regret",
        "Quality short of the cheapest feasible arm's, summed; below zero is better.",
        Unit::Change,
        all(|p| p.quality_regret),
        None,
    ));
    section.push(chart(
        "traffic",
        "Share of traffic",
        "Where the first policy sent its requests; the arms with most of them.",
        Unit::Percent,
        traffic(r),
        None,
    ));
    section
}

/// The first policy's busiest arms.
fn traffic(r: &LearningReport) -> Vec<Curve> {
    let own = &r.learners[0];
    let mut arms: Vec<usize> = (0..r.arms.len().min(own.shares.len())).collect();
    let peak = |arm: usize| {
        let shares = own
            .series
            .iter()
            .filter_map(|p| p.shares.get(arm))
            .map(|s| s.median);
        shares.fold(0.0, f64::max)
    };
    arms.sort_by(|a, b| peak(*b).total_cmp(&peak(*a)).then(a.cmp(b)));
    arms.into_iter()
        .take(CURVES_MAX)
        .map(|arm| {
            curve(label(&r.arms[arm].model), &own.series, |p| {
                p.shares.get(arm).copied().unwrap_or_default()
            })
        })
        .collect()
}

fn shocks(r: &LearningReport) -> Option<Section> {
    let first = r.learners.first().filter(|l| !l.shocks.is_empty())?;
    let mut section = Section::new("shocks", "What was injected");
    let mut table = Table::new(
        "shocks-table",
        "Requests until it was noticed and overcome: median and range over seeds",
        vec![
            words("What"),
            words("Policy"),
            numbers("At request"),
            numbers("Detected after"),
            numbers("Rerouted after"),
            numbers("Recovered after"),
        ],
    );
    for index in 0..first.shocks.len() {
        for learner in &r.learners {
            let Some(shock) = learner.shocks.get(index) else {
                continue;
            };
            table.push(shock_row(learner, shock));
        }
    }
    table.cap(ROWS_MAX);
    section.push(Block::Table(table));
    let mut rules: Vec<&String> = Vec::new();
    for rule in first.shocks.iter().flat_map(|s| &s.rules) {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    for rule in rules {
        section.say(finding(rule));
    }
    Some(section)
}

fn shock_row(learner: &LearnerReport, shock: &Shock) -> Vec<Cell> {
    let detected = match (&shock.detected, shock.false_alarms) {
        (Some(detected), Some(early)) if early > 0.0 => {
            let mut cell = after(detected);
            cell.text = format!("{}; false alarms in {}", cell.text, format::percent(early));
            cell
        }
        (Some(detected), _) => after(detected),
        (None, _) => Cell::new(format::absent()),
    };
    vec![
        Cell::new(label(&shock.what)),
        Cell::new(label(&learner.name)),
        Cell::new(format::count(shock.request)),
        detected,
        after(&shock.rerouted),
        after(&shock.recovered),
    ]
}

fn after(times: &ShockTimes) -> Cell {
    let Some(t) = times.requests else {
        return Cell::new("never");
    };
    let mut text = format::about(t.median);
    if times.never > 0 {
        text = format!("{text}; never in {}", format::counted(times.never, "run"));
    }
    Cell {
        range: Some(format!(
            "{} to {}",
            format::about(t.low),
            format::about(t.high)
        )),
        ..Cell::new(text)
    }
}

fn phases(r: &LearningReport) -> Section {
    let mut section = Section::detail("phases", "What regret is against");
    let mut table = Table::new(
        "phases-table",
        "The cheapest feasible arm of each phase",
        vec![
            words("Requests"),
            words("Begins with"),
            words("Cheapest feasible arm"),
            numbers("Its quality"),
            numbers("Its cost per request"),
        ],
    );
    for phase in &r.phases {
        let own = phase.arms.iter().find(|a| a.model == phase.benchmark);
        let name = if phase.feasible {
            label(&phase.benchmark)
        } else {
            format!("{} (none meets the line)", label(&phase.benchmark))
        };
        table.push(vec![
            Cell::new(format!(
                "{} to {}",
                format::count(phase.from),
                format::count(phase.to)
            )),
            Cell::new(label(&phase.starts_with.join("; "))),
            Cell::new(name),
            Cell::new(format::optional(own.map(|a| a.quality), format::quality)),
            Cell::new(format::optional(own.map(|a| a.cost_usd), format::usd)),
        ]);
    }
    table.cap(ROWS_MAX);
    section.push(Block::Table(table));
    section
}

fn logged(r: &LearningReport) -> Section {
    let mut section = Section::new("logged", "Estimates from the log");
    let mut table = Table::new(
        "logged-table",
        "What each policy's first requests would have been worth",
        vec![
            words("Policy"),
            words("Estimator"),
            numbers("Quality"),
            numbers("Cost per request"),
            numbers("Accepted"),
            numbers("Effective"),
            numbers("Cut"),
        ],
    );
    for learner in &r.logged {
        for (name, e) in [
            ("DR-ns", &learner.dr_ns),
            ("weighted rejection", &learner.rejection),
        ] {
            table.push(estimate_row(&learner.name, name, e, r.line));
        }
    }
    section.push(Block::Table(table));
    section.say(
        "Accepted: logged events that became part of the learner's own history. Effective: what the \
         importance weights leave of the events. Cut: events whose acceptance chance exceeded 1, \
         which biases.",
    );
    section
}

fn estimate_row(policy: &str, estimator: &str, e: &LoggedEstimate, line: f64) -> Vec<Cell> {
    vec![
        Cell::new(label(policy)),
        Cell::new(estimator),
        Cell::estimate(format::interval(e.quality, Unit::Quality, &[line])),
        Cell::estimate(format::interval(e.cost_usd, Unit::Usd, &[])),
        Cell::new(format::about(e.accepted.median)),
        Cell::new(format::about(e.effective.median)),
        Cell::new(format::percent(e.cut_share)),
    ]
}

fn methods(r: &LearningReport) -> Section {
    let mut section = Section::new("methods", "How to get this again");
    let m = &r.manifest;
    let mut facts = vec![
        Fact::new(
            "Line",
            format!("{}: {}", format::quality(r.line), label(&r.line_reason)),
        ),
        Fact::new("Order of requests", label(&m.order)),
        Fact::new("Labels", label(&m.feedback)),
        Fact::new("Warm-up", format::counted(r.requests.warm_up, "request")),
        Fact::new(
            "Set aside",
            format::counted(r.requests.set_aside, "request"),
        ),
        Fact::new("Log", format!("BLAKE3 {}", label(&m.log_digest))),
    ];
    if r.window > 0 {
        facts.push(Fact::new("Window", format::counted(r.window, "request")));
    }
    section.push(Block::Facts(facts));
    section.push(Block::Code {
        title: "Reproduce",
        text: passage(&m.command, 2_000),
    });
    section
}
