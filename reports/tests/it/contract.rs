//! The numbers and their layout are the same wherever they are shown, and every time.

use crate::common::{self, comparison, explanation, fixture, insufficient};
use plimsoll_harness::Evaluation;
use plimsoll_reports::{
    Format, ReportError, SchemaOf, Style, parse_comparison, parse_evaluation, render_comparison,
    render_evaluation, render_explanation, schema_json,
};

fn render(evaluation: &Evaluation, format: Format) -> String {
    render_evaluation(evaluation, format, &Style::default()).unwrap()
}

#[test]
fn r06_the_published_schemas_are_the_derived_ones() {
    for (published, of) in [
        (
            include_str!("../../schema/evaluation.schema.json"),
            SchemaOf::Evaluation,
        ),
        (
            include_str!("../../schema/comparison.schema.json"),
            SchemaOf::Comparison,
        ),
        (
            include_str!("../../schema/explanation.schema.json"),
            SchemaOf::Explanation,
        ),
        (
            include_str!("../../schema/certificate.schema.json"),
            SchemaOf::Certificate,
        ),
        (
            include_str!("../../schema/shortfall.schema.json"),
            SchemaOf::Shortfall,
        ),
        (
            include_str!("../../schema/check.schema.json"),
            SchemaOf::Check,
        ),
    ] {
        assert_eq!(
            published,
            schema_json(of),
            "run `cargo run -p plimsoll-reports --example schemas` and review what changed"
        );
    }
}

#[test]
fn r06_what_is_rendered_keeps_to_the_schema() {
    let check = |of, json: &str| {
        let schema = serde_json::from_str(&schema_json(of)).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let data = serde_json::from_str(json).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&data)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{of:?}: {errors:?}");
        let nothing = serde_json::json!({"schema": 1});
        assert!(
            !validator.is_valid(&nothing),
            "{of:?} refuses what it does not describe"
        );
    };
    for evaluation in [
        fixture(2, 0),
        fixture(50, 500),
        common::bare(),
        insufficient(),
        common::off_policy(5, 3),
        common::observational(),
    ] {
        check(SchemaOf::Evaluation, &render(&evaluation, Format::Json));
    }
    let style = Style::default();
    let compared = render_comparison(&comparison(), Format::Json, &style).unwrap();
    check(SchemaOf::Comparison, &compared);
    let explained = render_explanation(&explanation(), Format::Json, &style).unwrap();
    check(SchemaOf::Explanation, &explained);
}

#[test]
fn r06_equal_evaluations_give_equal_bytes() {
    for format in [
        Format::Terminal,
        Format::Json,
        Format::Markdown,
        Format::Csv,
        Format::Html,
    ] {
        assert_eq!(
            render(&fixture(11, 30), format),
            render(&fixture(11, 30), format),
            "{format}"
        );
    }
}

#[test]
fn r06_a_saved_evaluation_gives_the_same_report() {
    for evaluation in [
        fixture(11, 30),
        common::off_policy(11, 30),
        common::observational(),
    ] {
        let saved = render(&evaluation, Format::Json);
        let read = parse_evaluation(saved.as_bytes()).unwrap();
        assert_eq!(read, evaluation);
        assert_eq!(
            render(&read, Format::Html),
            render(&evaluation, Format::Html)
        );
        assert_eq!(render(&read, Format::Json), saved);
    }
    let saved = render_comparison(&comparison(), Format::Json, &Style::default()).unwrap();
    assert_eq!(parse_comparison(saved.as_bytes()).unwrap(), comparison());
}

/// A saved evaluation from before there was a trust panel.
fn older() -> (Evaluation, String) {
    let mut e = fixture(5, 3);
    e.trust = plimsoll_harness::Trust::default();
    let mut json = serde_json::to_value(&e).unwrap();
    let fields = json.as_object_mut().unwrap();
    fields.remove("trust").unwrap();
    fields.remove("off_policy").unwrap();
    (e, serde_json::to_string_pretty(&json).unwrap())
}

#[test]
fn r06_an_evaluation_saved_before_the_trust_panel_is_still_read() {
    let (expected, saved) = older();
    assert!(!saved.contains("\"trust\"") && !saved.contains("\"off_policy\""));
    let read = parse_evaluation(saved.as_bytes()).unwrap();
    assert_eq!(read, expected);
    let text = render(&read, Format::Terminal);
    assert!(text.contains("Looks at these requests          not recorded"));
    assert!(text.contains("Independent clusters             10\u{202f}949 by request_id\n"));
}

fn check_error(json: &str, code: &str, message: &str) {
    let error = parse_evaluation(json.as_bytes()).unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    assert!(!error.help().is_empty());
}

#[test]
fn r06_bad_input_is_named_with_its_place() {
    check_error("", "P0601", "the evaluation is not JSON: line 1, column 0");
    check_error(
        "{\n \"schema\": 1,\n oops}",
        "P0601",
        "the evaluation is not JSON: line 3, column 2",
    );
    check_error(
        "{\"schema\": 2}",
        "P0603",
        "the evaluation has schema version 2, this version reads 1",
    );
    check_error(
        "{}",
        "P0602",
        "this is not a saved evaluation: line 1, column 1: there is no `schema`",
    );
    check_error(
        "{\"schema\": 1}",
        "P0602",
        "this is not a saved evaluation: line 1, column 13: missing field `evidence`",
    );
    assert_eq!(parse_evaluation(b"[1]").unwrap_err().code(), "P0602");
    assert_eq!(parse_evaluation(b"\xff").unwrap_err().code(), "P0601");
}

#[test]
fn r06_an_error_never_quotes_the_file() {
    let saved = render(&fixture(2, 2), Format::Json);
    for (from, to) in [
        (
            "\"train\": 25548",
            "\"train\": \"my secret prompt, expected or not\"",
        ),
        ("\"train\": 25548", "\"my secret prompt\": 1"),
        ("\"ship\"", "\"my secret prompt\""),
        ("\"full-information\"", "\"my secret prompt\""),
        ("\"segments\": [", "\"segments\": [\"my secret prompt\","),
    ] {
        let broken = saved.replacen(from, to, 1);
        assert_ne!(broken, saved);
        let error = parse_evaluation(broken.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ReportError::WrongShape { line, .. } if line > 1),
            "{error}"
        );
        assert!(
            !format!("{error} {error:?} {}", error.help()).contains("secret"),
            "{error}"
        );
    }
}

#[test]
fn r06_an_evaluation_of_another_version_within_a_comparison_is_refused() {
    let mut mixed = comparison();
    mixed.evaluations[1].schema = 7;
    let saved = render_comparison(&mixed, Format::Json, &Style::default()).unwrap();
    let error = parse_comparison(saved.as_bytes()).unwrap_err();
    assert!(
        matches!(
            error,
            ReportError::SchemaVersion {
                found: 7,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
}

/// The headline figures of a page, as key and text.
fn page_figures(page: &str) -> Vec<(String, String)> {
    page.split("data-figure=\"")
        .skip(1)
        .map(|part| {
            let (key, rest) = part.split_once('"').unwrap();
            let cell = |class: &str| {
                let tail = rest
                    .split_once(&format!("<dd class=\"{class}\">"))
                    .unwrap()
                    .1;
                tail.split_once("</dd>").unwrap().0.to_owned()
            };
            (
                key.to_owned(),
                format!("{} ({})", cell("value"), cell("range")),
            )
        })
        .collect()
}

/// Reads `61.5 % (60.2 % to 62.7 %)` back into numbers.
fn numbers(text: &str, scale: f64) -> Vec<f64> {
    let plain = text
        .replace(['\u{202f}', '$', '%', '(', ')', '+'], "")
        .replace('\u{2212}', "-");
    plain
        .split_whitespace()
        .filter(|word| *word != "to")
        .map(|word| word.parse::<f64>().unwrap() / scale)
        .collect()
}

#[test]
fn r09_page_terminal_comment_and_json_show_the_same_numbers() {
    for evaluation in [fixture(2, 3), fixture(11, 0), common::off_policy(5, 3)] {
        let json: serde_json::Value =
            serde_json::from_str(&render(&evaluation, Format::Json)).unwrap();
        let page = page_figures(&render(&evaluation, Format::Html));
        let terminal = render(&evaluation, Format::Terminal);
        let comment = render(&evaluation, Format::Markdown)
            .replace("&#36;", "$")
            .replace('\\', "");
        let sources = [
            ("savings", "/savings/fraction", 100.0, 1e-3),
            ("savings-month", "/projection/usd_per_month", 1.0, 0.51),
            ("quality", "/policy/quality", 1.0, 1e-3),
            ("quality-change", "/quality_change", 1.0, 1e-3),
        ];
        assert_eq!(page.len(), sources.len());
        for ((key, text), (expected, pointer, scale, tolerance)) in page.iter().zip(sources) {
            assert_eq!(key, expected);
            assert!(
                terminal.contains(text.as_str()),
                "{key}: {text} is not in the terminal"
            );
            let (value, range) = text.split_once(" (").unwrap();
            let row = format!("**{value}** | {} |", range.trim_end_matches(')'));
            assert!(comment.contains(&row), "{key}: {row} is not in the comment");
            let shown = numbers(text, scale);
            for (name, shown) in ["point", "low", "high"].iter().zip(shown) {
                let exact = json
                    .pointer(&format!("{pointer}/{name}"))
                    .unwrap()
                    .as_f64()
                    .unwrap();
                assert!(
                    (exact - shown).abs() < tolerance,
                    "{key} {name}: {exact} shown as {shown}"
                );
            }
        }
    }
}

#[test]
fn r09_the_page_carries_the_evaluation() {
    let evaluation = fixture(11, 30);
    let page = render(&evaluation, Format::Html);
    let island = page
        .split_once("id=\"data\">")
        .unwrap()
        .1
        .split_once("</script>")
        .unwrap()
        .0;
    assert_eq!(parse_evaluation(island.as_bytes()).unwrap(), evaluation);
}

#[test]
fn r07_every_headline_estimate_comes_with_its_interval() {
    let text = render(&fixture(5, 3), Format::Terminal);
    for label in [
        "Saved  ",
        "Saved per month",
        "Quality  ",
        "Change in quality",
    ] {
        let line = text.lines().find(|l| l.starts_with(label)).unwrap();
        assert!(line.contains(" to "), "{line}");
    }
    let page = render(&fixture(5, 3), Format::Html);
    assert_eq!(page_figures(&page).len(), 4);
}

#[test]
fn r07_a_savings_interval_just_below_zero_does_not_read_zero() {
    let mut evaluation = fixture(5, 3);
    evaluation.savings.fraction.low = -0.000_2;
    for format in [Format::Html, Format::Terminal, Format::Markdown] {
        let text = render(&evaluation, format);
        assert!(text.contains("−0.02\u{202f}% to"), "{format}");
        assert!(text.contains("which includes no saving at all"), "{format}");
    }
}

#[test]
fn r07_without_evidence_no_savings_are_claimed() {
    let evaluation = insufficient();
    for format in [Format::Html, Format::Terminal, Format::Markdown] {
        let text = render(&evaluation, format);
        assert!(text.contains("Not enough evidence"), "{format}");
        let (headline, details) = text.split_once("What would settle it").unwrap();
        assert!(headline.contains("Not proven"), "{format}");
        assert!(
            !headline.contains("31.20"),
            "{format}: the headline claims savings"
        );
        assert!(
            !headline.contains("12\u{202f}840"),
            "{format}: the headline claims dollars"
        );
        assert!(
            details.contains("31.20"),
            "{format}: the details keep the numbers"
        );
        assert!(details.contains("not proven"), "{format}: and mark them");
        assert!(
            details.contains("Evaluate more requests"),
            "{format}: what to collect"
        );
    }
}

#[test]
fn r07_loss_is_said_as_loss() {
    let mut evaluation = fixture(5, 3);
    evaluation.savings.fraction = plimsoll_harness::Interval {
        point: -0.031,
        low: -0.05,
        high: -0.01,
    };
    let text = render(&evaluation, Format::Terminal);
    assert!(
        text.replace('\n', " ")
            .contains("spends 3.1\u{202f}% more than"),
        "{text}"
    );
}

#[test]
fn r09_prompts_are_shown_only_when_the_evaluation_holds_them() {
    let with = render(&common::with_prompts(), Format::Html);
    assert_eq!(
        with.matches("<blockquote>Which of these is a noble gas?\n\nA) neon")
            .count(),
        3
    );
    let without = render(&fixture(5, 3), Format::Html);
    assert!(!without.contains("<blockquote>") && without.contains("Prompts are left out"));
    for format in [Format::Terminal, Format::Markdown] {
        assert!(
            !render(&common::with_prompts(), format).contains("noble gas"),
            "{format}"
        );
    }
}
