//! Evaluations of every size render, and none of them without bound.

use crate::common::{self, bare, fixture};
use plimsoll_harness::{Evaluation, Interval};
use plimsoll_reports::{Format, Style, render_comparison, render_evaluation, render_explanation};

const FORMATS: [Format; 5] = [
    Format::Terminal,
    Format::Json,
    Format::Markdown,
    Format::Csv,
    Format::Html,
];

fn check(evaluation: &Evaluation, html_bytes_max: usize) {
    for format in FORMATS {
        let text = render_evaluation(evaluation, format, &Style::default()).unwrap();
        assert!(!text.contains("NaN") && !text.contains("inf "), "{format}");
        if format == Format::Html {
            assert!(text.len() <= html_bytes_max, "{} bytes of HTML", text.len());
            assert!(text.ends_with("</html>"), "the page is whole");
        }
    }
}

#[test]
fn r05_every_option_absent() {
    check(&bare(), 100_000);
    let page = render_evaluation(&bare(), Format::Html, &Style::default()).unwrap();
    assert!(page.contains("No monthly figure"));
    assert!(page.contains("names no segments"));
    assert!(page.contains("No other floors were tried"));
}

#[test]
fn r05_no_requests_and_nothing_but_zeros() {
    let mut empty = bare();
    let zero = Interval::default();
    empty.requests.evaluated = 0;
    empty.baseline.quality = 0.0;
    empty.baseline.cost_usd = 0.0;
    (empty.policy.quality, empty.policy.cost_usd) = (zero, zero);
    (
        empty.savings.fraction,
        empty.savings.usd,
        empty.quality_change,
    ) = (zero, zero, zero);
    empty.floor.quality = 0.0;
    empty.verdict.reasons.clear();
    empty.manifest = plimsoll_harness::Manifest::default();
    check(&empty, 100_000);
}

#[test]
fn r05_numbers_that_are_none() {
    let mut broken = fixture(5, 3);
    for value in [
        &mut broken.savings.fraction,
        &mut broken.policy.cost_usd,
        &mut broken.quality_change,
    ] {
        value.low = f64::NAN;
        value.high = f64::INFINITY;
    }
    for point in &mut broken.frontier {
        point.quality.point = f64::NAN;
        point.cost_usd.high = f64::INFINITY;
    }
    broken.frontier[0].cost_usd.point = 0.0;
    broken.projection.as_mut().unwrap().usd_per_month.high = f64::INFINITY;
    check(&broken, 400_000);
}

#[test]
fn r05_one_row_and_one_model() {
    let mut one = fixture(1, 1);
    one.requests.evaluated = 1;
    check(&one, 300_000);
    let text = render_evaluation(&one, Format::Terminal, &Style::default()).unwrap();
    assert!(text.contains("On 1 request it had never seen"), "{text}");
}

#[test]
fn r05_five_hundred_segments_are_capped_with_a_note() {
    let many = fixture(50, 500);
    check(&many, 600_000);
    let page = render_evaluation(&many, Format::Html, &Style::default()).unwrap();
    assert!(page.contains("460 more rows are not shown here"));
    let table = page
        .split_once("id=\"segments-table\"")
        .unwrap()
        .1
        .split_once("</table>")
        .unwrap()
        .0;
    assert_eq!(table.matches("<tr").count(), 41, "a heading and forty rows");
    let text = render_evaluation(&many, Format::Terminal, &Style::default()).unwrap();
    assert!(text.contains("… and 488 more"), "{text}");
    let csv = render_evaluation(&many, Format::Csv, &Style::default()).unwrap();
    assert_eq!(
        csv.lines().filter(|l| l.starts_with("segment,")).count(),
        3_500
    );
}

#[test]
fn r05_a_long_trust_panel_is_cut_with_a_note() {
    let wide = common::wide();
    check(&wide, 1_300_000);
    let page = render_evaluation(&wide, Format::Html, &Style::default()).unwrap();
    for (id, rows, more) in [
        ("gates", 40, 20),
        ("overlap", 40, 20),
        ("balance-failed", 20, 30),
        ("balance", 100, 100),
        ("missing", 40, 20),
        ("estimators", 40, 20),
        ("sensitivity-table", 60, 40),
    ] {
        let tail = page.split_once(&format!("<table id=\"{id}\"")).unwrap().1;
        let (table, after) = tail.split_once("</table>").unwrap();
        assert_eq!(table.matches("<tr").count(), rows + 1, "{id}");
        let note = format!("<p class=\"omitted\">{more} more rows");
        let after = &after[..200];
        assert!(after.contains(&note), "{id}: {after}");
    }
    let text = render_evaluation(&wide, Format::Terminal, &Style::default()).unwrap();
    assert!(text.contains("… and 48 more"), "{text}");
    let csv = render_evaluation(&wide, Format::Csv, &Style::default()).unwrap();
    let checks = csv.lines().filter(|l| l.starts_with("balance,")).count();
    assert_eq!(checks, 3 * 200, "the table of all numbers is whole");
}

#[test]
fn r05_estimates_of_nothing_and_of_no_number() {
    let mut e = common::observational();
    let o = e.off_policy.as_mut().unwrap();
    for row in &mut o.estimators {
        row.savings.low = f64::NAN;
        row.quality.point = f64::INFINITY;
    }
    let confounding = o.confounding.as_mut().unwrap();
    confounding.bounds[4].savings = [f64::NEG_INFINITY, f64::NAN];
    for row in &mut e.diagnostics.sensitivity {
        row.savings = f64::NAN;
    }
    e.trust.weights.as_mut().unwrap().mean_weight.high = f64::INFINITY;
    check(&e, 400_000);
    let o = e.off_policy.as_mut().unwrap();
    o.estimators.clear();
    o.confounding.as_mut().unwrap().bounds.clear();
    e.diagnostics.sensitivity.clear();
    e.trust.overlap.clear();
    check(&e, 400_000);
}

#[test]
fn r05_a_page_has_a_size_cap() {
    let mut long = fixture(1_000, 5_000);
    let text = "x".repeat(100_000);
    long.manifest.policy_toml.clone_from(&text);
    for changed in &mut long.changed {
        changed.prompt = Some(text.clone());
    }
    check(&long, 3_000_000);
}

#[test]
fn r05_a_broken_segment_is_shown_even_when_small() {
    let mut many = fixture(3, 500);
    many.segments[499].broken = true;
    let value = many.segments[499].value.clone();
    for format in [Format::Html, Format::Terminal, Format::Markdown] {
        let text = render_evaluation(&many, format, &Style::default()).unwrap();
        assert!(text.contains(&value), "{format}");
    }
}

#[test]
fn r05_comparisons_and_explanations_of_nothing() {
    let mut comparison = common::comparison();
    for format in FORMATS {
        render_comparison(&comparison, format, &Style::default()).unwrap();
    }
    comparison.names.clear();
    comparison.evaluations.clear();
    comparison.differences.clear();
    let mut explanation = common::explanation();
    explanation.arms.clear();
    explanation.task = None;
    for format in FORMATS {
        render_comparison(&comparison, format, &Style::default()).unwrap();
        let explained = render_explanation(&explanation, format, &Style::default());
        assert_eq!(explained.is_err(), format == Format::Html, "{format}");
    }
}
