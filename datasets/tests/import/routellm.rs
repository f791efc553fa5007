//! `RouteLLM`'s two-model tables.

use plimsoll::Quality;
use plimsoll_datasets::{ImportKind, ImportOptions, Input};

use crate::golden::{check, detects, fixture, lenient, outcome, run};

const TABLE: &str = "routellm.csv";
const SCORES: &str = "two_model_scores.csv";

/// Equal prompts are requests of their own, an empty result is no answer, and a word is none either.
#[test]
fn two_models_are_two_answers() {
    detects(TABLE, ImportKind::Routellm);
    let (report, read) = check("routellm", &[TABLE], &lenient(ImportKind::Routellm));
    assert_eq!((report.records, report.rows), (4, 5));
    assert_eq!(report.rejected.get("wrong-type"), Some(&1));
    assert_eq!(report.unpriced, 5);
    let weak = "mistralai/Mixtral-8x7B-Instruct-v0.1";
    let quality = |id, arm| outcome(&read, id, arm).quality.map(Quality::get);
    assert_eq!(quality("1:1", weak), Some(1.0));
    assert_eq!(quality("1:2", weak), Some(0.0));
    assert_eq!(quality("1:2", "gpt-4-1106-preview"), Some(1.0));
    let lonely = read.log.requests.iter().find(|own| own.id == "1:3");
    assert_eq!(lonely.expect("the request").outcomes.len(), 1);
}

/// Scores need their scale; without it they are refused, not clipped.
#[test]
fn scores_need_a_scale() {
    let inputs = [fixture(SCORES)];
    let mut options = ImportOptions::new(ImportKind::Routellm);
    let error = run(&inputs, &options).map(drop).expect_err("no scale");
    assert_eq!(error.code(), "P0256");
    options.scale = Some("1..10".parse().expect("a scale"));
    let (_, read, _) = run(&inputs, &options).expect("an import");
    let quality = |id, arm| outcome(&read, id, arm).quality.map(Quality::get);
    assert_eq!(quality("1:2", "weak-model"), Some(1.0));
    assert_eq!(quality("1:2", "strong-model"), Some(0.0));
}

#[test]
fn three_models_are_refused() {
    let table = Input::bytes("t.csv", &b"prompt,a,b,c\np,True,False,True\n"[..]);
    let options = ImportOptions::new(ImportKind::Routellm);
    let error = run(&[table], &options).map(drop).expect_err("three models");
    assert_eq!(error.code(), "P0253");
}
