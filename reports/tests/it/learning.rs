//! Learning replays keep to their schema and are safe to show.

use plimsoll_harness::Interval;
use plimsoll_harness::learning::{
    Band, LEARNING_SCHEMA_VERSION, LearningReport, LoggedEstimate, LoggedLearner,
};
use plimsoll_reports::{
    Format, ReportError, SchemaOf, Style, parse_learning, render_learning, schema_json,
};

const FORMATS: [Format; 5] = [
    Format::Terminal,
    Format::Json,
    Format::Markdown,
    Format::Csv,
    Format::Html,
];

/// A report with one drift; the arm's name is hostile.
fn fixture(arm: &str) -> LearningReport {
    let band = |x: f64| serde_json::json!({"median": x, "low": x - 0.01, "high": x + 0.01});
    let usd = serde_json::json!({"median": "12.000000000001", "low": "11.5", "high": "12.5"});
    let times = serde_json::json!({"seeds": 3, "never": 1,
        "requests": {"median": 80.0, "low": 60.0, "high": 95.0}});
    let point = |t: u64, q: f64| {
        serde_json::json!({"request": t, "cost_usd": band(1.0), "cost_regret_usd": band(-0.5),
            "quality_regret": band(0.2), "quality": band(q), "recent_quality": band(q),
            "shares": [band(0.6), band(0.4)]})
    };
    let phase = |from: u64, to: u64, feasible: bool, what: Vec<String>| {
        serde_json::json!({"from": from, "to": to, "starts_with": what, "benchmark": arm,
            "feasible": feasible, "arms": [
                {"model": arm, "in_service": true, "quality": 0.91, "cost_usd": 0.001},
                {"model": "dear", "in_service": true, "quality": 0.95, "cost_usd": 0.01}]})
    };
    let fell = format!("quality of {arm} falls by 0.2");
    let learner = |name: &str| {
        serde_json::json!({"name": name, "quality": band(0.92), "line_kept": 0.75, "cost_usd": usd,
            "cost_regret_usd": usd, "quality_regret": band(3.0), "shares": [band(0.6), band(0.4)],
            "feedback": {"seen": 90.0, "unlabelled": 5.0, "censored": 3.0, "pending": 2.0},
            "series": [point(50, 0.93), point(100, 0.91)],
            "shocks": [{"what": fell, "model": arm, "request": 50, "detected": times,
                "false_alarms": 0.25, "rerouted": times, "recovered": times,
                "rules": ["detected: by a rule"]}]})
    };
    let report = serde_json::json!({
        "schema": LEARNING_SCHEMA_VERSION, "kind": "learning", "evidence": "full-information",
        "requests": {"warm_up": 20, "replayed": 100, "set_aside": 1}, "line": 0.9,
        "line_reason": "the policy's own", "seeds": 4, "window": 50,
        "arms": [{"model": arm, "quality": 0.85, "cost_usd": 0.001},
            {"model": "dear", "quality": 0.95, "cost_usd": 0.01}],
        "phases": [phase(0, 50, true, vec![]), phase(50, 100, false, vec![fell.clone()])],
        "learners": [learner("engine"), learner("uniform")], "logged": [],
        "notes": ["bands are over seeds"],
        "manifest": {"version": "0.1.0", "log_digest": "0", "catalogue_digest": null,
            "policy_digest": "0", "policy_toml": "", "seed": 7, "order": "time",
            "feedback": "labels after 0 requests", "command": "plimsoll replay log --learning"}});
    serde_json::from_value(report).expect("a report")
}

fn logged() -> LearningReport {
    let estimate = |quality: f64| LoggedEstimate {
        quality: Interval {
            point: quality,
            low: quality - 0.02,
            high: quality + 0.02,
        },
        cost_usd: Interval {
            point: 0.004,
            low: 0.003,
            high: 0.005,
        },
        accepted: Band {
            median: 300.0,
            low: 290.0,
            high: 310.0,
        },
        events: Band::default(),
        effective: Band::default(),
        cut_share: 0.0,
        multiplier: Band::default(),
    };
    LearningReport {
        learners: Vec::new(),
        phases: Vec::new(),
        logged: vec![LoggedLearner {
            name: "engine".to_owned(),
            dr_ns: estimate(0.93),
            rejection: estimate(0.94),
        }],
        ..fixture("cheap")
    }
}

fn render(report: &LearningReport, format: Format) -> String {
    render_learning(report, format, &Style::default()).expect("rendered")
}

#[test]
fn r06_the_published_schema_is_the_derived_one_and_is_kept() {
    let schema = schema_json(SchemaOf::Learning);
    assert_eq!(
        include_str!("../../schema/learning.schema.json"),
        schema,
        "run `cargo run -p plimsoll-reports --example schemas` and review what changed"
    );
    let schema = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for report in [fixture("cheap"), logged()] {
        let data = serde_json::from_str(&render(&report, Format::Json)).expect("JSON");
        assert!(validator.is_valid(&data));
    }
    assert!(!validator.is_valid(&serde_json::json!({"schema": 1})));
}

#[test]
fn r06_a_saved_report_reads_back_equal() {
    for report in [fixture("cheap"), logged()] {
        let json = render(&report, Format::Json);
        assert_eq!(parse_learning(json.as_bytes()).expect("read"), report);
        let other = json.replacen("\"schema\": 1", "\"schema\": 9", 1);
        let refused = parse_learning(other.as_bytes());
        assert!(matches!(
            refused,
            Err(ReportError::SchemaVersion { found: 9, .. })
        ));
    }
}

#[test]
fn r09_the_same_numbers_stand_in_every_format() {
    for format in [Format::Terminal, Format::Markdown, Format::Html] {
        let text = render(&fixture("cheap"), format).replace('\\', "");
        for wanted in ["Line kept in some runs", "0.92", "12.", "80", "60 to 95"] {
            assert!(text.contains(wanted), "{format}: {wanted}");
        }
        let text = render(&logged(), format);
        assert!(
            text.contains("Above the line") && text.contains("DR-ns"),
            "{format}"
        );
    }
    let comment = render(&fixture("cheap"), Format::Markdown);
    assert!(comment.contains("false alarms in"), "{comment}");
    let csv = render(&fixture("cheap"), Format::Csv);
    assert!(csv.contains("12.000000000001"), "exact amounts: {csv}");
}

#[test]
fn r01_names_of_arms_are_untrusted() {
    let hostile = fixture("</script><img src=x onerror=alert(1)>\u{202e}\u{1b}[31m");
    for format in FORMATS {
        // The data of a page stands in it as JSON, after everything that is shown.
        let whole = render(&hostile, format);
        let text = whole.split("id=\"data\">").next().unwrap_or_default();
        if format != Format::Json && format != Format::Csv {
            assert!(
                !text.contains('\u{202e}') && !text.contains('\u{1b}'),
                "{format}"
            );
        }
        if format == Format::Html {
            assert!(!whole.contains("<img"), "{format}");
        }
    }
}

#[test]
fn r06_equal_reports_give_equal_bytes_and_odd_numbers_render() {
    let mut odd = fixture("cheap");
    odd.learners[0].series.truncate(1);
    odd.learners[0].series[0].recent_quality.median = f64::NAN;
    odd.learners[0].shocks.clear();
    odd.arms.truncate(1);
    for report in [fixture("cheap"), odd] {
        for format in [
            Format::Terminal,
            Format::Markdown,
            Format::Csv,
            Format::Html,
        ] {
            assert_eq!(render(&report, format), render(&report, format));
        }
    }
}
