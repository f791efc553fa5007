//! Reports as reviewed: every byte of a small one in every form.

use crate::common::{comparison, explanation, fixture, insufficient, observational, off_policy};
use insta::assert_snapshot;
use plimsoll_reports::{Format, Style, render_comparison, render_evaluation, render_explanation};

#[test]
fn r06_golden_evaluation() {
    let style = Style::default();
    let render = |format| render_evaluation(&fixture(2, 2), format, &style).unwrap();
    assert_snapshot!("evaluation_terminal", render(Format::Terminal));
    assert_snapshot!("evaluation_json", render(Format::Json));
    assert_snapshot!("evaluation_markdown", render(Format::Markdown));
    assert_snapshot!("evaluation_csv", render(Format::Csv));
    assert_snapshot!("evaluation_html", render(Format::Html));
}

#[test]
fn r06_golden_narrow_terminal() {
    let style = Style {
        color: true,
        width: 60,
    };
    let text = render_evaluation(&fixture(2, 2), Format::Terminal, &style).unwrap();
    assert_snapshot!("evaluation_terminal_narrow", text);
}

#[test]
fn r06_golden_insufficient_evidence() {
    let text = render_evaluation(&insufficient(), Format::Terminal, &Style::default()).unwrap();
    assert_snapshot!("insufficient_terminal", text);
}

#[test]
fn r06_golden_logged_choices() {
    let style = Style::default();
    let render = |format| render_evaluation(&off_policy(3, 2), format, &style).unwrap();
    assert_snapshot!("off_policy_terminal", render(Format::Terminal));
    assert_snapshot!("off_policy_json", render(Format::Json));
    assert_snapshot!("off_policy_markdown", render(Format::Markdown));
    assert_snapshot!("off_policy_csv", render(Format::Csv));
    assert_snapshot!("off_policy_html", render(Format::Html));
}

#[test]
fn r06_golden_scenario() {
    let render = |format| render_evaluation(&observational(), format, &Style::default()).unwrap();
    assert_snapshot!("observational_terminal", render(Format::Terminal));
    assert_snapshot!("observational_markdown", render(Format::Markdown));
}

#[test]
fn r06_golden_comparison() {
    let render = |format| render_comparison(&comparison(), format, &Style::default()).unwrap();
    assert_snapshot!("comparison_terminal", render(Format::Terminal));
    assert_snapshot!("comparison_markdown", render(Format::Markdown));
}

#[test]
fn r06_golden_explanation() {
    let render = |format| render_explanation(&explanation(), format, &Style::default()).unwrap();
    assert_snapshot!("explanation_terminal", render(Format::Terminal));
    assert_snapshot!("explanation_markdown", render(Format::Markdown));
    assert_snapshot!("explanation_csv", render(Format::Csv));
}
