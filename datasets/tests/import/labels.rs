//! Labels: from fields, words, grades, expressions and files of their own.

use plimsoll::Quality;
use plimsoll_datasets::{ImportError, ImportKind, ImportOptions, Input, Join};

use crate::golden::{check, fixture, run};

fn rows(label: &[&str]) -> Input {
    let rows = label.iter().enumerate().map(|(n, label)| {
        format!(
            "{{\"request_id\":\"c{n}\",\"litellm_call_id\":\"r{n}\",\"trace_id\":\"t{}\",\
             \"call_type\":\"completion\",\"model\":\"m\",\"spend\":0.1,\"startTime\":\
             \"2026-03-01 10:00:00\",\"custom_llm_provider\":\"p\",\"metadata\":{{\"grade\":{label}}}}}\n",
            n / 2
        )
    });
    Input::bytes("rows.jsonl", rows.collect::<String>().into_bytes())
}

fn qualities(input: Input, options: &ImportOptions) -> Result<Vec<Option<f64>>, ImportError> {
    let (_, read, _) = run(&[input], options)?;
    let quality = |r: &plimsoll_datasets::Request| r.outcomes[0].quality.map(Quality::get);
    Ok(read.log.requests.iter().map(quality).collect())
}

fn options(quality: &str, scale: Option<&str>) -> ImportOptions {
    let mut options = ImportOptions::new(ImportKind::Litellm);
    options.quality = quality.parse().ok();
    options.scale = scale.map(|scale| scale.parse().expect("a scale"));
    options
}

#[test]
fn grades_are_mapped_and_never_guessed() {
    let grades = ["1", "4", "null", "5"];
    let scaled = options("metadata.grade", Some("1..5"));
    let got = qualities(rows(&grades), &scaled).expect("an import");
    assert_eq!(got, [Some(0.0), Some(0.75), None, Some(1.0)]);
    let error =
        qualities(rows(&grades), &options("metadata.grade", None)).expect_err("4 is no quality");
    assert_eq!(error.code(), "P0256");
    assert!(error.to_string().contains("--scale"), "{error}");
    let expression = options("if(metadata.grade >= 4, 1, 0)", None);
    let got = qualities(rows(&grades), &expression).expect("an import");
    assert_eq!(got, [Some(0.0), Some(1.0), None, Some(1.0)]);
    let thumbs = options("thumbs:metadata.grade", None);
    let got = qualities(rows(&["\"up\"", "\"thumbs_down\"", "true", "-1"]), &thumbs);
    assert_eq!(
        got.expect("an import"),
        [Some(1.0), Some(0.0), Some(1.0), Some(0.0)]
    );
    let error = qualities(rows(&grades), &options("metadata.grade +", None)).expect_err("no sense");
    assert_eq!(error.code(), "P0251");
    let mut both = options("thumbs", None);
    both.scale = "1..5".parse().ok();
    assert_eq!(
        qualities(rows(&grades), &both).expect_err("both").code(),
        "P0253"
    );
}

#[test]
fn labels_that_arrive_later_find_their_request() {
    let labels = "request_id,quality\nr0,1\nr1,0\nr1,0\nr9,1\nr2,1\nr2,0\n";
    let mut joined = ImportOptions::new(ImportKind::Litellm);
    joined.join = Some(Join {
        input: Input::bytes("labels.csv", labels.as_bytes()),
        on: "request_id".to_owned(),
    });
    let (report, read, _) = run(&[rows(&["1", "1", "1", "1"])], &joined).expect("an import");
    let quality = |r: &plimsoll_datasets::Request| r.outcomes[0].quality.map(Quality::get);
    let got: Vec<_> = read.log.requests.iter().map(quality).collect();
    assert_eq!(
        got,
        [Some(1.0), Some(0.0), None, None],
        "contradicting labels are none"
    );
    let labels = &report.labels;
    assert_eq!(
        (labels.read_apart, labels.contradicting, labels.unmatched),
        (6, 1, 1)
    );
    // By trace: both of its requests have the label, unless a nearer name has one.
    let labels = "trace,stars\nt0,5\nt1,3\n";
    let mut joined = options("stars", Some("1..5"));
    joined.join = Some(Join {
        input: Input::bytes("labels.csv", labels.as_bytes()),
        on: "trace".to_owned(),
    });
    let got = qualities(rows(&["1", "1", "1", "1"]), &joined).expect("an import");
    assert_eq!(got, [Some(1.0), Some(1.0), Some(0.5), Some(0.5)]);
    joined.join = Some(Join {
        input: Input::bytes("labels.csv", labels.as_bytes()),
        on: "tracee".to_owned(),
    });
    let error = qualities(rows(&["1"]), &joined).expect_err("no such field");
    assert_eq!(
        (error.code(), error.help().as_str()),
        ("P0252", "did you mean `trace`?")
    );
}

/// What is labelled is told arm by arm, with a test of whether it is missing by arm.
#[test]
fn missing_labels_are_told_by_arm() {
    let row = |n: usize| {
        let (model, grade) = if n.is_multiple_of(2) {
            ("small", if n.is_multiple_of(8) { "1" } else { "null" })
        } else {
            ("large", "1")
        };
        format!(
            "{{\"request_id\":\"c{n}\",\"litellm_call_id\":\"r{n}\",\"call_type\":\"completion\",\
             \"model\":\"{model}\",\"spend\":0.1,\"startTime\":\"2026-03-01 10:00:00\",\
             \"grade\":{grade}}}\n"
        )
    };
    let text: String = (0..80).map(row).collect();
    let input = Input::bytes("rows.jsonl", text.into_bytes());
    let (report, ..) = run(&[input], &options("grade", None)).expect("an import");
    let arms: Vec<_> = report
        .labels
        .arms
        .iter()
        .map(|a| (a.requests, a.labelled))
        .collect();
    assert_eq!(arms, [(40, 40), (40, 10)]);
    assert!(report.labels.p_same_share.is_some_and(|p| p < 1e-9));
}

/// Labels of the golden table come from its own thumbs.
#[test]
fn thumbs_of_their_own() {
    let thumbs = options("thumbs", None);
    let (report, _) = check("litellm_spend_logs", &["litellm_spend_logs.csv"], &thumbs);
    assert_eq!((report.labels.labelled, report.labels.unlabelled), (2, 2));
    let (report, ..) = run(
        &[fixture("litellm_spend_logs.csv")],
        &ImportOptions::new(ImportKind::Litellm),
    )
    .expect("an import");
    assert_eq!(report.labels.labelled, 0, "nobody asked for labels");
}

#[test]
fn nested_expressions_end_before_the_stack_does() {
    let nested = |text: &str, times| format!("{}{text}", "-".repeat(times));
    let error = qualities(
        rows(&["1"]),
        &options(&nested("metadata.grade", 100_000), None),
    )
    .expect_err("too long");
    assert_eq!(error.code(), "P0251");
    assert!(
        error.to_string().contains("1000 bytes") && error.to_string().len() < 100,
        "{error}"
    );
    let got = qualities(rows(&["1"]), &options(&nested("metadata.grade", 980), None));
    assert_eq!(got.expect("an import"), [Some(1.0)]);
}
